"""The learning rate as a function of the step: nothing to save, nothing to lose."""

import math
from typing import Annotated, Literal

from pydantic import Field

from ...degrade.family import Frozen


class Constant(Frozen):
    """The same from the first step to the last."""

    kind: Literal["constant"] = "constant"


class MultiStep(Frozen):
    """Multiplied by `gamma` at each of the steps `milestones`."""

    kind: Literal["multistep"] = "multistep"
    milestones: tuple[Annotated[int, Field(ge=1)], ...]
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.5


class Cosine(Frozen):
    """Falls along half a cosine to `min_factor` of itself at the last step."""

    kind: Literal["cosine"] = "cosine"
    min_factor: Annotated[float, Field(ge=0, le=1)] = 0.0


class Linear(Frozen):
    """The same up to a share of the steps, then falls evenly to 0 behind the last."""

    kind: Literal["linear"] = "linear"
    from_share: Annotated[float, Field(ge=0, lt=1)] = 0.5


AnySchedule = Constant | MultiStep | Cosine | Linear
Schedule = Annotated[AnySchedule, Field(discriminator="kind")]


def needs_steps(schedule: AnySchedule) -> bool:
    """Whether the rate on the way depends on how many steps there are in all."""
    return isinstance(schedule, Cosine | Linear)


def factor_at(schedule: AnySchedule, step: int, *, steps: int, warmup_steps: int) -> float:
    """What the learning rate is multiplied by at a step, 0 the first; it rises evenly over the `warmup_steps` first
    ones.
    """
    rising = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    match schedule:
        case Constant():
            return rising
        case MultiStep():
            return rising * schedule.gamma ** sum(step >= each for each in schedule.milestones)
        case Cosine():
            done = step / max(1, steps - 1)
            return rising * (schedule.min_factor + (1 - schedule.min_factor) * 0.5 * (1 + math.cos(math.pi * done)))
        case Linear():
            left = (steps - step) / (steps * (1 - schedule.from_share))
            return rising * min(1.0, left)

"""The learning rate as a function of the step: nothing to save, nothing to lose."""

import math
from typing import Annotated, Literal

from pydantic import Field

from ...degrade.family import Frozen


class Constant(Frozen):
    """The same from the first step to the last."""

    kind: Literal["constant"] = "constant"


class Steps(Frozen):
    """Multiplied by `factor` at each of the steps `at`."""

    kind: Literal["steps"] = "steps"
    at: tuple[Annotated[int, Field(ge=1)], ...]
    factor: Annotated[float, Field(gt=0, le=1)] = 0.5


class Cosine(Frozen):
    """Falls along half a cosine to `least` of itself at the last step."""

    kind: Literal["cosine"] = "cosine"
    least: Annotated[float, Field(ge=0, le=1)] = 0.0


Schedule = Annotated[Constant | Steps | Cosine, Field(discriminator="kind")]


def factor_at(schedule: Constant | Steps | Cosine, step: int, *, steps: int, warm_up: int) -> float:
    """What the learning rate is multiplied by at a step, 0 the first; it rises evenly over the `warm_up` first ones."""
    rising = min(1.0, (step + 1) / warm_up) if warm_up else 1.0
    match schedule:
        case Constant():
            return rising
        case Steps():
            return rising * schedule.factor ** sum(step >= at for at in schedule.at)
        case Cosine():
            done = step / max(1, steps - 1)
            return rising * (schedule.least + (1 - schedule.least) * 0.5 * (1 + math.cos(math.pi * done)))

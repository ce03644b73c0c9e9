"""How AdaFM, CFSNet and Dynamic-Net are trained: all but the tuned parts on one degradation, then those on another."""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from ....degrade.errors import UserError
from ....degrade.recipes.base import Recipe
from ....degrade.recipes.cugan import BlurNoise
from ...data.batches import GroupBatch
from ...engine.loop import built
from ...engine.training import Shared, Training
from ...losses import basic as losses
from ...losses.adversarial import GENERATOR
from ...networks.baselines.two_levels import Level, TwoLevels, TwoLevelsConfig
from ...runs.model_file import start_with
from ..base import Given, TrainingConfig, check_start, other_scale


class TwoLevelsTraining(TrainingConfig):
    """One of the two stages."""

    network: TwoLevelsConfig
    """Sizes of the network, and its two levels."""
    trains: Literal["main", "tuned"] = "main"
    """What is trained: all but the tuned parts, on pairs of the start; or those alone, on pairs of the end."""
    pixel: Annotated[float, Field(gt=0)] = 1.0
    """Weight of the mean absolute error."""


def build(config: TwoLevelsTraining, given: Given) -> Training[GroupBatch]:
    """The network, of which one stage is trained, and its loss.

    Raises:
        UserError: the pairs come without z, or the earlier weights are another network's.
    """
    if not given.groups.conditions:
        raise UserError(f"{given.groups.name} says nothing of the degradation of its pairs; build it by preset cugan")
    check_start(config, given.start is not None)
    net = built(config.network.build, config.loop.seed)
    assert isinstance(net, TwoLevels)
    if given.start is not None:
        start_with(net, given.start, partly=given.partly)
    for name, value in net.named_parameters():
        value.requires_grad_(net.is_tuned(name) == (config.trains == "tuned"))

    def terms(_: str, batch: GroupBatch, shared: Shared) -> dict[str, Tensor]:
        sr = net(batch.lr[:, 0], batch.condition).float()
        return {"pixel": config.pixel * losses.pixel(sr, batch.hr)}

    return Training({GENERATOR: net}, terms)


def why_not(config: TwoLevelsTraining, recipe: Recipe, to_learn: bool) -> str | None:
    """What does not fit of a store: it is trained on one degradation, that of its stage."""
    apart = other_scale(config.network.scale, recipe)
    if apart or not to_learn:
        return apart or (None if recipe.num_conditions == 2 else "is told blur and noise (cugan)")
    z = config.network.start if config.trains == "main" else config.network.end
    scale = recipe if isinstance(recipe, BlurNoise) else BlurNoise()
    level = level_of(z, scale)
    if isinstance(recipe, BlurNoise) and recipe.fixed_level == level:
        return None
    wanted = f"{level[0]:g},{level[1]:g}"
    return f"learns from one degradation in this stage (preset cugan with recipe.fixed_level=[{wanted}])"


def level_of(z: Level, recipe: BlurNoise) -> tuple[float, float]:
    """Blur in pixels and noise in gray levels of z, as a recipe counts them."""
    return round(z[0] * recipe.blur_max, 6), round(z[1] * recipe.noise_max, 6)

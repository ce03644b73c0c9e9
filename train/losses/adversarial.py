"""A generator and, where there is a GAN loss, the discriminator that judges it, as the engine trains them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from torch import Tensor, nn

from ...degrade.errors import UserError
from ..data.batches import GroupBatch
from ..engine.loop import built
from ..engine.training import Shared, Training
from ..networks.discriminators import (
    Discriminator,
    GanConfig,
    discriminator,
    discriminator_losses,
    generator_loss,
    relativistic_generator_loss,
    renamed,
)
from ..runs.model_file import start_with
from .perceptual import PerceptualConfig, PerceptualLoss, perceptual_loss

J = TypeVar("J", bound=nn.Module)
GENERATOR, DISCRIMINATOR = "generator", "discriminator"


def gan_term(config: GanConfig, judge: Discriminator, sr: Tensor, real: Tensor) -> Tensor:
    """The generator's weighted term: SR [B, 3, H, W] should look like the photographs."""
    fake = judge(sr).float()
    if config.relativistic:
        return config.weight * relativistic_generator_loss(judge(real).float(), fake)
    return config.weight * generator_loss(fake)


def discriminator_terms(net: nn.Module, shared: Shared, *, relativistic: bool) -> dict[str, Tensor]:
    """The terms of the discriminator: photographs (`real`) and what the generator made of them (`sr`)."""
    logits = net(shared["real"]).float(), net(shared["sr"]).float()
    real, fake = discriminator_losses(*logits, relativistic=relativistic)
    return {"real": real, "fake": fake}


def by_config(
    generator: nn.Module,
    perceptual: PerceptualConfig,
    gan: GanConfig,
    seed: int,
    judge_weights: Mapping[str, Tensor] | None,
    of_generator: Callable[[GroupBatch, Shared, PerceptualLoss | None, Discriminator | None], dict[str, Tensor]],
) -> Training[GroupBatch]:
    """The generator under the perceptual loss and the discriminator of a config, where they have a weight.

    judge_weights: that the discriminator starts from. Raises MissingWeights, UserError.
    """
    loss = perceptual_loss(perceptual)
    judge = built(partial(discriminator, gan), seed) if gan.weight else None
    start_judge(judge, judge_weights)
    of_judge = partial(discriminator_terms, relativistic=gan.relativistic)
    return adversarial(generator, judge, loss, lambda batch, shared: of_generator(batch, shared, loss, judge), of_judge)


def start_judge(judge: nn.Module | None, weights: Mapping[str, Tensor] | None) -> None:
    """Give a discriminator weights to start from; raises UserError where there is none, or they do not fit."""
    if weights is None:
        return
    if judge is None:
        raise UserError("--start-discriminator is for a training with a GAN loss; drop it, or set losses.gan.weight")
    start_with(judge, renamed(weights), option="--start-discriminator")


def adversarial(
    generator: nn.Module,
    judge: J | None,
    perceptual: nn.Module | None,
    of_generator: Callable[[GroupBatch, Shared], dict[str, Tensor]],
    of_judge: Callable[[J, Shared], dict[str, Tensor]],
) -> Training[GroupBatch]:
    """The generator's step on its terms; then, where there is one, the judge's on what the generator's left."""
    fixed = () if perceptual is None else (perceptual,)
    if judge is None:
        return Training({GENERATOR: generator}, lambda _, batch, shared: of_generator(batch, shared), fixed)

    def terms(name: str, batch: GroupBatch, shared: Shared) -> dict[str, Tensor]:
        return of_judge(judge, shared) if name == DISCRIMINATOR else of_generator(batch, shared)

    return Training({GENERATOR: generator, DISCRIMINATOR: judge}, terms, fixed)

"""A generator and, where there is a GAN loss, the discriminator that judges it, as the engine trains them."""

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor, nn

from .data import GroupBatch
from .discriminators import (
    Discriminator,
    GanConfig,
    discriminator_losses,
    generator_loss,
    relativistic_generator_loss,
)
from .loop import Method, Shared

J = TypeVar("J", bound=nn.Module)
GENERATOR, DISCRIMINATOR = "generator", "discriminator"


def gan_term(config: GanConfig, judge: Discriminator, sr: Tensor, real: Tensor) -> Tensor:
    """The generator's weighted term: SR [B, 3, H, W] should look like the photographs."""
    fake = judge(sr).float()
    if config.relativistic:
        return config.weight * relativistic_generator_loss(judge(real).float(), fake)
    return config.weight * generator_loss(fake)


def discriminator_terms(net: Discriminator, shared: Shared, *, relativistic: bool) -> dict[str, Tensor]:
    """The terms of the discriminator: photographs (`real`) and what the generator made of them (`sr`)."""
    logits = net(shared["real"]).float(), net(shared["sr"]).float()
    real, fake = discriminator_losses(*logits, relativistic=relativistic)
    return {"real": real, "fake": fake}


def adversarial(
    generator: nn.Module,
    judge: J | None,
    perceptual: nn.Module | None,
    of_generator: Callable[[GroupBatch, Shared], dict[str, Tensor]],
    of_judge: Callable[[J, Shared], dict[str, Tensor]],
) -> Method[GroupBatch]:
    """The generator's step on its terms; then, where there is one, the judge's on what the generator's left."""
    fixed = () if perceptual is None else (perceptual,)
    if judge is None:
        return Method({GENERATOR: generator}, lambda _, batch, shared: of_generator(batch, shared), fixed)

    def terms(name: str, batch: GroupBatch, shared: Shared) -> dict[str, Tensor]:
        return of_judge(judge, shared) if name == DISCRIMINATOR else of_generator(batch, shared)

    return Method({GENERATOR: generator, DISCRIMINATOR: judge}, terms, fixed)

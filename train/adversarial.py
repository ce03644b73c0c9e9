"""A generator and, where there is a GAN loss, the discriminator that judges it, as the engine trains them."""

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor, nn

from .data import GroupBatch
from .loop import Method, Shared

J = TypeVar("J", bound=nn.Module)
GENERATOR, DISCRIMINATOR = "generator", "discriminator"


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

"""The optimisers that a training may have; Adan and schedule-free AdamW are pytorch-optimizer's."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from ...degrade.errors import UserError
from ...degrade.family import Frozen

Decay = Annotated[float, Field(ge=0)]


class Adam(Frozen):
    """Kingma and Ba 2015: of all papers here."""

    kind: Literal["adam"] = "adam"


class AdamW(Frozen):
    """Loshchilov and Hutter 2019: weights decay apart from the gradient."""

    kind: Literal["adamw"] = "adamw"
    weight_decay: Decay = 0.01


class Adan(Frozen):
    """Xie et al. 2022; it has three betas of its own."""

    kind: Literal["adan"] = "adan"
    betas: tuple[float, float, float] = (0.98, 0.92, 0.99)
    weight_decay: Decay = 0.02


class ScheduleFree(Frozen):
    """Schedule-free AdamW (Defazio et al. 2024): its own average takes the place of a falling rate; ema_decay comes on
    top, and 0 leaves that average as it is.
    """

    kind: Literal["schedule-free"] = "schedule-free"
    weight_decay: Decay = 0


Optimizer = Annotated[Adam | AdamW | Adan | ScheduleFree, Field(discriminator="kind")]


def make_optimizer(
    config: Adam | AdamW | Adan | ScheduleFree, values: Iterable[Tensor], rate: float, betas: tuple[float, float]
) -> torch.optim.Optimizer:
    """Of these weights, torch's own as one kernel on CUDA; raises UserError where a package is missing."""
    values = list(values)
    fused = all(value.device.type == "cuda" for value in values) or None
    match config:
        case Adam():
            return torch.optim.Adam(values, lr=rate, betas=betas, fused=fused)
        case AdamW():
            return torch.optim.AdamW(values, lr=rate, betas=betas, weight_decay=config.weight_decay, fused=fused)
        case Adan():
            kind, decay = _others().Adan, config.weight_decay
            return kind(values, lr=rate, betas=config.betas, weight_decay=decay, weight_decouple=True)
        case ScheduleFree():
            return _others().ScheduleFreeAdamW(values, lr=rate, betas=betas, weight_decay=config.weight_decay)


def _others() -> Any:
    try:
        import pytorch_optimizer  # pyright: ignore
    except ImportError:
        raise UserError(
            "loop.optimizer.kind = adan and schedule-free need a package: pip install 'rwsr[optimizers]'"
        ) from None
    return pytorch_optimizer


def to_average(optimizer: torch.optim.Optimizer, *, averaged: bool) -> None:
    """Set the weights to the optimiser's own average, or back to where it trains; one that has none does nothing."""
    turn: Any = getattr(optimizer, "eval" if averaged else "train", None)
    if turn is not None:
        turn()

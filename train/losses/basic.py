"""Loss terms, each a function of tensors that gives a scalar."""

from torch import Tensor
from torch.nn import functional


def pixel(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute difference of [B, 3, H, W]."""
    return functional.l1_loss(sr, hr)


def square(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean square difference of [B, 3, H, W]."""
    return functional.mse_loss(sr, hr)


def ranking(milder: Tensor, stronger: Tensor, margin: float) -> Tensor:
    """mean max(0, milder - stronger + margin) of scores [B]: the stronger must score higher, by the margin.

    MM-RealSR eq. 5 and 6 with the indices that the text defines (the printed ones swap blur and noise).
    """
    return functional.relu(milder - stronger + margin).mean()


def anchor(clean: Tensor, worst: Tensor) -> Tensor:
    """mean clean^2 + mean (1 - worst)^2 of scores: the clean anchor at 0, the worst at 1 (MM-RealSR eq. 7, 8)."""
    return clean.square().mean() + (1 - worst).square().mean()

"""Restoring images with a model, which is any callable LR [B, 3, h, w] -> SR [B, 3, s*h, s*w], both in [0, 1]."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

Model = Callable[[Tensor], Tensor]


def bicubic(lr: Tensor, scale: int) -> Tensor:
    """The baseline of every paper: bicubic enlargement (a = -0.75, as OpenCV and torch), clipped to [0, 1]."""
    return functional.interpolate(lr, scale_factor=scale, mode="bicubic", align_corners=False).clamp(0, 1)


def bicubic_model(scale: int) -> Model:
    """Bicubic as a model."""
    return partial(bicubic, scale=scale)


def restore(model: Model, lr: Tensor, device: torch.device) -> Tensor:
    """SR of LR on the CPU, clipped to [0, 1]; no gradient is kept."""
    with torch.inference_mode():
        return model(lr.to(device)).clamp(0, 1).cpu()


def pick_device() -> torch.device:
    """CUDA where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")

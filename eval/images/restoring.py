"""Restoring images with a model, which is any callable LR [B, 3, h, w] -> SR [B, 3, s*h, s*w], both in [0, 1]."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from .imresize import F64, cubic, lanczos3, taps
from .kept import kept

Model = Callable[[Tensor], Tensor]
Device = torch.device


def _along_rows(image: Tensor, scale: int, kernel: Callable[[F64], F64]) -> Tensor:
    """Enlarge the last axis by a kernel."""
    sides = image.shape[-1], image.shape[-1] * scale, kernel
    at = kept(_places, *sides, device=image.device)
    return (image[..., at] * kept(_weights, *sides, device=image.device, dtype=image.dtype)).sum(dim=-1)


def _places(old: int, new: int, kernel: Callable[[F64], F64]) -> npt.NDArray[np.int64]:
    return taps(old, new, kernel)[0]


def _weights(old: int, new: int, kernel: Callable[[F64], F64]) -> F64:
    return taps(old, new, kernel)[1]


def bicubic(lr: Tensor, scale: int) -> Tensor:
    """The baseline of every paper: MATLAB's bicubic enlargement (a = -0.5; OpenCV and torch have -0.75), clipped."""
    return _along_rows(_along_rows(lr, scale, cubic).mT, scale, cubic).mT.clamp(0, 1)


def smaller(image: Tensor, scale: int) -> Tensor:
    """Bicubic with antialiasing, [B, C, H, W] -> [B, C, H // scale, W // scale]; not clipped."""
    height, width = (side // scale for side in image.shape[2:])
    return functional.interpolate(image, size=(height, width), mode="bicubic", antialias=True, align_corners=False)


def unchanged(image: Tensor) -> Tensor:
    """The baseline at scale 1: nothing is done."""
    return image


def bicubic_model(scale: int) -> Model:
    """Bicubic as a model."""
    return partial(bicubic, scale=scale)


def lanczos(lr: Tensor, scale: int) -> Tensor:
    """Lanczos enlargement with three lobes, as Pillow's but for the borders, clipped to [0, 1]."""
    return _along_rows(_along_rows(lr, scale, lanczos3).mT, scale, lanczos3).mT.clamp(0, 1)


def lanczos_model(scale: int) -> Model:
    """Lanczos as a model."""
    return partial(lanczos, scale=scale)


@contextmanager
def in_fp32(*, tf32: bool = False) -> Generator[None]:
    """How CUDA multiplies fp32 for the block: as IEEE says, or in TF32, which cuDNN has where nobody says."""
    backends: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    were = [each.allow_tf32 for each in backends]
    for each in backends:
        each.allow_tf32 = tf32
    try:
        yield
    finally:
        for each, was in zip(backends, were, strict=True):
            each.allow_tf32 = was


def restore(model: Model, lr: Tensor, device: torch.device) -> Tensor:
    """SR of LR on the CPU, clipped to [0, 1], computed in fp32; no gradient is kept.

    Not by torch's inference mode: a network that folds its convs into one when it restores (SPAN) could not be trained
    on afterwards.
    """
    return restored(model, lr.to(device)).cpu()


def restored(model: Model, lr: Tensor, *, half: bool = False) -> Tensor:
    """The same, of LR on the model's device, and left there. half: its layers are computed in fp16."""
    with torch.no_grad(), in_fp32(), torch.autocast(lr.device.type, torch.float16, enabled=half):
        return model(lr).float().clamp(0, 1)


def pick_device() -> torch.device:
    """CUDA where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def name_of(device: torch.device) -> str:
    """What a report calls a device: "cpu", or a card by its name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type

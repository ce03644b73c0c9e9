"""Noise of many images at once, of the same fields, draw for draw, as `degrade/ops` has it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...degrade.ops.gaussian import GaussianNoise, SpeckleNoise
from ...degrade.ops.poisson import GRAY_WEIGHTS, POISSON_BITS, PoissonNoise, poisson_quantiles
from ...eval.images.kept import kept
from . import fields
from .images import Stack, apart, levels, numbers, per_image

_PEAKS = tuple(2**power for power in range(9))  # of the number of levels in an image


def _longest(stack: Stack) -> int:
    return 3 * max(height * width for height, width in zip(stack.heights, stack.widths, strict=True))


def _normal(stack: Stack, steps: Sequence[GaussianNoise] | Sequence[SpeckleNoise]) -> Tensor:
    """[N, 3, H, W]: the noise of each step before it is added; a field that several share is drawn once."""
    keys = list(dict.fromkeys(step.field for step in steps))
    streams = fields.normal([int(key, 16) for key in keys], _longest(stack), stack.device)
    which = [keys.index(step.field) for step in steps]
    normal = fields.laid_out(streams, which, [step.gray for step in steps], stack)
    if any(step.mixing is not None for step in steps):
        one = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
        mixing = numbers([value for step in steps for value in step.mixing or one], stack.device)
        normal = torch.einsum("nij,njhw->nihw", mixing.view(-1, 3, 3), normal)
    return normal * per_image([float(np.float32(step.sigma_255 / 255)) for step in steps], stack.device)


def gaussian(stack: Stack, steps: Sequence[GaussianNoise]) -> list[Tensor]:
    """`GaussianNoise` of each image."""
    return stack.of((stack.values + _normal(stack, steps)).clamp(0, 1)).each()


def speckle(stack: Stack, steps: Sequence[SpeckleNoise]) -> list[Tensor]:
    """`SpeckleNoise` of each image."""
    return stack.of((stack.values + stack.values.clamp(0, 1) * _normal(stack, steps)).clamp(0, 1)).each()


# --------------------------------------------------------------------------------------------------- photons


def has_form(step: PoissonNoise) -> bool:
    """Whether photon noise can be made here: Real-ESRGAN's; BSRGAN's, at any peak, is a draw that rejects."""
    return step.peak is None


def _tables() -> npt.NDArray[np.int8]:
    return np.stack([poisson_quantiles(peak)[0] for peak in _PEAKS]).ravel()


def _offsets() -> npt.NDArray[np.float32]:
    return np.stack([poisson_quantiles(peak)[1] for peak in _PEAKS]).ravel()


def poisson(stack: Stack, steps: Sequence[PoissonNoise]) -> list[Tensor]:
    """`PoissonNoise` of each image, those of one channel apart from those of three."""
    return apart(stack, steps, lambda step: step.gray, _poisson)


def _poisson(stack: Stack, steps: Sequence[PoissonNoise]) -> Stack:
    image, device, gray = stack.values, stack.device, steps[0].gray
    clipped = image.clamp(0, 1)
    if gray:
        clipped = (clipped * kept(_gray_weights, device=device)[:, None, None]).sum(dim=1, keepdim=True)
    level = levels(clipped).long()
    power = _powers(stack, level)
    keys = list(dict.fromkeys(step.field for step in steps))
    streams = fields.uniform([int(key, 16) for key in keys], _longest(stack), device)
    which = [keys.index(step.field) for step in steps]
    uniform = fields.laid_out(streams, which, [gray] * len(steps), stack)[:, : level.shape[1]].long()
    at = power * 256 + level
    count = kept(_tables, device=device)[(at << POISSON_BITS) | (uniform >> (16 - POISSON_BITS))].float()
    noise = count / (2.0**power) + kept(_offsets, device=device)[at]
    scales = per_image([float(np.float32(step.scale)) for step in steps], device)
    return stack.of((image + scales * noise).clamp(0, 1))


def _gray_weights() -> npt.NDArray[np.float32]:
    return GRAY_WEIGHTS.ravel()


def _powers(stack: Stack, level: Tensor) -> Tensor:
    """[N, 1, 1, 1] int64: of two, at or above the number of distinct levels in each image."""
    known = torch.where(stack.inside, level, level[:, :1, :1, :1])
    there = torch.zeros(len(stack), 256, dtype=torch.int64, device=stack.device)
    there.scatter_(1, known.flatten(1), 1)
    peaks = kept(_peaks, device=stack.device)
    return torch.bucketize(there.sum(dim=1), peaks)[:, None, None, None]


def _peaks() -> npt.NDArray[np.int64]:
    return np.array(_PEAKS, dtype=np.int64)

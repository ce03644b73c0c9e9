"""Blurs and the unsharp mask: one Fourier transform for all images of a stack, each with its own kernel and border."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from ...degrade.ops.blur import LEAST_WIDE, Blur
from ...degrade.ops.kernels import render
from ...degrade.ops.unsharp import Gaussian, UnsharpMask, spread_of, usm_kernel
from ...eval.images.kept import kept
from .images import Border, Stack, bordered, per_image
from .kernels import weights_of

_USM_REACH = 32  # pixels: four times the widest Gaussian


def _transforms(weights: Tensor, sides: tuple[int, int]) -> Tensor:
    """[N, 1, H, W // 2 + 1]: of kernels [N, S, S] whose middle is the first pixel."""
    reach = weights.shape[-1] // 2
    canvas = weights.new_zeros(len(weights), *sides, dtype=torch.float32)
    canvas[:, : weights.shape[1], : weights.shape[2]] = weights
    return torch.fft.rfft2(canvas.roll((-reach, -reach), (1, 2)))[:, None]


def _fast(side: int) -> int:
    """The next side of which a transform is fast."""
    return int(next_fast_len(side, real=True))  # pyright: ignore[reportArgumentType]


def blurred(stack: Stack, weights: Tensor, borders: Sequence[Border]) -> Stack:
    """Each image under its kernel of [N, S, S], as `degrade.ops.blur.blur`; every kernel of ours equals itself turned
    by half, and is 0 beyond its own size.
    """
    reach = weights.shape[-1] // 2
    height, width = stack.values.shape[2:]
    sides = (_fast(height + 2 * reach), _fast(width + 2 * reach))
    wide = bordered(stack, reach, sides, borders)
    found = torch.fft.irfft2(torch.fft.rfft2(wide) * _transforms(weights, sides), s=sides)
    return stack.of(found[:, :, reach : reach + height, reach : reach + width])


def blur(stack: Stack, steps: Sequence[Blur]) -> list[Tensor]:
    """`Blur` of each image."""
    weights = weights_of([step.kernel for step in steps], stack.device)
    return blurred(stack, weights, [step.border for step in steps]).each()


def unsharp_mask(stack: Stack, steps: Sequence[UnsharpMask]) -> list[Tensor]:
    """`UnsharpMask` of each image; the Gaussian of a pyramid is here the whole one, which that is close to."""
    weights = torch.stack([_of_usm(step, stack.device) for step in steps])
    borders: list[Border] = ["reflect"] * len(steps)
    image, device = stack.values, stack.device
    residual = image - blurred(stack, weights, borders).values
    mask = residual.abs() * 255 > per_image([step.threshold_255 for step in steps], device)
    soft = blurred(stack.of(mask.float()), weights, borders).values
    sharp = (image + per_image([step.weight for step in steps], device) * residual).clamp(0, 1)
    return stack.of(image + soft * (sharp - image)).each()


def _of_usm(step: UnsharpMask, device: torch.device) -> Tensor:
    return kept(_usm_weights, step.radius, step.gaussian, device=device)


def _usm_weights(radius: int, gaussian: Gaussian) -> npt.NDArray[np.float64]:
    """[65, 65]: the kernel of a step, and 0 around it."""
    kernel = usm_kernel(radius)
    steps = np.arange(-_USM_REACH, _USM_REACH + 1)
    if gaussian == "pyramid" and kernel.sigma_x >= LEAST_WIDE:
        line = np.exp(-0.5 * (steps / spread_of(kernel)) ** 2)
        return np.outer(line, line) / line.sum() ** 2
    return np.pad(render(kernel), _USM_REACH - kernel.size // 2)

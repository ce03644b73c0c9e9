"""Blurs and the unsharp mask: one Fourier transform for all images of a stack, each with its own kernel and border."""

from collections.abc import Sequence

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from ...degrade.ops.blur import Blur
from ...degrade.ops.kernels import Kernel
from ...degrade.ops.unsharp import UnsharpMask, usm_kernel
from .images import Border, Stack, bordered, per_image
from .kernels import weights_of


def _transforms(kernels: Sequence[Kernel], sides: tuple[int, int], device: torch.device) -> Tensor:
    """[N, 1, H, W // 2 + 1]: of kernels whose middle is the first pixel."""
    weights = weights_of(kernels, device).float()
    reach = weights.shape[-1] // 2
    canvas = weights.new_zeros(len(kernels), *sides)
    canvas[:, : weights.shape[1], : weights.shape[2]] = weights
    return torch.fft.rfft2(canvas.roll((-reach, -reach), (1, 2)))[:, None]


def _fast(side: int) -> int:
    """The next side of which a transform is fast."""
    return int(next_fast_len(side, real=True))  # pyright: ignore[reportArgumentType]


def blurred(stack: Stack, kernels: Sequence[Kernel], borders: Sequence[Border]) -> Stack:
    """Each image under its kernel, as `degrade.ops.blur.blur`; every kernel of ours equals itself turned by half."""
    reach = max(kernel.size for kernel in kernels) // 2
    height, width = stack.values.shape[2:]
    sides = (_fast(height + 2 * reach), _fast(width + 2 * reach))
    wide = bordered(stack, reach, sides, borders)
    found = torch.fft.irfft2(torch.fft.rfft2(wide) * _transforms(kernels, sides, stack.device), s=sides)
    return stack.of(found[:, :, reach : reach + height, reach : reach + width])


def blur(stack: Stack, steps: Sequence[Blur]) -> list[Tensor]:
    """`Blur` of each image."""
    return blurred(stack, [step.kernel for step in steps], [step.border for step in steps]).each()


def unsharp_mask(stack: Stack, steps: Sequence[UnsharpMask]) -> list[Tensor]:
    """`UnsharpMask` of each image."""
    kernels = [usm_kernel(step.radius) for step in steps]
    borders: list[Border] = ["reflect"] * len(steps)
    image, device = stack.values, stack.device
    residual = image - blurred(stack, kernels, borders).values
    mask = residual.abs() * 255 > per_image([step.threshold_255 for step in steps], device)
    soft = blurred(stack.of(mask.float()), kernels, borders).values
    sharp = (image + per_image([step.weight for step in steps], device) * residual).clamp(0, 1)
    return stack.of(image + soft * (sharp - image)).each()

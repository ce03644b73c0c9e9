"""Blurs and the unsharp mask: one Fourier transform for all images of a stack, each with its own kernel and border."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional

from ...degrade.ops.blur import PYRAMID_BORDER, Blur, pyramid_line
from ...degrade.ops.unsharp import UnsharpMask, is_by_pyramid, spread_of, usm_kernel
from ...eval.images.kept import kept
from .images import Border, Stack, apart, bordered, numbers, per_image
from .kernels import side_of, weights_of


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
    return apart(stack, steps, lambda step: side_of(step.kernel), _blurred)


def _blurred(stack: Stack, steps: Sequence[Blur]) -> Stack:
    weights = weights_of([step.kernel for step in steps], stack.device)
    return blurred(stack, weights, [step.border for step in steps])


def unsharp_mask(stack: Stack, steps: Sequence[UnsharpMask]) -> list[Tensor]:
    """`UnsharpMask` of each image, those that a pyramid blurs apart from the others."""
    return apart(stack, steps, lambda step: (_by_pyramid(step), side_of(usm_kernel(step.radius))), _sharpened)


def _by_pyramid(step: UnsharpMask) -> bool:
    return is_by_pyramid(step.radius, step.gaussian)


def _sharpened(stack: Stack, steps: Sequence[UnsharpMask]) -> Stack:
    kernels = [usm_kernel(step.radius) for step in steps]
    borders: list[Border] = ["reflect"] * len(steps)

    def blurring(values: Tensor) -> Tensor:
        if _by_pyramid(steps[0]):
            return wide_blurred(stack.of(values), [spread_of(kernel) for kernel in kernels])
        return blurred(stack.of(values), weights_of(kernels, stack.device), borders).values

    image = stack.values
    residual = image - blurring(image)
    mask = residual.abs() * 255 > per_image([step.threshold_255 for step in steps], stack.device)
    soft = blurring(mask.float())
    sharp = (image + per_image([step.weight for step in steps], stack.device) * residual).clamp(0, 1)
    return stack.of(image + soft * (sharp - image))


# ----------------------------------------------------------------------------------------------------- pyramids


def wide_blurred(stack: Stack, sigmas: Sequence[float]) -> Tensor:
    """Each image under its Gaussian of 6 pixels and more, as `degrade.ops.blur.wide_blur`: the same filters, which at
    the far ends of their borders alone see other pixels.
    """
    height, width = stack.values.shape[2:]
    rim = PYRAMID_BORDER
    sides = (-(-(height + 2 * rim - 1) // 4) * 4 + 1, -(-(width + 2 * rim - 1) // 4) * 4 + 1)
    borders: list[Border] = ["reflect"] * len(stack)
    planes = bordered(stack, rim, sides, borders).flatten(0, 1)[None]
    small = _down(_down(planes))
    lines = [pyramid_line(sigma) for sigma in sigmas]
    reach = max(len(line) for line in lines) // 2
    padded = np.stack([np.pad(line, reach - len(line) // 2) for line in lines]).repeat(stack.values.shape[1], axis=0)
    line = numbers(padded.ravel().tolist(), stack.device).view(len(padded), 1, 1, -1)
    small = functional.pad(small, (reach, reach, reach, reach), mode="reflect")
    small = functional.conv2d(small, line, groups=len(padded))
    small = functional.conv2d(small, line.mT, groups=len(padded))
    made = _up(_up(small))[0].unflatten(0, (len(stack), -1))
    return made[:, :, rim : rim + height, rim : rim + width]


def _taps() -> npt.NDArray[np.float32]:
    return np.array([1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16], dtype=np.float32)


def _down(planes: Tensor) -> Tensor:
    """[1, C, 2H - 1, 2W - 1] -> [1, C, H, W], as OpenCV's pyrDown."""
    taps, channels = kept(_taps, device=planes.device), planes.shape[1]
    wide = functional.pad(planes, (2, 2, 2, 2), mode="reflect")
    rows = functional.conv2d(wide, taps[:, None].expand(channels, 1, 5, 1), stride=(2, 1), groups=channels)
    return functional.conv2d(rows, taps.expand(channels, 1, 1, 5), stride=(1, 2), groups=channels)


def _up(planes: Tensor) -> Tensor:
    """[1, C, H, W] -> [1, C, 2H - 1, 2W - 1], as OpenCV's pyrUp but for the last pixels of a border."""
    taps, channels = 2 * kept(_taps, device=planes.device), planes.shape[1]
    rows = functional.conv_transpose2d(
        planes, taps[:, None].expand(channels, 1, 5, 1), stride=(2, 1), padding=(2, 0), groups=channels
    )
    return functional.conv_transpose2d(
        rows, taps.expand(channels, 1, 1, 5), stride=(1, 2), padding=(0, 2), groups=channels
    )

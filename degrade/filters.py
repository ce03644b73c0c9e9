"""Blur and unsharp masking: [H, W, 3] float32 RGB in, the same out; what is outside is reflected or replicated."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from .image import F32
from .kernels import F64, Kernel, render

Border = Literal["reflect", "replicate"]

_BORDERS: dict[Border, int] = {"reflect": cv2.BORDER_REFLECT_101, "replicate": cv2.BORDER_REPLICATE}
_DIRECT_TAPS = 9  # up to here a direct sum is faster than three Fourier transforms
_NOTHING = 1e-6  # of the sum of a kernel's weights: 0.0003 grey levels
_SEPARABLE_TAPS = 21  # up to here two lines are


@dataclass(frozen=True)
class Spectrum:
    """The Fourier transform of an image with its border: three planes, and how much of each is border.

    Blurs of one image by kernels of one size share it.
    """

    planes: tuple[F32, ...]
    radius: int
    height: int
    width: int


def spectrum(image: F32, radius: int, border: Border) -> Spectrum:
    """The transform that `blur` starts from when the kernel has that radius."""
    height, width = image.shape[:2]
    rows, columns = (cv2.getOptimalDFTSize(side + 2 * radius) for side in (height, width))
    below, right = rows - height - radius, columns - width - radius
    padded = cv2.copyMakeBorder(image, radius, below, radius, right, _BORDERS[border])
    planes = tuple(np.asarray(cv2.dft(plane), dtype=np.float32) for plane in cv2.split(padded))
    return Spectrum(planes, radius, height, width)


def _by_spectrum(of: Spectrum, weights: F64) -> F32:
    """Convolution, which is correlation here: every kernel of ours equals itself turned by half a turn."""
    taps = len(weights)
    padded = np.zeros(of.planes[0].shape, dtype=np.float32)
    padded[:taps, :taps] = weights
    transform = cv2.dft(padded, nonzeroRows=taps)
    planes = [
        cv2.idft(cv2.mulSpectrums(plane, transform, 0), flags=cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT)
        for plane in of.planes
    ]
    first = of.radius + taps // 2
    return np.asarray(
        cv2.merge([plane[first : first + of.height, first : first + of.width] for plane in planes]), dtype=np.float32
    )


def _trimmed(weights: F64) -> F64:
    """The kernel without the rings at its edge that together weigh less than a millionth: most are far too wide."""
    size = len(weights)
    middle = size // 2
    for radius in range(middle):
        inner = weights[middle - radius : middle + radius + 1, middle - radius : middle + radius + 1]
        if abs(1 - inner.sum()) < _NOTHING and np.abs(weights).sum() - np.abs(inner).sum() < _NOTHING:
            return inner
    return weights


def blur(image: F32, kernel: Kernel, *, border: Border = "reflect", of: Callable[[int], Spectrum] | None = None) -> F32:
    """Correlation with a kernel. `reflect` does not repeat the edge pixel (MATLAB's and torch's "reflect").

    of: gives the image's `spectrum` with a border of that radius, where it may be there already; it saves half the
    time and changes no bit.
    """
    weights = _trimmed(render(kernel))
    if len(weights) > (_SEPARABLE_TAPS if kernel.is_separable else _DIRECT_TAPS):
        return _by_spectrum(of(kernel.size // 2) if of else spectrum(image, kernel.size // 2, border), weights)
    if kernel.is_separable:
        line = weights.sum(axis=0)
        blurred = cv2.sepFilter2D(image, -1, line, line, borderType=_BORDERS[border])
    else:
        blurred = cv2.filter2D(image, -1, weights, borderType=_BORDERS[border])
    return np.asarray(blurred, dtype=np.float32)


@lru_cache(maxsize=4)
def _usm_kernel(radius: int) -> Kernel:
    """OpenCV's Gaussian for a width without a sigma: radius 50 means 51 taps, sigma 8."""
    taps = radius + 1 - radius % 2
    sigma = 0.3 * ((taps - 1) * 0.5 - 1) + 0.8
    return Kernel(kind="iso", size=taps, sigma_x=sigma, sigma_y=sigma)


def unsharp_mask(image: F32, *, radius: int, weight: float, threshold_255: float) -> F32:
    """The image with its edges made stronger, clamped to [0, 1] (Real-ESRGAN's USM of the HR).

    Where the image differs from its blurred self by more than threshold_255 grey levels, weight times the
    difference is added; the mask of these places is blurred too, so that it has no hard edge.
    """
    kernel = _usm_kernel(radius)
    residual = image - blur(image, kernel)
    mask = (np.abs(residual) * 255 > threshold_255).astype(np.float32)
    soft = blur(mask, kernel)
    sharp = np.clip(image + np.float32(weight) * residual, 0, 1)
    return np.asarray(image + soft * (sharp - image), dtype=np.float32)

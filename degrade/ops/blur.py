"""Blur and unsharp masking: [H, W, 3] float32 RGB in, the same out; what is outside is reflected or replicated."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from ..images.pixels import F32
from .kernels import F64, Kernel, render

Border = Literal["reflect", "replicate"]

_BORDERS: dict[Border, int] = {"reflect": cv2.BORDER_REFLECT_101, "replicate": cv2.BORDER_REPLICATE}
_DIRECT_TAPS = 9  # up to here a direct sum is faster than three Fourier transforms
_NOTHING = 1e-6  # of the sum of a kernel's weights: 0.0003 grey levels
_SEPARABLE_TAPS = 15  # up to here two lines are; beyond, blurs of one image share its transform


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


@lru_cache(maxsize=64)
def _weights(kernel: Kernel) -> F64:
    """A kernel without the rings at its edge that together weigh less than a millionth: most are far too wide."""
    weights = render(kernel)
    middle = kernel.size // 2
    steps = np.abs(np.arange(kernel.size) - middle)
    rings = np.bincount(np.maximum.outer(steps, steps).ravel(), np.abs(weights).ravel())
    outside = np.cumsum(rings[::-1])[::-1]  # of each ring and all beyond it
    radius = max(0, int(np.count_nonzero(outside >= _NOTHING)) - 1)
    return weights[middle - radius : middle + radius + 1, middle - radius : middle + radius + 1]


@lru_cache(maxsize=16)
def _kernel_spectrum(kernel: Kernel, rows: int, columns: int) -> F32:
    weights = _weights(kernel)
    padded = np.zeros((rows, columns), dtype=np.float32)
    padded[: len(weights), : len(weights)] = weights
    return np.asarray(cv2.dft(padded, nonzeroRows=len(weights)), dtype=np.float32)


def _by_spectrum(of: Spectrum, kernel: Kernel) -> F32:
    """Convolution, which is correlation here: every kernel of ours equals itself turned by half a turn."""
    transform = _kernel_spectrum(kernel, *of.planes[0].shape)
    planes = [
        cv2.idft(cv2.mulSpectrums(plane, transform, 0), flags=cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT)
        for plane in of.planes
    ]
    first = of.radius + len(_weights(kernel)) // 2
    inside = (slice(first, first + of.height), slice(first, first + of.width))
    return np.asarray(cv2.merge([plane[inside] for plane in planes]), dtype=np.float32)


def blur(image: F32, kernel: Kernel, *, border: Border = "reflect", of: Callable[[int], Spectrum] | None = None) -> F32:
    """Correlation with a kernel. `reflect` does not repeat the edge pixel (MATLAB's and torch's "reflect").

    of: gives the image's `spectrum` with a border of that radius, where it may be there already; it saves half the
    time and changes no bit.
    """
    weights = _weights(kernel)
    if len(weights) > (_SEPARABLE_TAPS if kernel.is_separable else _DIRECT_TAPS):
        radius = kernel.size // 2
        return _by_spectrum(of(radius) if of else spectrum(image, radius, border), kernel)
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

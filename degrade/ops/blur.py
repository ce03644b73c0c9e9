"""Blur: [H, W, 3] float32 RGB in, the same out; what is outside is reflected or replicated."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import cv2
import numpy as np

from ..images.pixels import F32
from .kernels import F64, Kernel, render
from .step import Site, Step

Border = Literal["reflect", "replicate"]

_BORDERS: dict[Border, int] = {"reflect": cv2.BORDER_REFLECT_101, "replicate": cv2.BORDER_REPLICATE}
_DIRECT_TAPS = 9  # up to here a direct sum is faster than three Fourier transforms
_NOTHING = 1e-6  # of the sum of a kernel's weights: 0.0003 gray levels
_SEPARABLE_TAPS = 15  # up to here two lines are; beyond, blurs of one image share its transform
PYRAMID_BORDER = 32  # pixels, a multiple of 4: farther away no sigma of ours sees anything
LEAST_WIDE = 6.0  # pixels: of a Gaussian that a pyramid blurs
_PYRAMID_VARIANCE = 10  # of twice pyrDown and twice pyrUp, in pixels^2: 1 + 4 + 4 + 1


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


def wide_blur(image: F32, sigma: float) -> F32:
    """A Gaussian of 6 to 9 pixels over mirrored borders, to within 0.2 gray levels, in a sixth of the time.

    What such a one leaves of an image fits into every fourth pixel: it is made smaller twice, blurred there, and made
    larger twice (Burt and Adelson's pyramid, whose own filters are part of the Gaussian).
    """
    height, width = image.shape[:2]
    rim = PYRAMID_BORDER
    rows, columns = (-(-(side + 2 * rim - 1) // 4) * 4 + 1 for side in (height, width))
    wide = cv2.copyMakeBorder(image, rim, rows - height - rim, rim, columns - width - rim, cv2.BORDER_REFLECT_101)
    small = cv2.pyrDown(cv2.pyrDown(wide))
    line = pyramid_line(sigma)
    small = _within(cv2.sepFilter2D(small, -1, line, line), rim // 4 - 2)  # two pixels more than are wanted
    half = _within(_twice(small), 2)
    return np.asarray(_twice(half)[4 : 4 + height, 4 : 4 + width], dtype=np.float32)


def _twice(image: F32) -> F32:
    return np.asarray(cv2.pyrUp(image, dstsize=(2 * image.shape[1] - 1, 2 * image.shape[0] - 1)), dtype=np.float32)


def _within(image: Any, rim: int) -> F32:
    return np.asarray(image[rim:-rim, rim:-rim], dtype=np.float32)


@lru_cache(maxsize=16)
def pyramid_line(sigma: float) -> F64:
    """The Gaussian that is left to do to every fourth pixel."""
    left = np.sqrt(sigma**2 - _PYRAMID_VARIANCE) / 4
    steps = np.arange(-np.ceil(3.5 * left), np.ceil(3.5 * left) + 1)
    weights = np.exp(-0.5 * (steps / left) ** 2)
    return weights / weights.sum()


class Blur(Step):
    """Convolution with a kernel;"""

    is_noise: ClassVar[bool] = False
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"kernel": {"kind": "iso", "size": 21, "sigma_x": 1, "sigma_y": 1}},
        {"kernel": {"kind": "aniso", "size": 21, "sigma_x": 4, "sigma_y": 1, "theta": 0.6}},
        {"kernel": {"kind": "sinc", "size": 21, "cutoff": 0.8}},
    )
    op: Literal["blur"] = "blur"
    kernel: Kernel
    """The kernel."""
    border: Border = "reflect"
    """What lies beyond the image."""

    def apply(self, at: Site) -> F32:
        def of(radius: int) -> Spectrum:
            return at.own.get(("spectrum", radius, self.border), lambda: spectrum(at.image, radius, self.border))

        return blur(at.image, self.kernel, border=self.border, of=of)

    @property
    def text(self) -> str:
        kernel = self.kernel
        if kernel.kind == "sinc":
            return f"sinc {kernel.cutoff:.2f} rad/px"
        widths = dict.fromkeys(f"{sigma:.2f}" for sigma in (kernel.sigma_x, kernel.sigma_y))
        return f"blur {', '.join(widths)} px"

    @property
    def family(self) -> str:
        return self.kernel.kind

    def parameters(self, hr_px: int) -> dict[str, float]:
        kernel = self.kernel
        if kernel.kind == "sinc":
            return {"sinc cut-off (rad/px)": kernel.cutoff}
        return {"blur sigma (px)": float(np.sqrt(kernel.sigma_x * kernel.sigma_y))}

"""Photon (Poisson) noise, of Real-ESRGAN and of BSRGAN."""

from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.special import pdtr

from ..images.pixels import F32, to_float, to_uint8
from .fields import U16, add, uniform_field
from .step import Site, Step

POISSON_BITS = 13  # of the uniform: tables of 2 MB stay in the cache; counts rarer than 1 in 16384 are not drawn
GRAY_WEIGHTS = np.array([[0.2989], [0.587], [0.114]], dtype=np.float32)  # torchvision's, as Real-ESRGAN's code


@lru_cache(maxsize=9)
def poisson_quantiles(peak: int) -> tuple[npt.NDArray[np.int8], F32]:
    """Poisson(peak * l / 255) for each level l, as table and offsets.

    table [256 * 8192] int8: the count at each uniform, less the whole number next to the mean. offsets [256] float32:
    what that number is beyond the mean, over the peak. So count / peak - l / 255 = table / peak + offset.
    """
    columns = 1 << POISSON_BITS
    table = np.empty((256, columns), dtype=np.int8)
    counts = np.arange(2 * peak + 64)
    means = peak * np.arange(256) / 255
    for level, mean in enumerate(means):
        ends = np.clip(np.rint(pdtr(counts, mean) * columns), 0, columns).astype(np.int64)
        ends[-1] = columns
        table[level] = np.repeat(counts, np.diff(ends, prepend=0)) - np.rint(mean)
    return table.ravel(), ((np.rint(means) - means) / peak).astype(np.float32)


def _peak_of(levels: npt.NDArray[np.uint8]) -> int:
    """The power of two at or above the number of distinct levels."""
    distinct = np.count_nonzero(cv2.calcHist([levels.reshape(len(levels), -1)], [0], None, [256], [0, 256]))
    return 1 << int(distinct - 1).bit_length()


def poisson(image: F32, uniform: U16) -> F32:
    """Poisson(x V) / V - x, with x the image rounded to 8 bits: Real-ESRGAN's photon noise.

    V is the power of two at or above the number of distinct levels in x: the noise level depends on the
    content. A field of one channel takes the noise of the gray image, for all three.
    """
    levels = to_uint8(image if uniform.shape[2] == 3 else np.clip(image, np.float32(0), np.float32(1)) @ GRAY_WEIGHTS)
    peak = _peak_of(levels)
    table, offsets = poisson_quantiles(peak)
    index = (levels.astype(np.uint32) << POISSON_BITS) | (uniform >> (16 - POISSON_BITS))
    around = np.take(table, index).astype(np.float32)
    noise = cv2.scaleAdd(around, 1 / peak, cv2.LUT(levels, offsets).reshape(levels.shape))
    return np.asarray(noise, dtype=np.float32).reshape(levels.shape)


def photons(image: F32, peak: float, key: int, *, gray: bool) -> F32:
    """Poisson(x peak) / peak - x, with x the image rounded to 8 bits: BSRGAN's photon noise, at any peak."""
    clipped = np.clip(image, np.float32(0), np.float32(1))
    levels = to_float(to_uint8(clipped @ GRAY_WEIGHTS if gray else clipped))
    rng = np.random.Generator(np.random.Philox(key=key))
    counts = rng.poisson(levels.astype(np.float64) * peak)
    return np.asarray(counts / peak - levels, dtype=np.float32)


class PoissonNoise(Step):
    """Photon noise."""

    is_noise: ClassVar[bool] = True
    op: Literal["poisson"] = "poisson"
    scale: Annotated[float, Field(ge=0)]
    """Multiple of the photon noise."""
    gray: bool
    """One field for all three channels."""
    field: str
    """Key of the random field, hexadecimal."""
    peak: Annotated[float, Field(gt=0)] | None = None
    """Photons of a white pixel; None takes Real-ESRGAN's, the number of gray levels in the image."""

    def apply(self, at: Site) -> F32:
        one = at.own.get(("photons", self.field, self.gray, self.peak), lambda: self._of_scale_1(at))
        return add(at.image, np.float32(self.scale) * one)

    def _of_scale_1(self, at: Site) -> F32:
        height, width = at.image.shape[:2]
        key = int(self.field, 16)
        if self.peak is not None:
            return photons(at.image, self.peak, key, gray=self.gray)
        field = at.shared.get(
            ("uniform", self.field, height, width, self.gray),
            lambda: uniform_field(key, height, width, gray=self.gray),
        )
        return poisson(at.image, field)

    @property
    def text(self) -> str:
        level = f"x{self.scale:.2f}" if self.peak is None else f"peak {self.peak:.0f}"
        return f"photon {level}{' gray' if self.gray else ''}"

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"photon noise (scale)": self.scale} if self.peak is None else {"photons (peak)": self.peak}

"""Noise that is a pure function of a random field: one 16-bit uniform per sample of noise.

A draw is a table look-up (the quantile of its uniform), not a rejection sampler. So two members of a group
that draw from the same field get the same noise, and a stronger one gets more of the same; and the field is
the same on every machine.
"""

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, pdtr

from ..images.pixels import F32, to_float, to_uint8

U16 = npt.NDArray[np.uint16]

_LEVELS = 1 << 16
_POISSON_BITS = 13  # of the uniform: tables of 2 MB stay in the cache; counts rarer than 1 in 16384 are not drawn
_GREY_WEIGHTS = np.array([[0.2989], [0.587], [0.114]], dtype=np.float32)


def uniform_field(key: int, height: int, width: int, *, grey: bool) -> U16:
    """[height, width, 1 or 3] uint16, uniform, from the Philox stream of a key; `grey` has one channel."""
    count = height * width * (1 if grey else 3)
    words = np.random.Philox(key=key).random_raw((count + 3) // 4)
    return words.astype("<u8", copy=False).view("<u2")[:count].reshape(height, width, -1)


@lru_cache(maxsize=1)
def _normal_quantiles() -> F32:
    """[65536] float32: N(0, 1) at (u + 0.5) / 65536, scaled so that the variance over all u is exactly 1."""
    values = ndtri((np.arange(_LEVELS) + 0.5) / _LEVELS)
    return (values / values.std()).astype(np.float32)


def normal_field(key: int, height: int, width: int, *, grey: bool) -> F32:
    """[height, width, 1 or 3] float32, N(0, 1) made of `uniform_field`; within 4.3 of 0."""
    uniform = uniform_field(key, height, width, grey=grey)
    return np.asarray(cv2.LUT(uniform, _normal_quantiles()), dtype=np.float32).reshape(uniform.shape)


def _mixed(normal: F32, mixing: tuple[float, ...]) -> F32:
    """Channels correlated: each pixel's three independent draws times a 3x3 matrix, row by row."""
    matrix = np.array(mixing, dtype=np.float32).reshape(3, 3)
    return np.asarray(cv2.transform(normal, matrix), dtype=np.float32)


def gaussian(sigma_255: float, normal: F32, mixing: tuple[float, ...] | None) -> F32:
    """A normal field with that standard deviation in grey levels of 255, where 1 is white.

    mixing: nine numbers, the rows of M: the covariance of the channels is then sigma^2 M M^T.
    """
    if mixing is not None:
        normal = _mixed(normal, mixing)
    return np.asarray(normal * np.float32(sigma_255 / 255), dtype=np.float32)


def add(image: F32, noise: F32) -> F32:
    """image + noise clamped to [0, 1]; noise of one channel goes to all three."""
    total = np.add(image, noise, dtype=np.float32)
    return np.clip(total, np.float32(0), np.float32(1), out=total)


@lru_cache(maxsize=9)
def _poisson_quantiles(peak: int) -> tuple[npt.NDArray[np.int8], F32]:
    """Poisson(peak * l / 255) for each level l, as table and offsets.

    table [256 * 8192] int8: the count at each uniform, less the whole number next to the mean. offsets [256] float32:
    what that number is beyond the mean, over the peak. So count / peak - l / 255 = table / peak + offset.
    """
    columns = 1 << _POISSON_BITS
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
    distinct = np.count_nonzero(cv2.calcHist([levels.reshape(-1, 1)], [0], None, [256], [0, 256]))
    return 1 << int(distinct - 1).bit_length()


def poisson(image: F32, uniform: U16) -> F32:
    """Poisson(x V) / V - x, with x the image rounded to 8 bits: Real-ESRGAN's photon noise.

    V is the power of two at or above the number of distinct levels in x: the noise level depends on the
    content. A field of one channel takes the noise of the grey image, for all three.
    """
    clipped = np.clip(image, np.float32(0), np.float32(1))
    levels = to_uint8(clipped if uniform.shape[2] == 3 else clipped @ _GREY_WEIGHTS)
    peak = _peak_of(levels)
    table, offsets = _poisson_quantiles(peak)
    index = (levels.astype(np.uint32) << _POISSON_BITS) | (uniform >> (16 - _POISSON_BITS))
    around = np.take(table, index).astype(np.float32)
    noise = cv2.scaleAdd(around, 1 / peak, cv2.LUT(levels, offsets).reshape(levels.shape))
    return np.asarray(noise, dtype=np.float32).reshape(levels.shape)


def photons(image: F32, peak: float, key: int, *, grey: bool) -> F32:
    """Poisson(x peak) / peak - x, with x the image rounded to 8 bits: BSRGAN's photon noise, at any peak."""
    clipped = np.clip(image, np.float32(0), np.float32(1))
    levels = to_float(to_uint8(clipped @ _GREY_WEIGHTS if grey else clipped))
    rng = np.random.Generator(np.random.Philox(key=key))
    counts = rng.poisson(levels.astype(np.float64) * peak)
    return np.asarray(counts / peak - levels, dtype=np.float32)

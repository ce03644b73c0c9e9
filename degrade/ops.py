"""The arithmetic of each degradation step: pure functions on [H, W, 3] float32 RGB, nominally in [0, 1].

Semantics follow Real-ESRGAN's published chain; where its code has a defect we do the sound thing and say so:
sizes instead of scale factors (no shift of LR against HR), the real JPEG codec (its emulation has a
transposed table), one noise field per sample (its grey field is shared by the whole batch).
"""

from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from scipy.special import pdtr

from . import kernels
from .image import F32, to_float, to_uint8

ResizeMode = Literal["area", "bilinear", "bicubic"]

_INTERPOLATION: dict[ResizeMode, int] = {
    "area": cv2.INTER_AREA,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
}
_GREY_WEIGHTS = np.array([0.2989, 0.587, 0.114], dtype=np.float32)
_UNIFORM_LEVELS = 1 << 16


def _clipped(image: F32) -> F32:
    return np.clip(image, np.float32(0), np.float32(1))


def blur(image: F32, kernel: kernels.Kernel) -> F32:
    """Correlation with a kernel, borders reflected without repeating the edge pixel."""
    weights = kernels.render(kernel)
    if kernel.kind == "iso":
        # The isotropic Gaussian is the outer product of its own marginal: two 1-D passes.
        line = weights.sum(axis=0)
        blurred = cv2.sepFilter2D(image, -1, line, line, borderType=cv2.BORDER_REFLECT_101)
    else:
        blurred = cv2.filter2D(image, -1, weights, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, dtype=np.float32)


def resize(image: F32, height: int, width: int, mode: ResizeMode) -> F32:
    """Resampling to an exact size, pixel centres aligned; bilinear and bicubic are not antialiased.

    Real-ESRGAN's first resize passes a scale factor, which maps by the nominal scale while the output has a
    whole number of pixels: LR then drifts by up to 1.5 LR pixels. A size has no such drift.
    """
    if image.shape[:2] == (height, width):
        return image
    resized = cv2.resize(image, (width, height), interpolation=_INTERPOLATION[mode])
    return np.asarray(resized, dtype=np.float32)


def gaussian_noise(image: F32, sigma_255: float, grey: bool, rng: np.random.Generator) -> F32:
    """image + N(0, sigma) clipped to [0, 1]; `grey` adds one field to all three channels."""
    channels = 1 if grey else 3
    field = rng.standard_normal((*image.shape[:2], channels), dtype=np.float32)
    noise: F32 = field * np.float32(sigma_255 / 255)
    return _clipped(image + noise)


@lru_cache(maxsize=9)
def _poisson_quantiles(peak: int) -> npt.NDArray[np.int16]:
    """Poisson counts [256, 65536]: row l holds the quantiles of Poisson(peak * l / 255) at (u + 0.5) / 65536.

    A table instead of a rejection sampler: one uniform makes one count, so that two members of a group which
    draw from the same key get the same noise wherever their pixels agree.
    """
    table = np.empty((256, _UNIFORM_LEVELS), dtype=np.int16)
    counts = np.arange(2 * peak + 64)
    for level in range(256):
        cdf = pdtr(counts, peak * level / 255)
        ends = np.clip(np.rint(cdf * _UNIFORM_LEVELS), 0, _UNIFORM_LEVELS).astype(np.int64)
        ends[-1] = _UNIFORM_LEVELS
        table[level] = np.repeat(counts, np.diff(ends, prepend=0))
    return table


def poisson_noise(image: F32, scale: float, grey: bool, rng: np.random.Generator) -> F32:
    """image + scale * (Poisson(x V) / V - x) clipped to [0, 1], with x the image rounded to 8 bits.

    V is the power of two at or above the number of distinct levels in x: the noise level depends on the
    content, as in Real-ESRGAN. `grey` takes the noise of the grey image for all three channels.
    """
    clipped = _clipped(image)
    source = clipped @ _GREY_WEIGHTS[:, None] if grey else clipped
    levels = to_uint8(source)
    distinct = np.count_nonzero(np.bincount(levels.ravel(), minlength=256))
    peak = 1 << int(np.ceil(np.log2(distinct)))
    uniform = rng.integers(0, _UNIFORM_LEVELS, size=levels.shape, dtype=np.uint16)
    counts = _poisson_quantiles(peak)[levels, uniform]
    noise: F32 = counts.astype(np.float32) / np.float32(peak) - to_float(levels)
    scaled: F32 = noise * np.float32(scale)
    return _clipped(image + scaled)


def jpeg(image: F32, quality: int) -> F32:
    """The image through libjpeg at a quality in 1..100, 4:2:0 chroma, decoded again (8-bit steps)."""
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]
    done, data = cv2.imencode(".jpg", to_uint8(image)[..., ::-1], options)
    assert done
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return to_float(np.ascontiguousarray(decoded[..., ::-1], dtype=np.uint8))

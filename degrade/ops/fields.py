"""Random fields, and noise added: one 16-bit uniform per sample of noise.

A draw is a table look-up (the quantile of its uniform), not a rejection sampler. So two members of a group that draw
from the same field get the same noise, and a stronger one gets more of the same; and the field is the same on every
machine.
"""

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from ..images.pixels import F32

U16 = npt.NDArray[np.uint16]

_LEVELS = 1 << 16


def uniform_field(key: int, height: int, width: int, *, gray: bool) -> U16:
    """[height, width, 1 or 3] uint16, uniform, from the Philox stream of a key; `gray` has one channel."""
    count = height * width * (1 if gray else 3)
    words = np.random.Philox(key=key).random_raw((count + 3) // 4)
    return words.astype("<u8", copy=False).view("<u2")[:count].reshape(height, width, -1)


@lru_cache(maxsize=1)
def normal_quantiles() -> F32:
    """[65536] float32: N(0, 1) at (u + 0.5) / 65536, scaled so that the variance over all u is exactly 1."""
    values = ndtri((np.arange(_LEVELS) + 0.5) / _LEVELS)
    return (values / values.std()).astype(np.float32)


def normal_field(key: int, height: int, width: int, *, gray: bool) -> F32:
    """[height, width, 1 or 3] float32, N(0, 1) made of `uniform_field`; within 4.3 of 0."""
    uniform = uniform_field(key, height, width, gray=gray)
    return np.asarray(cv2.LUT(uniform, normal_quantiles()), dtype=np.float32).reshape(uniform.shape)


def add(image: F32, noise: F32) -> F32:
    """image + noise clamped to [0, 1]; noise of one channel goes to all three."""
    total = np.add(image, noise, dtype=np.float32)
    return np.clip(total, np.float32(0), np.float32(1), out=total)

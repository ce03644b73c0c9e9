"""MATLAB's imresize, exactly: which pixels make one of the result, and by what weights (its cubic has a = -0.5).

The steps of a store resample by Pillow (`degrade/ops/resize.py`), which is faster and differs by less than a gray
level; what is compared with published figures takes these weights: LR of test sets, the bicubic baseline, NIQE's half.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ...degrade.images.pixels import U8

F64 = npt.NDArray[np.float64]
_REACH = 3  # pixels to each side, of the wider of the two kernels


def cubic(x: F64) -> F64:
    """The cubic convolution kernel of a = -0.5 (Keys 1981)."""
    x = np.abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def lanczos3(x: F64) -> F64:
    """A sinc under a sinc of three lobes."""
    return np.sinc(x) * np.sinc(x / 3) * (np.abs(x) < 3)


def taps(old: int, new: int, kernel: Callable[[F64], F64] = cubic) -> tuple[npt.NDArray[np.int64], F64]:
    """For a side of `old` pixels made `new`: which of them, and their weights, both [new, taps].

    The kernel widens where the side is reduced; borders are mirrored, the edge pixel with them.
    """
    step = old / new
    wide = max(1.0, step)
    centres = (np.arange(new) + 0.5) * step - 0.5
    reach = int(np.ceil(_REACH * wide))
    at = np.floor(centres).astype(np.int64)[:, None] + np.arange(1 - reach, reach + 1)
    weights = kernel(np.asarray((centres[:, None] - at) / wide, dtype=np.float64))
    mirrored = at % (2 * old)
    return np.minimum(mirrored, 2 * old - 1 - mirrored), weights / weights.sum(axis=1, keepdims=True)


def imresize(image: F64, new: int) -> F64:
    """The first axis of an image [side, ...] made `new` long by the cubic; neither clipped nor rounded."""
    at, weights = taps(len(image), new)
    found = np.zeros((new, *image.shape[1:]))
    for tap in np.flatnonzero(weights.any(axis=0)):
        found += weights[:, tap].reshape(-1, *[1] * (image.ndim - 1)) * image[at[:, tap]]
    return found


def reduced(pixels: U8, scale: int) -> U8:
    """[H, W, 3] by a whole factor, as of 8-bit images: rows first, rounded to levels (halves up), then columns."""
    image = pixels.astype(np.float64)
    for _ in range(2):
        image = np.floor(imresize(image, len(image) // scale).clip(0, 255) + 0.5).swapaxes(0, 1)
    return np.ascontiguousarray(image, dtype=np.uint8)

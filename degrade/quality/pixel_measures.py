"""What an LR image is, measured from its pixels and its HR's alone: gain, noise, blockiness.

None of these knows how the LR was made; the order of groups is decided by other measures
(degrade/quality/group_order.py).
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ..images.pixels import F32, U8, luma_of, to_float

F64 = npt.NDArray[np.float64]

_FIT_RADIUS = 3
_RIDGE = 1e-4


@dataclass(frozen=True)
class PixelMeasures:
    """gain: how much of the HR's fine detail is left; 1 is all that an area downscale leaves, 0 is none.

    noise: root mean square of what no 7x7 filter of the HR explains, gray levels of 255. blockiness: mean step across
    the edges of JPEG's 8x8 blocks over the mean step inside them; 1 is none.
    """

    gain: float
    noise: float
    blockiness: float


def reference(hr: U8, height: int, width: int) -> F32:
    """The luma [height, width] of an HR made smaller by area averaging: what LR would be, were it not degraded."""
    luma = luma_of(to_float(hr))
    return np.asarray(cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA), dtype=np.float32)


def gain(ideal: F32, degraded: F32) -> float:
    """The slope of the degraded image's fine detail on the ideal one's: noise moves it, but does not bias it.

    Fine detail is what a Gaussian of 1 px takes out.
    """
    fine, found = (image - cv2.GaussianBlur(image, (0, 0), 1) for image in (ideal, degraded))
    power = float((fine * fine).sum(dtype=np.float64))
    return float((fine * found).sum(dtype=np.float64)) / power if power > 0 else float("nan")


def noise(ideal: F32, degraded: F32) -> float:
    """The residual of the 7x7 filter and offset that fit the degraded image best, in gray levels of 255."""
    windows = np.lib.stride_tricks.sliding_window_view(ideal.astype(np.float64), (2 * _FIT_RADIUS + 1,) * 2)
    known = np.concatenate([windows.reshape(-1, windows[0, 0].size), np.ones((windows[..., 0, 0].size, 1))], axis=1)
    inside = slice(_FIT_RADIUS, -_FIT_RADIUS)
    wanted = degraded[inside, inside].astype(np.float64).ravel()
    normal = known.T @ known
    ridge = _RIDGE * np.trace(normal) / len(normal)
    weights = np.linalg.solve(normal + ridge * np.eye(len(normal)), known.T @ wanted)
    return float(np.sqrt(np.mean((known @ weights - wanted) ** 2)) * 255)


def blockiness(degraded: F32) -> float:
    """The mean step across the edges of the 8x8 grid over the mean step elsewhere."""
    across: list[float] = []
    for steps in (np.abs(np.diff(degraded, axis=1)).mean(axis=0), np.abs(np.diff(degraded, axis=0)).mean(axis=1)):
        edge = np.arange(1, len(steps) + 1) % 8 == 0
        if edge.any() and steps[~edge].mean() > 0:
            across.append(float(steps[edge].mean() / steps[~edge].mean()))
    return float(np.mean(across)) if across else 1.0


def measure_pixels(hr: U8, lr: U8) -> PixelMeasures:
    """Everything of one LR [h, w, 3] and its HR [H, W, 3], both uint8 RGB."""
    height, width = lr.shape[:2]
    ideal, degraded = reference(hr, height, width), luma_of(to_float(lr))
    return PixelMeasures(gain(ideal, degraded), noise(ideal, degraded), blockiness(degraded))

"""How far LR lies beside HR, to a fraction of a pixel, where both are photographs."""

from dataclasses import dataclass

import cv2
import numpy as np
from skimage.registration import phase_cross_correlation

from ..images.pixels import F32, U8, luma_of, to_float

_KIND, _EVERYWHERE = cv2.MOTION_TRANSLATION, np.empty(0, dtype=np.uint8)
_STEPS, _ENOUGH, _SMOOTHED_PX = 50, 1e-4, 3  # of OpenCV's search
_FURTHEST = 0.25  # of a side: what is found further away is no shift of this place
_LEAST_SIMILARITY = 0.5  # of a scene and itself: 0.9 and more; of two scenes: 0.2
_LEAST_CONTRAST = 4 / 255  # standard deviation of a place that is more than its noise
_FRACTION = 64  # shifts are told in such parts of a pixel, which arithmetic elsewhere does not change


@dataclass(frozen=True)
class Shift:
    """y, x: how far from its place in HR that is which LR shows, in HR pixels; None where nothing tells.

    similarity: correlation of the two there, 0 where no place is like it; None where either is flat.
    """

    y: float | None
    x: float | None
    similarity: float | None


FLAT, UNLIKE = Shift(None, None, None), Shift(None, None, 0.0)


def shift_between(hr: U8, lr: U8) -> Shift:
    """Of LR [h, w, 3] beside HR [s*h, s*w, 3] of the same place.

    Of their luma, HR made as small as LR by the mean of areas: whole pixels by phase correlation (scikit-image), then
    the translation with the greatest correlation coefficient (ECC; Evangelidis and Psarakis 2008; OpenCV), which other
    exposure and contrast do not move.
    """
    scale = hr.shape[0] // lr.shape[0]
    wanted = luma_of(to_float(lr))
    found = luma_of(to_float(hr))
    if scale > 1:
        size = (wanted.shape[1], wanted.shape[0])
        found = np.asarray(cv2.resize(found, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    if min(float(wanted.std()), float(found.std())) < _LEAST_CONTRAST:
        return FLAT
    whole, _, _ = phase_cross_correlation(_faded(found), _faded(wanted), upsample_factor=1, normalization=None)  # pyright: ignore[reportArgumentType]
    most = _FURTHEST * min(wanted.shape)
    start = whole if np.hypot(*whole) <= most else (0.0, 0.0)
    moved = np.array([[1, 0, start[1]], [0, 1, start[0]]], dtype=np.float32)
    until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, _ENOUGH)
    try:
        found_there = cv2.findTransformECC(wanted, found, moved, _KIND, until, _EVERYWHERE, _SMOOTHED_PX)
    except cv2.error:  # it does not converge: nothing there holds the two together
        return UNLIKE
    similarity, moved = found_there
    y, x = float(moved[1, 2]), float(moved[0, 2])
    if similarity < _LEAST_SIMILARITY or not np.hypot(y, x) <= most:
        return UNLIKE
    return Shift(_told(y * scale), _told(x * scale), round(float(similarity), 3))


def _told(pixels: float) -> float:
    return round(pixels * _FRACTION) / _FRACTION


def _faded(image: F32) -> F32:
    """Its differences from the mean, less and less towards the borders, which wrap around otherwise."""
    fade = np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1]))
    return ((image - image.mean()) * fade).astype(np.float32)

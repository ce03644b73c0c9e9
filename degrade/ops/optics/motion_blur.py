"""Motion blur: the camera moved along a straight line while the shutter was open."""

from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from ...images.pixels import F32
from ..step import Site, Step

_PER_PIXEL = 32  # points of the line whose light is shared out among the pixels around them


@lru_cache(maxsize=64)
def line_kernel(length_px: float, angle: float) -> F32:
    """[n, n] float32 of sum 1: a line through the middle, each of its points bilinear among four pixels.

    angle: in radians, from the x axis towards the y axis, which points down.
    """
    radius = int(np.ceil(length_px / 2)) + 1
    along = np.linspace(-length_px / 2, length_px / 2, max(2, int(length_px * _PER_PIXEL) + 1))
    x, y = radius + along * np.cos(angle), radius + along * np.sin(angle)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    for below in (0, 1):
        for right in (0, 1):
            share = np.abs(1 - below - (y - top)) * np.abs(1 - right - (x - left))
            np.add.at(kernel, (top + below, left + right), share)
    return (kernel / kernel.sum()).astype(np.float32)


class MotionBlur(Step):
    """Convolution with a straight line."""

    is_noise: ClassVar[bool] = False
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({"length_px": 5, "angle": 0.5}, {"length_px": 15, "angle": 0.5})
    op: Literal["motion-blur"] = "motion-blur"
    length_px: Annotated[float, Field(gt=0, le=128)]
    """Of the line, pixels."""
    angle: float = 0
    """Radians, from right towards below."""

    def apply(self, at: Site) -> F32:
        kernel = line_kernel(self.length_px, self.angle)
        return np.asarray(cv2.filter2D(at.image, -1, kernel, borderType=cv2.BORDER_REFLECT_101), dtype=np.float32)

    @property
    def text(self) -> str:
        return f"motion {self.length_px:.1f} px, {np.degrees(self.angle):.0f} deg"

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"motion blur (px)": self.length_px}

"""Median blur: what noise reduction in cameras and scanners does to fine detail."""

from typing import Any, ClassVar, Literal

import cv2
import numpy as np

from ...images.pixels import F32
from ..step import Site, Step


class MedianBlur(Step):
    """The median of a square around each pixel, channel by channel; borders are repeated."""

    is_noise: ClassVar[bool] = False
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({"side_px": 3}, {"side_px": 5})
    op: Literal["median-blur"] = "median-blur"
    side_px: Literal[3, 5]
    """Of the square, pixels."""

    def apply(self, at: Site) -> F32:
        return np.asarray(cv2.medianBlur(np.ascontiguousarray(at.image), self.side_px), dtype=np.float32)

    @property
    def text(self) -> str:
        return f"median {self.side_px} px"

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"median (px)": self.side_px}

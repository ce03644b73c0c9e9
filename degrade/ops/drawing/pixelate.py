"""Pixelation: the image in squares of one colour."""

from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from ...images.pixels import F32
from ..step import Site, Step


class Pixelate(Step):
    """Made smaller by the mean of areas, and larger again by repeating pixels."""

    is_noise: ClassVar[bool] = False
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({"square_px": 2}, {"square_px": 6})
    op: Literal["pixelate"] = "pixelate"
    square_px: Annotated[float, Field(ge=1, le=256)]
    """Side of a square, pixels."""

    def apply(self, at: Site) -> F32:
        height, width = at.image.shape[:2]
        size = tuple(max(1, round(side / self.square_px)) for side in (width, height))
        small = cv2.resize(at.image, size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), dtype=np.float32)

    @property
    def text(self) -> str:
        return f"pixelate {self.square_px:.1f} px"

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"pixelation (px)": self.square_px}

"""Lens blur: a place out of focus is a disk of light."""

from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from ...images.pixels import F32
from ..step import Site, Step

_FINER = 16  # a pixel's share of the disk is counted in 16x16 points


@lru_cache(maxsize=64)
def disk_kernel(radius_px: float) -> F32:
    """[n, n] float32 of sum 1: each pixel by its share of a disk around the middle."""
    reach = int(np.ceil(radius_px))
    side = 2 * reach + 1
    points = (np.arange(side * _FINER) + 0.5) / _FINER - side / 2
    inside = points[:, None] ** 2 + points[None] ** 2 <= radius_px**2
    kernel = inside.reshape(side, _FINER, side, _FINER).mean(axis=(1, 3))
    return (kernel / kernel.sum()).astype(np.float32)


class LensBlur(Step):
    """Convolution with a disk."""

    is_noise: ClassVar[bool] = False
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({"disk_px": 1.5}, {"disk_px": 5})
    op: Literal["lens-blur"] = "lens-blur"
    disk_px: Annotated[float, Field(ge=0.5, le=64)]
    """Radius of the disk, pixels."""

    def apply(self, at: Site) -> F32:
        kernel = disk_kernel(self.disk_px)
        return np.asarray(cv2.filter2D(at.image, -1, kernel, borderType=cv2.BORDER_REFLECT_101), dtype=np.float32)

    @property
    def text(self) -> str:
        return f"lens {self.disk_px:.1f} px"

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"lens blur (px)": self.disk_px}

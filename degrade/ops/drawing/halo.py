"""Halos: edges that were sharpened too much."""

from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from ...images.pixels import F32
from ..step import Site, Step


class Halo(Step):
    """A multiple of what a Gaussian takes away is added, everywhere."""

    is_noise: ClassVar[bool] = False
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({"halo_px": 1, "amount": 1}, {"halo_px": 3, "amount": 2})
    op: Literal["halo"] = "halo"
    halo_px: Annotated[float, Field(gt=0, le=32)]
    """Standard deviation of the Gaussian, pixels."""
    amount: Annotated[float, Field(ge=0, le=10)]
    """The multiple."""

    def apply(self, at: Site) -> F32:
        soft = cv2.GaussianBlur(at.image, (0, 0), self.halo_px, borderType=cv2.BORDER_REFLECT_101)
        return np.clip(at.image + np.float32(self.amount) * (at.image - soft), 0, 1).astype(np.float32)

    @property
    def text(self) -> str:
        return f"halo {self.amount:.1f}, {self.halo_px:.1f} px"

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"halo (amount)": self.amount, "halo (px)": self.halo_px}

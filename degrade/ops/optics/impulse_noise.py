"""Impulse noise: single pixels that are black or white, as dead ones of a sensor are."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ...images.pixels import F32
from ..fields import uniform_field
from ..step import Site, Step

_LEVELS = 1 << 16


class ImpulseNoise(Step):
    """Salt and pepper."""

    is_noise: ClassVar[bool] = True
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"share": 0.03, "salt": 0.5, "gray": True, "field": "1"},
        {"share": 0.2, "salt": 0.5, "gray": False, "field": "1"},
    )
    op: Literal["impulse"] = "impulse"
    share: Annotated[float, Field(ge=0, le=1)]
    """Of the pixels (or of the channels' values)."""
    salt: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Of those, that are white."""
    gray: bool
    """All channels of a pixel at once."""
    field: str
    """Key of the random field, hexadecimal."""

    def apply(self, at: Site) -> F32:
        height, width = at.image.shape[:2]
        drawn = uniform_field(int(self.field, 16), height, width, gray=self.gray).astype(np.float32) / _LEVELS
        white = np.float32(self.share * self.salt)
        found = np.where(drawn < white, np.float32(1), at.image)
        return np.where((drawn >= white) & (drawn < np.float32(self.share)), np.float32(0), found)

    @property
    def text(self) -> str:
        return f"impulses {self.share:.3f}"

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"impulse noise (share)": self.share}

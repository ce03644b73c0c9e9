"""Colour levels: blacks, whites and gamma as editors and scanners set them."""

from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ...images.pixels import F32
from ..step import Site, Step

Level = Annotated[float, Field(ge=0, le=1)]


class Levels(Step):
    """black..white of the image becomes out_black..out_white, bent by gamma between; what lies outside is clipped."""

    is_noise: ClassVar[bool] = False
    keeps_tones: ClassVar[bool] = False
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"black": 0.05, "white": 0.9, "gamma": 1.2},
        {"out_black": 0.15, "out_white": 0.8, "gamma": 0.7},
    )
    op: Literal["levels"] = "levels"
    black: Level = 0
    """Becomes out_black."""
    white: Level = 1
    """Becomes out_white."""
    gamma: Annotated[float, Field(gt=0, le=10)] = 1
    """Above 1 what lies between becomes darker."""
    out_black: Level = 0
    """The new black."""
    out_white: Level = 1
    """The new white."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.black >= self.white or self.out_black >= self.out_white:
            raise ValueError("black is not below white; change one")
        return self

    def apply(self, at: Site) -> F32:
        share = np.clip((at.image - np.float32(self.black)) / np.float32(self.white - self.black), 0, 1)
        bent = share ** np.float32(self.gamma)
        return np.asarray(self.out_black + bent * np.float32(self.out_white - self.out_black), dtype=np.float32)

    @property
    def text(self) -> str:
        return (
            f"levels {self.black:.2f}-{self.white:.2f} to {self.out_black:.2f}-{self.out_white:.2f}, {self.gamma:.2f}"
        )

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"gamma of the levels": self.gamma}

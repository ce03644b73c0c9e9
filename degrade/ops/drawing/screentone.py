"""Screentone: print's dots, larger where it is darker."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ...images.pixels import F32, luma_of
from ..step import Site, Step

_TURNS = np.radians([15.0, 75.0, 0.0])  # of R, G and B, so that their dots do not lie on each other
_SOFT = 8.0  # how steep the edge of a dot is


class Screentone(Step):
    """Against a pattern of dots the image becomes white or black; edges of dots are a little soft."""

    is_noise: ClassVar[bool] = True
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"dot_px": 4, "angle": 0.785, "gray": True},
        {"dot_px": 6, "angle": 0, "gray": False},
    )
    op: Literal["screentone"] = "screentone"
    dot_px: Annotated[float, Field(ge=2, le=64)]
    """From dot to dot, pixels."""
    angle: float = 0
    """Radians, of the rows of dots."""
    gray: bool = True
    """Black dots by luma; otherwise dots of each channel, turned against each other."""

    def apply(self, at: Site) -> F32:
        height, width = at.image.shape[:2]
        if self.gray:
            tone = self._dotted(luma_of(at.image), self.angle)
            return np.repeat(tone[..., None], 3, axis=-1)
        planes = [self._dotted(at.image[..., i], self.angle + float(turn)) for i, turn in enumerate(_TURNS)]
        return np.ascontiguousarray(np.stack(planes, axis=-1)).reshape(height, width, 3)

    def _dotted(self, plane: F32, angle: float) -> F32:
        y, x = np.mgrid[0 : plane.shape[0], 0 : plane.shape[1]].astype(np.float32)
        turn = 2 * np.pi / self.dot_px
        along = (np.cos(angle) * x + np.sin(angle) * y) * turn
        across = (np.cos(angle) * y - np.sin(angle) * x) * turn
        pattern = 0.5 + 0.25 * (np.cos(along) + np.cos(across))
        return np.clip(0.5 + _SOFT * (plane - pattern), 0, 1).astype(np.float32)

    @property
    def text(self) -> str:
        return f"screentone {self.dot_px:.1f} px{'' if self.gray else ' colour'}"

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"screentone (px)": self.dot_px}

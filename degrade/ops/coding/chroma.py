"""Colour at a lower resolution than light, and not quite in its place: as old video and careless converters have it."""

from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from ...images.pixels import F32
from ..step import Site, Step

Shift = Annotated[float, Field(ge=-64, le=64)]
_FACTORS = {"444": (1, 1), "422": (1, 2), "420": (2, 2), "411": (1, 4), "410": (4, 4)}  # down, across


class Chroma(Step):
    """Cb and Cr of BT.601 made smaller by the mean of areas and larger by bilinear interpolation, and moved."""

    is_noise: ClassVar[bool] = False
    keeps_tones: ClassVar[bool] = False
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"subsampling": "420"},
        {"subsampling": "410", "shift_y": 1, "shift_x": 3},
    )
    op: Literal["chroma"] = "chroma"
    subsampling: Literal["444", "422", "420", "411", "410"] = "444"
    """By what they are made smaller."""
    shift_y: Shift = 0
    """Downwards, pixels."""
    shift_x: Shift = 0
    """To the right, pixels."""

    def apply(self, at: Site) -> F32:
        height, width = at.image.shape[:2]
        ycc = cv2.cvtColor(at.image, cv2.COLOR_RGB2YCrCb)
        down, across = _FACTORS[self.subsampling]
        colour = np.ascontiguousarray(ycc[..., 1:])
        if (down, across) != (1, 1):
            size = (max(1, width // across), max(1, height // down))
            colour = cv2.resize(cv2.resize(colour, size, interpolation=cv2.INTER_AREA), (width, height))
        if self.shift_y or self.shift_x:
            moved = np.array([[1, 0, self.shift_x], [0, 1, self.shift_y]], dtype=np.float32)
            colour = cv2.warpAffine(colour, moved, (width, height), borderMode=cv2.BORDER_REPLICATE)
        whole = np.ascontiguousarray(np.concatenate([ycc[..., :1], colour], axis=-1))
        return np.asarray(np.clip(cv2.cvtColor(whole, cv2.COLOR_YCrCb2RGB), 0, 1), dtype=np.float32)

    @property
    def text(self) -> str:
        shift = f", {self.shift_x:+.1f} {self.shift_y:+.1f} px" if self.shift_y or self.shift_x else ""
        return f"chroma {self.subsampling}{shift}"

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"chroma shift (px)": float(np.hypot(self.shift_y, self.shift_x))}

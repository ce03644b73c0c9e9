"""Dithering: few colours, and the rest made up by patterns of them."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from ...images.pixels import F32, to_float, to_uint8
from ..step import Site, Step

_MOST_DIFFUSED = 6  # levels: a palette of 216 colours is what Pillow diffuses errors to


def bayer(order: int) -> F32:
    """The ordered pattern of 2^order to a side, its thresholds evenly in (-0.5, 0.5)."""
    matrix = np.zeros((1, 1))
    for _ in range(order):
        matrix = np.block([[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]])
    return ((matrix + 0.5) / matrix.size - 0.5).astype(np.float32)


class Dither(Step):
    """Each channel at so many levels: by Bayer's pattern of 8 pixels, or with the error handed on (Floyd-Steinberg, by
    Pillow; 6 levels at most).
    """

    is_noise: ClassVar[bool] = True
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"colours": 4, "pattern": "ordered"},
        {"colours": 2, "pattern": "diffused"},
    )
    op: Literal["dither"] = "dither"
    colours: Annotated[int, Field(ge=2, le=64)]
    """Levels of a channel."""
    pattern: Literal["ordered", "diffused"] = "ordered"
    """Bayer's, or Floyd and Steinberg's."""

    def apply(self, at: Site) -> F32:
        top = self.colours - 1
        if self.pattern == "ordered":
            height, width = at.image.shape[:2]
            tile = np.tile(bayer(3), (-(-height // 8), -(-width // 8)))[:height, :width, None]
            return np.clip(np.rint(at.image * top + tile) / top, 0, 1).astype(np.float32)
        steps = np.rint(np.linspace(0, 255, min(self.colours, _MOST_DIFFUSED))).astype(np.uint8)
        palette = Image.new("P", (1, 1))
        palette.putpalette(np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).tobytes())
        found = Image.fromarray(to_uint8(at.image)).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        return to_float(np.array(found.convert("RGB"), dtype=np.uint8))

    @property
    def text(self) -> str:
        return f"dither {self.colours} levels, {self.pattern}"

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"dithered levels": self.colours}

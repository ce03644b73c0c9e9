"""Pairs that were photographed, not made: what a store of them is, beside its files."""

from typing import Annotated, Literal

from pydantic import Field

from ..errors import UserError
from ..ops.step import NoiseSource
from ..recipes.base import Chance, Drawn, Recipe, Scale


class RealPairs(Recipe):
    """Pairs that were photographed, not made: crops of an HR file and of the LR file beside it (`rwsr pairs build`)."""

    kind: Literal["real-pairs"] = "real-pairs"
    scale: Scale = 4
    """HR size / LR size; 1 where both are of one size, as DPED's, CameraSR's and those of RealSR's versions 1 and 2."""
    align: Literal["measure", "shift"] = "measure"
    """`measure` takes both crops at one place and records how far LR lies beside HR there. `shift` takes HR that many
    whole HR pixels further, so that half a pixel is left at most; nothing is interpolated, which would blur the target.
    """
    window_px: Annotated[int, Field(ge=16, le=1024)] = 128
    """Side of the square of LR, around the crop, in which the shift is measured; below 96 it is told to a third of a
    pixel at best.
    """

    def draw(self, hr_px: int, chance: Chance, bank: NoiseSource | None) -> Drawn:
        raise UserError("real pairs are cut from files of HR and LR; use `rwsr pairs build`")

"""LR photographs by their index, from which trainings without pairs take crops."""

from collections.abc import Sequence

from ...degrade.errors import UserError
from ...degrade.images import sources
from ...degrade.images.pixels import U8
from ...degrade.images.rows import SourceRow
from ...degrade.progress import printable, say
from .decoded import DecodedImages


class LrImages:
    """An `LrSource` over the rows of an index."""

    def __init__(self, rows: Sequence[SourceRow]) -> None:
        self.name = "the LR images"
        self.sizes_px = [(row.width, row.height) for row in rows]
        self._images = DecodedImages(rows)

    def read(self, number: int) -> U8:
        return self._images.read(number)


def large_enough(rows: Sequence[SourceRow], patch_px: int) -> list[SourceRow]:
    """The images that hold a patch; the others are named. Raises UserError where none does."""
    found: list[SourceRow] = []
    whole = sources.usable(rows)
    if not whole:
        raise UserError("none of the LR images can be used; see the lines above")
    for row in whole:
        if min(row.width, row.height) >= patch_px:
            found.append(row)
        else:
            size = f"{row.width}x{row.height}"
            say(f"left out: {printable(row.file)}: {size} is smaller than loop.lr_patch_px = {patch_px}")
    if not found:
        raise UserError(f"no LR image holds a patch of loop.lr_patch_px = {patch_px}; lower it, or name another folder")
    return found

"""A finished scan: the tables of each set, and how they are opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from ..degrade.errors import UserError
from ..degrade.family import Frozen
from ..degrade.images import sources
from ..degrade.images.rows import Rows
from ..degrade.storage import location, tables
from ..degrade.storage.location import Place
from ..degrade.storage.provenance import Provenance
from . import tiles
from .bank import TARGET
from .tiles import TileGrid

KIND = "tile-statistics"
AUXILIARY = "auxiliary-"


class ScanConfig(Frozen):
    """Which tiles are measured. Any number of grids costs one decode."""

    grids: tuple[TileGrid, ...] = Field(min_length=1)
    """Sides and strides of the tiles."""

    @model_validator(mode="after")
    def _sizes_differ(self) -> Self:
        if len({grid.size for grid in self.grids}) < len(self.grids):
            raise ValueError("two grids have one size; name each size once")
        return self


@dataclass(frozen=True)
class SetScan:
    """One scanned set: where it lies. Nothing is held open."""

    name: str
    folder: Place

    @property
    def index(self) -> Place:
        return self.folder / "index.parquet"

    @property
    def tiles(self) -> Place:
        return self.folder / "tiles.parquet"

    def rows(self) -> Rows:
        """The row of every file."""
        return sources.read(self.index)

    def provenance(self) -> Provenance:
        """Which images and grids; raises StoreError where the scan is missing, unfinished or not a scan's table."""
        made = tables.read_provenance(self.tiles, KIND)
        tables.check_schema(self.tiles, KIND, tiles.SCHEMA)
        return made

    def grids(self) -> tuple[TileGrid, ...]:
        """The grids that were measured."""
        return ScanConfig.model_validate(self.provenance().values).grids

    def num_tiles(self) -> dict[int, int]:
        """How many tiles there are of each size."""
        sizes = np.asarray(tables.read(self.tiles, KIND, columns=["size"])[0]["size"])
        return {grid.size: int((sizes == grid.size).sum()) for grid in self.grids()}

    def read_tiles(self, grid: TileGrid) -> pa.Table:
        """The rows of one grid's tiles.

        Raises:
            UserError: the scan has no tiles of that grid.
        """
        if grid not in self.grids():
            known = ", ".join(f"{each.size}/{each.stride}" for each in self.grids())
            raise UserError(
                f"{self.folder} has no tiles of size/stride {grid.size}/{grid.stride}, only of {known}; "
                "scan again with that --size and --stride"
            )
        return tables.read_where(self.tiles, KIND, ("size", grid.size))


def scan_grids(grids: Sequence[TileGrid]) -> tuple[TileGrid, ...]:
    """Those grids, and the half and the quarter of the first: what `noisebank yield` compares. Largest first."""
    first = grids[0]
    finer = (
        first.resized(first.size // part) for part in (2, 4) if first.size % part == 0 and first.size // part >= 16
    )
    sizes = {grid.size: grid for grid in (*finer, *grids)}
    return tuple(sizes[size] for size in sorted(sizes, reverse=True))


def set_scans(folder: Place, num_auxiliary: int) -> tuple[SetScan, ...]:
    """The target and that many auxiliary sets in a scan's folder."""
    folder = location.absolute(folder)
    names = [TARGET, *(f"{AUXILIARY}{i + 1}" for i in range(num_auxiliary))]
    return tuple(SetScan(name, folder / name) for name in names)


def open_scan(folder: Place) -> tuple[SetScan, ...]:
    """The sets of a finished scan.

    Raises:
        UserError: there is none.
    """
    if not (folder / TARGET / "tiles.parquet").is_file():
        raise UserError(
            f"{folder} holds no finished scan; make one with `rwsr noisebank scan --target IMAGES --out {folder}`, or "
            "name another"
        )
    num_auxiliary = 0
    while (folder / f"{AUXILIARY}{num_auxiliary + 1}").exists():
        num_auxiliary += 1
    found = set_scans(folder, num_auxiliary)
    for each in found:
        each.provenance()
    return found

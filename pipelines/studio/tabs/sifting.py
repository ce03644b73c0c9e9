"""What the tab Noise banks does, without a page: a scan held open, what a rule or a box takes of it, pieces of that,
what they are as noise, and the rule as a file.
"""

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ....degrade.config import to_yaml
from ....degrade.errors import UserError
from ....degrade.images.pixels import U8
from ....degrade.images.read import read_source
from ....degrade.storage.local import write_atomic
from ....degrade.storage.location import Place, place
from ....noisebank.bank import BankConfig, cut
from ....noisebank.cati import AnyRule, BoxRule, Cati, CatiRule, accepts, cati
from ....noisebank.pictures import amplified_noise
from ....noisebank.set_scan import ScanConfig, SetScan, open_scan, scan_grids
from ....noisebank.statistics import NoiseStatistics, noise_statistics
from ....noisebank.tiles import TileGrid
from ....noisebank.yields import Yield, yields
from ...stages.base import Artifact, Given, Work
from ...stages.images import Bank, Scan

_MOST_DOTS = 6000  # of a set, that are drawn
_MOST_PIECES, _MOST_SOURCES = 12, 20
_LOOKED_AT = 48  # patches whose spectrum and covariance are taken


@dataclass(frozen=True)
class Dots:
    """Some tiles of a set, spread evenly: their means and variances, and how many there are in all."""

    mean: list[float]
    variance: list[float]
    total: int


@dataclass(frozen=True)
class Piece:
    """A patch, its noise made stronger, and where it is of."""

    pixels: U8
    noise: U8
    source: str
    mean: float
    variance: float


@dataclass(frozen=True)
class Taken:
    """What a rule takes: of each set, from which images, and what spans it where that is found."""

    yields: Yield
    sources: list[tuple[str, int]]
    interval: Cati | None

    @property
    def count(self) -> int:
        return sum(each.num_patches for each in self.yields.sets)


class Tiles:
    """The tiles of a scan, of one grid, held in memory."""

    def __init__(self, folder: Place, grid: TileGrid | None = None) -> None:
        self.folder = folder
        self.sets: tuple[SetScan, ...] = open_scan(folder)
        self.grids = self.sets[0].grids()
        self.grid = self.grids[0] if grid is None else grid
        self.tables: Mapping[str, pa.Table] = {each.name: each.read_tiles(self.grid) for each in self.sets}
        if not any(each.num_rows for each in self.tables.values()):
            raise UserError(f"{folder} has no tile of {self.grid.size} px; choose a smaller size")

    @cached_property
    def _at(self) -> dict[str, tuple[str, str]]:
        """Where each image lies, by its hash."""
        return {row.sha256: (row.root, row.path) for each in self.sets for row in each.rows()}

    def dots(self) -> dict[str, Dots]:
        """Of each set those that are drawn; constant tiles have no place on an axis of logarithms."""
        found: dict[str, Dots] = {}
        for name, table in self.tables.items():
            mean, variance = np.asarray(table["mean"]), np.asarray(table["variance"])
            shown = np.flatnonzero(variance > 0)
            shown = shown[:: max(1, -(-len(shown) // _MOST_DOTS))]
            found[name] = Dots(mean[shown].round(2).tolist(), variance[shown].tolist(), table.num_rows)
        return found

    def taken(self, rule: AnyRule) -> Taken:
        """What a rule would take of each set, from the tables alone."""
        (found,) = yields(self.tables, [rule], size=self.grid.size)
        counts: Counter[str] = Counter()
        for table in self._chosen(rule, found.cati).values():
            counts.update(table["source"].to_pylist())
        return Taken(found, counts.most_common(_MOST_SOURCES), found.cati)

    def _chosen(self, rule: AnyRule, interval: Cati | None) -> dict[str, pa.Table]:
        if isinstance(rule, CatiRule) and interval is None:
            return {name: table.slice(0, 0) for name, table in self.tables.items()}
        return {name: table.filter(pa.array(accepts(table, rule, interval))) for name, table in self.tables.items()}

    def pieces(self, rule: AnyRule, count: int = _MOST_PIECES) -> list[Piece]:
        """Some of what a rule takes, spread evenly, cut out of its images."""
        interval = cati(self.tables[self.sets[0].name], rule) if isinstance(rule, CatiRule) else None
        rows: list[dict[str, Any]] = []
        for table in self._chosen(rule, interval).values():
            rows += table.select(["source_sha256", "y", "x", "mean", "variance"]).to_pylist()
        chosen = rows[:: max(1, -(-len(rows) // count))][:count]
        found: list[Piece] = []
        images: dict[str, U8] = {}
        for row in chosen:
            sha256 = row["source_sha256"]
            root, path = self._at[sha256]
            if sha256 not in images:
                images = {sha256: read_source(place(root), path, sha256)}  # they come image by image: one is held
            pixels = cut(images[sha256], row["y"], row["x"], self.grid.size)
            found.append(Piece(pixels, amplified_noise(pixels), Path(path).name, row["mean"], row["variance"]))
        return found


def looks(pieces: list[Piece]) -> NoiseStatistics | None:
    """The spectrum and the covariance of pieces; None of none."""
    return noise_statistics(np.stack([each.pixels for each in pieces])) if pieces else None


def many_pieces(tiles: Tiles, rule: AnyRule) -> list[Piece]:
    """As many as statistics are taken of."""
    return tiles.pieces(rule, _LOOKED_AT)


def box_of(interval: Cati) -> BoxRule:
    """The box around all intervals, to begin with."""
    spans = [(each.variance, each.mean) for each in interval.intervals]
    lows = [min(span[i][0] for span in spans) for i in range(2)]
    highs = [max(span[i][1] for span in spans) for i in range(2)]
    return BoxRule(variance=(lows[0], highs[0]), mean=(lows[1], highs[1]))


def scan_of(at: Place) -> Place:
    """The scan's folder of a bank, or the folder itself."""
    beside = at.with_name(f"{at.name}.scan")
    return beside if (beside / "target").exists() else at


def scanned(folder: Path, auxiliary: tuple[Path, ...], size: int, at: Path) -> Artifact:
    """Scan folders of photographs, by the very stage that the command runs; raises UserError."""
    grid = TileGrid(size=size, stride=max(8, size // 2))
    config = ScanConfig(grids=scan_grids([grid]))
    return Scan(target=(folder,), auxiliary=auxiliary, grids=config).run(at, Given({}), Work(workers=2))


def saved(tiles: Tiles, rule: AnyRule, name: str, out: Path) -> tuple[Path, str]:
    """The rule as a file, OUT/rules/NAME.yaml, and the command that builds its bank."""
    path = out / "rules" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, to_yaml(BankConfig(grid=tiles.grid, rule=rule)).encode())
    words = ["rwsr", "noisebank", "build", "--scan", str(tiles.folder), "--config", str(path)]
    return path, shlex.join([*words, "--out", f"{name}.zarr"])


def built(tiles: Tiles, rule: AnyRule, at: Path) -> Artifact:
    """The bank, by the very stage that the command runs; raises UserError."""
    stage = Bank(scan=str(tiles.folder), config=BankConfig(grid=tiles.grid, rule=rule))
    return stage.run(at, Given({}), Work(workers=2))

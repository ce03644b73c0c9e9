"""The statistics of every tile of a target set and its auxiliary sets, and the index of their images: one decode each.

SCAN/
    target/index.parquet       a row per file, as `rwsr sources index` writes it
    target/tiles.parquet       a row per tile (noisebank/README.md)
    auxiliary-1/ ...           the same for each auxiliary set
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..degrade import tables
from ..degrade.disk import only_builder, remove_partials, write_atomic
from ..degrade.errors import StoreError, UserError
from ..degrade.provenance import Provenance, canonical, provenance, sha256
from ..noisebank import tiles
from ..noisebank.bank import TARGET
from ..noisebank.tiles import TileGrid
from . import sources
from .console import progress
from .executors import Executor, run
from .sources import IndexConfig, SourceRow

KIND = "tile-statistics"
AUXILIARY = "auxiliary-"
_ROWS = b"rows"
_PARTS, _PART_BYTES, _PART_IMAGES = 16, 2**20, 32
_ROWS_PER_GROUP = 2**13


class ScanConfig(BaseModel):
    """Which tiles are measured. Any number of grids costs one decode."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    grids: tuple[TileGrid, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _sizes_differ(self) -> Self:
        if len({grid.size for grid in self.grids}) < len(self.grids):
            raise ValueError("two grids have one size; name each size once")
        return self


@dataclass(frozen=True)
class SetScan:
    """One scanned set: where it lies. Nothing is held open."""

    name: str
    folder: Path

    @property
    def index(self) -> Path:
        return self.folder / "index.parquet"

    @property
    def tiles(self) -> Path:
        return self.folder / "tiles.parquet"

    def rows(self) -> list[SourceRow]:
        """The row of every file."""
        return sources.read(self.index)

    def provenance(self) -> Provenance:
        """Which images and grids; raises StoreError where the scan is missing, unfinished or not a scan's table."""
        made = tables.read_provenance(self.tiles, KIND)
        tables.check_schema(self.tiles, tiles.SCHEMA)
        return made

    def grids(self) -> tuple[TileGrid, ...]:
        """The grids that were measured."""
        return ScanConfig.model_validate(self.provenance().config).grids

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


@dataclass(frozen=True)
class _Part:
    """A task: some files, and the Arrow file that their tiles go to, with the files' rows as its metadata."""

    path: Path
    rows: tuple[SourceRow, ...]

    def write(self, rows: Sequence[SourceRow], tables_: Sequence[pa.Table]) -> None:
        """Put the part on the disk, whole."""
        metadata = {_ROWS: json.dumps([row.as_dict() for row in rows])}
        table = pa.concat_tables([tiles.SCHEMA.empty_table(), *tables_]).unify_dictionaries()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, tiles.SCHEMA.with_metadata(metadata)) as writer:
            writer.write_table(table.replace_schema_metadata(metadata))
        write_atomic(self.path, sink.getvalue().to_pybytes())

    def read(self) -> tuple[list[SourceRow], pa.Table]:
        """The rows of its files and the tiles of those that are usable, in that order."""
        table = pa.ipc.open_file(self.path.read_bytes()).read_all()
        rows = [SourceRow(**row) for row in json.loads(table.schema.metadata[_ROWS])]
        return rows, table.replace_schema_metadata(None)


def _scan_part(part: _Part, config: ScanConfig, index_config: IndexConfig) -> None:
    if part.path.exists():
        return
    rows: list[SourceRow] = []
    found: list[pa.Table] = []
    for row in part.rows:
        row, pixels = sources.examine(row, index_config)
        rows.append(row)
        if pixels is not None:
            stats = tiles.tile_stats(pixels, config.grids)
            found.append(tiles.to_table(stats, source=row.path, source_sha256=row.sha256))
    part.write(rows, found)


def _state(row: SourceRow) -> list[str | int]:
    """What a file's examination rests on: its place, size and time."""
    try:
        state = row.file.stat()
        return [row.root, row.path, row.status, state.st_size, state.st_mtime_ns]
    except OSError:
        return [row.root, row.path, row.status]


def _size(state: Sequence[str | int]) -> int:
    return int(state[3]) if len(state) > 3 else 0


def _parts(folder: Path, files: Sequence[SourceRow], config: ScanConfig, index_config: IndexConfig) -> list[_Part]:
    """The tasks, each named by the state of its files, so that an interrupted scan knows what it has.

    A sixteenth of all bytes, so that few images make tasks for several workers too; but at most 32 images.
    """
    settings = [config.model_dump(mode="json"), index_config.model_dump(mode="json")]
    states = [_state(row) for row in files]
    enough = max(_PART_BYTES, sum(_size(state) for state in states) // _PARTS)
    parts: list[_Part] = []
    first = num_bytes = 0
    for end, state in enumerate(states, start=1):
        num_bytes += _size(state)
        if num_bytes >= enough or end - first == _PART_IMAGES or end == len(files):
            name = sha256(canonical([settings, states[first:end]]))[:32]
            parts.append(_Part(folder / f"{name}.arrow", tuple(files[first:end])))
            first, num_bytes = end, 0
    return parts


def _current(found: SetScan, files: Sequence[SourceRow], wanted: Sequence[TileGrid], config: IndexConfig) -> bool:
    """Whether a finished scan is of these files, unchanged, and has the grids."""
    try:
        made, grids = found.provenance(), found.grids()
        rows = found.rows()
    except StoreError:
        return False
    same = [(row.root, row.path) for row in rows] == [(row.root, row.path) for row in files]
    fresh = all(
        row.status not in ("ok", "duplicate", "too-small") or _state(row)[3:] == [row.bytes, row.modified_ns]
        for row in rows
    )
    settled = tables.read_provenance(found.index, sources.KIND).config == config.model_dump(mode="json")
    matching = made.inputs_sha256 == sources.sources_sha256(rows)
    return same and fresh and settled and matching and set(wanted) <= set(grids)


def scan_set(
    folders: Sequence[Path], found: SetScan, config: ScanConfig, index_config: IndexConfig, executor: Executor
) -> list[SourceRow]:
    """Measure every tile of the usable images below the folders; gives back the row of every file.

    A finished scan of the same, unchanged files is left as it is; an interrupted one goes on with the parts that it
    lacks; one of other files or grids is made again.

    Raises:
        UserError: a folder is missing or holds no image.
    """
    files = sources.listed(folders, index_config)
    found.folder.mkdir(parents=True, exist_ok=True)
    with only_builder(found.folder):
        if _current(found, files, config.grids, index_config):
            return found.rows()
        remove_partials(found.folder)
        folder = found.folder / "parts"
        folder.mkdir(exist_ok=True)
        parts = _parts(folder, files, config, index_config)
        with progress(f"scan {found.name}", len(files)) as advance:
            work = partial(_scan_part, config=config, index_config=index_config)
            for outcome in run(work, parts, executor):
                if outcome.error is not None:
                    raise outcome.error
                advance(len(outcome.task.rows), "")
        rows = sources.mark_duplicates([row for part in parts for row in part.read()[0]])
        _merge(found, parts, rows, config)
        sources.write(found.index, rows, index_config)
        for leftover in folder.iterdir():
            leftover.unlink()
        folder.rmdir()
    return rows


def _merge(found: SetScan, parts: Sequence[_Part], rows: Sequence[SourceRow], config: ScanConfig) -> None:
    """One table of all parts, a part at a time, without the tiles of images that turned out to be duplicates."""
    usable = {(row.root, row.path) for row in rows if row.status == "ok"}
    beside = found.tiles.with_name(f"{found.tiles.name}.merging.partial")
    made = provenance(KIND, config, sources.sources_sha256(rows))
    with tables.writer(beside, tiles.SCHEMA, made, dictionary=["source", "source_sha256"]) as writer:
        waiting: list[pa.Table] = []
        for part in parts:
            examined, table = part.read()
            usable_here = [row for row in examined if row.status == "ok"]
            counts = [tiles.num_tiles(row.height, row.width, config.grids) for row in usable_here]
            kept = np.array([(row.root, row.path) in usable for row in usable_here], dtype=np.bool_)
            waiting.append(table.filter(np.repeat(kept, np.array(counts, dtype=np.int64))))
            if part is parts[-1] or sum(each.num_rows for each in waiting) >= _ROWS_PER_GROUP:
                writer.write_table(pa.concat_tables(waiting).unify_dictionaries(), row_group_size=2 * _ROWS_PER_GROUP)
                waiting = []
    beside.replace(found.tiles)


def set_scans(folder: Path, num_auxiliary: int) -> tuple[SetScan, ...]:
    """The target and that many auxiliary sets in a scan's folder."""
    names = [TARGET, *(f"{AUXILIARY}{i + 1}" for i in range(num_auxiliary))]
    return tuple(SetScan(name, folder / name) for name in names)


def scan(
    folder: Path,
    target: Sequence[Path],
    auxiliary: Sequence[Path],
    config: ScanConfig,
    index_config: IndexConfig,
    executor: Executor,
) -> tuple[tuple[SetScan, ...], list[SourceRow]]:
    """Scan the target folders as one set and each auxiliary folder as one; gives back the sets and every file's row.

    Raises:
        UserError: as `scan_set`, or the folder holds a scan of more sets.
    """
    found = set_scans(folder, len(auxiliary))
    beyond = folder / f"{AUXILIARY}{len(auxiliary) + 1}"
    if beyond.exists():
        raise UserError(f"{folder} holds a scan of more sets ({beyond.name}); name all of them, or remove {beyond}")
    rows: list[SourceRow] = []
    for each, folders in zip(found, (target, *([one] for one in auxiliary)), strict=True):
        rows += scan_set(folders, each, config, index_config, executor)
    return found, rows


def open_scan(folder: Path) -> tuple[SetScan, ...]:
    """The sets of a finished scan.

    Raises:
        UserError: there is none.
    """
    if not (folder / TARGET / "tiles.parquet").is_file():
        raise UserError(f"{folder} holds no finished scan; make one with `rwsr noisebank scan --out {folder}`")
    num_auxiliary = 0
    while (folder / f"{AUXILIARY}{num_auxiliary + 1}").is_dir():
        num_auxiliary += 1
    found = set_scans(folder, num_auxiliary)
    for each in found:
        each.provenance()
    return found

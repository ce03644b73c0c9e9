"""From a folder to a noise bank: index, scan every tile, take the CATI, harvest the tiles inside it.

Beside BANK, `BANK.scan/` keeps the index and the statistics of every tile: another quantile needs no image
to be read again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..degrade import tables
from ..degrade.disk import only_builder, remove_partials
from ..degrade.errors import UserError
from ..degrade.image import read_source
from ..degrade.provenance import Provenance, check_same, provenance
from ..degrade.shards import Commit, Store, begin, write_shard
from ..noisebank import bank, tiles
from ..noisebank.cati import cati
from . import sources
from .build_shards import render_missing
from .console import progress
from .executors import Executor, run
from .sources import IndexConfig, SourceRow

TILES_KIND = "tile-statistics"
_IMAGES_PER_PART = 16


@dataclass(frozen=True)
class Scan:
    """The statistics of every tile of a folder: where they lie, and the index that they were taken from."""

    tiles: Path
    index: Path
    rows: tuple[SourceRow, ...]
    num_smaller_than_tile: int


@dataclass(frozen=True)
class _Part:
    """A task of the scan: some images, and the Parquet file that their tiles go to."""

    path: Path
    rows: tuple[SourceRow, ...]


def _scan_part(part: _Part, grid: tiles.TileGrid, made: Provenance) -> None:
    found = [
        tiles.to_table(
            tiles.tile_stats(read_source(Path(row.root), row.path, row.sha256), grid),
            source=row.path,
            source_sha256=row.sha256,
            size=grid.size,
        )
        for row in part.rows
    ]
    tables.write(part.path, pa.concat_tables(found), made)


def scan(
    folders: Sequence[Path], out: Path, grid: tiles.TileGrid, index_config: IndexConfig, executor: Executor
) -> Scan:
    """Measure every tile of the usable images below the folders into `out`/tiles.parquet.

    Interrupted, it goes on with the parts that are missing.

    Raises:
        UserError: no image at all, or `out` holds a scan of other images or another grid.
    """
    out.mkdir(parents=True, exist_ok=True)
    with only_builder(out):
        rows = sources.index(folders, out / "index.parquet", index_config, executor)
        good = sources.usable(rows)
        smaller = sum(min(row.width, row.height) < grid.size for row in good)
        made = provenance(TILES_KIND, grid, sources.sources_sha256(rows))
        result = Scan(out / "tiles.parquet", out / "index.parquet", tuple(rows), smaller)
        if result.tiles.exists():
            check_same(tables.read_provenance(result.tiles, TILES_KIND), made, str(out))
            return result
        remove_partials(out)
        folder = out / "parts" / made.inputs_sha256[:16] / made.config_sha256[:16]
        folder.mkdir(parents=True, exist_ok=True)
        parts = [
            _Part(folder / f"{i:06d}.parquet", tuple(good[i : i + _IMAGES_PER_PART]))
            for i in range(0, len(good), _IMAGES_PER_PART)
        ]
        todo = [part for part in parts if not part.path.exists()]
        with progress("scan tiles", sum(len(part.rows) for part in todo)) as advance:
            for outcome in run(partial(_scan_part, grid=grid, made=made), todo, executor):
                if outcome.error is not None:
                    raise outcome.error
                advance(len(outcome.task.rows), "")
        _merge(result.tiles, [part.path for part in parts], made)
    return result


def _merge(out: Path, parts: Sequence[Path], made: Provenance) -> None:
    """One table of all parts, a part at a time, then the parts go."""
    beside = out.with_name(f"{out.name}.merging.partial")
    with tables.writer(beside, tiles.SCHEMA, made) as writer:
        for part in parts:
            writer.write_table(tables.read(part, TILES_KIND)[0])
    beside.replace(out)
    for part in parts:
        part.unlink()


def _cut_shard(shard: int, store: Store, roots: dict[str, str]) -> Commit:
    rows = store.manifest_of(shard).to_pylist()
    size = store.layout.array("patches").sample_shape[0]
    block = np.empty((len(rows), size, size, 3), dtype=np.uint8)
    pixels, of = np.empty(0, dtype=np.uint8), ""
    for i, row in enumerate(rows):
        if row["source_sha256"] != of:
            of = row["source_sha256"]
            pixels = read_source(Path(roots[of]), row["source"], of)
        block[i] = bank.cut(pixels, row["y"], row["x"], size)
    return write_shard(store, shard, {"patches": block})


def build(out: Path, found: Scan, config: bank.BankConfig, executor: Executor) -> bank.NoiseBank:
    """Harvest the tiles inside the CATI of a scan into the bank `out`; a finished bank is left as it is.

    Raises:
        UserError: no tile carries noise, a source changed since the scan, or `out` holds something else.
    """
    table, scanned = tables.read(found.tiles, TILES_KIND)
    taken = cati(table, config.rule)
    patches = bank.harvest(table, taken, config.rule, set_name="target")
    layout = bank.layout(patches.num_rows, config.grid.size)
    made = provenance(bank.KIND, config, scanned.inputs_sha256)
    store = begin(
        out,
        layout,
        made,
        schema=bank.PATCHES,
        manifest=(patches.slice(layout.rows(s).start, len(layout.rows(s))) for s in range(layout.num_shards)),
        attributes={"cati": taken.model_dump()},
    )
    roots = {row.sha256: row.root for row in found.rows if row.status == "ok"}
    render_missing(store, partial(_cut_shard, store=store, roots=roots), executor, title="harvest patches")
    return bank.NoiseBank.open(out)


def check_sizes(found: Scan, grid: tiles.TileGrid) -> None:
    """Raises UserError when no image is as large as a tile."""
    if found.num_smaller_than_tile == len(sources.usable(found.rows)):
        raise UserError(f"every usable image is smaller than a tile of {grid.size} px; use a smaller --size")

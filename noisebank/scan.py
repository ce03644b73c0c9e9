"""The statistics of every tile of a target set and its auxiliary sets, and the index of their images: one decode each.

SCAN/
    target/index.parquet       a row per file, as `rwsr sources index` writes it
    target/tiles.parquet       a row per tile (noisebank/README.md)
    auxiliary-1/ ...           the same for each auxiliary set
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from ..degrade.errors import StoreError, UserError
from ..degrade.images import sources
from ..degrade.images.listing import IndexConfig
from ..degrade.images.rows import Rows, SourceRow
from ..degrade.progress import progress, say
from ..degrade.storage import location, tables
from ..degrade.storage.location import Place
from ..degrade.storage.lock import is_leftover
from ..degrade.storage.provenance import canonical, provenance, sha256
from ..degrade.tasks import Run
from . import tiles
from .bank import TARGET
from .set_scan import AUXILIARY, KIND, ScanConfig, SetScan, set_scans

_ROWS = b"rows"
_PARTS, _PART_BYTES, _PART_IMAGES = 16, 2**20, 32
_ROWS_PER_GROUP = 2**13


@dataclass(frozen=True)
class _Part:
    """A task: some files, and the Arrow file that their tiles go to, with the files' rows as its metadata."""

    path: Place
    rows: tuple[SourceRow, ...]

    def write(self, rows: Sequence[SourceRow], table: pa.Table) -> None:
        """Put the part on the disk, whole."""
        metadata = {_ROWS: json.dumps([row.as_dict() for row in rows])}
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, tiles.SCHEMA.with_metadata(metadata)) as writer:
            writer.write_table(table.replace_schema_metadata(metadata))
        location.write(self.path, sink.getvalue().to_pybytes())

    def read(self) -> tuple[list[SourceRow], pa.Table]:
        """The rows of its files and the tiles of those that are usable, in that order."""
        table = pa.ipc.open_file(self.path.read_bytes()).read_all()
        rows = [SourceRow(**row) for row in json.loads(table.schema.metadata[_ROWS])]
        return rows, table.replace_schema_metadata(None)


def _scan_part(part: _Part, config: ScanConfig, index_config: IndexConfig) -> int:
    """Measure the images of a part; gives back how many cannot be used."""
    if part.path.is_file():
        return len(sources.left_out(part.read()[0]))
    rows: list[SourceRow] = []
    found: list[tuple[tiles.TileStats, str, str]] = []
    for row in part.rows:
        row, pixels = sources.examine(row, index_config)
        rows.append(row)
        if pixels is not None:
            found.append((tiles.tile_stats(pixels, config.grids), row.path, row.sha256))
    part.write(rows, tiles.to_table(found))
    return len(sources.left_out(rows))


def _parts(folder: Place, files: Sequence[SourceRow], config: ScanConfig, index_config: IndexConfig) -> list[_Part]:
    """The tasks, each named by the state of its files, so that an interrupted scan knows what it has.

    A sixteenth of all bytes, so that few images make tasks for several workers too; but at most 32 images.
    """
    settings = [config.model_dump(mode="json"), index_config.model_dump(mode="json")]
    states = [row.state for row in files]
    enough = max(_PART_BYTES, sum(max(0, row.bytes) for row in files) // _PARTS)
    parts: list[_Part] = []
    first = num_bytes = 0
    for end, row in enumerate(files, start=1):
        num_bytes += max(0, row.bytes)
        if num_bytes >= enough or end - first == _PART_IMAGES or end == len(files):
            name = sha256(canonical([settings, states[first:end]]))[:32]
            parts.append(_Part(folder / f"{name}.arrow", tuple(files[first:end])))
            first, num_bytes = end, 0
    return parts


def _known(found: SetScan, config: ScanConfig, index_config: IndexConfig) -> Rows | None:
    """The rows of a finished scan with the same settings, whatever files there are now; None where there is none."""
    try:
        made, rows = found.provenance(), found.rows()
        settled = tables.read_provenance(found.index, sources.KIND).values == index_config.model_dump(mode="json")
        measured = set(config.grids) <= set(found.grids())
    except StoreError:
        return None
    return rows if settled and measured and made.inputs_sha256 == sources.sources_sha256(rows) else None


def _is_current(rows: Sequence[SourceRow], files: Sequence[SourceRow]) -> bool:
    """Whether rows of a scan are of just these files, unchanged."""
    if [(row.root, row.path) for row in rows] != [(row.root, row.path) for row in files]:
        return False
    return all(
        old.status not in ("ok", "duplicate", "too-small") or old.state[3:] == new.state[3:]
        for old, new in zip(rows, files, strict=True)
    )


def scan_set(folders: Sequence[Place], found: SetScan, config: ScanConfig, index_config: IndexConfig, run: Run) -> Rows:
    """Measure every tile of the usable images below the folders; gives back the row of every file.

    A finished scan of the same, unchanged files is left as it is; of one of other files, what it measured of unchanged
    images is kept; an interrupted one goes on with the parts that it lacks; one of other grids is made again.

    Raises:
        UserError: a folder is missing or holds no image.
    """
    files = sources.listed(folders, index_config)
    location.make_folder(found.folder)
    with location.only_builder(found.folder, say) as still_ours:
        known = None if index_config.rehash else _known(found, config, index_config)
        if index_config.rehash:
            location.remove_below(found.folder / "parts")
        if known is not None and _is_current(known, files):
            location.remove_below(found.folder / "parts")  # of a run that was killed while it removed them
            return known
        if known is not None and set(found.grids()) != set(config.grids):
            known = None  # it has more than is asked for now: made again, as it is not of these files
        location.remove_partials(found.folder)
        kept = {} if known is None else _kept(known, files, found, index_config)
        folder = found.folder / "parts"
        parts = _parts(folder, [row for row in files if (row.root, row.path) not in kept], config, index_config)
        num_left_out = 0
        with progress(f"scan {found.name}", sum(len(part.rows) for part in parts)) as advance:
            work = partial(_scan_part, config=config, index_config=index_config)
            for outcome in run(work, parts):
                still_ours()
                if outcome.error is not None:
                    raise outcome.error
                num_left_out += outcome.result or 0
                advance(len(outcome.task.rows), f"{num_left_out} left out" if num_left_out else "")
        examined = {(row.root, row.path): row for part in parts for row in part.read()[0]} | kept
        rows = sources.mark_duplicates([examined[row.root, row.path] for row in files])
        old = _tiles_of_scan(found, known, config) if known is not None and kept else iter(())
        _write_tiles(found, rows, set(kept), old, _tiles_of_parts(parts, config), config)
        sources.write(found.index, rows, index_config)
        location.remove_below(folder)
    return rows


_Tiles = Iterator[tuple[SourceRow, pa.Table]]


def _kept(
    known: Sequence[SourceRow], files: Sequence[SourceRow], found: SetScan, config: IndexConfig
) -> dict[tuple[str, str], SourceRow]:
    """The rows of unchanged files whose tiles, if any, a finished scan has."""
    measured = {(row.root, row.path) for row in known if row.status != "duplicate"}
    old, numbers = sources.unchanged(Rows.of(files), found.index, config)
    kept = (sources.as_alone(old[number]) for number in numbers.tolist() if number >= 0)
    return {(row.root, row.path): row for row in kept if (row.root, row.path) in measured}


def _by_image(rows: Iterable[SourceRow], tables_: Iterable[pa.Table], config: ScanConfig) -> _Tiles:
    """Each usable row and its tiles, out of tables that hold those of all rows one after another."""
    waiting = tiles.SCHEMA.empty_table()
    tables_ = iter(tables_)
    for row in rows:
        count = tiles.num_tiles(row.height, row.width, config.grids)
        while waiting.num_rows < count:
            waiting = pa.concat_tables([waiting, next(tables_)]).unify_dictionaries()
        yield row, waiting.slice(0, count)
        waiting = waiting.slice(count)


def _tiles_of_parts(parts: Sequence[_Part], config: ScanConfig) -> _Tiles:
    for part in parts:
        examined, table = part.read()
        yield from _by_image([row for row in examined if row.status == "ok"], [table], config)


def _tiles_of_scan(found: SetScan, rows: Sequence[SourceRow], config: ScanConfig) -> _Tiles:
    yield from _by_image([row for row in rows if row.status == "ok"], tables.row_groups(found.tiles, KIND), config)


def _tiles_of(row: SourceRow, source: _Tiles) -> pa.Table:
    """The tiles of a row, from a stream that has them in the order of all rows."""
    return next(table for other, table in source if (other.root, other.path) == (row.root, row.path))


def _joined(parts: Sequence[pa.Table]) -> pa.Table:
    """One table, the same bytes wherever the parts came from: dictionaries hold what occurs, in its order."""
    table = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    for i, field in enumerate(tiles.SCHEMA):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(i, field, table[i].cast(pa.string()).dictionary_encode())
    return table


def _write_tiles(
    found: SetScan,
    rows: Sequence[SourceRow],
    kept: set[tuple[str, str]],
    old: _Tiles,
    new: _Tiles,
    config: ScanConfig,
) -> None:
    """One table of the tiles of all usable images, in the order of the rows, some thousand rows at a time."""
    made = provenance(KIND, config, sources.sources_sha256(rows))
    with tables.writer(found.tiles, tiles.SCHEMA, made, dictionary=["source", "source_sha256"]) as writer:
        waiting: list[pa.Table] = [tiles.SCHEMA.empty_table()]
        for row in (row for row in rows if row.status == "ok"):
            waiting.append(_tiles_of(row, old if (row.root, row.path) in kept else new))
            if sum(each.num_rows for each in waiting) >= _ROWS_PER_GROUP:
                writer.write_table(_joined(waiting), row_group_size=2 * _ROWS_PER_GROUP)
                waiting = [tiles.SCHEMA.empty_table()]
        writer.write_table(_joined(waiting), row_group_size=2 * _ROWS_PER_GROUP)


def scan(
    folder: Place,
    target: Sequence[Place],
    auxiliary: Sequence[Place],
    config: ScanConfig,
    index_config: IndexConfig,
    run: Run,
) -> tuple[tuple[SetScan, ...], list[SourceRow]]:
    """Scan the target folders as one set and each auxiliary folder as one; gives back the sets and every file's row.

    Raises:
        UserError: as `scan_set`, or the folder holds a scan of more sets.
    """
    found = set_scans(folder, len(auxiliary))
    known = re.compile(f"{TARGET}|{AUXILIARY}[0-9]+")
    there = [each.name for each in folder.iterdir()] if isinstance(folder, Path) and folder.is_dir() else []
    foreign = sorted(name for name in there if not known.fullmatch(name) and not is_leftover(name))
    if foreign:
        raise UserError(f"{folder} holds what is no scan ({foreign[0]!r}); name another --out")
    beyond = folder / f"{AUXILIARY}{len(auxiliary) + 1}"
    if beyond.exists():
        raise UserError(f"{folder} holds a scan of more sets ({beyond.name}); name all of them, or remove {beyond}")
    rows: list[SourceRow] = []
    for each, folders in zip(found, (target, *([one] for one in auxiliary)), strict=True):
        rows += scan_set(folders, each, config, index_config, run)
    return found, rows

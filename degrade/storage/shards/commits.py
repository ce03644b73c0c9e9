"""The marks that say which shards of a store are there, and which bytes they hold.

While a store is being built each shard has a mark of its own, written after its files. When all are there they are
put together in one table, commits.parquet, which is the mark of the whole store.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pyarrow as pa

from ...errors import StoreError
from .. import location, tables
from ..location import Place
from ..provenance import Provenance, canonical

COMMITS = "commits.parquet"
BUILDING = "building"
_MARKS = f"{BUILDING}/commits"
_ROWS = f"{BUILDING}/rows"

_SCHEMA = pa.schema([("shard", pa.int64()), ("path", pa.string()), ("bytes", pa.int64()), ("sha256", pa.string())])


@dataclass(frozen=True)
class StoredFile:
    """A file that a mark binds: its path inside the store, its size and its hash."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Commit:
    """The mark of a shard: its file of each array, and the part that its rows of the manifest came in."""

    shard: int
    files: tuple[StoredFile, ...]
    rows: StoredFile


@dataclass(frozen=True)
class Finished:
    """What commits.parquet says of a whole store. metadata: the zarr.json of the group and of each array."""

    shards: Mapping[int, Commit]
    manifests: tuple[StoredFile, ...]
    metadata: tuple[StoredFile, ...]


def rows_name(shard: int, of_format: int) -> str:
    """Where the rows of the manifest of a shard lie while the store is being built; format 6 had them as Parquet."""
    return f"{_ROWS}/{shard:06d}.{'parquet' if of_format < 7 else 'arrow'}"


def mark_name(shard: int) -> str:
    """Where the mark of a shard lies while the store is being built."""
    return f"{_MARKS}/{shard:06d}.json"


def write_mark(store: Place, commit: Commit) -> None:
    """Mark a shard; raises StoreError where it is marked with other bytes."""
    location.write_once(store / mark_name(commit.shard), canonical(asdict(commit)).encode())


def _parse(data: bytes, where: Place) -> Commit:
    try:
        value = json.loads(data)
        files = tuple(StoredFile(**file) for file in value["files"])
        return Commit(value["shard"], files, StoredFile(**value["rows"]))
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"{where} is damaged; remove it and build again") from None


def read_marks(store: Place, num_shards: int) -> dict[int, Commit]:
    """The mark of each shard that has one, of a store that is being built."""
    by_name = {f"{shard:06d}.json": shard for shard in range(num_shards)}
    folder = store / _MARKS
    there = location.sizes(folder, by_name)
    found = zip(there, location.read_all([folder / name for name in there]), strict=True)
    marks = {by_name[name]: _parse(data, folder / name) for name, data in found}
    for shard, commit in marks.items():
        if commit.shard != shard:
            raise StoreError(f"{store / mark_name(shard)} is the mark of another shard; remove it and build again")
    return marks


def write_finished(store: Place, found: Finished, provenance: Provenance) -> None:
    """Mark the whole store; the last thing that is written of it."""
    rows = [{"shard": c.shard, **asdict(file)} for c in found.shards.values() for file in (*c.files, c.rows)]
    rows += [{"shard": None, **asdict(file)} for file in (*found.metadata, *found.manifests)]
    table = pa.Table.from_pylist(rows, schema=_SCHEMA)
    tables.write(store / COMMITS, table, provenance)


def read_finished(store: Place, provenance: Provenance) -> Finished | None:
    """The mark of the whole store, or None where it is not finished.

    Raises:
        StoreError: it is damaged, or that of another store.
    """
    path = store / COMMITS
    if not path.is_file():
        return None
    try:
        table, made = tables.read(path, provenance.kind)
        tables.check_schema(path, provenance.kind, _SCHEMA)
        files: dict[int | None, list[StoredFile]] = {}
        for row in table.to_pylist():
            files.setdefault(row.pop("shard"), []).append(StoredFile(**row))
        others = files.pop(None)
        metadata = tuple(each for each in others if each.path.endswith("zarr.json"))
        manifests = tuple(each for each in others if each not in metadata)
        shards = {s: Commit(s, tuple(parts[:-1]), parts[-1]) for s, parts in files.items() if s is not None}
    except StoreError:
        raise
    except (pa.ArrowException, ValueError, KeyError, TypeError):
        raise StoreError(f"{path} is damaged; remove it and build again") from None
    if made != provenance:
        raise StoreError(
            f"{path} and zarr.json are not of one store; restore the one that was changed, or build again elsewhere"
        )
    return Finished(shards, manifests, metadata)

"""A store in a folder: what is known of it, opening it, and which of its shards are there."""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec

from ...errors import StoreError
from .. import location, tables
from ..location import Place
from ..provenance import Json, Provenance, parse, sha256
from .commits import BUILDING, COMMITS, Commit, Finished, StoredFile, read_finished, read_marks, rows_name
from .layout import SEPARATORS, ArraySpec, Layout

PLAN = f"{BUILDING}/plan.parquet"
EMPTY_SLOT = 2**64 - 1
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # names that become those of files and folders
_DIMENSIONS = ("member", "y", "x", "channel")  # of a group of images; an image has the last three


def stored_file(name: str, data: bytes) -> StoredFile:
    return StoredFile(name, len(data), sha256(data))


@dataclass(frozen=True)
class Store:
    """A store that was found; nothing is held open."""

    path: Place
    layout: Layout
    provenance: Provenance
    attributes: Json

    def manifest(self, *, columns: Sequence[str] | None = None) -> pa.Table:
        """What is known of every sample: one row each."""
        kind, names = self.provenance.kind, self.layout.manifests
        return pa.concat_tables([tables.read(self.path / name, kind, columns=columns)[0] for name in names])

    def manifest_of(self, shard: int) -> pa.Table:
        """The rows of one shard's samples."""
        number, place = divmod(shard, self.layout.shards_per_manifest)
        first = place * self.layout.samples_per_shard
        rows = range(first, first + len(self.layout.rows(shard)))
        return tables.read_rows(self.path / self.layout.manifests[number], self.provenance.kind, rows)

    def plan_of(self, shard: int) -> pa.Table:
        """The rows of the plan that some sample of a shard was planned by; only while the store is being built."""
        return tables.read_overlapping(
            self.path / PLAN, self.provenance.kind, self.layout.rows(shard), first="first", stop="stop"
        )


def metadata_files(layout: Layout, attributes: Json) -> dict[str, bytes]:
    """The zarr.json of the group and of each array, by their names: what makes a folder a Zarr v3 store."""
    with tempfile.TemporaryDirectory() as folder:
        group = zarr.create_group(folder, attributes=attributes)
        for spec in layout.arrays:
            group.create_array(
                spec.name,
                shape=(layout.num_samples, *spec.sample_shape),
                dtype="uint8",
                chunks=(layout.samples_per_shard, *spec.sample_shape),
                serializer=ShardingCodec(
                    chunk_shape=(1, *spec.sample_shape),
                    codecs=[BytesCodec(), Crc32cCodec()],
                    index_codecs=[BytesCodec(), Crc32cCodec()],
                    index_location="end",
                ),
                compressors=None,
                filters=None,
                fill_value=0,
                chunk_key_encoding={"name": "default", "separator": layout.separator},
                dimension_names=["sample", *_DIMENSIONS[-len(spec.sample_shape) :]],
                config={"write_empty_chunks": True},
            )
        names = ["zarr.json", *(f"{spec.name}/zarr.json" for spec in layout.arrays)]
        return {name: (Path(folder) / name).read_bytes() for name in names}


def _read_attributes(path: Place) -> Json:
    try:
        data = (path / "zarr.json").read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        there = (
            "is not a store: it has no zarr.json" if not isinstance(path, Path) or path.exists() else "does not exist"
        )
        raise StoreError(f"{path} {there}; name the folder that was --out of its build") from None
    try:
        value = json.loads(data)
    except ValueError:
        raise _damaged(path) from None
    try:
        found = value["attributes"]["rwsr"]
        if not isinstance(found, dict):
            raise TypeError
        return found
    except (KeyError, TypeError):
        raise StoreError(f"{path} was not written by rwsr; name a store that it built") from None


def kind_of(path: Place) -> str:
    """What kind of store lies in a folder; raises StoreError when it is none of ours."""
    try:
        return str(_read_attributes(path)["provenance"]["kind"])
    except (KeyError, TypeError):
        raise _damaged(path) from None


def _damaged(path: Place) -> StoreError:
    return StoreError(f"{path}/zarr.json is damaged; copy it again, or remove {path} and build it again")


def open_unfinished(path: Place, kind: str) -> Store:
    """A store whose shards may be missing; its path holds in any folder, so that a worker elsewhere finds it.

    Raises:
        StoreError: the folder is missing, not a store of ours, or of another kind or format.
    """
    value = _read_attributes(path)
    provenance = parse(value.get("provenance"), kind, str(path))
    try:
        arrays = tuple(ArraySpec(str(a["name"]), tuple(map(int, a["sample_shape"]))) for a in value["layout"]["arrays"])
        told = value["layout"]
        separator = str(told.get("separator", "/"))  # format 6 names none
        layout = Layout(int(told["num_samples"]), int(told["samples_per_shard"]), arrays, separator)
        sizes = [layout.num_samples, layout.samples_per_shard, *(side for each in arrays for side in each.sample_shape)]
        attributes = dict(value["attributes"])
        members = [str(name) for name in attributes.get("members", ())]
    except (KeyError, TypeError, ValueError):
        raise _damaged(path) from None
    if not arrays or min(sizes) < 1 or separator not in SEPARATORS:
        raise _damaged(path)
    for name in (*(each.name for each in arrays), *members):
        if not PLAIN_NAME.fullmatch(name):
            raise StoreError(
                f"{path}/zarr.json names {name!r}, and a name of letters, digits, - and _ alone may become one of a "
                "file; it was changed, or is not ours: do not use it"
            )
    return Store(location.absolute(path), layout, provenance, attributes)


def open_store(path: Place, kind: str) -> Store:
    """A finished store: every mark is there, and every file that a mark names has its size.

    Raises:
        StoreError: as `open_unfinished`, or a shard or the manifest is missing or cut short.
    """
    store = open_unfinished(path, kind)
    finished = finished_of(store)
    todo = missing_by(store, finished)
    if todo:
        raise StoreError(
            f"{path} lacks {len(todo)} of {store.layout.num_shards} shards (the first is {todo[0]}); "
            "run the command that built it again, it goes on from there"
        )
    if finished is None:
        raise StoreError(
            f"{path} lacks its {store.layout.manifests[0]}; run the command that built it again, it goes on from there"
        )
    return store


def finished_of(store: Store) -> Finished | None:
    """The mark of the whole store, or None where it or the manifest is missing or cut short."""
    found = read_finished(store.path, store.provenance)
    if found is None:
        return None
    _check_metadata(store, found)
    _check_names(store, found.shards)
    if [each.path for each in found.manifests] != store.layout.manifests:
        raise StoreError(f"{store.path / COMMITS} names other manifests than zarr.json; build it again")
    whole = all(location.size(store.path / each.path) == each.bytes for each in found.manifests)
    return found if whole else None


def _metadata_names(store: Store) -> list[str]:
    return ["zarr.json", *(f"{spec.name}/zarr.json" for spec in store.layout.arrays)]


def metadata_of(store: Store) -> tuple[StoredFile, ...]:
    """What a mark says of the zarr.json of the group and of each array, as they are now; raises StoreError where one is
    missing."""
    found: list[StoredFile] = []
    for name in _metadata_names(store):
        try:
            found.append(stored_file(name, (store.path / name).read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            raise StoreError(f"{store.path / name} is missing; copy it again") from None
    return tuple(found)


def _check_metadata(store: Store, found: Finished) -> None:
    """Raises StoreError where a zarr.json of a finished store is not the one that was committed. One that is missing is
    made again by the build, and named by `verify`."""
    for committed in found.metadata:
        file = store.path / committed.path
        if location.size(file) is not None and stored_file(committed.path, file.read_bytes()) != committed:
            raise StoreError(f"{file} is not what was committed; copy it again, or remove {store.path} and build again")
    if [each.path for each in found.metadata] != _metadata_names(store):
        raise StoreError(f"{store.path / COMMITS} names other arrays than zarr.json; build it again")


def _check_names(store: Store, commits: Mapping[int, Commit]) -> None:
    """Raises StoreError where a mark names other files than those of its shard."""
    layout, of_format = store.layout, store.provenance.format
    for shard, commit in commits.items():
        wanted = ([layout.shard_name(spec, shard) for spec in layout.arrays], rows_name(shard, of_format))
        if ([file.path for file in commit.files], commit.rows.path) != wanted:
            raise StoreError(f"{store.path}: the mark of shard {shard} names files of another; build it again")


def commits_of(store: Store) -> Mapping[int, Commit]:
    """The mark of each shard that has one."""
    return _commits_of(store, finished_of(store))


def _commits_of(store: Store, finished: Finished | None) -> Mapping[int, Commit]:
    if finished is not None:
        return finished.shards
    marks = read_marks(store.path, store.layout.num_shards)
    _check_names(store, marks)
    return marks


def missing_shards(store: Store) -> list[int]:
    """The shards without a mark, or whose files are gone or of another size than the mark says."""
    return missing_by(store, finished_of(store))


def missing_by(store: Store, finished: Finished | None) -> list[int]:
    return lacking(store, whole_by(store, finished))


def lacking(store: Store, marks: Mapping[int, Commit]) -> list[int]:
    """The shards that are not among some."""
    return [shard for shard in range(store.layout.num_shards) if shard not in marks]


def whole_by(store: Store, finished: Finished | None) -> dict[int, Commit]:
    """The marks of the shards whose files are there, of the size that the mark says."""
    commits = _commits_of(store, finished)
    files = {
        shard: {file.path: file.bytes for file in (*commit.files, *(() if finished else (commit.rows,)))}
        for shard, commit in commits.items()
    }
    there = location.sizes(store.path, (name for expected in files.values() for name in expected))
    return {
        shard: commits[shard]
        for shard, expected in files.items()
        if all(there.get(name) == num_bytes for name, num_bytes in expected.items())
    }

"""Sharded Zarr v3 stores, written one whole shard at a time, each bound by a commit mark.

A finished store (degrade/README.md has an example):

    STORE/zarr.json            the group; attributes.rwsr = provenance, layout, attributes
    STORE/manifest.parquet     one row per sample
    STORE/commits.parquet      each file's size and SHA-256; written last, it is what makes the store whole
    STORE/<array>/zarr.json    one uint8 array [num_samples, ...]; chunk = one sample
    STORE/<array>/c/<s>/0/...  shard s: the samples' chunks, each with its crc32c, then the index

While it is being built there are also, under building/:

    plan.parquet               which source each sample comes from, written first
    rows/<s>.parquet           the manifest's rows of shard s
    commits/<s>.json           the mark of shard s, written after its files

Zarr itself fills a missing shard with zeros and does not notice two swapped ones; the marks do.
"""

import json
import platform
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec

from ...errors import StoreError
from ...images.pixels import U8
from .. import location, tables
from ..location import Place
from ..provenance import Json, Provenance, check_same, check_same_environment, here, parse, sha256
from . import checksum
from .commits import COMMITS, Commit, Finished, StoredFile, read_finished, read_marks, write_finished, write_mark
from .layout import ArraySpec, Layout

MANIFEST = "manifest.parquet"
BUILDING = "building"
_PLAN = f"{BUILDING}/plan.parquet"
_ROWS = f"{BUILDING}/rows"
_EMPTY = 2**64 - 1
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # names that become those of files and folders
_DIMENSIONS = ("member", "y", "x", "channel")  # of a group of images; an image has the last three


@dataclass(frozen=True)
class Store:
    """A store that was found; nothing is held open."""

    path: Place
    layout: Layout
    provenance: Provenance
    attributes: Json

    def manifest(self, *, columns: Sequence[str] | None = None) -> pa.Table:
        """What is known of every sample: one row each."""
        return tables.read(self.path / MANIFEST, self.provenance.kind, columns=columns)[0]

    def manifest_of(self, shard: int) -> pa.Table:
        """The rows of one shard's samples."""
        group, place = divmod(shard, self.layout.shards_per_row_group)
        rows = tables.read_row_group(self.path / MANIFEST, self.provenance.kind, group)
        return rows.slice(place * self.layout.samples_per_shard, len(self.layout.rows(shard)))

    def plan_of(self, shard: int) -> pa.Table:
        """The rows of the plan that some sample of a shard was planned by; only while the store is being built."""
        return tables.read_overlapping(
            self.path / _PLAN, self.provenance.kind, self.layout.rows(shard), first="first", stop="stop"
        )


# ---------------------------------------------------------------------------------------------- create, open


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
                dimension_names=["sample", *_DIMENSIONS[-len(spec.sample_shape) :]],
                config={"write_empty_chunks": True},
            )
        names = ["zarr.json", *(f"{spec.name}/zarr.json" for spec in layout.arrays)]
        return {name: (Path(folder) / name).read_bytes() for name in names}


def is_free(path: Place) -> bool:
    """Whether a store can be begun in a place; False where one lies already.

    Raises:
        StoreError: something else is there.
    """
    if (path / "zarr.json").is_file():
        return False
    if not location.is_empty(path):
        raise StoreError(f"{path} exists and is not a store; use another --out")
    return True


def begin(path: Place, layout: Layout, provenance: Provenance, *, attributes: Mapping[str, Any]) -> Store:
    """Create a store without shards, or find the one that an earlier run of the same build began.

    Raises:
        StoreError: something else is there, or a build in another environment.
    """
    if is_free(path):
        rwsr: Json = {
            "provenance": provenance.model_dump(),
            "layout": asdict(layout),
            "attributes": dict(attributes),
        }
        location.write_new(path / "zarr.json", metadata_files(layout, {"rwsr": rwsr})["zarr.json"])
    store = open_unfinished(path, provenance.kind)
    check_same(store.provenance, provenance, str(path))
    if missing_shards(store):
        check_same_environment(store.provenance, provenance, str(path))
    return store


def prepare(store: Store, schema: pa.Schema, plan: Callable[[], Iterable[pa.Table]]) -> list[int]:
    """Write what is missing beside the shards before they are rendered; gives back the shards to render.

    Only the builder that holds the store may call it. plan: its rows, each with the samples from column `first` to
    before column `stop` that it serves, in their order; asked for only when some shard is missing.
    """
    for name, data in metadata_files(store.layout, {}).items():
        if name != "zarr.json" and not (store.path / name).is_file():
            location.write(store.path / name, data)
    finished = _finished(store)
    if finished is None:
        (store.path / COMMITS).unlink(missing_ok=True)  # without its manifest it marks nothing
    todo = _missing_shards(store, finished)
    if todo and not _has_plan(store):
        with tables.writer(store.path / _PLAN, schema, store.provenance) as writer:
            for rows in plan():
                writer.write_table(rows, row_group_size=max(1, rows.num_rows))
    return todo


def check_here(store: Store) -> None:
    """Check that this process, on whatever machine, may render shards of a store that was begun elsewhere.

    Raises:
        StoreError: it has other package versions or CPU features.
    """
    check_same_environment(store.provenance, here(store.provenance), f"{store.path} (on {platform.node()})")


def _has_plan(store: Store) -> bool:
    try:
        return tables.read_provenance(store.path / _PLAN, store.provenance.kind) == store.provenance
    except StoreError:
        return False


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
        layout = Layout(int(value["layout"]["num_samples"]), int(value["layout"]["samples_per_shard"]), arrays)
        sizes = [layout.num_samples, layout.samples_per_shard, *(side for each in arrays for side in each.sample_shape)]
        attributes = dict(value["attributes"])
        members = [str(name) for name in attributes.get("members", ())]
    except (KeyError, TypeError, ValueError):
        raise _damaged(path) from None
    if not arrays or min(sizes) < 1:
        raise _damaged(path)
    for name in (*(each.name for each in arrays), *members):
        if not _PLAIN.fullmatch(name):
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
    finished = _finished(store)
    todo = _missing_shards(store, finished)
    if todo:
        raise StoreError(
            f"{path} lacks {len(todo)} of {store.layout.num_shards} shards (the first is {todo[0]}); "
            "run the command that built it again, it goes on from there"
        )
    if finished is None:
        raise StoreError(f"{path} lacks its {MANIFEST}; run the command that built it again, it goes on from there")
    return store


# ---------------------------------------------------------------------------------------------------- shards


def encode_shard(spec: ArraySpec, block: U8, shard_slots: int) -> bytes:
    """A shard file: each sample and its crc32c, then the index and its crc32c.

    Byte for byte what zarr-python writes for the same array.
    """
    index = np.full((shard_slots, 2), _EMPTY, dtype="<u8")
    pieces: list[bytes | memoryview] = []
    for row, sample in enumerate(np.ascontiguousarray(block)):
        index[row] = row * spec.stored_bytes, spec.stored_bytes
        pieces += [memoryview(sample).cast("B"), checksum.crc32c(sample)]
    packed = index.tobytes()
    return b"".join([*pieces, packed, checksum.crc32c(packed)])


def _stored(name: str, data: bytes) -> StoredFile:
    return StoredFile(name, len(data), sha256(data))


def write_shard(store: Store, shard: int, blocks: Mapping[str, U8], rows: pa.Table) -> None:
    """Write one shard of every array and its rows of the manifest, then its mark.

    blocks: [rows, *sample_shape] uint8 of each array.

    Raises:
        StoreError: the shard was committed before with other bytes; its number is for the caller to say.
    """
    samples = store.layout.rows(shard)
    assert rows.num_rows == len(samples)
    data: dict[str, bytes] = {}
    for spec in store.layout.arrays:
        block = blocks[spec.name]
        assert block.shape == (len(samples), *spec.sample_shape) and block.dtype == np.uint8
        data[spec.shard_name(shard)] = encode_shard(spec, block, store.layout.samples_per_shard)
    part = f"{_ROWS}/{shard:06d}.parquet"
    packed = tables.to_bytes(rows, store.provenance)
    commit = Commit(shard, tuple(_stored(name, each) for name, each in data.items()), _stored(part, packed))
    finished = read_finished(store.path, store.provenance)
    if finished is not None and finished.shards.get(shard) != commit:
        raise StoreError(f"it comes out other than it was committed: remove {store.path} and build it again")
    for name, each in data.items():
        location.write(store.path / name, each)
    if finished is None:
        location.write(store.path / part, packed)
        write_mark(store.path, commit)


def _finished(store: Store) -> Finished | None:
    """The mark of the whole store, or None where it or the manifest is missing or cut short."""
    found = read_finished(store.path, store.provenance)
    if found is None:
        return None
    _check_metadata(store, found)
    _check_names(store, found.shards)
    return found if location.size(store.path / MANIFEST) == found.manifest.bytes else None


def _metadata_names(store: Store) -> list[str]:
    return ["zarr.json", *(f"{spec.name}/zarr.json" for spec in store.layout.arrays)]


def metadata_of(store: Store) -> tuple[StoredFile, ...]:
    """What a mark says of the zarr.json of the group and of each array, as they are now; raises StoreError where one is
    missing."""
    found: list[StoredFile] = []
    for name in _metadata_names(store):
        try:
            found.append(_stored(name, (store.path / name).read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            raise StoreError(f"{store.path / name} is missing; copy it again") from None
    return tuple(found)


def _check_metadata(store: Store, found: Finished) -> None:
    """Raises StoreError where a zarr.json of a finished store is not the one that was committed. One that is missing is
    made again by the build, and named by `verify`."""
    for committed in found.metadata:
        file = store.path / committed.path
        if location.size(file) is not None and _stored(committed.path, file.read_bytes()) != committed:
            raise StoreError(f"{file} is not what was committed; copy it again, or remove {store.path} and build again")
    if [each.path for each in found.metadata] != _metadata_names(store):
        raise StoreError(f"{store.path / COMMITS} names other arrays than zarr.json; build it again")


def _check_names(store: Store, commits: Mapping[int, Commit]) -> None:
    """Raises StoreError where a mark names other files than those of its shard."""
    for shard, commit in commits.items():
        wanted = ([spec.shard_name(shard) for spec in store.layout.arrays], f"{_ROWS}/{shard:06d}.parquet")
        if ([file.path for file in commit.files], commit.rows.path) != wanted:
            raise StoreError(f"{store.path}: the mark of shard {shard} names files of another; build it again")


def commits_of(store: Store) -> Mapping[int, Commit]:
    """The mark of each shard that has one."""
    return _commits_of(store, _finished(store))


def _commits_of(store: Store, finished: Finished | None) -> Mapping[int, Commit]:
    if finished is not None:
        return finished.shards
    marks = read_marks(store.path, store.layout.num_shards)
    _check_names(store, marks)
    return marks


def missing_shards(store: Store) -> list[int]:
    """The shards without a mark, or whose files are gone or of another size than the mark says."""
    return _missing_shards(store, _finished(store))


def _missing_shards(store: Store, finished: Finished | None) -> list[int]:
    commits = _commits_of(store, finished)
    files = {
        shard: {file.path: file.bytes for file in (*commit.files, *(() if finished else (commit.rows,)))}
        for shard, commit in commits.items()
    }
    there = location.sizes(store.path, (name for expected in files.values() for name in expected))
    whole = {
        shard
        for shard, expected in files.items()
        if all(there.get(name) == num_bytes for name, num_bytes in expected.items())
    }
    return [shard for shard in range(store.layout.num_shards) if shard not in whole]


def _row_groups(store: Store, commits: Sequence[Commit]) -> Iterator[pa.Table]:
    """The rows of all shards, some thousand at a time."""
    step = store.layout.shards_per_row_group
    parts = location.read_all([store.path / commit.rows.path for commit in commits])
    for start in range(0, len(commits), step):
        yield pa.concat_tables([tables.parsed(next(parts)) for _ in commits[start : start + step]])


def finish(store: Store) -> None:
    """Once every shard is there: put the manifest together, mark the store, and remove what only building needed."""
    if _finished(store) is None:
        marks = commits_of(store)
        commits = [marks[shard] for shard in range(store.layout.num_shards)]
        with location.written(store.path / MANIFEST) as file:
            groups = _row_groups(store, commits)
            first = next(groups)
            with tables.writer(file, first.schema, store.provenance) as writer:
                for rows in chain([first], groups):
                    writer.write_table(rows, row_group_size=rows.num_rows)
            manifest = StoredFile(MANIFEST, file.stat().st_size, location.sha256(file))
        whole = Finished({commit.shard: commit for commit in commits}, manifest, metadata_of(store))
        write_finished(store.path, whole, store.provenance)
    location.remove_below(store.path / BUILDING)

"""Sharded Zarr v3 stores, written one whole shard at a time, each bound by a commit mark.

On disk (degrade/README.md has an example):

    STORE/zarr.json            the group; attributes.rwsr = provenance, layout, attributes
    STORE/manifest.parquet     one row per sample, one row group per shard; put together last
    STORE/<array>/zarr.json    one uint8 array [num_samples, ...]; chunk = one sample
    STORE/<array>/c/<s>/0/...  shard s: the samples' chunks, each with its crc32c, then the index
    STORE/commits/<s>.json     the mark of shard s: its files' sizes and SHA-256, written last
    STORE/commits/manifest.json  the mark of the manifest

While it is being built there are also plan.parquet (which source each sample comes from, written first) and
rows/<s>.parquet (the manifest's rows of shard s).

A shard is there when its mark is, a store when its manifest's is. Zarr itself fills a missing shard with
zeros and does not notice two swapped ones; the marks do.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec

from . import checksum, tables
from .disk import partial_name, sync_folder, write_atomic, write_once
from .errors import StoreError
from .image import U8
from .provenance import Json, Provenance, canonical, check_same, check_same_environment, parse

MANIFEST = "manifest.parquet"
_PLAN = "plan.parquet"
_EMPTY = 2**64 - 1
_DIMENSIONS = ("member", "y", "x", "channel")  # of a group of images; an image has the last three


@dataclass(frozen=True)
class ArraySpec:
    """One uint8 array of a store: its name and the shape of one sample."""

    name: str
    sample_shape: tuple[int, ...]

    @property
    def sample_bytes(self) -> int:
        return math.prod(self.sample_shape)

    @property
    def stored_bytes(self) -> int:
        """Of one chunk: the sample and its crc32c."""
        return self.sample_bytes + checksum.BYTES

    def shard_name(self, shard: int) -> str:
        """The path of a shard inside the store."""
        return "/".join([self.name, "c", str(shard), *("0" for _ in self.sample_shape)])


@dataclass(frozen=True)
class Layout:
    """How many samples a store holds, in which arrays, and how many go into a shard."""

    num_samples: int
    samples_per_shard: int
    arrays: tuple[ArraySpec, ...]

    @property
    def num_shards(self) -> int:
        return math.ceil(self.num_samples / self.samples_per_shard)

    def rows(self, shard: int) -> range:
        """The samples of a shard."""
        start = shard * self.samples_per_shard
        return range(start, min(start + self.samples_per_shard, self.num_samples))

    def array(self, name: str) -> ArraySpec:
        """The array of that name; raises StoreError when there is none."""
        for spec in self.arrays:
            if spec.name == name:
                return spec
        raise StoreError(f"there is no array {name}; known here: {', '.join(spec.name for spec in self.arrays)}")


@dataclass(frozen=True)
class StoredFile:
    """A file that a mark binds: its path inside the store, its size and its hash."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Commit:
    """The mark of a shard: which samples it holds, in which files; and the file that its rows came in."""

    shard: int
    first_sample: int
    num_samples: int
    files: tuple[StoredFile, ...]
    rows: StoredFile


@dataclass(frozen=True)
class Store:
    """A store that was found on the disk; nothing is held open."""

    path: Path
    layout: Layout
    provenance: Provenance
    attributes: Json

    def manifest(self, *, columns: Sequence[str] | None = None) -> pa.Table:
        """What is known of every sample: one row each."""
        return tables.read(self.path / MANIFEST, self.provenance.kind, columns=columns)[0]

    def manifest_of(self, shard: int) -> pa.Table:
        """The rows of one shard's samples."""
        return tables.read_row_groups(self.path / MANIFEST, self.provenance.kind, [shard])

    def plan_of(self, shard: int) -> pa.Table:
        """What was planned for one shard's samples; only while the store is being built."""
        return tables.read_row_groups(self.path / _PLAN, self.provenance.kind, [shard])


def samples_per_shard(sample_bytes: int, shard_bytes: int) -> int:
    """The power of two whose shard of samples is nearest below `shard_bytes`, at most 1024, at least 1."""
    return 1 << min(10, max(0, (shard_bytes // max(1, sample_bytes)).bit_length() - 1))


# ---------------------------------------------------------------------------------------------- create, open


def write_metadata(folder: Path, layout: Layout, attributes: Json) -> None:
    """The zarr.json of the group and of each array: what makes the folder a Zarr v3 store."""
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


def _write_table(path: Path, schema: pa.Schema, shards: Iterable[pa.Table], provenance: Provenance) -> StoredFile:
    """Write a table with one row group per shard, whole."""
    beside = partial_name(path)
    with tables.writer(beside, schema, provenance) as writer:
        for rows in shards:
            writer.write_table(rows, row_group_size=max(1, rows.num_rows))
    with open(beside, "rb") as file:
        os.fsync(file.fileno())
        found = StoredFile(path.name, beside.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
    os.replace(beside, path)
    sync_folder(path.parent)
    return found


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True


def _remove_abandoned(path: Path) -> None:
    """Delete the half-made folders of builds of this store that were killed before they had begun it."""
    for folder in path.parent.glob(f".{path.name}.[0-9]*.partial"):
        if not _is_running(int(folder.name.split(".")[-2])):
            shutil.rmtree(folder)


def is_free(path: Path) -> bool:
    """Whether a store can be begun in a place; False where one lies already.

    Raises:
        StoreError: something else is there.
    """
    if not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir())):
        return True
    if not (path / "zarr.json").is_file():
        raise StoreError(f"{path} exists and is not a store; use another --out")
    return False


def begin(
    path: Path,
    layout: Layout,
    provenance: Provenance,
    *,
    schema: pa.Schema,
    plan: Iterable[pa.Table],
    attributes: Mapping[str, Any],
) -> Store:
    """Create a store without shards, or find the one that an earlier run of the same build began.

    plan: for each shard, in order, the rows that `Store.plan_of` gives to whoever renders it; asked for only when
    it is not there.

    Raises:
        StoreError: something else is there.
    """
    if not is_free(path):
        store = open_unfinished(path, provenance.kind)
        check_same(store.provenance, provenance, str(path))
        if missing_shards(store):
            check_same_environment(store.provenance, provenance, str(path))
            if not (path / _PLAN).exists():
                _write_table(path / _PLAN, schema, plan, provenance)
        return store
    _remove_abandoned(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    (beside / "commits").mkdir(parents=True)
    rwsr: Json = {
        "provenance": provenance.model_dump(),
        "layout": asdict(layout),
        "attributes": dict(attributes),
    }
    _write_table(beside / _PLAN, schema, plan, provenance)
    write_metadata(beside, layout, {"rwsr": rwsr})
    os.rename(beside, path)
    sync_folder(path.parent)
    return open_unfinished(path, provenance.kind)


def _read_attributes(path: Path) -> Json:
    try:
        return json.loads((path / "zarr.json").read_text())["attributes"]["rwsr"]
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"{path} is not a store: it has no zarr.json; name the folder that was --out") from None
    except (KeyError, TypeError, ValueError):
        raise StoreError(f"{path} was not written by rwsr; name a store that it built") from None


def kind_of(path: Path) -> str:
    """What kind of store lies in a folder; raises StoreError when it is none of ours."""
    return str(_read_attributes(path)["provenance"]["kind"])


def open_unfinished(path: Path, kind: str) -> Store:
    """A store whose shards may be missing.

    Raises:
        StoreError: the folder is missing, not a store of ours, or of another kind or format.
    """
    value = _read_attributes(path)
    provenance = parse(value["provenance"], kind, str(path))
    arrays = tuple(ArraySpec(a["name"], tuple(a["sample_shape"])) for a in value["layout"]["arrays"])
    layout = Layout(value["layout"]["num_samples"], value["layout"]["samples_per_shard"], arrays)
    return Store(path, layout, provenance, value["attributes"])


def open_store(path: Path, kind: str) -> Store:
    """A finished store: every mark is there, and every file that a mark names has its size.

    Raises:
        StoreError: as `open_unfinished`, or a shard or the manifest is missing or cut short.
    """
    store = open_unfinished(path, kind)
    todo = missing_shards(store)
    if todo:
        raise StoreError(
            f"{path} lacks {len(todo)} of {store.layout.num_shards} shards (the first is {todo[0]}); "
            "run the command that built it again, it goes on from there"
        )
    if not _has_manifest(store):
        raise StoreError(f"{path} lacks its {MANIFEST}; run the command that built it again, it goes on from there")
    return store


# ---------------------------------------------------------------------------------------------------- shards


def encode_shard(spec: ArraySpec, block: U8, shard_slots: int) -> list[bytes | memoryview]:
    """The pieces of a shard file: each sample and its crc32c, then the index and its crc32c.

    Byte for byte what zarr-python writes for the same array.
    """
    index = np.full((shard_slots, 2), _EMPTY, dtype="<u8")
    pieces: list[bytes | memoryview] = []
    for row, sample in enumerate(np.ascontiguousarray(block)):
        index[row] = row * spec.stored_bytes, spec.stored_bytes
        pieces += [memoryview(sample).cast("B"), checksum.crc32c(sample)]
    packed = index.tobytes()
    return [*pieces, packed, checksum.crc32c(packed)]


def _write_file(path: Path, pieces: Sequence[bytes | memoryview]) -> tuple[int, str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(pieces)
    write_atomic(path, data)
    return len(data), hashlib.sha256(data).hexdigest()


def commit_path(store: Store, shard: int) -> Path:
    return store.path / "commits" / f"{shard:06d}.json"


def write_shard(store: Store, shard: int, blocks: Mapping[str, U8], rows: pa.Table) -> Commit:
    """Write one shard of every array and its rows of the manifest, then its mark.

    blocks: [rows, *sample_shape] uint8 of each array.

    Raises:
        StoreError: the shard was committed before with other bytes.
    """
    samples = store.layout.rows(shard)
    assert rows.num_rows == len(samples)
    files: list[StoredFile] = []
    for spec in store.layout.arrays:
        block = blocks[spec.name]
        assert block.shape == (len(samples), *spec.sample_shape) and block.dtype == np.uint8
        name = spec.shard_name(shard)
        size, digest = _write_file(store.path / name, encode_shard(spec, block, store.layout.samples_per_shard))
        files.append(StoredFile(name, size, digest))
    name = f"rows/{shard:06d}.parquet"
    size, digest = _write_file(store.path / name, [tables.to_bytes(rows, store.provenance)])
    commit = Commit(shard, samples.start, len(samples), tuple(files), StoredFile(name, size, digest))
    write_once(commit_path(store, shard), canonical(asdict(commit)).encode())
    return commit


def _read_mark(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        raise StoreError(f"{path} is damaged; remove it and build again") from None


def read_commit(store: Store, shard: int) -> Commit | None:
    """The mark of a shard, or None where there is none."""
    path = commit_path(store, shard)
    value = _read_mark(path)
    if value is None:
        return None
    try:
        files = tuple(StoredFile(**file) for file in value["files"])
        return Commit(value["shard"], value["first_sample"], value["num_samples"], files, StoredFile(**value["rows"]))
    except (KeyError, TypeError):
        raise StoreError(f"{path} is damaged; remove it and build again") from None


def manifest_mark_path(store: Store) -> Path:
    """Where the mark of the manifest lies."""
    return store.path / "commits" / "manifest.json"


def read_manifest_mark(store: Store) -> StoredFile | None:
    """The mark of the manifest, or None where the store is not finished."""
    path = manifest_mark_path(store)
    value = _read_mark(path)
    try:
        return None if value is None else StoredFile(**value)
    except TypeError:
        raise StoreError(f"{path} is damaged; remove it and build again") from None


def _is_there(store: Store, file: StoredFile) -> bool:
    try:
        return (store.path / file.path).stat().st_size == file.bytes
    except OSError:
        return False


def _has_manifest(store: Store) -> bool:
    mark = read_manifest_mark(store)
    return mark is not None and _is_there(store, mark)


def missing_shards(store: Store) -> list[int]:
    """The shards without a mark, or whose files are gone or of another size than the mark says."""
    finished = _has_manifest(store)
    missing: list[int] = []
    for shard in range(store.layout.num_shards):
        commit = read_commit(store, shard)
        if commit is None or not all(
            _is_there(store, file) for file in (*commit.files, *(() if finished else (commit.rows,)))
        ):
            missing.append(shard)
    return missing


def finish(store: Store) -> None:
    """Once every shard is there: put the manifest together, mark it, and remove what only building needed."""
    if not _has_manifest(store):
        commits = (read_commit(store, shard) for shard in range(store.layout.num_shards))
        parts = [store.path / commit.rows.path for commit in commits if commit]
        schema = pq.read_schema(parts[0]).remove_metadata()
        rows = (tables.read(part, store.provenance.kind)[0] for part in parts)
        found = _write_table(store.path / MANIFEST, schema, rows, store.provenance)
        write_once(manifest_mark_path(store), canonical(asdict(found)).encode())
    (store.path / _PLAN).unlink(missing_ok=True)
    shutil.rmtree(store.path / "rows", ignore_errors=True)

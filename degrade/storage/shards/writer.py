"""Sharded Zarr v3 stores, written one whole shard at a time, each bound by a commit mark.

A finished store (degrade/README.md has an example):

    STORE/zarr.json            the group; attributes.rwsr = provenance, layout, attributes
    STORE/manifest.parquet     one row per sample; of more than a million manifest-0000.parquet, ...
    STORE/commits.parquet      each file's size and SHA-256; written last, it is what makes the store whole
    STORE/<array>/zarr.json    one uint8 array [num_samples, ...]; chunk = one sample
    STORE/<array>/c.<s>.0. ... shard s: the samples' chunks, each with its crc32c, then the index

While it is being built there are also, under building/:

    plan.parquet               which source each sample comes from, written first
    rows/<s>.arrow             the manifest's rows of shard s
    commits/<s>.json           the mark of shard s, written after its files

Zarr itself fills a missing shard with zeros and does not notice two swapped ones; the marks do.
"""

import hashlib
import platform
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import StoreError
from ...images.pixels import U8
from ...progress import say
from .. import location, tables
from ..local import named
from ..location import Place
from ..provenance import Json, Provenance, check_same, check_same_environment, here
from . import checksum
from .commits import BUILDING, COMMITS, Commit, Finished, StoredFile, read_finished, rows_name, write_mark
from .layout import ArraySpec, Layout
from .parts import merging, to_part
from .store import (
    EMPTY_SLOT,
    PLAN,
    Store,
    commits_of,
    finished_of,
    lacking,
    metadata_files,
    missing_shards,
    open_unfinished,
    stored_file,
    whole_by,
)

_BUFFER_BYTES = 2**20

# ---------------------------------------------------------------------------------------------- create, open


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


@contextmanager
def building(path: Place) -> Generator[Callable[[], None]]:
    """Hold the place of a store while it is built; gives a check that raises once another has taken it over.

    Raises:
        StoreError: something else is there.
        BusyError: another process builds in it.
    """
    is_free(path)
    with location.only_builder(path, say) as still_ours:
        yield still_ours


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


@dataclass(frozen=True)
class Prepared:
    """What there is of a store before its shards are made. finished: the mark of the whole store; marks: of the shards
    that are there; todo: those to make.
    """

    finished: Finished | None
    marks: Mapping[int, Commit]
    todo: list[int]


def prepare(store: Store, schema: pa.Schema, plan: Callable[[], Iterable[pa.Table]]) -> Prepared:
    """Write what is missing beside the shards before they are made.

    Only the builder that holds the store may call it. plan: its rows, each with the samples from column `first` to
    before column `stop` that it serves, in their order; asked for only when some shard is missing.
    """
    finished = finished_of(store)
    for name, data in metadata_files(store.layout, {}).items():
        if name != "zarr.json" and not _is_there(store.path / name, data):
            location.write(store.path / name, data)
    if finished is None:
        (store.path / COMMITS).unlink(missing_ok=True)  # without its manifest it marks nothing
    marks = whole_by(store, finished)
    todo = lacking(store, marks)
    if todo and not _has_plan(store):
        with tables.writer(store.path / PLAN, schema, store.provenance) as writer:
            for rows in plan():
                writer.write_table(rows, row_group_size=max(1, rows.num_rows))
    return Prepared(finished, marks, todo)


def _is_there(file: Place, data: bytes) -> bool:
    return file.is_file() and file.read_bytes() == data


def check_here(store: Store) -> None:
    """Check that this process, on whatever machine, may render shards of a store that was begun elsewhere.

    Raises:
        StoreError: it has other package versions or CPU features.
    """
    check_same_environment(store.provenance, here(store.provenance), f"{store.path} (on {platform.node()})")


def _has_plan(store: Store) -> bool:
    try:
        return tables.read_provenance(store.path / PLAN, store.provenance.kind) == store.provenance
    except StoreError:
        return False


# ---------------------------------------------------------------------------------------------------- shards


class _ShardFile:
    """A shard file in the making: each sample and its crc32c, then the index and its crc32c.

    Byte for byte what zarr-python writes for the same array.
    """

    def __init__(self, store: Store, spec: ArraySpec, shard: int) -> None:
        self._spec, self._slots = spec, store.layout.samples_per_shard
        self._name = store.layout.shard_name(spec, shard)
        self._staged = location.Staged(store.path / self._name)
        self._file = open(self._staged.file, "wb", buffering=_BUFFER_BYTES)
        self._digest, self._bytes, self.num_samples = hashlib.sha256(), 0, 0

    def _write(self, data: bytes | memoryview) -> None:
        with named(self._staged.path):
            self._file.write(data)
        self._digest.update(data)
        self._bytes += len(data)

    def add(self, sample: U8) -> None:
        assert sample.shape == self._spec.sample_shape and sample.dtype == np.uint8
        sample = np.ascontiguousarray(sample)
        self._write(sample.data.cast("B"))
        self._write(checksum.crc32c(sample))
        self.num_samples += 1

    def end(self) -> StoredFile:
        index = np.full((self._slots, 2), EMPTY_SLOT, dtype="<u8")
        index[: self.num_samples, 0] = np.arange(self.num_samples) * self._spec.stored_bytes
        index[: self.num_samples, 1] = self._spec.stored_bytes
        packed = index.tobytes()
        self._write(packed + checksum.crc32c(packed))
        with named(self._staged.path):
            self._file.close()
        return StoredFile(self._name, self._bytes, self._digest.hexdigest())

    def put(self) -> None:
        self._staged.put()

    def drop(self) -> None:
        with suppress(OSError):  # what it could not write is of no more use
            self._file.close()
        self._staged.drop()


class ShardWriter:
    """One shard of every array and its rows of the manifest, taken sample by sample: memory does not grow with it."""

    def __init__(self, store: Store, shard: int) -> None:
        self._store, self._shard = store, shard
        self._files: dict[str, _ShardFile] = {}
        self._rows: list[pa.Table] = []
        self._commit: Commit | None = None

    @property
    def commit(self) -> Commit:
        """The mark, once it is written."""
        assert self._commit is not None
        return self._commit

    def begin(self) -> None:
        for spec in self._store.layout.arrays:
            self._files[spec.name] = _ShardFile(self._store, spec, self._shard)

    def add(self, **images: U8) -> None:
        """The next sample: [*sample_shape] uint8 of each array."""
        assert images.keys() == self._files.keys()
        for name, image in images.items():
            self._files[name].add(image)

    def add_rows(self, rows: pa.Table) -> None:
        """The rows that come next, ROWS_AT_ONCE of them but for the last."""
        self._rows.append(rows)

    def put(self) -> None:
        """Give the files their names, then write the mark."""
        store, count = self._store, len(self._store.layout.rows(self._shard))
        assert {count} == {file.num_samples for file in self._files.values()} | {sum(map(len, self._rows))}
        name, packed = rows_name(self._shard, store.provenance.format), to_part(self._rows)
        files = tuple(file.end() for file in self._files.values())
        commit = Commit(self._shard, files, stored_file(name, packed))
        finished = read_finished(store.path, store.provenance)
        if finished is not None and finished.shards.get(self._shard) != commit:
            raise StoreError(f"it comes out other than it was committed: remove {store.path} and build it again")
        for file in self._files.values():
            file.put()
        if finished is None:
            location.write(store.path / name, packed)
            write_mark(store.path, commit)
        self._commit = commit

    def drop(self) -> None:
        for file in self._files.values():
            file.drop()


@contextmanager
def shard_writer(store: Store, shard: int) -> Generator[ShardWriter]:
    """Write one shard: its files are there, and then its mark, when the block ends without an error.

    Raises:
        StoreError: the shard was committed before with other bytes; its number is for the caller to say.
    """
    writer = ShardWriter(store, shard)
    try:
        writer.begin()
        yield writer
        writer.put()
    finally:
        writer.drop()


def finish(store: Store) -> None:
    """Once every shard is there: put the manifest together, mark the store, and remove what only building needed."""
    if finished_of(store) is None:
        with merging(store, commits_of(store)):
            pass
    location.remove_below(store.path / BUILDING)

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

import platform
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import StoreError
from ...images.pixels import U8
from ...progress import say
from .. import location, tables
from ..location import Place
from ..provenance import Json, Provenance, check_same, check_same_environment, here
from . import checksum
from .commits import COMMITS, Commit, Finished, StoredFile, read_finished, write_finished, write_mark
from .layout import ArraySpec, Layout
from .store import (
    BUILDING,
    EMPTY_SLOT,
    MANIFEST,
    PLAN,
    ROWS,
    Store,
    commits_of,
    finished_of,
    metadata_files,
    metadata_of,
    missing_by,
    missing_shards,
    open_unfinished,
    stored_file,
)

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


def prepare(store: Store, schema: pa.Schema, plan: Callable[[], Iterable[pa.Table]]) -> list[int]:
    """Write what is missing beside the shards before they are rendered; gives back the shards to render.

    Only the builder that holds the store may call it. plan: its rows, each with the samples from column `first` to
    before column `stop` that it serves, in their order; asked for only when some shard is missing.
    """
    for name, data in metadata_files(store.layout, {}).items():
        if name != "zarr.json" and not (store.path / name).is_file():
            location.write(store.path / name, data)
    finished = finished_of(store)
    if finished is None:
        (store.path / COMMITS).unlink(missing_ok=True)  # without its manifest it marks nothing
    todo = missing_by(store, finished)
    if todo and not _has_plan(store):
        with tables.writer(store.path / PLAN, schema, store.provenance) as writer:
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
        return tables.read_provenance(store.path / PLAN, store.provenance.kind) == store.provenance
    except StoreError:
        return False


# ---------------------------------------------------------------------------------------------------- shards


def encode_shard(spec: ArraySpec, block: U8, shard_slots: int) -> bytes:
    """A shard file: each sample and its crc32c, then the index and its crc32c.

    Byte for byte what zarr-python writes for the same array.
    """
    index = np.full((shard_slots, 2), EMPTY_SLOT, dtype="<u8")
    pieces: list[bytes | memoryview] = []
    for row, sample in enumerate(np.ascontiguousarray(block)):
        index[row] = row * spec.stored_bytes, spec.stored_bytes
        pieces += [memoryview(sample).cast("B"), checksum.crc32c(sample)]
    packed = index.tobytes()
    return b"".join([*pieces, packed, checksum.crc32c(packed)])


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
    part = f"{ROWS}/{shard:06d}.parquet"
    packed = tables.to_bytes(rows, store.provenance)
    commit = Commit(shard, tuple(stored_file(name, each) for name, each in data.items()), stored_file(part, packed))
    finished = read_finished(store.path, store.provenance)
    if finished is not None and finished.shards.get(shard) != commit:
        raise StoreError(f"it comes out other than it was committed: remove {store.path} and build it again")
    for name, each in data.items():
        location.write(store.path / name, each)
    if finished is None:
        location.write(store.path / part, packed)
        write_mark(store.path, commit)


def _row_groups(store: Store, commits: Sequence[Commit]) -> Iterator[pa.Table]:
    """The rows of all shards, some thousand at a time."""
    step = store.layout.shards_per_row_group
    parts = location.read_all([store.path / commit.rows.path for commit in commits])
    for start in range(0, len(commits), step):
        yield pa.concat_tables([tables.parsed(next(parts)) for _ in commits[start : start + step]])


def finish(store: Store) -> None:
    """Once every shard is there: put the manifest together, mark the store, and remove what only building needed."""
    if finished_of(store) is None:
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

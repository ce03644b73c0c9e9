"""The rows of the manifest: a part for each shard while a store is being built, put together while it is.

A part is a stream of Arrow's, which is written and read in a tenth of the time of Parquet; its mark has its hash.
"""

from collections.abc import Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pyarrow as pa
from pyarrow import ipc

from ...errors import StoreError
from .. import location, tables
from ..local import named
from ..provenance import sha256
from .commits import Commit, Finished, StoredFile, write_finished
from .store import Store, metadata_of

ROWS_AT_ONCE = 1024
_SHARDS_AT_ONCE = 4  # whose rows are put into the manifest while workers wait for more to do


def to_part(rows: Iterable[pa.Table]) -> bytes:
    """The part of some rows; each table of at most ROWS_AT_ONCE, but the last of just so many."""
    sink, writer = pa.BufferOutputStream(), None
    for table in rows:
        if writer is None:
            options: Any = ipc.IpcWriteOptions(compression="zstd")
            writer = ipc.new_stream(sink, table.schema.remove_metadata(), options=options)
        writer.write_table(table.replace_schema_metadata(None), max_chunksize=ROWS_AT_ONCE)
    assert writer is not None
    writer.close()
    return sink.getvalue().to_pybytes()


def _rows_of(store: Store, commit: Commit, data: bytes) -> pa.Table:
    if sha256(data) != commit.rows.sha256:
        raise StoreError(f"{store.path / commit.rows.path} is not what was committed; remove it and build again")
    return ipc.open_stream(data).read_all()


class _Dropped(Exception):
    pass


class Merging:
    """The manifest as far as it is written: the rows of the first shards, in their order."""

    def __init__(self, store: Store, marks: Mapping[int, Commit]) -> None:
        self._store, self._marks = store, dict(marks)
        self._done = 0  # shards whose rows are taken
        self._rows: list[pa.Table] = []  # of the row group that is not full yet
        self._files: list[StoredFile] = []  # of it, that are whole
        self._open = ExitStack()
        self._writer: Any = None
        self._staged: location.Staged | None = None  # the file that is not

    def add(self, commit: Commit) -> None:
        """Take the mark of a shard that has been made, and the rows of some of those that are there."""
        self._marks[commit.shard] = commit
        self._take(_SHARDS_AT_ONCE)

    def _take(self, most: int | None = None) -> None:
        """Take the rows of the shards that come next and are there, of so many at most."""
        stop = self._done
        while stop in self._marks and (most is None or stop - self._done < most):
            stop += 1
        commits = [self._marks[shard] for shard in range(self._done, stop)]
        found = location.read_all([self._store.path / commit.rows.path for commit in commits])
        for commit, data in zip(commits, found, strict=True):
            self._rows.append(_rows_of(self._store, commit, data))
            self._done += 1
            layout = self._store.layout
            is_end = self._done % layout.shards_per_manifest == 0 or self._done == layout.num_shards
            if is_end or self._done % layout.shards_per_row_group == 0:
                self._write(pa.concat_tables(self._rows))
                self._rows = []
            if is_end:
                self._end_file()

    def _write(self, rows: pa.Table) -> None:
        if self._staged is None:
            name = self._store.layout.manifests[len(self._files)]
            self._staged, self._open = location.Staged(self._store.path / name), ExitStack()
            self._writer = self._open.enter_context(
                tables.writer_of(self._staged.file, rows.schema, self._store.provenance)
            )
        with named(self._staged.path):
            self._writer.write_table(rows, row_group_size=rows.num_rows)

    def _end_file(self) -> None:
        assert self._staged is not None
        with named(self._staged.path):
            self._open.close()
        file = self._staged.file
        self._files.append(StoredFile(self._staged.path.name, file.stat().st_size, location.sha256(file)))
        self._staged.put()
        self._staged.drop()
        self._staged = None

    def put(self) -> None:
        """Once every shard is there: the last rows take their place, and the store is marked as whole."""
        self._take()
        assert self._done == self._store.layout.num_shards
        commits = {shard: self._marks[shard] for shard in range(self._done)}
        found = Finished(commits, tuple(self._files), metadata_of(self._store))
        write_finished(self._store.path, found, self._store.provenance)

    def drop(self) -> None:
        """Take away what is half written."""
        with suppress(_Dropped):
            self._open.__exit__(_Dropped, _Dropped(), None)
        if self._staged is not None:
            self._staged.drop()


@contextmanager
def merging(store: Store, marks: Mapping[int, Commit]) -> Generator[Merging]:
    """While shards are made, put the rows of those that are there into the manifest; when the block ends without an
    error all must be there, and the store is marked as whole.

    marks: of the shards that are there already.
    """
    manifest = Merging(store, marks)
    try:
        yield manifest
        manifest.put()
    finally:
        manifest.drop()

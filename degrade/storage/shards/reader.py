"""Reads samples out of a store's shards, from a disk or object storage, and verifies their checksums.

zarr-python reads the same files, but spends 1 to 2 ms a sample on finding the shard's index again.
"""

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from io import FileIO
from pathlib import Path

import numpy as np

from ...errors import StoreError
from ...images.pixels import U8
from ..location import Place
from ..object_store import ObjectPath
from . import checksum
from .layout import ArraySpec
from .store import Store

_READERS = 16  # at once in a process, which share the files that it may have open; a training has four
_MOST_OPEN = 4096
_REQUESTS_AT_ONCE = 16


@cache
def _open_files() -> int:
    """How many files a reader keeps open: 64 of the usual limit of 1,024 a process."""
    try:
        import resource
    except ImportError:  # Windows has no such limit but one of C's, of 512
        return 512 // _READERS
    return max(1, min(_MOST_OPEN, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // _READERS))


class ShardReader:
    """Samples of one array of a store, in any order. Safe under threads, fork and pickling.

    Files are opened when first read and belong to the process that opened them.
    """

    def __init__(self, store: Store, array: str) -> None:
        self._files: OrderedDict[int, FileIO] = OrderedDict()
        self._store = store
        self._spec: ArraySpec = store.layout.array(array)
        self._begin_process()

    def _begin_process(self) -> None:
        """After fork the lock may be one that a thread of the parent held, and the files are the parent's."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self.close()

    def __del__(self) -> None:
        self.close()

    def __len__(self) -> int:
        return self._store.layout.num_samples

    def __getstate__(self) -> tuple[Store, str]:
        return self._store, self._spec.name

    def __setstate__(self, state: tuple[Store, str]) -> None:
        self.__init__(*state)

    def _path(self, shard: int) -> Place:
        return self._store.path / self._store.layout.shard_name(self._spec, shard)

    def _file(self, shard: int, path: Path) -> FileIO:
        """An open file of the shard; the caller holds the lock until it has read."""
        if shard in self._files:
            self._files.move_to_end(shard)
            return self._files[shard]
        if len(self._files) >= _open_files():
            self._files.popitem(last=False)[1].close()
        self._files[shard] = FileIO(path)
        return self._files[shard]

    def _read_pieces(self, shard: int, path: Path, rows: Sequence[int], targets: Sequence[U8]) -> list[bytes]:
        """Read samples of a shard on a disk into their places; gives back their stored checksums."""
        found: list[bytes] = []
        for row, target in zip(rows, targets, strict=True):
            stored = bytearray(checksum.BYTES)
            with self._lock:
                file = self._file(shard, path)
                file.seek(row * self._spec.stored_bytes)
                got = file.readinto(target.data.cast("B")) + file.readinto(stored)
            found.append(bytes(stored) if got == self._spec.stored_bytes else b"")
        return found

    def _fetch(self, path: ObjectPath, rows: Sequence[int], targets: Sequence[U8]) -> list[bytes]:
        """The same of a shard on object storage, in few requests."""
        starts = [row * self._spec.stored_bytes for row in rows]
        pieces = path.read_ranges(starts, self._spec.stored_bytes)
        for piece, target in zip(pieces, targets, strict=True):
            if len(piece) == self._spec.stored_bytes:
                target.reshape(-1)[:] = np.frombuffer(piece, dtype=np.uint8, count=target.size)
        return [piece[self._spec.sample_bytes :] for piece in pieces]

    def _read_shard(self, shard: int, rows: Sequence[int], targets: Sequence[U8]) -> None:
        path = self._path(shard)
        try:
            if isinstance(path, Path):
                stored = self._read_pieces(shard, path, rows, targets)
            else:
                stored = self._fetch(path, rows, targets)
        except OSError as error:
            mend = "raise `ulimit -n`" if error.errno in (errno.EMFILE, errno.ENFILE) else "verify the store"
            raise StoreError(f"{path} cannot be read: {error.strerror}; {mend}") from None
        for row, found, target in zip(rows, stored, targets, strict=True):
            sample = shard * self._store.layout.samples_per_shard + row
            if len(found) != checksum.BYTES:
                raise StoreError(f"{path} ends inside sample {sample}; verify the store")
            if found != checksum.crc32c(target):
                raise StoreError(f"{path}: sample {sample} fails its checksum; verify the store")

    def read(self, samples: Sequence[int]) -> U8:
        """[len(samples), *sample_shape] uint8, in the order asked for.

        Raises:
            IndexError: no such sample.
            StoreError: a file is gone, cut short, or its bytes changed; or object storage does not answer.
        """
        if self._pid != os.getpid():
            self._begin_process()
        out = np.empty((len(samples), *self._spec.sample_shape), dtype=np.uint8)
        by_shard: dict[int, list[tuple[int, U8]]] = {}
        for sample, target in zip(samples, out, strict=True):
            if not 0 <= sample < len(self):
                raise IndexError(f"sample {sample} is not in 0..{len(self) - 1}")
            shard, row = divmod(int(sample), self._store.layout.samples_per_shard)
            by_shard.setdefault(shard, []).append((row, target))
        reads = [(shard, [row for row, _ in each], [target for _, target in each]) for shard, each in by_shard.items()]
        if isinstance(self._store.path, Path) or len(reads) == 1:
            for read in reads:
                self._read_shard(*read)
        else:
            with ThreadPoolExecutor(min(len(reads), _REQUESTS_AT_ONCE)) as pool:
                for done in [pool.submit(self._read_shard, *read) for read in reads]:
                    done.result()
        return out

    def close(self) -> None:
        """Close the files; the next read opens them again."""
        while self._files:
            self._files.popitem()[1].close()

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
from typing import Any

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


class _File(FileIO):
    """A file that closes itself once nobody has it, and is read at any place by any thread."""

    def __init__(self, path: Place) -> None:
        super().__init__(str(path))
        self._lock = threading.Lock()

    def __del__(self) -> None:
        self.close()

    def read_at(self, start: int, *targets: U8) -> int:
        """Fill arrays with what follows a place; gives back how many bytes there were."""
        if hasattr(os, "preadv"):
            return os.preadv(self.fileno(), list[Any](targets), start)
        with self._lock:  # Windows has one place for all
            self.seek(start)
            return sum(self.readinto(target.data) for target in targets)


class ShardReader:
    """Samples of one array of a store, in any order. Safe under threads, fork and pickling.

    Files are opened when first read and belong to the process that opened them.
    """

    def __init__(self, store: Store, array: str) -> None:
        self._files: OrderedDict[int, _File] = OrderedDict()
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

    def _file(self, shard: int) -> _File:
        """An open file of the shard, which stays open as long as somebody has it."""
        with self._lock:
            if shard in self._files:
                self._files.move_to_end(shard)
                return self._files[shard]
            while len(self._files) >= _open_files():
                self._files.popitem(last=False)
            self._files[shard] = found = _File(self._path(shard))
            return found

    def _read_file(self, shard: int, row: int, image: U8, of: U8) -> None:
        """Read a sample of a shard on a disk, and its stored checksum, into their places, and check it."""
        try:
            num_bytes = self._file(shard).read_at(row * self._spec.stored_bytes, image, of)
        except OSError as error:
            mend = "raise `ulimit -n`" if error.errno in (errno.EMFILE, errno.ENFILE) else "verify the store"
            raise self._unread(shard, error, mend) from None
        self._check(shard, row, num_bytes, image, of)

    def _fetch(self, shard: int, rows: Sequence[int], images: Sequence[U8], sums: Sequence[U8]) -> None:
        """The same of samples of a shard on object storage, in few requests."""
        path = self._path(shard)
        assert isinstance(path, ObjectPath)
        try:
            pieces = path.read_ranges([row * self._spec.stored_bytes for row in rows], self._spec.stored_bytes)
        except OSError as error:
            raise self._unread(shard, error, "verify the store") from None
        for row, piece, image, of in zip(rows, pieces, images, sums, strict=True):
            if len(piece) == self._spec.stored_bytes:
                image[:] = np.frombuffer(piece, dtype=np.uint8, count=image.size)
                of[:] = np.frombuffer(piece, dtype=np.uint8, offset=image.size)
            self._check(shard, row, len(piece), image, of)

    def _unread(self, shard: int, error: OSError, mend: str) -> StoreError:
        return StoreError(f"{self._path(shard)} cannot be read: {error.strerror}; {mend}")

    def _check(self, shard: int, row: int, num_bytes: int, image: U8, of: U8) -> None:
        sample = shard * self._store.layout.samples_per_shard + row
        if num_bytes != self._spec.stored_bytes:
            raise StoreError(f"{self._path(shard)} ends inside sample {sample}; verify the store")
        if of.tobytes() != checksum.crc32c(image):
            raise StoreError(f"{self._path(shard)}: sample {sample} fails its checksum; verify the store")

    def read(self, samples: Sequence[int]) -> U8:
        """[len(samples), *sample_shape] uint8, in the order asked for.

        Raises:
            IndexError: no such sample.
            StoreError: a file is gone, cut short, or its bytes changed; or object storage does not answer.
        """
        if self._pid != os.getpid():
            self._begin_process()
        wanted = np.asarray(samples, dtype=np.int64).reshape(-1)
        beyond = (wanted < 0) | (wanted >= len(self))
        if beyond.any():
            raise IndexError(f"sample {wanted[beyond][0]} is not in 0..{len(self) - 1}")
        images = np.empty((len(wanted), self._spec.sample_bytes), dtype=np.uint8)
        sums = np.empty((len(wanted), checksum.BYTES), dtype=np.uint8)
        shards, rows = (each.tolist() for each in np.divmod(wanted, self._store.layout.samples_per_shard))
        if isinstance(self._store.path, Path):
            for each in zip(shards, rows, images, sums, strict=True):
                self._read_file(*each)
        else:
            by_shard: dict[int, list[int]] = {}
            for place, shard in enumerate(shards):
                by_shard.setdefault(shard, []).append(place)
            with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
                fetched = [
                    pool.submit(self._fetch, shard, *([part[i] for i in at] for part in (rows, images, sums)))
                    for shard, at in by_shard.items()
                ]
                for each in fetched:
                    each.result()
        return images.reshape(len(wanted), *self._spec.sample_shape)

    def close(self) -> None:
        """Close the files, once nobody reads them any more; the next read opens them again."""
        self._files.clear()

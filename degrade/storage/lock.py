"""One builder at a time in a folder on a disk; on object storage it is a lease (lease.py)."""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import BusyError, StoreError
from .local import PARTIAL

LOCK = ".rwsr.lock"  # how the name ends; a process that was killed leaves it, and it holds nothing


def is_leftover(name: str) -> bool:
    """Whether a file is but what a process that was killed may leave: a lock, or what was half-written."""
    return name.endswith((LOCK, PARTIAL))


@contextmanager
def only_builder(folder: Path, of: str = "") -> Generator[None]:
    """Hold a folder for one building process. The lock goes with the process, however it ends; its children have none.

    of: a file of it, to hold that alone. A folder that was not there, and is empty in the end, is gone again.

    Raises:
        BusyError: another process is building in it.
        StoreError: it cannot be written to, or what has the lock's name is no file.
    """
    made, at = not folder.exists(), folder / f"{of and '.'}{of}{LOCK}"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(at, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(f"{folder / of} is in use by another process; wait for it, or use another --out") from None
    except OSError as error:
        if at.is_symlink() or at.is_dir():
            raise StoreError(f"{at} is no lock but a link or a folder; remove it") from None
        raise StoreError(
            f"{folder} cannot be written to ({error.strerror}); change its permissions, or use another --out"
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):  # still held: who has opened it meanwhile sees that it has no name any more
            os.unlink(lock.lock_file)
        lock.release()
        if made:
            with suppress(OSError):
                folder.rmdir()

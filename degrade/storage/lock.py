"""One builder at a time in a folder on a disk; on object storage it is a lease (lease.py)."""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import BusyError

LOCK = ".rwsr.lock"  # in a folder that is held; a process that was killed leaves it, and it holds nothing


@contextmanager
def only_builder(folder: Path) -> Generator[None]:
    """Hold a folder for one building process. The lock goes with the process, however it ends; its children have none.

    Raises:
        BusyError: another process is building in it.
    """
    lock = FileLock(folder / LOCK, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(f"{folder} is in use by another process; wait for it, or use another --out") from None
    try:
        yield
    finally:
        with suppress(OSError):  # still held: who has opened it meanwhile sees that it has no name any more
            os.unlink(lock.lock_file)
        lock.release()

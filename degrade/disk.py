"""Files that are either whole or not there: written beside, flushed to the disk, then renamed."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from .errors import StoreError


def sync_folder(folder: Path) -> None:
    """Flush a folder's names: a rename survives a power cut only after this."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def partial_name(path: Path) -> Path:
    """Where a file stands while it is being written; a leftover from a killed run is overwritten."""
    return path.with_name(f"{path.name}.{os.getpid()}.partial")


def _write_beside(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = partial_name(path)
    try:
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return beside


def write_atomic(path: Path, data: bytes) -> None:
    """Put a file under its name, whole, replacing what was there."""
    beside = _write_beside(path, data)
    try:
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None
    sync_folder(path.parent)


def write_once(path: Path, data: bytes) -> None:
    """Put a file under a name that must be free; the same bytes again are fine.

    Raises:
        StoreError: another writer put other bytes there first.
    """
    beside = _write_beside(path, data)
    try:
        os.link(beside, path)
    except FileExistsError:
        if path.read_bytes() != data:
            raise StoreError(
                f"{path} exists with other content: two builds write to one place, or the build is not "
                "deterministic; build into a new folder"
            ) from None
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)


def remove_partials(folder: Path) -> None:
    """Delete what killed runs left half-written below a folder; nobody else may be writing there."""
    for leftover in folder.rglob("*.partial"):
        leftover.unlink(missing_ok=True)


@contextmanager
def only_builder(folder: Path) -> Generator[None]:
    """Hold a folder for one building process; the lock goes with the process, however it ends.

    Raises:
        StoreError: another process is building in it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StoreError(f"{folder} is being built by another process; wait for it, or use another --out") from None
    try:
        yield
    finally:
        os.close(descriptor)

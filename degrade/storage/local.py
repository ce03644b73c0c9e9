"""Files on a disk that are either whole or not there: written beside, flushed to the disk, then renamed."""

import errno
import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from .machine import is_running, machine

PARTIAL = ".partial"


def sync_folder(folder: Path) -> None:
    """Flush a folder's names: a rename survives a power cut only after this. Windows flushes no folders."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _partial(path: Path) -> Path:
    """Where a file of this process stands while it is written: short whatever its own name is."""
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]
    return path.with_name(f"{path.name[:40]}.{name}.{machine()}-{os.getpid()}{PARTIAL}")


@cache
def _tidied(folder: Path, pid: int) -> None:
    """Once a process and folder: remove what killed runs of this machine left half-written there."""
    for leftover in folder.glob(f"*{PARTIAL}"):
        where, dash, number = leftover.name.removesuffix(PARTIAL).rpartition(".")[2].partition("-")
        if dash and where == machine() and number.isdigit() and int(number) != pid and not is_running(int(number)):
            leftover.unlink(missing_ok=True)


@contextmanager
def named(path: object) -> Generator[None]:
    """Trouble in the block names that file, whatever stands for it while it is written."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from None


def made_beside(path: Path) -> Path:
    """Where a file stands while it is written, made anew, never through a link."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is not a regular file; name another place", str(path))
    _tidied(path.parent, os.getpid())
    beside = _partial(path)
    with named(path):
        beside.unlink(missing_ok=True)
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # fails where somebody put a link
    return beside


def put(beside: Path, path: Path) -> None:
    """Give a file that was written beside its name, once it is on the disk."""
    with named(path):
        with open(beside, "rb") as opened:
            os.fsync(opened.fileno())
        os.replace(beside, path)
        sync_folder(path.parent)


@contextmanager
def _beside(path: Path) -> Generator[Path]:
    """Where a file stands while it is written; gone when the block ends, and trouble names the file itself."""
    beside = made_beside(path)
    try:
        with named(path):
            yield beside
    finally:
        beside.unlink(missing_ok=True)


def _write(file: Path, data: bytes) -> None:
    with open(file, "wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())


def write_atomic(path: Path, data: bytes) -> None:
    """Put a file under its name, whole, replacing what was there."""
    with _beside(path) as beside:
        _write(beside, data)
        os.replace(beside, path)
    sync_folder(path.parent)


def write_new(path: Path, data: bytes) -> bool:
    """Put a file under a name that must be free; False when another file has it."""
    with _beside(path) as beside:
        _write(beside, data)
        try:
            os.link(beside, path)
        except FileExistsError:
            return False
    sync_folder(path.parent)
    return True

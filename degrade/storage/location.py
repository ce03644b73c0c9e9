"""Where artefacts lie: a path on a disk or on object storage, and the few things that are done to either.

A file is either whole or not there: written beside and renamed on a disk, put by one request on object storage.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from ..errors import StoreError, UserError
from . import local, lock
from .lease import LEASE_SECONDS, lease
from .object_store import SCHEMES, ObjectPath

_LEASE = "lease.json"  # on object storage, in a folder that is held
Place = Path | ObjectPath
_REQUESTS_AT_ONCE, _READ_AHEAD = 16, 128


def place(text: "str | Place") -> Place:
    """The place that a path or a URL names; file:// URLs are paths.

    Raises:
        UserError: a URL of another kind, or one that is not well-formed.
    """
    if isinstance(text, Path | ObjectPath):
        return text
    scheme, colon, rest = text.partition("://")
    if not colon or not scheme.isalnum():
        typo = re.match(r"(file|s3|gs|az):/*(?=.)", text, re.IGNORECASE)
        if typo is not None and not os.path.lexists(text):
            raise UserError(f"{text} is neither a path nor a URL; write {typo[1].lower()}://{text[typo.end() :]}")
        return Path(text)
    scheme = scheme.lower()
    if scheme == "file":
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost") or not parts.path:
            raise UserError(f"{text} names another machine; write file:///folder")
        return Path(unquote(parts.path))
    if scheme in SCHEMES:
        return ObjectPath.parse(f"{scheme}://{rest}")
    known = ", ".join(f"{name}://" for name in ("file", *SCHEMES))
    raise UserError(f"{scheme}:// URLs are not known here; use a path or one of {known}")


def absolute(path: Place) -> Place:
    """The place by a name that holds in any folder."""
    return Path(os.path.abspath(path)) if isinstance(path, Path) else path


def write(path: Place, data: bytes) -> None:
    """Put a file under its name, whole, replacing what was there."""
    if isinstance(path, Path):
        local.write_atomic(path, data)
    else:
        path.write_bytes(data)


def write_new(path: Place, data: bytes) -> bool:
    """Put a file under a name that must be free; False when another file has it."""
    return local.write_new(path, data) if isinstance(path, Path) else path.write_new(data) is not None


def write_once(path: Place, data: bytes) -> None:
    """Put a file under a name that must be free; the same bytes again are fine.

    Raises:
        StoreError: another writer put other bytes there first.
    """
    if not write_new(path, data) and path.read_bytes() != data:
        raise StoreError(
            f"{path} exists with other content: two builds write to one place, or the build is not "
            "deterministic; build into a new folder"
        )


class Staged:
    """A local file to write over a longer time, among other work: `put` gives it its name, whole, and `drop` takes it
    away where it was not put.
    """

    def __init__(self, path: Place) -> None:
        self.path = path
        self._folder = None if isinstance(path, Path) else tempfile.TemporaryDirectory()
        self.file = local.made_beside(path) if isinstance(path, Path) else Path(self._folder.name) / path.name  # type: ignore[union-attr]

    def put(self) -> None:
        if isinstance(self.path, Path):
            local.put(self.file, self.path)
        else:
            self.path.upload(self.file)

    def drop(self) -> None:
        self.file.unlink(missing_ok=True)
        if self._folder is not None:
            self._folder.cleanup()


@contextmanager
def written(path: Place) -> Generator[Path]:
    """A local file to write; it is put under its name, whole, when the block ends without an error."""
    staged = Staged(path)
    try:
        with local.named(path):
            yield staged.file
        staged.put()
    finally:
        staged.drop()


def open_file(path: Place) -> BinaryIO:
    """A file to read and seek in; raises OSError."""
    return open(path, "rb") if isinstance(path, Path) else path.open()


def size(path: Place) -> int | None:
    """How many bytes a file has; None where there is none."""
    try:
        return path.stat().st_size if isinstance(path, Path) else path.size()
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_empty(folder: Place) -> bool:
    """Whether nothing is there but what a killed run left half-written."""
    if isinstance(folder, ObjectPath):
        return all(each.name == _LEASE for each in folder.below()) and not folder.is_file()
    if not os.path.lexists(folder):
        return True
    names = [each.name for each in folder.iterdir()] if folder.is_dir() else ["a file"]
    return all(map(lock.is_leftover, names))


def sha256(path: Place) -> str:
    """The hash of a file, read in pieces; raises OSError."""
    if isinstance(path, Path):
        with open(path, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    digest = hashlib.sha256()
    for chunk in path.chunks():
        digest.update(chunk)
    return digest.hexdigest()


def sizes(folder: Place, names: Iterable[str]) -> dict[str, int]:
    """Of those names below a folder that are files, how many bytes each has."""
    if isinstance(folder, ObjectPath):
        there = {each.name: each.bytes for each in folder.below()}
        return {name: there[name] for name in names if name in there}
    found: dict[str, int] = {}
    for name in names:
        try:
            found[name] = os.stat(os.path.join(folder, name)).st_size
        except OSError:
            continue
    return found


def read_all(paths: Sequence[Place]) -> Iterator[bytes]:
    """The bytes of each file, in order; those on object storage are asked for many at a time."""
    if not any(isinstance(path, ObjectPath) for path in paths):
        yield from map(_read_bytes, paths)
        return
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        for start in range(0, len(paths), _READ_AHEAD):
            yield from pool.map(_read_bytes, paths[start : start + _READ_AHEAD])


def _read_bytes(path: Place) -> bytes:
    return path.read_bytes()


def names_below(folder: Place) -> list[str]:
    """The name of every file below a folder, from there, in order."""
    if isinstance(folder, ObjectPath):
        return [each.name for each in folder.below()]
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def remove_below(folder: Place) -> None:
    """Delete a folder and all that is in it; nothing when it is not there."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        folder.remove_below()


def make_folder(folder: Place) -> None:
    """See to it that files can be written below; object storage needs nothing."""
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def only_builder(folder: Place, wait: Callable[[str], None], of: str = "") -> Generator[Callable[[], None]]:
    """Hold a folder for one building process; gives a check that raises once another has taken it over.

    On a disk the lock goes with the process, however it ends. On object storage it is a lease; where a killed build
    may still hold it, `wait` is called with a line for the person. of: a file of it, to hold that alone.

    Raises:
        BusyError: another process is building in it.
    """
    if isinstance(folder, Path):
        with lock.only_builder(folder, of):
            yield lambda: None
    else:
        line = f"{folder} was being built; seeing for {LEASE_SECONDS:g} s whether that build lives"
        with lease(folder / f"{of}{of and '.'}{_LEASE}", lambda: wait(line)) as check:
            yield check


def remove_partials(folder: Place) -> None:
    """Delete what killed runs left half-written below a folder that is held; object storage shows no such thing."""
    if isinstance(folder, Path):
        for leftover in folder.rglob("*.partial"):
            leftover.unlink(missing_ok=True)

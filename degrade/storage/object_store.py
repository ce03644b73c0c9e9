"""Paths on object storage: s3://, gs:// and az:// URLs with the part of pathlib.Path that our artefacts need.

Credentials, endpoint and region come from the environment alone (AWS_*, GOOGLE_*, AZURE_*, as obstore reads them).
A request is tried again for about a minute before it fails; every failure is an OSError that names the URL.
"""

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import UserError
from .object_client import as_os_error, client_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

SCHEMES = ("s3", "gs", "az")
_READ_BYTES = 2**18  # what one request of an opened object asks for at least
_CHUNK_BYTES = 4 * 2**20
_PART_BYTES = 64 * 2**20  # of a file that is put in several requests; a smaller one takes one
_PARTS_AT_ONCE = 4


@dataclass(frozen=True)
class Listed:
    """An object below a folder: its name from there, its size, and when it was written."""

    name: str
    bytes: int
    modified_ns: int


@dataclass(frozen=True)
class ObjectPath:
    """A bucket (`s3://name`) and a key in it, without slashes at its ends. Small, hashable, picklable.

    As with files, a folder is what other names begin with; but it needs no making.
    """

    bucket: str
    key: str = ""

    @staticmethod
    def parse(url: str) -> "ObjectPath":
        """The path of an s3://, gs:// or az:// URL.

        Raises:
            UserError: it has no bucket, or carries credentials, a query, or `..`.
        """
        scheme, _, rest = url.partition("://")
        bucket, _, key = rest.partition("/")
        if "@" in bucket or "?" in url:
            raise UserError(f"{scheme}:// URL with credentials or a query: give credentials in the environment only")
        key = key.rstrip("/")
        if scheme not in SCHEMES or not bucket or any(part in ("", ".", "..") for part in key.split("/") if key):
            raise UserError(f"{url} is not a URL like {scheme}://bucket/folder/name")
        return ObjectPath(f"{scheme}://{bucket}", key)

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key}" if self.key else self.bucket

    def __truediv__(self, name: "str | Path") -> "ObjectPath":
        return ObjectPath(self.bucket, f"{self.key}/{name}" if self.key else str(name))

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2] or self.bucket.partition("://")[2]

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix

    @property
    def stem(self) -> str:
        return Path(self.name).stem

    @property
    def parent(self) -> "ObjectPath":
        return ObjectPath(self.bucket, self.key.rpartition("/")[0])

    def with_name(self, name: str) -> "ObjectPath":
        return self.parent / name

    def with_suffix(self, suffix: str) -> "ObjectPath":
        return self.with_name(f"{self.stem}{suffix}")

    # ------------------------------------------------------------------------------------------------ reading

    def size(self) -> int:
        """Bytes; raises FileNotFoundError."""
        import obstore

        with as_os_error(self):
            return obstore.head(client_of(self.bucket), self.key)["size"]

    def is_file(self) -> bool:
        """Whether there is an object of just this name."""
        try:
            return bool(self.key) and self.size() >= 0
        except FileNotFoundError:
            return False

    def exists(self) -> bool:
        """Whether there is an object of this name, or any below it."""
        return self.is_file() or next(self.below(), None) is not None

    def read_bytes(self) -> bytes:
        """The whole object; raises FileNotFoundError."""
        import obstore

        with as_os_error(self):
            return obstore.get(client_of(self.bucket), self.key).bytes().to_bytes()

    def chunks(self) -> Iterator[bytes]:
        """The object in pieces of some MiB; raises FileNotFoundError."""
        import obstore

        with as_os_error(self):
            for chunk in obstore.get(client_of(self.bucket), self.key).stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(chunk)

    def read_text(self) -> str:
        return self.read_bytes().decode()

    def read_ranges(self, starts: Sequence[int], num_bytes: int) -> list[bytes]:
        """Pieces of one length, in the order asked for; neighbours come in one request."""
        import obstore

        with as_os_error(self):
            found = obstore.get_ranges(
                client_of(self.bucket), self.key, starts=list(starts), lengths=[num_bytes] * len(starts)
            )
            return [piece.to_bytes() for piece in found]

    def open(self) -> BinaryIO:
        """The object as a file for libraries that seek in it."""
        return io.BufferedReader(_ObjectFile(self), _READ_BYTES)

    def below(self) -> Iterator[Listed]:
        """Every object below this folder, in the order of their names."""
        import obstore

        start = len(self.key) + 1 if self.key else 0
        with as_os_error(self):
            for page in obstore.list(client_of(self.bucket), self.key or None, chunk_size=1000):
                for each in page:
                    modified_ns = int(each["last_modified"].timestamp() * 1_000_000) * 1000
                    yield Listed(each["path"][start:], each["size"], modified_ns)

    # ------------------------------------------------------------------------------------------------ writing

    def write_bytes(self, data: bytes) -> None:
        """Put the object, whole, over what was there."""
        import obstore

        with as_os_error(self):
            obstore.put(client_of(self.bucket), self.key, data, use_multipart=False)

    def write_new(self, data: bytes, over: str | None = None) -> str | None:
        """Put the object where there is none, or over the version `over`; gives back its version.

        None where another writer was first.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with as_os_error(self):
            try:
                mode: Any = "create" if over is None else {"e_tag": over}
                return obstore.put(client_of(self.bucket), self.key, data, mode=mode, use_multipart=False)["e_tag"]
            except (AlreadyExistsError, PreconditionError):
                return None

    def read_version(self) -> tuple[bytes, str]:
        """The object and its version, as `write_new` takes it; raises FileNotFoundError."""
        import obstore

        with as_os_error(self):
            found = obstore.get(client_of(self.bucket), self.key)
            return found.bytes().to_bytes(), found.meta["e_tag"] or ""

    def upload(self, file: Path) -> None:
        """Put a local file here, whole, whatever its size."""
        import obstore

        with as_os_error(self):
            obstore.put(
                client_of(self.bucket),
                self.key,
                file,
                use_multipart=file.stat().st_size > _PART_BYTES,
                chunk_size=_PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the object."""
        import obstore

        if not missing_ok:
            self.size()
        with as_os_error(self):
            obstore.delete(client_of(self.bucket), self.key)

    def remove_below(self) -> None:
        """Delete every object below this folder."""
        import obstore

        names = [str((self / each.name).key) for each in self.below()]
        with as_os_error(self):
            for start in range(0, len(names), 1000):
                obstore.delete(client_of(self.bucket), names[start : start + 1000])


class _ObjectFile(io.RawIOBase):
    """An object as a raw file: each read is one request."""

    def __init__(self, path: ObjectPath) -> None:
        super().__init__()
        self._path, self._size, self._at = path, path.size(), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "Buffer") -> int:  # type: ignore[override]
        target = memoryview(buffer).cast("B")
        wanted = min(len(target), self._size - self._at)
        if wanted <= 0:
            return 0
        target[:wanted] = self._path.read_ranges([self._at], wanted)[0]
        self._at += wanted
        return wanted

"""The bytes and the pixels of files, on a disk or on object storage."""

import hashlib
from pathlib import Path

from ..errors import ImageError
from ..storage.lmdb_folder import read_lmdb
from ..storage.location import Place
from .decode import decode
from .pixels import U8


def read_bytes(path: Place) -> bytes:
    """The bytes of a source file.

    Raises:
        ImageError: `unreadable` when the system refuses.
        ConnectionError: object storage does not answer.
    """
    if isinstance(path, Path) and not path.is_file():
        if not path.exists() and (inside := read_lmdb(path)) is not None:
            return inside
        raise ImageError("unreadable", "is not a regular file (a dangling link, a pipe or a device)")
    try:
        return path.read_bytes()
    except ConnectionError:
        raise  # object storage does not answer, which says nothing about this image
    except OSError as error:
        raise ImageError("unreadable", f"cannot be read: {error.strerror or error}") from None


def read_source(root: Place, name: str, sha256: str) -> U8:
    """The pixels [H, W, 3] uint8 RGB of an indexed source, after checking that it is still the same file.

    Its size was accepted when it was indexed, so there is no limit here.

    Raises:
        ImageError: `changed` when the bytes are not those that were indexed; else as `decode`.
    """
    file = root / name
    try:
        data = read_bytes(file)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ImageError(
                "changed",
                "changed since it was indexed; index the folder again, with --rehash where its time is as before",
            )
        return decode(data, max_pixels=None).pixels
    except ImageError as error:
        raise ImageError(error.status, f"{file} {error.reason}") from None

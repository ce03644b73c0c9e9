"""The chunks of a PNG file: their checksums, and which of them have no say."""

import struct
import zlib

from ...errors import ImageError

_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")


def without_texts(png: bytes) -> bytes:
    """A PNG without its texts, but those that may be EXIF data."""
    parts, at, kept = list[bytes](), 8, 0
    while at + 12 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        end = at + 12 + length
        if kind in _TEXT_CHUNKS and not png.startswith(b"Raw profile type", at + 8):
            parts.append(png[kept:at])
            kept = end
        at = end
    return b"".join([*parts, png[kept:]]) if parts else png


def png_chunks(data: bytes) -> dict[bytes, slice]:
    """Where each kind of chunk in a PNG first stands; raises ImageError unless each has the right checksum and the
    last is there."""
    at, view = 8, memoryview(data)
    found: dict[bytes, slice] = {}
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            break
        if zlib.crc32(view[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise ImageError("damaged", f"cannot be decoded whole: wrong checksum in chunk {kind!r} at byte {at}")
        found.setdefault(kind, slice(at, end + 4))
        if kind == b"IEND":
            return found
        at = end + 4
    raise ImageError("damaged", f"cannot be decoded whole: the file ends after {len(data)} bytes")

"""The crc32c of a buffer, as Zarr's codec of that name stores it."""

import google_crc32c

from ...images.pixels import U8

BYTES = 4


def crc32c(data: bytes | U8) -> bytes:
    """The 4 bytes that follow a chunk on the disk (little endian). Arrays are contiguous uint8, not copied."""
    if not isinstance(data, bytes):
        data = data.view()
        data.flags.writeable = False  # the library takes a numpy buffer only when nobody could write to it
    return int(google_crc32c.value(data)).to_bytes(BYTES, "little")

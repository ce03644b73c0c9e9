"""Images to restore and the files of what became of them: 8 or 16 bits, gray or colour, alpha, and colour profile."""

import struct
import zlib
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from ...degrade.images.decode import decode_stored
from .tiling import Pixels

_HEADER_BYTES = 33  # of a PNG: its signature and IHDR, behind which colour chunks stand


@dataclass(frozen=True)
class Picture:
    """An image to restore: colours [h, w, 3] of 8 or 16 bits, alpha [h, w] of as many, and whether it is gray.

    Where alpha hides a place it has the colour of the nearest one that is seen, so that no hidden colour bleeds into
    what is seen. profile: the ICC profile that the colours are of; chunks: of a PNG, which say the same.
    """

    pixels: Pixels
    alpha: Pixels | None
    gray: bool
    profile: bytes | None = None
    chunks: bytes = b""


def read_picture(data: bytes) -> Picture:
    """The picture in the bytes of a file, upright, decoded strictly.

    Raises:
        ImageError: as `degrade.images.decode.decode`.
    """
    found = decode_stored(data)
    pixels = found.colours if found.alpha is None else _filled(found.colours, found.alpha)
    return Picture(pixels, found.alpha, found.gray, found.profile, found.chunks)


def _filled(colours: Pixels, alpha: Pixels) -> Pixels:
    """The colours, each hidden one that of the nearest pixel that is not."""
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return colours
    nearest = distance_transform_edt(hidden, return_distances=False, return_indices=True)
    assert isinstance(nearest, np.ndarray)
    return np.ascontiguousarray(colours[nearest[0], nearest[1]])


def enlarged_alpha(alpha: Pixels, scale: int) -> Pixels:
    """Alpha at the size of SR, bicubic."""
    height, width = alpha.shape[0] * scale, alpha.shape[1] * scale
    found = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(found, dtype=alpha.dtype)


def encode_picture(picture: Picture) -> bytes:
    """A PNG file with the bits, the alpha, the channels and the colour profile of a picture; a gray one is the mean of
    its colours.
    """
    bits = picture.pixels.dtype
    colours = picture.pixels[..., ::-1]
    if picture.gray:
        colours = np.rint(picture.pixels.astype(np.float32).mean(axis=2)).astype(bits)[..., None]
    if picture.alpha is not None:  # PNG's gray with alpha is not among OpenCV's
        colours = colours.repeat(3, axis=2) if colours.shape[2] == 1 else colours
        colours = np.concatenate([colours, picture.alpha[..., None]], axis=2)
    done, data = cv2.imencode(".png", colours)
    assert done
    png = data.tobytes()
    said = picture.chunks + _profile_chunk(picture.profile, gray=colours.shape[2] == 1)
    return png[:_HEADER_BYTES] + said + png[_HEADER_BYTES:]


def _profile_chunk(profile: bytes | None, *, gray: bool) -> bytes:
    """iCCP; nothing where the profile is not of such pixels: that of a CMYK file, say, which became RGB."""
    if profile is None or profile[16:20] != (b"GRAY" if gray else b"RGB "):
        return b""
    body = b"iCCP" + b"ICC profile\0\0" + zlib.compress(profile)
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))

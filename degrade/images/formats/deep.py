"""Images of more than eight bits a channel, most of which Pillow does not open."""

import io

import cv2
import numpy as np
from PIL import ImageFile as PillowFile
from PIL import TiffImagePlugin

from ...errors import ImageError
from ..pixels import U8, U16

TIFF_BITS_PER_SAMPLE = 258
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_PHOTOMETRIC = 256, 257, 262
_TIFF_EXTRA_SAMPLES = 338
_WHITE_IS_ZERO, _PREMULTIPLIED = 0, 1  # of TIFF's photometric interpretation, and of its extra samples


class DeepTiff:
    """The header of a TIFF of 9 to 15 bits, or of 16 with 0 for white, most of which Pillow does not open."""

    format, info = "TIFF", {}

    def __init__(self, tags: TiffImagePlugin.ImageFileDirectory_v2) -> None:
        self.tag_v2 = tags
        self.size = int(tags[_TIFF_WIDTH]), int(tags[_TIFF_HEIGHT])
        self.mode = f"{max(tags[TIFF_BITS_PER_SAMPLE])}-bit"


def deep_tiff(data: bytes) -> DeepTiff | None:
    """The header of a TIFF file of such bits; None for all others."""
    if not data.startswith((b"II*\0", b"MM\0*")):
        return None
    file = io.BytesIO(data)
    tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
    file.seek(tags.next)
    try:
        tags.load(file)
        bits = max(tags[TIFF_BITS_PER_SAMPLE])
    except Exception:  # whatever it is, Pillow says it better
        return None
    turned_over = bits == 16 and tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
    return DeepTiff(tags) if 8 < bits < 16 or turned_over else None


def deep_levels(data: bytes, image: "PillowFile.ImageFile | DeepTiff", bits: int) -> U16:
    """The values of a file of more than 8 bits, [h, w, 1, 3 or 4] RGB with alpha, of which white is 65535.

    Those of a TIFF are upright, those of a PNG as they are stored.
    """
    found = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16:  # pyright: ignore[reportUnnecessaryComparison]
        reason = f"{bits} bits a channel in a form without a policy; convert it to 8-bit RGB"
        raise ImageError("unsupported-mode", reason)
    levels = np.asarray(found[..., None] if found.ndim == 2 else found[..., [2, 1, 0, 3][: found.shape[2]]])
    if bits < 16:  # in the high bits
        top = (1 << bits) - 1
        levels = ((levels.astype(np.uint32) >> (16 - bits)) * 65535 + top // 2) // top
    tags = getattr(image, "tag_v2", {})
    if levels.shape[2] == 1 and tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
        levels = 65535 - levels
    if levels.shape[2] == 4 and _PREMULTIPLIED in tags.get(_TIFF_EXTRA_SAMPLES, ()):
        alpha = np.maximum(levels[..., 3:].astype(np.uint32), 1)
        colours = np.minimum((levels[..., :3].astype(np.uint32) * 65535 + alpha // 2) // alpha, 65535)
        levels = np.concatenate([colours, levels[..., 3:]], axis=2)
    return levels.astype(np.uint16)


def to_8_bits(levels: U16) -> U8:
    return ((levels.astype(np.uint32) + 128) // 257).astype(np.uint8)

"""Images to restore and the files of what became of them: 8 or 16 bits, grey or colour, with their alpha."""

import io
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image

from ..degrade.errors import ImageError
from ..degrade.image import decode
from .restore import Pixels


@dataclass(frozen=True)
class Picture:
    """An image as its file has it: colours [h, w, 3] of 8 or 16 bits, alpha [h, w] of as many, and whether it is grey.

    Colours are those of the file, also where alpha hides them.
    """

    pixels: Pixels
    alpha: Pixels | None
    grey: bool


def _deep(data: bytes) -> Pixels | None:
    """The 16-bit values of a file, [h, w, 3 or 4] RGB; None where it has 8."""
    found: Any = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16:
        return None
    if found.ndim == 2:
        found = found[..., None].repeat(3, axis=2)
    return found[..., [2, 1, 0, 3][: found.shape[2]]]


def read_picture(data: bytes) -> Picture:
    """The picture in the bytes of a file, decoded strictly.

    Raises:
        ImageError: as `decode`.
    """
    plain = decode(data)  # says what is damaged, and follows EXIF
    grey = plain.mode in ("1", "L", "LA", "I;16", "I;16B", "I;16L", "I;16N")
    deep = _deep(data)
    if deep is not None and deep.shape[:2] == plain.pixels.shape[:2]:
        return Picture(deep[..., :3], deep[..., 3] if deep.shape[2] == 4 else None, grey)
    with Image.open(io.BytesIO(data)) as image:
        if image.mode not in ("LA", "PA", "RGBA", "La", "RGBa") and "transparency" not in image.info:
            return Picture(plain.pixels, None, grey)
        rgba = np.asarray(image.convert("RGBA"))
    if rgba.shape[:2] != plain.pixels.shape[:2]:
        raise ImageError("unsupported-mode", "has both alpha and an EXIF orientation; save it upright")
    return Picture(rgba[..., :3], rgba[..., 3], grey)


def enlarged_alpha(alpha: Pixels, scale: int) -> Pixels:
    """Alpha at the size of SR, bicubic."""
    height, width = alpha.shape[0] * scale, alpha.shape[1] * scale
    found = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(found, dtype=alpha.dtype)


def encode_picture(picture: Picture) -> bytes:
    """A PNG file with the bits, the alpha and the channels of a picture; a grey one is the mean of its colours."""
    bits = picture.pixels.dtype
    colours = picture.pixels[..., ::-1]
    if picture.grey:
        colours = np.rint(picture.pixels.astype(np.float32).mean(axis=2)).astype(bits)[..., None]
    if picture.alpha is not None:  # PNG's grey with alpha is not among OpenCV's
        colours = colours.repeat(3, axis=2) if colours.shape[2] == 1 else colours
        colours = np.concatenate([colours, picture.alpha[..., None]], axis=2)
    done, data = cv2.imencode(".png", colours)
    assert done
    return data.tobytes()

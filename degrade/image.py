"""Image files become [H, W, 3] uint8 RGB arrays, and back, by one stated policy.

Policy for what is not plain 8-bit RGB:

    grey (1, L)            the one channel three times
    16-bit grey (I;16)     divided by 257 and rounded, so that 65535 becomes 255
    palette (P)            its colours
    alpha (LA, PA, RGBA)   composited over white: what a viewer shows on a page
    CMYK, YCbCr, Lab, HSV  converted to RGB by Pillow
    EXIF orientation       applied
    several frames         the first one
    anything else          refused (`unsupported-mode`)
"""

import hashlib
import io
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import ImageError

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"})
MAX_PIXELS = 178_956_970  # 2^29 / 3: above this Pillow itself calls a file a decompression bomb

_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")
_CONVERTIBLE = ("1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "HSV")
_ALPHA = ("LA", "PA", "RGBA", "La", "RGBa")


@dataclass(frozen=True)
class ImageFile:
    """What a file holds: its pixels [H, W, 3] uint8 RGB, and how the file itself stored them."""

    pixels: U8
    format: str
    mode: str


@contextmanager
def _as_image_error() -> Generator[None]:
    """Name Pillow's many ways of failing by one word each."""
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError("not-an-image", "no known image format; remove the file or mend its extension") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError("too-large", f"{error}") from None
    except MemoryError:
        raise ImageError("too-large", "does not fit into memory") from None
    except Exception as error:
        # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, EOFError and more on bad bytes.
        text = " ".join(str(error).split()) or type(error).__name__
        raise ImageError("damaged", f"cannot be decoded whole: {text}") from None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT:
        levels = np.asarray(image, dtype=np.uint32)
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode in _ALPHA or "transparency" in image.info:
        rgba = image.convert("RGBA")
        page = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(page, rgba).convert("RGB")
    if image.mode in _CONVERTIBLE:
        return image.convert("RGB")
    raise ImageError("unsupported-mode", f"pixel mode {image.mode} has no policy; convert it to 8-bit RGB")


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> ImageFile:
    """The image in the bytes of a file, decoded strictly.

    A file that ends early or has damaged data is an error here: OpenCV would return it with grey patches.

    Raises:
        ImageError: `not-an-image`, `damaged`, `too-large`, `unsupported-mode`.
    """
    if not data:
        raise ImageError("empty", "the file has zero bytes")
    with _as_image_error(), Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise ImageError("too-large", f"{width}x{height} is over max_pixels = {max_pixels}; raise --max-pixels")
        form, mode = image.format or "", image.mode
        image.load()
        rgb = _to_rgb(ImageOps.exif_transpose(image))
        return ImageFile(np.asarray(rgb), form, mode)


def read_bytes(path: Path) -> bytes:
    """The bytes of a source file.

    Raises:
        ImageError: `unreadable` when the system refuses.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError("unreadable", f"cannot be read: {error.strerror or error}") from None


def read_source(root: Path, name: str, sha256: str, *, max_pixels: int = MAX_PIXELS) -> U8:
    """The pixels [H, W, 3] uint8 RGB of an indexed source, after checking that it is still the same file.

    Raises:
        ImageError: `changed` when the bytes are not those that were indexed; else as `decode`.
    """
    data = read_bytes(root / name)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ImageError("changed", f"{root / name} changed since it was indexed; index the folder again")
    return decode(data, max_pixels=max_pixels).pixels


def to_float(pixels: U8) -> F32:
    """[0, 255] uint8 -> [0, 1] float32, any shape."""
    return pixels.astype(np.float32) * np.float32(1 / 255)


def to_uint8(image: F32) -> U8:
    """[0, 1] float32 -> [0, 255] uint8, rounded to nearest (never truncated) and saturated."""
    return np.rint(np.clip(image, 0, 1) * np.float32(255)).astype(np.uint8)


def luma(pixels: U8) -> U8:
    """The BT.601 luma [H, W] of [H, W, 3] uint8 RGB, in the integer form of Pillow's mode L.

    RWSR-EDL and Impressionism measure patches on exactly this luma (facts: 4.2).
    """
    return np.asarray(Image.fromarray(pixels).convert("L"))


def encode_png(pixels: U8) -> bytes:
    """A PNG file of [H, W, 3] uint8 RGB."""
    done, data = cv2.imencode(".png", pixels[..., ::-1])
    assert done
    return data.tobytes()

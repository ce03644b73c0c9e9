"""Image files become [H, W, 3] uint8 RGB arrays, and back, by one stated policy.

The bytes decide what a file is, not its extension. Policy for what is not plain 8-bit RGB:

    gray (1, L)            the one channel three times
    9 to 16 bits           scaled and rounded, so that the largest value (4095 of 12 bits) becomes 255
    gray of 0 for white    turned over
    palette (P)            its colours
    alpha (LA, PA, RGBA)   composited over white: what a viewer shows on a page
    CMYK, YCbCr, Lab, HSV  converted to RGB by Pillow
    EXIF orientation       applied; EXIF data that cannot be read count as none
    several frames         the first one
    HEIC, AVIF, JPEG XL    where their decoders are installed (rwsr[photos]; AVIF is Pillow's own)
    colour profile         not applied: every image is taken as sRGB; `ImageFile.profile` says of which it is
    a PNG's texts          passed over
    anything else          refused (`unsupported-mode`), run lengths in a BMP too

Pillow reads every header. The pixels of plain JPEG come from libjpeg-turbo (simplejpeg), which, unlike Pillow and
OpenCV, also refuses a file whose coded data is damaged in the middle; those of plain PNG from OpenCV, once every
checksum in the file is right; all others from Pillow. Where two of them can read a file, they agree to the bit.
"""

import functools
import io
import struct
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath

import cv2
import numpy as np
import simplejpeg
from PIL import (
    BmpImagePlugin,
    Image,
    ImageCms,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL import (
    ImageFile as PillowFile,
)

from ..errors import ImageError
from .debris import is_debris
from .formats.deep import TIFF_BITS_PER_SAMPLE, DeepTiff, deep_levels, deep_tiff, to_8_bits
from .formats.photos import extensions, format_of, openers
from .formats.png_chunks import png_chunks, without_texts
from .formats.progressive import missing_scans
from .pixels import U8, U16, upright

_PLAIN = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"})
_OPENCV_PX = 2**20  # the longest side of a PNG that OpenCV reads
MAX_PIXELS = 178_956_970  # 2^29 / 3: what Pillow calls a decompression bomb

_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")
_CONVERTIBLE = ("1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "HSV")
_ALPHA = ("LA", "PA", "RGBA", "La", "RGBa")
_EXIF_ORIENTATION = 0x0112
_COLOUR_CHUNKS = (b"cICP", b"sRGB", b"gAMA", b"cHRM")  # of a PNG, beside a profile


@dataclass(frozen=True)
class ImageFile:
    """What a file holds: its pixels [H, W, 3] uint8 RGB, and how the file itself stored them.

    profile: the name of its colour profile, which is not applied; empty for sRGB and for a file without one.
    """

    pixels: U8
    format: str
    mode: str
    profile: str = ""


@contextmanager
def _as_image_error() -> Generator[None]:
    """Name the decoders' many ways of failing by one word each."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError:
        raise ImageError("too-large", "does not fit into memory") from None
    except Exception as error:
        # The decoders raise OSError, SyntaxError, ValueError, struct.error, EOFError, cv2.error and more on bad bytes.
        text = " ".join(str(error).split()) or type(error).__name__
        if text == "unknown pixel mode":  # Pillow's, of whole TIFF of floats, or of five channels
            reason = "a form of pixels without a policy; convert it to 8-bit RGB"
            raise ImageError("unsupported-mode", reason) from None
        raise ImageError("damaged", f"cannot be decoded whole: {text}") from None


def _open_png(data: bytes) -> PillowFile.ImageFile:
    try:  # texts have no say: a bomb among them must not cost the pixels
        return PngImagePlugin.PngImageFile(io.BytesIO(without_texts(data)))
    except ValueError as error:
        if "MAX_TEXT_CHUNK" not in str(error):
            raise
        raise ImageError("too-large", "its colour profile inflates to over 1 MiB; save it with another") from None


def is_image(path: str) -> bool:
    """Whether a file may hold an image that is read here, by its name."""
    return PurePosixPath(path).suffix.lower() in known_extensions() and not is_debris(path)


def known_extensions() -> frozenset[str]:
    """Of the images that are read here; HEIC, AVIF and JPEG XL where their decoders are installed."""
    return _PLAIN | extensions()


def _open(data: bytes) -> PillowFile.ImageFile:
    """The file with its header read, by its first bytes."""
    file = io.BytesIO(data)
    if data.startswith(b"\xff\xd8"):
        return JpegImagePlugin.JpegImageFile(file)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _open_png(data)
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return TiffImagePlugin.TiffImageFile(file)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile(file)
    if data.startswith(b"BM"):
        pixels_at, header = struct.unpack_from("<I", data, 10)[0], struct.unpack_from("<I", data, 14)[0]
        if pixels_at < 14 + header:
            raise ImageError("damaged", f"cannot be decoded whole: its pixels would begin at byte {pixels_at}")
        bmp = BmpImagePlugin.BmpImageFile(file)
        if bmp.tile[0].codec_name == "bmp_rle":  # whose decoders fill up with black what is cut or jumps outside
            raise ImageError("unsupported-mode", "run lengths in a BMP have no policy; convert it to PNG")
        return bmp
    name = format_of(data)
    if name in openers():
        return openers()[name](file)
    if name is not None:
        mend = "convert it" if name == "GIF" else "pip install 'rwsr[photos]' for its decoder"
        raise ImageError("not-an-image", f"is {name}, which is not read here; {mend}")
    known = "PNG, JPEG, TIFF, WebP, BMP or AVIF, nor HEIC or JPEG XL"
    raise ImageError("not-an-image", f"is no {known}; remove it, or convert it to one of these")


def _bits(image: PillowFile.ImageFile, data: bytes) -> int:
    """Bits a channel, for the two formats that may have more than eight."""
    if isinstance(image, PngImagePlugin.PngImageFile):
        return data[24]
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(image.tag_v2.get(TIFF_BITS_PER_SAMPLE, (8,)))
    return 8


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _ALPHA or "transparency" in image.info:
        rgba = image.convert("RGBA")
        page = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(page, rgba).convert("RGB")
    if image.mode in _CONVERTIBLE:
        return image.convert("RGB")
    raise ImageError("unsupported-mode", f"pixel mode {image.mode} has no policy; convert it to 8-bit RGB")


def _orientation(image: "PillowFile.ImageFile | DeepTiff") -> int:
    """How the pixels of a loaded file must still be turned; Pillow and OpenCV turn those of a TIFF by themselves."""
    return 1 if image.format == "TIFF" else image.getexif().get(_EXIF_ORIENTATION, 1)  # type: ignore[union-attr]


def _is_plain(image: PillowFile.ImageFile) -> bool:
    return image.mode in ("RGB", "L") and "transparency" not in image.info


def _deep(data: bytes, image: "PillowFile.ImageFile | DeepTiff") -> U16 | None:
    """The upright values of a file of more than 8 bits, once all of it could be read; None for all others."""
    if isinstance(image, DeepTiff):
        return deep_levels(data, image, max(image.tag_v2[TIFF_BITS_PER_SAMPLE]))
    bits = _bits(image, data)
    if bits <= 8:
        return None
    image.load()
    if bits != 16 or (image.mode not in _SIXTEEN_BIT and image.mode not in ("RGB", "RGBA", "LA", "L")):
        reason = f"{bits} bits of pixel mode {image.mode} have no policy; convert it to 8-bit RGB"
        raise ImageError("unsupported-mode", reason)
    return upright(deep_levels(data, image, bits), _orientation(image))


def _pixels(data: bytes, image: "PillowFile.ImageFile | DeepTiff") -> U8:
    """The upright pixels of an opened file."""
    if isinstance(image, PillowFile.ImageFile):
        if image.format == "JPEG" and missing_scans(data):
            raise ImageError("damaged", "cannot be decoded whole: the last scans of a progressive JPEG are missing")
        if _is_plain(image) and image.format == "JPEG":
            return upright(simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True), _orientation(image))
        if image.format == "JPEG":
            simplejpeg.decode_jpeg(data, colorspace="CMYK", strict=True)  # Pillow has the colours, and fills up a cut
        if image.format == "PNG":
            chunks = png_chunks(data)
            if image.mode == "P" and b"PLTE" not in chunks:
                raise ImageError("damaged", "cannot be decoded whole: its palette is missing")
            special = chunks.keys() & {b"acTL", b"eXIf", b"tRNS"} or "Raw profile type exif" in image.info
            small = max(image.size) <= _OPENCV_PX
            if _is_plain(image) and not special and small and _bits(image, data) == 8:
                return _plain_png(data, chunks)
    levels = _deep(data, image)
    if levels is not None:
        eight = to_8_bits(levels)
        return np.asarray(_to_rgb(Image.fromarray(eight[..., 0] if eight.shape[2] == 1 else eight)))
    assert isinstance(image, PillowFile.ImageFile)
    image.load()
    return upright(np.asarray(_to_rgb(image)), _orientation(image))


def _plain_png(data: bytes, chunks: dict[bytes, slice]) -> U8:
    if (profile := chunks.get(b"iCCP")) is not None:  # has no say, but many make libpng talk
        data = data[: profile.start] + data[profile.stop :]
    found = cv2.imdecode(np.frombuffer(without_texts(data), dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    if found is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise ImageError("damaged", "cannot be decoded whole: OpenCV gives it up")
    return np.asarray(found, dtype=np.uint8)


@contextmanager
def _opened(data: bytes, max_pixels: int | None) -> "Generator[PillowFile.ImageFile | DeepTiff]":
    """The file with its header read, and small enough."""
    if not data:
        raise ImageError("empty", "the file has zero bytes")
    with _as_image_error():
        image = deep_tiff(data) or _open(data)
        try:
            width, height = image.size
            if max_pixels is not None and width * height > max_pixels:
                raise ImageError("too-large", f"{width}x{height} is over max_pixels = {max_pixels}; raise --max-pixels")
            yield image
        finally:
            if isinstance(image, PillowFile.ImageFile):
                image.close()


def decode(data: bytes, *, max_pixels: int | None = MAX_PIXELS) -> ImageFile:
    """The image in the bytes of a file, decoded strictly: a file that ends early or has damaged data is an error.

    max_pixels: larger images are refused before their pixels are touched; None is no limit.

    Raises:
        ImageError: `not-an-image`, `damaged`, `too-large`, `unsupported-mode`.
    """
    with _opened(data, max_pixels) as image:
        form, mode = image.format or "", image.mode
        return ImageFile(_pixels(data, image), form, mode, _profile_name(image.info.get("icc_profile")))


@dataclass(frozen=True)
class Stored:
    """The upright values of a file as it stores them, of 8 bits or of 16 for more: colours [h, w, 3], alpha [h, w] or
    none; whether it is gray; and what says of which colours they are: an ICC profile, and chunks of a PNG.
    """

    colours: U8 | U16
    alpha: U8 | U16 | None
    gray: bool
    profile: bytes | None
    chunks: bytes = b""


def decode_stored(data: bytes, *, max_pixels: int | None = MAX_PIXELS) -> Stored:
    """What is in the bytes of a file, decoded as strictly, with all of its bits and the colours that alpha hides.

    Raises:
        ImageError: as `decode`.
    """
    with _opened(data, max_pixels) as image:
        profile, chunks = image.info.get("icc_profile"), b""
        if image.format == "PNG":
            found = png_chunks(data)
            chunks = b"".join(data[found[name]] for name in _COLOUR_CHUNKS if name in found)
        gray = image.mode in ("1", "L", "LA", "La", *_SIXTEEN_BIT)
        levels = _deep(data, image)
        if levels is not None:
            alpha = levels[..., 3] if levels.shape[2] == 4 else None
            gray = gray or levels.shape[2] == 1
            colours = levels.repeat(3, axis=2) if levels.shape[2] == 1 else levels[..., :3]
            return Stored(np.ascontiguousarray(colours), alpha, gray, profile, chunks)
        assert isinstance(image, PillowFile.ImageFile)
        plain = _pixels(data, image)
        if image.mode not in _ALPHA and "transparency" not in image.info:
            return Stored(plain, None, gray, profile, chunks)
        image.load()
        rgba = upright(np.asarray(image.convert("RGBA")), _orientation(image))
        return Stored(rgba[..., :3], rgba[..., 3], gray, profile, chunks)


@functools.lru_cache(maxsize=64)
def _profile_name(profile: bytes | None) -> str:
    """What a colour profile calls itself; empty for sRGB, and where there is none."""
    if not profile:
        return ""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = " ".join(ImageCms.getProfileDescription(opened).split())
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return "unreadable profile"
    known = "".join(character for character in name.lower() if character.isalnum())
    return "" if "srgb" in known else name or "unnamed profile"

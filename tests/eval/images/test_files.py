"""Pictures keep their bits, their alpha and their grayness on the way through."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from rwsr.degrade.errors import ImageError
from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.pixels import U8
from rwsr.eval.images.files import Picture, encode_picture, enlarged_alpha, read_picture

from ...conftest import scene


def _png(pixels: np.ndarray) -> bytes:
    done, data = cv2.imencode(".png", pixels)
    assert done
    return data.tobytes()


def _pillow(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, form, **options)
    return sink.getvalue()


@pytest.fixture
def rgb() -> U8:
    return scene(0, 40, 50)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_comes_back_as_it_was(channels: int, dtype: type[np.generic]) -> None:
    """Every value of every channel, through reading and writing."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, np.iinfo(dtype).max, (30, 40, channels), endpoint=True).astype(dtype)
    data = _png(pixels[..., 0] if channels == 1 else pixels)
    picture = read_picture(data)
    assert picture.pixels.dtype == dtype and picture.gray == (channels == 1)
    assert (picture.alpha is not None) == (channels == 4)
    again = cv2.imdecode(np.frombuffer(encode_picture(picture), dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    assert again.dtype == dtype and np.array_equal(again.reshape(pixels.shape), pixels)


def test_other_forms_are_read(rgb: U8) -> None:
    """JPEG, gray with alpha, palettes with a clear colour, turned by EXIF."""
    image = Image.fromarray(rgb)
    assert read_picture(_pillow(image, "JPEG")).pixels.shape == (40, 50, 3)
    alpha = Image.fromarray(np.tile(np.arange(50, dtype=np.uint8) * 5, (40, 1)))
    gray = image.convert("L")
    gray.putalpha(alpha)
    found = read_picture(_pillow(gray))
    assert found.gray and found.alpha is not None and found.alpha[0, 10] == 50
    palette = read_picture(_pillow(image.quantize(16), transparency=3))
    assert palette.alpha is not None and {0, 255} == set(np.unique(palette.alpha))
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_picture(_pillow(image, "JPEG", exif=exif)).pixels.shape == (50, 40, 3)


def test_colours_under_alpha_are_kept(rgb: U8) -> None:
    """They are not laid over white, as where alpha is dropped."""
    data = _png(np.dstack([rgb[..., ::-1], np.ones(rgb.shape[:2], dtype=np.uint8)]))
    assert np.array_equal(read_picture(data).pixels, rgb)


def test_hidden_colours_do_not_reach_what_is_seen() -> None:
    """A white disc on hidden black: restored by a blur, no seen pixel is darker than the disc."""
    y, x = np.mgrid[0:64, 0:64]
    alpha = np.where(np.hypot(y - 32, x - 32) < 20, 255, 0).astype(np.uint8)
    pixels = np.where(alpha[..., None] > 0, 240, 0).astype(np.uint8).repeat(3, axis=2)
    picture = read_picture(_png(np.dstack([pixels, alpha])))
    blurred = cv2.GaussianBlur(picture.pixels, (9, 9), 2)
    assert blurred[alpha > 0].min() == 240 and picture.alpha is not None and np.array_equal(picture.alpha, alpha)


_TURNS = {  # what EXIF's numbers mean: how a viewer must turn the stored pixels
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.rot90(np.fliplr(a)),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.fliplr(a), -1),
    8: np.rot90,
}


def _stored(pixels: np.ndarray, form: str, orientation: int) -> bytes:
    """A file of pixels [h, w, 1, 3 or 4] RGB of 8 or 16 bits, with an orientation."""
    plain = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    if form == "TIFF":
        sink, photometric = io.BytesIO(), "minisblack" if pixels.shape[2] == 1 else "rgb"
        extra = {"extrasamples": ["unassalpha"]} if pixels.shape[2] == 4 else {}
        tifffile.imwrite(sink, plain, photometric=photometric, extratags=[(274, 3, 1, orientation, True)], **extra)
        return sink.getvalue()
    exif = Image.Exif()
    exif[0x0112] = orientation
    if pixels.dtype == np.uint8:
        return _pillow(Image.fromarray(plain), form, exif=exif, **({"lossless": True} if form == "WEBP" else {}))
    png = _png(plain[..., [2, 1, 0, 3][: pixels.shape[2]]] if pixels.shape[2] > 1 else plain)
    body = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    return png[:33] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + png[33:]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(40, 64), (48, 48)])
@pytest.mark.parametrize(
    ("form", "channels", "dtype"),
    [
        *((form, channels, np.uint8) for form in ("PNG", "WEBP", "TIFF") for channels in (3, 4)),
        *((form, channels, np.uint16) for form in ("PNG", "TIFF") for channels in (1, 3, 4)),
    ],
)
def test_every_picture_is_upright(
    form: str, channels: int, dtype: type[np.generic], size: tuple[int, int], orientation: int
) -> None:
    """As many bits, with alpha or without, square or not: turned as EXIF says, to the last bit; alpha too."""
    rng = np.random.default_rng(orientation)
    stored = rng.integers(1, np.iinfo(dtype).max, (*size, channels), endpoint=True).astype(dtype)
    upright = _TURNS[orientation](stored)
    data = _stored(stored, form, orientation)
    found = read_picture(data)
    assert found.pixels.dtype == dtype
    assert np.array_equal(found.pixels, upright[..., :3] if channels > 1 else upright.repeat(3, axis=2))
    assert found.alpha is None if channels < 4 else np.array_equal(found.alpha, upright[..., 3])  # type: ignore[arg-type]
    if channels < 4:
        eight = found.pixels if dtype == np.uint8 else ((found.pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
        assert np.array_equal(decode(data).pixels, eight)


def _packed_tiff(values: np.ndarray, bits: int, *, white_is_zero: bool = False) -> bytes:
    """A gray TIFF whose samples have that many bits, one after the other."""
    rows: list[bytes] = []
    for row in values.tolist():
        text = "".join(format(value, f"0{bits}b") for value in row)
        text += "0" * (-len(text) % 8)
        rows.append(int(text, 2).to_bytes(len(text) // 8, "big"))
    body = b"".join(rows) + b"\0" * (sum(map(len, rows)) % 2)
    tags = {256: values.shape[1], 257: values.shape[0], 258: bits, 259: 1, 262: int(not white_is_zero), 273: 8}
    tags |= {277: 1, 278: values.shape[0], 279: len(body)}
    table = b"".join(struct.pack(">HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items())
    return b"MM\0*" + struct.pack(">I", 8 + len(body)) + body + struct.pack(">H", len(tags)) + table + b"\0" * 4


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_the_largest_value_is_white_whatever_the_bits(bits: int, white_is_zero: bool) -> None:
    """A ramp over all values of a TIFF: rounded to 8 bits by its own range, not by that of 16 bits."""
    top = (1 << bits) - 1
    values = np.linspace(0, top, 64 * 80).round().astype(np.int64).reshape(64, 80)
    data = _packed_tiff(values, bits, white_is_zero=white_is_zero)
    light = top - values if white_is_zero else values
    wanted = np.rint(light * 255 / top).astype(np.uint8)
    assert np.array_equal(decode(data).pixels, wanted[..., None].repeat(3, axis=2))
    found = read_picture(data)
    assert found.gray and np.array_equal(found.pixels[..., 0], np.rint(light * 65535 / top).astype(np.uint16))


def _profile(name: str) -> bytes:
    """An ICC profile of a name."""
    whole, old = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), "sRGB built-in"
    new = name.ljust(len(old))
    return whole.replace(old.encode(), new.encode()).replace(old.encode("utf-16-be"), new.encode("utf-16-be"))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_restored_picture_keeps_its_colour_profile(rgb: U8, form: str) -> None:
    """And its name says that a store took its values as sRGB."""
    profile = _profile("Display P3")
    data = _pillow(Image.fromarray(rgb), form, icc_profile=profile)
    with Image.open(io.BytesIO(encode_picture(read_picture(data)))) as again:
        assert again.info["icc_profile"] == profile
    assert "Display P3" in decode(data).profile
    assert decode(_pillow(Image.fromarray(rgb), form, icc_profile=_profile("sRGB built-in"))).profile == ""
    assert decode(_pillow(Image.fromarray(rgb), form)).profile == ""


def test_a_profile_of_other_pixels_is_not_kept(rgb: U8) -> None:
    """That of a CMYK file says nothing of the RGB that it became."""
    cmyk = bytearray(_profile("printer"))
    cmyk[16:20] = b"CMYK"
    data = _pillow(Image.fromarray(rgb).convert("CMYK"), "JPEG", icc_profile=bytes(cmyk))
    with Image.open(io.BytesIO(encode_picture(read_picture(data)))) as again:
        assert "icc_profile" not in again.info
    assert decode(data).profile


def test_the_gamma_of_a_png_is_kept(rgb: U8) -> None:
    """A viewer shows the same colours before and after."""
    png = _png(rgb)
    body = b"gAMA" + struct.pack(">I", 100000)
    data = png[:33] + struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body)) + png[33:]
    with Image.open(io.BytesIO(encode_picture(read_picture(data)))) as again:
        assert again.info["gamma"] == 1.0


def test_alpha_is_enlarged_with_the_image() -> None:
    alpha = np.zeros((10, 12), dtype=np.uint16)
    alpha[:, 6:] = 65535
    found = enlarged_alpha(alpha, 4)
    assert found.shape == (40, 48) and found.dtype == np.uint16 and found[:, :20].max() == 0 and found[0, -1] == 65535


def test_damage_is_an_image_error(rgb: U8) -> None:
    with pytest.raises(ImageError, match="cannot be decoded whole"):
        read_picture(_png(rgb)[:-30])


def test_a_gray_picture_is_the_mean_of_its_colours() -> None:
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    pixels[..., 0] = 90
    found = cv2.imdecode(np.frombuffer(encode_picture(Picture(pixels, None, True)), np.uint8), cv2.IMREAD_UNCHANGED)
    assert found.shape == (4, 4) and found[0, 0] == 30

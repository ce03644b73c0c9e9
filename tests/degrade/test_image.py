"""Images become 8-bit RGB by one policy, and a damaged file is an error, never a grey patch."""

import io
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rwsr.degrade.errors import ImageError
from rwsr.degrade.image import U8, decode, encode_png, luma, to_float, to_uint8


def _file(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, form, **options)
    return sink.getvalue()


def _status(data: bytes, **options: int) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data, **options)
    assert "\n" not in str(caught.value)
    return caught.value.status


def test_rgb_png_comes_back_exactly(astronaut: U8) -> None:
    """PNG is lossless in both directions."""
    assert np.array_equal(decode(encode_png(astronaut)).pixels, astronaut)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16"])
def test_every_mode_with_a_policy_becomes_rgb(mode: str, astronaut: U8) -> None:
    """What comes out is [H, W, 3] uint8 whatever went in."""
    if mode == "I;16":
        image = Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16)
    else:
        image = Image.fromarray(astronaut[:64, :64]).convert(mode)
    found = decode(_file(image, "TIFF"))
    assert found.pixels.shape == (64, 64, 3) and found.pixels.dtype == np.uint8


def test_sixteen_bit_white_is_white() -> None:
    """65535 becomes 255 and 0 stays 0; 16-bit grey is rounded, not clipped."""
    levels = np.array([[0, 128, 257, 32768, 65535]], dtype=np.uint16)
    pixels = decode(_file(Image.fromarray(levels))).pixels[0, :, 0]
    assert pixels.tolist() == [0, 0, 1, 128, 255]


def test_alpha_is_seen_on_white() -> None:
    """A wholly transparent pixel is white, an opaque one keeps its colour."""
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], dtype=np.uint8)
    assert decode(_file(Image.fromarray(rgba))).pixels.tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_exif_orientation_is_applied(astronaut: U8) -> None:
    """Orientation 6 (turned to the right) swaps the sides."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = _file(Image.fromarray(astronaut[:40, :60]), "JPEG", exif=exif)
    assert decode(data).pixels.shape == (60, 40, 3)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_a_file_that_ends_early_is_damaged(form: str, astronaut: U8) -> None:
    """Half a file is never half an image."""
    data = _file(Image.fromarray(astronaut), form)
    assert _status(data[: len(data) // 2]) in ("damaged", "not-an-image")


def test_each_unusable_file_has_its_word() -> None:
    """Text, nothing, and a bomb are told apart."""
    assert _status(b"hello, I am a text file") == "not-an-image"
    assert _status(b"") == "empty"
    assert _status(_file(Image.new("L", (2000, 2000))), max_pixels=1_000_000) == "too-large"


def test_an_image_error_travels_between_processes() -> None:
    """Pickled and back, it has its status, its reason and its one line."""
    error = pickle.loads(pickle.dumps(ImageError("damaged", "cut short")))
    assert (error.status, error.reason, str(error)) == ("damaged", "cut short", "cut short")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_an_image_error(junk: bytes) -> None:
    """Any garbage behind a PNG's first bytes is named, not thrown."""
    with pytest.raises(ImageError):
        decode(b"\x89PNG\r\n\x1a\n" + junk)


def test_luma_is_the_published_integer_formula(astronaut: U8) -> None:
    """(19595 R + 38470 G + 7471 B + 2^15) >> 16, as Pillow's mode L, by plain integers."""
    r, g, b = (astronaut[..., i].astype(np.int64) for i in range(3))
    assert np.array_equal(luma(astronaut), (19595 * r + 38470 * g + 7471 * b + 32768) >> 16)


def test_float_and_back_is_the_identity_and_rounds() -> None:
    """Every level survives; what lies between is rounded to the nearest, and what lies outside saturates."""
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_uint8(to_float(levels)), levels)
    assert to_uint8(np.array([-0.1, 0.6 / 255, 1.2], dtype=np.float32)).tolist() == [0, 1, 255]

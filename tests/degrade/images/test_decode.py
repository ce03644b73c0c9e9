"""Images become 8-bit RGB by one policy, and a damaged file is an error, never a gray patch."""

import io
import pickle
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from rwsr.degrade.errors import ImageError
from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.pixels import U8, encode_png, luma, to_float, to_uint8


def _file(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, form, **options)
    return sink.getvalue()


def _with_chunk(png: bytes, kind: bytes, body: bytes) -> bytes:
    """A PNG with one more chunk, behind its header."""
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return png[:33] + chunk + png[33:]


def _status(data: bytes, **options: int) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data, **options)
    assert "\n" not in str(caught.value)
    return caught.value.status


_PNG = _file(Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)))


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
    """65535 becomes 255 and 0 stays 0; 16-bit gray is rounded, not clipped."""
    levels = np.array([[0, 128, 257, 32768, 65535]], dtype=np.uint16)
    pixels = decode(_file(Image.fromarray(levels))).pixels[0, :, 0]
    assert pixels.tolist() == [0, 0, 1, 128, 255]


def test_alpha_is_seen_on_white() -> None:
    """A wholly transparent pixel is white, an opaque one keeps its colour."""
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], dtype=np.uint8)
    assert decode(_file(Image.fromarray(rgba))).pixels.tolist() == [[[10, 20, 30], [255, 255, 255]]]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, form: str, astronaut: U8) -> None:
    """All eight, as Pillow itself turns them."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = _file(Image.fromarray(astronaut[:40, :60]), form, exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert np.array_equal(decode(data).pixels, expected)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("JPEG", {"quality": 90}),
        ("JPEG", {"quality": 30, "subsampling": 0}),
        ("JPEG", {"quality": 60, "progressive": True}),
        ("JPEG", {"quality": 60, "restart_marker_rows": 1}),
        ("PNG", {}),
        ("PNG", {"dpi": (72, 72)}),
        ("PNG", {"icc_profile": b"not a profile" * 20}),
        ("WEBP", {"quality": 50}),
        ("BMP", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_fast_decoders_give_pillows_pixels(form: str, options: dict[str, object], mode: str, astronaut: U8) -> None:
    """To the bit, also where sides are no multiple of a JPEG block."""
    data = _file(Image.fromarray(astronaut[:83, :117]).convert(mode), form, **options)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(decode(data).pixels, np.asarray(image.convert("RGB")))


def test_sixteen_bit_colour_is_rounded_not_cut(astronaut: U8) -> None:
    """PNG and TIFF, with alpha or without: each channel is value / 257 to the nearest."""
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 65536, (20, 30, 4), dtype=np.uint16)
    levels[..., 3] = 65535
    expected = np.rint(levels[..., :3] / 257).astype(np.uint8)
    for suffix in (".png", ".tiff"):
        for channels in (3, 4):
            order = [2, 1, 0, 3][:channels]
            done, data = cv2.imencode(suffix, levels[..., order])
            assert done and np.array_equal(decode(data.tobytes()).pixels, expected)


def test_damage_inside_a_jpeg_is_found(astronaut: U8) -> None:
    """Zeroes over part of the coded data: Pillow and OpenCV return a picture with a gray part."""
    data = bytearray(_file(Image.fromarray(astronaut), "JPEG", quality=90))
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    Image.open(io.BytesIO(data)).load()
    assert _status(bytes(data)) == "damaged"


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 20_000), st.integers(0, 7))
def test_a_flipped_bit_in_a_png_is_found(at: int, bit: int) -> None:
    """Wherever it is: every byte behind the signature is under a checksum."""
    data = bytearray(_PNG)
    data[at % (len(data) - 8) + 8] ^= 1 << bit
    assert _status(bytes(data)) in ("damaged", "too-large", "not-an-image")


def test_the_first_of_several_frames_is_taken(astronaut: U8) -> None:
    """Of an animated PNG or WebP and a TIFF of two pages."""
    frames = [Image.fromarray(astronaut[:32, :32]), Image.fromarray(astronaut[32:64, :32])]
    for form, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
        data = _file(frames[0], form, save_all=True, append_images=frames[1:], **options)
        assert np.array_equal(decode(data).pixels, astronaut[:32, :32]), form


@pytest.mark.slow
def test_a_large_image_is_refused_by_our_limit_only() -> None:
    """180 megapixels are over Pillow's own limit; --max-pixels decides, without a warning."""
    data = _file(Image.new("1", (20_000, 9_000)))
    assert _status(data) == "too-large"
    assert decode(data, max_pixels=200_000_000).pixels.shape == (9_000, 20_000, 3)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_a_file_that_ends_early_is_damaged(form: str, astronaut: U8) -> None:
    """Half a file is never half an image."""
    data = _file(Image.fromarray(astronaut), form)
    assert _status(data[: len(data) // 2]) in ("damaged", "not-an-image")


def test_a_cut_that_is_closed_again_is_found(astronaut: U8) -> None:
    """Pillow fills up the rest of a JPEG in gray, and for CMYK there is no second decoder of the colours."""
    for mode in ("RGB", "L", "CMYK"):
        whole = _file(Image.fromarray(astronaut).convert(mode), "JPEG")
        assert _status(whole[: len(whole) // 2] + b"\xff\xd9") == "damaged"
        assert decode(whole).mode == mode


def test_a_progressive_jpeg_without_its_last_scans_is_damaged(astronaut: U8) -> None:
    whole = _file(Image.fromarray(astronaut), "JPEG", progressive=True)
    scans = [at for at in range(len(whole)) if whole[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 5
    assert np.array_equal(decode(whole).pixels, np.asarray(Image.open(io.BytesIO(whole))))
    for at in scans[1:]:
        with pytest.raises(ImageError, match="last scans of a progressive JPEG are missing"):
            decode(whole[:at] + b"\xff\xd9")


def test_a_whole_file_of_a_form_without_a_policy_is_not_called_damaged() -> None:
    """Floats in three channels, which Pillow does not know."""
    data = np.zeros((8, 8, 3), np.float32)
    whole = cv2.imencode(".tiff", data)[1].tobytes()
    assert _status(whole) == "unsupported-mode"


def test_run_lengths_in_a_bmp_are_refused() -> None:
    head = struct.pack("<IHHI", 0, 0, 0, 54 + 1024) + struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 8, 1, 0, 0, 0, 256, 0)
    gray = bytes(value for level in range(256) for value in (level, level, level, 0))
    with pytest.raises(ImageError, match="run lengths in a BMP have no policy; convert it to PNG"):
        decode(b"BM" + head + gray + b"\0\2\xff\xff" * 50)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"tEXt"])
def test_a_bomb_among_the_texts_of_a_png_does_not_cost_its_pixels(kind: bytes, astronaut: U8) -> None:
    bomb = {b"zTXt": b"x\0\0", b"iTXt": b"x\0\1\0\0\0", b"tEXt": b"x\0"}[kind]
    bomb += b"y" * 5_000_000 if kind == b"tEXt" else zlib.compress(bytes(100_000_000), 9)
    assert np.array_equal(decode(_with_chunk(encode_png(astronaut), kind, bomb)).pixels, astronaut)


@pytest.mark.slow
def test_a_colour_profile_too_large_to_keep_is_named(astronaut: U8) -> None:
    bomb = b"x\0\0" + zlib.compress(bytes(100_000_000), 9)
    with pytest.raises(ImageError, match="its colour profile inflates to over 1 MiB"):
        decode(_with_chunk(encode_png(astronaut), b"iCCP", bomb))


def test_a_bmp_whose_pixels_begin_in_its_header_is_damaged(astronaut: U8) -> None:
    """Pillow would read the header as pixels."""
    whole = _file(Image.fromarray(astronaut[:40, :50]), "BMP")
    assert _status(whole[:10] + bytes([5, 0, 0, 0]) + whole[14:]) == "damaged"


def test_a_png_longer_than_opencv_reads_is_read_by_pillow() -> None:
    """OpenCV refuses a side of more than 2^20 pixels."""
    line = np.random.default_rng(0).integers(0, 256, (1, 2**20 + 3, 3), dtype=np.uint8)
    assert np.array_equal(decode(_file(Image.fromarray(line), compress_level=1)).pixels, line)


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


@pytest.mark.slow
def test_luma_is_pillows_for_every_colour() -> None:
    """All 2^24 of them."""
    colours = np.arange(2**24, dtype=np.uint32)
    pixels = np.stack([colours >> 16, colours >> 8, colours], axis=-1).astype(np.uint8).reshape(4096, 4096, 3)
    assert np.array_equal(luma(pixels), np.asarray(Image.fromarray(pixels).convert("L")))


def test_float_and_back_is_the_identity_and_rounds() -> None:
    """Every level survives; what lies between is rounded to the nearest, and what lies outside saturates."""
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_uint8(to_float(levels)), levels)
    assert to_uint8(np.array([-0.1, 0.6 / 255, 1.2], dtype=np.float32)).tolist() == [0, 1, 255]
    bits = np.random.default_rng(0).integers(0, 0x3F800001, 200_000, dtype=np.uint32)  # floats of 0 to 1
    ties = ((np.arange(256) + 0.5) / 255).astype(np.float32)
    beside = [np.nextafter(ties, np.float32(side)) for side in (-1, 2)]
    for values in (bits.view(np.float32), np.stack([ties, *beside]), np.empty((0, 4, 3), np.float32)):
        assert np.array_equal(to_uint8(values), np.rint(np.clip(values, 0, 1) * np.float32(255)).astype(np.uint8))

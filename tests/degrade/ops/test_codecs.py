"""Codecs against Pillow's libjpeg and libwebp."""

import io

import numpy as np
import pytest
from PIL import Image

from rwsr.degrade.images.pixels import U8, to_float, to_uint8
from rwsr.degrade.ops import codecs
from rwsr.degrade.ops.codecs import JpegSampling

PILLOWS: dict[JpegSampling, str] = {"444": "4:4:4", "422": "4:2:2", "420": "4:2:0"}


def _through_pillow(pixels: U8, **options: object) -> np.ndarray:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, **options)  # pyright: ignore[reportArgumentType]
    return np.asarray(Image.open(sink)).astype(int)


@pytest.mark.parametrize("sampling", list(PILLOWS))
@pytest.mark.parametrize("quality", [10, 30, 60, 95, 100])
def test_jpeg_is_libjpegs(quality: int, sampling: JpegSampling, astronaut: U8) -> None:
    """The very pixels of Pillow's libjpeg, at each quality and chroma sampling; odd sizes too."""
    crop = np.ascontiguousarray(astronaut[:127, :131])
    expected = _through_pillow(crop, format="JPEG", quality=quality, subsampling=PILLOWS[sampling])
    found = to_uint8(codecs.jpeg(to_float(crop), quality, sampling=sampling)).astype(int)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("sampling", ["444", "440", "422", "420", "411"])
def test_less_chroma_changes_colour_and_not_gray(sampling: JpegSampling, astronaut: U8) -> None:
    """A gray image comes out the same for every sampling."""
    gray = np.repeat(astronaut[:64, :64, :1], 3, axis=2)
    found = to_uint8(codecs.jpeg(to_float(gray), 70, sampling=sampling))
    assert np.array_equal(found, to_uint8(codecs.jpeg(to_float(gray), 70, sampling="444")))


@pytest.mark.parametrize("quality", [10, 50, 90])
def test_webp_is_libwebps(quality: int, astronaut: U8) -> None:
    """Pillow's libwebp gives the same but for its version."""
    crop = np.ascontiguousarray(astronaut[:128, :128])
    expected = _through_pillow(crop, format="WEBP", quality=quality)
    found = to_uint8(codecs.webp(to_float(crop), quality)).astype(int)
    assert np.abs(found - expected).mean() < 1.5
    assert np.abs(found - crop).mean() > 0.5


def test_a_lower_quality_is_further_from_the_image(astronaut: U8) -> None:
    """Of both codecs."""
    crop = to_float(np.ascontiguousarray(astronaut[:128, :128]))
    for codec in (codecs.jpeg, codecs.webp):
        errors = [float(np.abs(codec(crop, quality) - crop).mean()) for quality in (10, 40, 90)]
        assert errors == sorted(errors, reverse=True)

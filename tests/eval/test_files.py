"""Pictures keep their bits, their alpha and their greyness on the way through."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from rwsr.degrade.errors import ImageError
from rwsr.degrade.image import U8
from rwsr.eval.files import Picture, encode_picture, enlarged_alpha, read_picture

from ..conftest import scene


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
    pixels = rng.integers(0, np.iinfo(dtype).max, (30, 40, channels), endpoint=True).astype(dtype)
    data = _png(pixels[..., 0] if channels == 1 else pixels)
    picture = read_picture(data)
    assert picture.pixels.dtype == dtype and picture.grey == (channels == 1)
    assert (picture.alpha is not None) == (channels == 4)
    again = cv2.imdecode(np.frombuffer(encode_picture(picture), dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    assert again.dtype == dtype and np.array_equal(again.reshape(pixels.shape), pixels)


def test_other_forms_are_read(rgb: U8) -> None:
    """JPEG, grey with alpha, palettes with a clear colour, turned by EXIF."""
    image = Image.fromarray(rgb)
    assert read_picture(_pillow(image, "JPEG")).pixels.shape == (40, 50, 3)
    alpha = Image.fromarray(np.tile(np.arange(50, dtype=np.uint8) * 5, (40, 1)))
    grey = image.convert("L")
    grey.putalpha(alpha)
    found = read_picture(_pillow(grey))
    assert found.grey and found.alpha is not None and found.alpha[0, 10] == 50
    palette = read_picture(_pillow(image.quantize(16), transparency=3))
    assert palette.alpha is not None and {0, 255} == set(np.unique(palette.alpha))
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_picture(_pillow(image, "JPEG", exif=exif)).pixels.shape == (50, 40, 3)


def test_colours_under_alpha_are_kept(rgb: U8) -> None:
    """They are not laid over white, as where alpha is dropped."""
    data = _png(np.dstack([rgb[..., ::-1], np.zeros(rgb.shape[:2], dtype=np.uint8)]))
    assert np.array_equal(read_picture(data).pixels, rgb)


def test_alpha_is_enlarged_with_the_image() -> None:
    alpha = np.zeros((10, 12), dtype=np.uint16)
    alpha[:, 6:] = 65535
    found = enlarged_alpha(alpha, 4)
    assert found.shape == (40, 48) and found.dtype == np.uint16 and found[:, :20].max() == 0 and found[0, -1] == 65535


def test_damage_is_an_image_error(rgb: U8) -> None:
    with pytest.raises(ImageError, match="cannot be decoded whole"):
        read_picture(_png(rgb)[:-30])


def test_a_grey_picture_is_the_mean_of_its_colours() -> None:
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    pixels[..., 0] = 90
    found = cv2.imdecode(np.frombuffer(encode_picture(Picture(pixels, None, True)), np.uint8), cv2.IMREAD_UNCHANGED)
    assert found.shape == (4, 4) and found[0, 0] == 30

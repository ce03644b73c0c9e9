"""The steps of chains against scipy, loops and formulas; codecs: the same bytes each time, worse when asked."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import convolve, gaussian_filter, median_filter

from rwsr.degrade.images.pixels import F32, U8, to_float
from rwsr.degrade.ops import CHAIN_OPS, OPS
from rwsr.degrade.ops.coding.chroma import Chroma
from rwsr.degrade.ops.coding.still import Avif, JpegXl
from rwsr.degrade.ops.coding.video import Video
from rwsr.degrade.ops.drawing.dither import Dither, bayer
from rwsr.degrade.ops.drawing.halo import Halo
from rwsr.degrade.ops.drawing.levels import Levels
from rwsr.degrade.ops.drawing.pixelate import Pixelate
from rwsr.degrade.ops.drawing.screentone import Screentone
from rwsr.degrade.ops.optics.camera_noise import CameraNoise
from rwsr.degrade.ops.optics.lens_blur import LensBlur, disk_kernel
from rwsr.degrade.ops.optics.median_blur import MedianBlur
from rwsr.degrade.ops.optics.motion_blur import MotionBlur, line_kernel
from rwsr.degrade.ops.render import render_all
from rwsr.degrade.ops.step import Step, from_rows, to_rows


@pytest.fixture
def image(astronaut: U8) -> F32:
    return to_float(astronaut[60:156, 180:308])


def _made(image: F32, step: Step) -> F32:
    return render_all(image, [(step,)])[0]


@pytest.mark.parametrize("kind", [each for each in CHAIN_OPS if each not in OPS])
def test_every_step_has_a_picture_and_travels_through_a_table(kind: type[Step], image: F32) -> None:
    """In range, of the same size, the image not written to, the same again; odd sides and one pixel are no trouble."""
    assert kind.examples
    for numbers in kind.examples:
        step = kind.model_validate(numbers)
        before = image.copy()
        made = _made(image, step)
        assert made.dtype == np.float32 and made.shape == image.shape and np.array_equal(before, image)
        assert made.min() >= 0 and made.max() <= 1 and not np.array_equal(made, image)
        assert from_rows(to_rows((step,))) == (step,) and step.text and np.array_equal(_made(image, step), made)
        for size in ((37, 51), (1, 1)):
            odd = np.ascontiguousarray(image[: size[0], : size[1]])
            assert _made(odd, step).shape == odd.shape


@pytest.mark.parametrize(("length", "angle"), [(1, 0.0), (5, 0.0), (7.5, 0.7), (12, -1.1)])
def test_a_motion_kernel_is_a_line(length: float, angle: float) -> None:
    """Its sum is 1, its middle in the middle, its variance along it that of a line, and next to none across."""
    kernel = line_kernel(length, angle).astype(np.float64)
    reach = len(kernel) // 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    assert (kernel * x).sum() == pytest.approx(0, abs=1e-5) and (kernel * y).sum() == pytest.approx(0, abs=1e-5)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    assert (kernel * along**2).sum() == pytest.approx(length**2 / 12, abs=0.35)
    assert (kernel * across**2).sum() < 0.35


def test_blurs_are_convolutions_with_their_kernels(image: F32) -> None:
    for step, kernel in (
        (MotionBlur(length_px=6, angle=0.4), line_kernel(6, 0.4)),
        (LensBlur(disk_px=2.5), disk_kernel(2.5)),
    ):
        wanted = np.stack([convolve(image[..., i], kernel[::-1, ::-1], mode="mirror") for i in range(3)], axis=-1)
        assert np.abs(_made(image, step) - wanted).max() < 1e-5
    disk = disk_kernel(3.0).astype(np.float64)
    assert disk[3, 3] == pytest.approx(1 / (np.pi * 9), rel=0.01) and disk[0, 0] == 0
    assert np.allclose(disk, disk.T) and np.allclose(disk, disk[::-1])


@pytest.mark.parametrize("side", [3, 5])
def test_a_median_is_scipys(side: Any, image: F32) -> None:
    wanted = np.stack([median_filter(image[..., i], size=side, mode="nearest") for i in range(3)], axis=-1)
    assert np.array_equal(_made(image, MedianBlur(side_px=side)), wanted)


def test_a_mosaic_without_noise_is_bilinear_demosaicing(image: F32) -> None:
    """By scipy, inside the image: each colour where it is measured, else the mean of its neighbours."""
    light = image.astype(np.float64) ** 2.2
    wanted = np.empty_like(light)
    cross, corners = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4, np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    for channel, places, kernel in ((0, [(0, 0)], corners), (1, [(0, 1), (1, 0)], cross), (2, [(1, 1)], corners)):
        known = np.zeros(light.shape[:2])
        for y, x in places:
            known[y::2, x::2] = light[y::2, x::2, channel]
        wanted[..., channel] = convolve(known, kernel)
    made = _made(image, CameraNoise(shot=0, read=0, field="1"))
    inside = (slice(2, -2), slice(2, -2))
    assert np.abs(made[inside] ** 2.2 - wanted[inside]).max() < 1e-3


def test_camera_noise_has_its_variance() -> None:
    """Of light, at a red pixel of a flat field: shot * light + read^2."""
    flat = np.full((256, 256, 3), 0.5, dtype=np.float32)
    step = CameraNoise(shot=0.003, read=0.01, field="7")
    light = _made(flat, step)[2:-2:2, 2:-2:2, 0].astype(np.float64) ** 2.2
    assert light.var() == pytest.approx(0.003 * 0.5**2.2 + 0.01**2, rel=0.05)
    assert light.mean() == pytest.approx(0.5**2.2, rel=0.01)


@pytest.mark.parametrize(
    ("mild", "strong"),
    [
        (Avif(quality=90), Avif(quality=20)),
        (JpegXl(quality=95), JpegXl(quality=10)),
        *((Video(codec=codec, crf=20), Video(codec=codec, crf=50)) for codec in ("h264", "hevc", "vp9", "av1")),
    ],
)
def test_a_codec_is_the_same_each_time_and_worse_when_asked(mild: Step, strong: Step, image: F32) -> None:
    """Also on many threads at once."""
    errors = [float(np.abs(_made(image, step) - image).mean()) for step in (mild, strong)]
    assert 0 < errors[0] < 0.04 and errors[0] < errors[1] < 0.15
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: _made(image, strong), range(8)))
    assert all(np.array_equal(each, made[0]) for each in made)


def test_chroma_leaves_light_and_averages_colour(image: F32) -> None:
    """Of 4:2:0 by loops over blocks; a whole shift moves it; light stays but where colours leave their range."""
    weights = np.array([0.299, 0.587, 0.114])
    made = _made(image, Chroma(subsampling="420"))
    inside = (made > 0.01).all(axis=-1) & (made < 0.99).all(axis=-1)
    assert np.abs((made - image) @ weights)[inside].max() < 2e-3
    flat = np.full((16, 16, 3), 0.5, dtype=np.float32)
    flat[:, 8:] = (0.6, 0.45, 0.5)
    moved = _made(flat, Chroma(shift_x=3))
    red = moved[:, :, 0] - moved @ weights.astype(np.float32)
    assert np.abs(red[:, 10]).max() < 1e-3 and red[:, 11].min() > 0.05


def test_drawing_steps_are_their_formulas(image: F32) -> None:
    wanted = np.clip(image + 1.5 * (image - gaussian_filter(image, (2, 2, 0), mode="mirror")), 0, 1)
    assert np.abs(_made(image, Halo(halo_px=2, amount=1.5)) - wanted).max() < 5e-3
    blocks = image.reshape(24, 4, 32, 4, 3).mean(axis=(1, 3))
    assert np.abs(_made(image, Pixelate(square_px=4)) - blocks.repeat(4, 0).repeat(4, 1)).max() < 1e-5
    step = Levels(black=0.1, white=0.8, gamma=1.5, out_black=0.2, out_white=0.9)
    wanted = 0.2 + 0.7 * np.clip((image - 0.1) / 0.7, 0, 1) ** 1.5
    assert np.abs(_made(image, step) - wanted).max() < 1e-5


@pytest.mark.parametrize("gray", [True, False])
@pytest.mark.parametrize("level", [0.2, 0.5, 0.8])
def test_a_screentone_is_as_dark_as_what_it_is_of(level: float, gray: bool) -> None:
    flat = np.full((120, 120, 3), level, dtype=np.float32)
    made = _made(flat, Screentone(dot_px=6, angle=0.3, gray=gray))
    assert made.mean() == pytest.approx(level, abs=0.06) and ((made < 0.02) | (made > 0.98)).mean() > 0.5


@pytest.mark.parametrize("pattern", ["ordered", "diffused"])
def test_dithering_has_its_levels_and_keeps_the_mean(pattern: Any) -> None:
    ramp = np.repeat(np.linspace(0, 1, 128, dtype=np.float32)[None, :, None], 64, axis=0).repeat(3, axis=2)
    made = _made(np.ascontiguousarray(ramp), Dither(colours=4, pattern=pattern))
    assert set(np.unique(np.rint(made * 255))) == {0, 85, 170, 255}
    means = made.reshape(64, 16, 8, 3).mean(axis=(0, 2))
    assert np.abs(means - ramp.reshape(64, 16, 8, 3).mean(axis=(0, 2))).max() < 0.04
    assert sorted((bayer(1) * 4 + 1.5).ravel()) == [0, 1, 2, 3] and abs(float(bayer(3).mean())) < 1e-6

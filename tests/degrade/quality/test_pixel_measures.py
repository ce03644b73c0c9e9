"""What is measured from pixels: gain, noise and blockiness, on images whose truth is known."""

import numpy as np
import pytest

from rwsr.degrade.images.pixels import U8
from rwsr.degrade.ops.blur import Blur
from rwsr.degrade.ops.codecs import Jpeg
from rwsr.degrade.ops.gaussian import GaussianNoise
from rwsr.degrade.ops.kernels import Kernel
from rwsr.degrade.ops.render import apply
from rwsr.degrade.ops.resize import Resize
from rwsr.degrade.ops.step import Step
from rwsr.degrade.quality.pixel_measures import measure_pixels

SHRINK = Resize(height=64, width=64, mode="area")


def _lr(photograph: U8, *steps: Step) -> U8:
    return apply(photograph[:256, :256].copy(), (SHRINK, *steps))


def test_an_area_downscale_has_all_of_its_detail_and_no_noise(astronaut: U8) -> None:
    """Gain 1, noise of rounding, no blocks."""
    found = measure_pixels(astronaut[:256, :256], _lr(astronaut))
    assert found.gain == pytest.approx(1, abs=0.01) and found.noise < 0.5
    assert found.blockiness == pytest.approx(1, abs=0.25)


def test_gain_falls_with_blur_and_noise_does_not_move_it(astronaut: U8) -> None:
    """More sigma, less gain; noise changes the gain by little."""
    blurs = [Blur(kernel=Kernel(kind="iso", size=21, sigma_x=s, sigma_y=s)) for s in (0.4, 0.7, 1.2, 2.0)]
    gains = [measure_pixels(astronaut[:256, :256], _lr(astronaut, blur)).gain for blur in blurs]
    assert gains == sorted(gains, reverse=True) and gains[0] > 0.8 and gains[-1] < 0.2
    noise = GaussianNoise(sigma_255=20, gray=True, field="7")
    noisy = measure_pixels(astronaut[:256, :256], _lr(astronaut, blurs[1], noise)).gain
    assert noisy == pytest.approx(gains[1], abs=0.08)


@pytest.mark.parametrize("sigma", [5, 15, 30])
def test_noise_is_the_noise_that_was_added(sigma: float, astronaut: U8) -> None:
    """Within a tenth, even on a blurred image."""
    blur = Blur(kernel=Kernel(kind="iso", size=21, sigma_x=0.8, sigma_y=0.8))
    noise = GaussianNoise(sigma_255=sigma, gray=True, field="9")
    found = measure_pixels(astronaut[:256, :256], _lr(astronaut, blur, noise))
    assert found.noise == pytest.approx(sigma, rel=0.12)


def test_blockiness_is_that_of_jpeg(astronaut: U8) -> None:
    """It rises as the quality falls; an image without structure has none."""
    found = [measure_pixels(astronaut[:256, :256], _lr(astronaut, Jpeg(quality=q))).blockiness for q in (90, 40, 5)]
    assert found == sorted(found) and found[-1] > 1.5
    flat = np.full((64, 64, 3), 9, np.uint8)
    assert measure_pixels(np.full((256, 256, 3), 9, np.uint8), flat).blockiness == 1

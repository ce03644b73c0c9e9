"""PSNR and SSIM equal scikit-image's on the papers' conventions."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from rwsr.degrade.errors import UserError
from rwsr.degrade.images.pixels import U8
from rwsr.eval.images.tensors import to_pixels, to_tensor
from rwsr.eval.metrics.psnr_ssim import luma_bt601, psnr, ssim


@pytest.fixture
def pair(astronaut: U8) -> tuple[U8, U8]:
    """A photograph and a noisy version of it."""
    noisy = astronaut + np.random.default_rng(0).normal(0, 12, astronaut.shape)
    return astronaut[:120, :100], np.clip(noisy, 0, 255).astype(np.uint8)[:120, :100]


def test_luma_is_matlabs(pair: tuple[U8, U8]) -> None:
    """BT.601 Y in 16..235, not rounded, as scikit-image has it."""
    found = luma_bt601(to_tensor(pair[0])[None].double() * 255)[0, 0].numpy()
    assert np.abs(found - rgb2ycbcr(pair[0])[..., 0]).max() < 2e-3


@pytest.mark.parametrize("border", [0, 4])
def test_psnr_y_matches_scikit_image(pair: tuple[U8, U8], border: int) -> None:
    """The same decibels on the same cropped luma."""
    a, b = (rgb2ycbcr(p)[border : 120 - border, border : 100 - border, 0] for p in pair)
    found = psnr(*(to_tensor(p)[None] for p in pair), border=border).item()
    assert found == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255), abs=1e-4)


def test_psnr_rgb_matches_scikit_image(pair: tuple[U8, U8]) -> None:
    """Without luma it is the mean over all three channels."""
    found = psnr(*(to_tensor(p)[None] for p in pair), border=0, luma=False).item()
    assert found == pytest.approx(peak_signal_noise_ratio(*pair, data_range=255), abs=1e-6)


def test_ssim_y_matches_scikit_image(pair: tuple[U8, U8]) -> None:
    """An 11x11 Gaussian of sigma 1.5 over valid windows only."""
    a, b = (rgb2ycbcr(p)[..., 0] for p in pair)
    _, full = structural_similarity(
        a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, truncate=5 / 1.5, full=True
    )
    found = ssim(*(to_tensor(p)[None] for p in pair), border=0).item()
    assert found == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-5)


def test_equal_images_are_perfect(pair: tuple[U8, U8]) -> None:
    """Infinite PSNR and an SSIM of 1."""
    image = to_tensor(pair[0])[None]
    assert psnr(image, image, border=4).item() == float("inf")
    assert ssim(image, image, border=4).item() == pytest.approx(1)


def test_values_are_rounded_to_levels_first() -> None:
    """A difference that a saved file would not show is no difference."""
    image = torch.full((1, 3, 32, 32), 100 / 255)
    assert psnr(image + 0.3 / 255, image, border=0).item() == float("inf")


def test_an_image_smaller_than_the_border_is_refused() -> None:
    """It says what is too small for what."""
    with pytest.raises(UserError, match="lower border"):
        psnr(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), border=4)


def test_tensors_and_pixels_are_inverse(astronaut: U8) -> None:
    """uint8 -> [0, 1] -> uint8 is the identity; what lies outside saturates."""
    assert np.array_equal(to_pixels(to_tensor(astronaut)), astronaut)
    assert to_pixels(torch.tensor([-1.0, 2.0, 0.5]).reshape(3, 1, 1)).ravel().tolist() == [0, 255, 128]

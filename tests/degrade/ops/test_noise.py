"""Noise draws against the distributions that they claim: moments, Kolmogorov-Smirnov, chi-square."""

import numpy as np
import pytest
from scipy import stats

from rwsr.degrade.images.pixels import F32, to_float
from rwsr.degrade.ops.fields import add, normal_field, uniform_field
from rwsr.degrade.ops.gaussian import gaussian
from rwsr.degrade.ops.poisson import photons, poisson


def _gray(level: float, side: int = 256) -> F32:
    return np.full((side, side, 3), level, np.float32)


@pytest.mark.parametrize("gray", [False, True])
def test_the_uniform_field_is_uniform(gray: bool) -> None:
    """Over 256 bins, by chi-square; gray has one channel; the same key gives the same field."""
    field = uniform_field(77, 300, 301, gray=gray)
    assert field.shape == (300, 301, 1 if gray else 3)
    assert stats.chisquare(np.bincount(field.ravel() >> 8, minlength=256)).pvalue > 1e-4
    assert np.array_equal(field, uniform_field(77, 300, 301, gray=gray))
    assert not np.array_equal(field, uniform_field(78, 300, 301, gray=gray))


def test_gaussian_noise_is_normal_with_its_sigma() -> None:
    """Mean 0, the asked-for deviation, normal by Kolmogorov-Smirnov, channels uncorrelated."""
    field = gaussian(10, normal_field(1, 256, 256, gray=False), None) * 255
    assert field.std() == pytest.approx(10, rel=0.005) and abs(field.mean()) < 0.06
    assert stats.kstest(field.ravel()[::3] / 10, "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(field.reshape(-1, 3).T) - np.eye(3)).max() < 0.015


def test_mixed_noise_has_the_covariance_of_its_matrix() -> None:
    """sigma^2 M M^T, entry by entry."""
    matrix = np.array([[1, 0, 0], [0.5, 0.8, 0], [-0.3, 0.2, 0.6]])
    mixing = tuple(float(value) for value in matrix.ravel())
    field = gaussian(20, normal_field(2, 400, 400, gray=False), mixing) * 255
    assert np.abs(np.cov(field.reshape(-1, 3).T) - 400 * matrix @ matrix.T).max() < 4


def test_added_noise_is_clamped_and_gray_noise_goes_to_all_channels() -> None:
    """One field for three channels, and nothing outside [0, 1]."""
    noisy = add(_gray(0.9), gaussian(60, normal_field(3, 256, 256, gray=True), None))
    assert np.ptp(noisy, axis=-1).max() == 0 and noisy.max() == 1 and noisy.min() >= 0


def _with_levels(level: int) -> F32:
    """Flat, but for a line with 200 other levels: so that V is 256."""
    pixels = np.full((300, 300, 3), level, np.uint8)
    pixels[0, :200, 0] = np.arange(200)
    return to_float(pixels)


@pytest.mark.parametrize("level", [3, 60, 200])
def test_photon_noise_is_poisson(level: int) -> None:
    """The counts behind the noise pass a chi-square test against scipy's Poisson probabilities."""
    added = poisson(_with_levels(level), uniform_field(4, 300, 300, gray=False))[1:]
    mean = 256 * level / 255
    counts = np.rint(added * 256 + mean).astype(int).ravel()
    low, high = stats.poisson.ppf([0.002, 0.998], mean).astype(int)
    inside = counts[(counts >= low) & (counts <= high)]
    observed = np.bincount(inside - low, minlength=high - low + 1)
    expected = stats.poisson.pmf(np.arange(low, high + 1), mean)
    assert stats.chisquare(observed, expected / expected.sum() * observed.sum()).pvalue > 1e-4
    assert counts.mean() == pytest.approx(mean, rel=0.005) and counts.var() == pytest.approx(mean, rel=0.02)


@pytest.mark.parametrize(("distinct", "peak"), [(1, 1), (2, 2), (3, 4), (64, 64), (65, 128), (256, 256)])
def test_the_peak_is_the_power_of_two_above_the_number_of_levels(distinct: int, peak: int) -> None:
    """Real-ESRGAN's V = 2^ceil(log2 n): counts are whole multiples of 1 / V."""
    pixels = np.resize(np.arange(256 - distinct, 256, dtype=np.uint8), (64, 64, 3))
    image = to_float(pixels)
    counts = (poisson(image, uniform_field(5, 64, 64, gray=False)) + image) * peak
    assert np.abs(counts - np.rint(counts)).max() < 1e-3
    assert (np.rint(counts) % 2 == 1).any()


def test_gray_photon_noise_is_that_of_the_gray_image() -> None:
    """One channel, with the variance of luma / V."""
    image = np.repeat(_with_levels(120)[..., :1], 3, axis=2)
    added = poisson(image, uniform_field(6, 300, 300, gray=True))[1:]
    assert added.shape[2] == 1 and added.var() == pytest.approx(120 / 255 / 256, rel=0.02)


@pytest.mark.parametrize("gray", [False, True])
def test_photons_of_any_peak_have_poissons_variance(gray: bool) -> None:
    """BSRGAN's: variance x / peak."""
    added = photons(_gray(0.4), 1234.5, 7, gray=gray)
    assert added.shape[2] == (1 if gray else 3)
    assert added.var() == pytest.approx(0.4 / 1234.5, rel=0.02) and abs(added.mean()) < 2e-4

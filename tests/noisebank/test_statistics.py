"""Spectrum and covariance against noise whose spectrum and covariance are known."""

import numpy as np
import pytest

from rwsr.noisebank.statistics import estimated_sigma, noise_statistics


def test_white_noise_is_flat_at_its_variance() -> None:
    """At every frequency, within what 40 patches of 64 px leave to chance; rounding to gray levels adds 1/12."""
    rng = np.random.default_rng(0)
    patches = np.rint(128 + rng.normal(0, 6, (40, 64, 64, 3))).astype(np.uint8)
    found = noise_statistics(patches)
    assert found.num_patches == 40 and found.frequency[-1] == 0.5 and len(found.power) == 32
    assert np.allclose(found.power[1:], 36 + 1 / 12, rtol=0.12)


def test_a_wave_has_its_power_at_its_frequency() -> None:
    """8 cycles over 64 pixels are 0.125 cycles per pixel."""
    wave = 128 + 50 * np.sin(2 * np.pi * 8 * np.arange(64) / 64)
    patch = np.broadcast_to(wave[None, :, None], (64, 64, 3)).astype(np.uint8)
    found = noise_statistics(patch[None])
    assert found.frequency[found.power.argmax()] == pytest.approx(0.125)


def test_covariance_is_numpys() -> None:
    """Of one patch: np.cov of its pixels; of two: the mean."""
    rng = np.random.default_rng(1)
    mix = np.array([[1, 0.5, 0], [0, 1, 0.5], [0, 0, 1]])
    patches = np.clip(120 + rng.normal(0, 9, (2, 32, 32, 3)) @ mix, 0, 255).astype(np.uint8)
    expected = np.mean([np.cov(patch.reshape(-1, 3).T, bias=True) for patch in patches], axis=0)
    found = noise_statistics(patches)
    assert np.allclose(found.covariance, expected)
    assert np.allclose(np.diag(found.correlation), 1)


def test_a_constant_channel_correlates_with_nothing() -> None:
    """Zero, not a division by zero."""
    patch = np.full((1, 16, 16, 3), 9, np.uint8)
    assert (noise_statistics(patch).correlation == 0).all()


def test_noise_is_told_from_a_slope() -> None:
    """The wavelets see the noise that was added, where the variance sees the slope as well."""
    rng = np.random.default_rng(2)
    slope = np.linspace(60, 180, 64)[None, :, None]
    patches = np.rint(slope + rng.normal(0, 6, (8, 64, 64, 3))).astype(np.uint8)
    assert estimated_sigma(patches) == pytest.approx([(36 + 1 / 12) ** 0.5] * 8, rel=0.06)
    assert patches.var(axis=(1, 2)).min() > 30**2


def test_what_has_no_noise_is_zero() -> None:
    """A channel of one value, black or not, beside one with noise; no warning (they are errors here)."""
    patch = np.zeros((1, 32, 32, 3), dtype=np.uint8)
    assert estimated_sigma(patch).tolist() == [0] == estimated_sigma(patch + 9).tolist()
    patch[0, ..., 0] = np.random.default_rng(3).normal(100, 6, (32, 32)).round()
    assert 1 < estimated_sigma(patch)[0] < 3

"""NIQE against the method written out block by block, and what it is for."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import convolve
from scipy.special import gamma

from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.pixels import U8
from rwsr.eval.metrics.niqe import F64, Pristine, niqe, pristine


def _luma(pixels: U8) -> F64:
    return np.round(16 + pixels.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255)


def _fit(block: F64) -> tuple[float, float, float]:
    values = block.ravel()
    shapes = np.arange(0.2, 10.001, 0.001)
    ratios = gamma(2 / shapes) ** 2 / (gamma(1 / shapes) * gamma(3 / shapes))
    left, right = (np.sqrt(np.mean(part**2)) for part in (values[values < 0], values[values > 0]))
    skew = left / right
    wanted = np.mean(np.abs(values)) ** 2 / np.mean(values**2) * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shape = shapes[np.argmin((ratios - wanted) ** 2)]
    spread = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return float(shape), float(left * spread), float(right * spread)


def _halved(rows: F64) -> F64:
    """MATLAB's imresize by a half along the first axis, a row at a time."""

    def cubic(x: float) -> float:
        x = abs(x)
        return 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else (-0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0)

    count = len(rows)
    found = np.zeros((count // 2, rows.shape[1]))
    for i in range(count // 2):
        taps = range(2 * i - 5, 2 * i + 7)
        weights = np.array([cubic((j - 2 * i - 0.5) / 2) for j in taps])
        mirrored = [-j - 1 if j < 0 else 2 * count - 1 - j if j >= count else j for j in taps]
        found[i] = (weights / weights.sum()) @ rows[mirrored]
    return found


def _by_loops(luma: F64, model: Pristine) -> float:
    luma = luma[: luma.shape[0] // 96 * 96, : luma.shape[1] // 96 * 96]
    columns: list[F64] = []
    for size in (96, 48):
        mean = convolve(luma, model.window, mode="nearest")
        deviation = np.sqrt(np.abs(convolve(luma**2, model.window, mode="nearest") - mean**2))
        normal = (luma - mean) / (deviation + 1)
        features: list[list[float]] = []
        for y in range(0, luma.shape[0], size):
            for x in range(0, luma.shape[1], size):
                block = normal[y : y + size, x : x + size]
                shape, left, right = _fit(block)
                row = [shape, (left + right) / 2]
                for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
                    shape, left, right = _fit(block * np.roll(block, shift, axis=(0, 1)))
                    row += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
                features.append(row)
        columns.append(np.array(features))
        luma = _halved(_halved(luma).T).T
    found = np.concatenate(columns, axis=1)
    away = model.mean - found.mean(axis=0)
    return float(np.sqrt(away @ np.linalg.pinv((model.covariance + np.cov(found, rowvar=False)) / 2) @ away))


@pytest.fixture
def model() -> Pristine:
    """A made model of good photographs."""
    rng = np.random.default_rng(0)
    line = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
    root = rng.normal(0, 0.2, (36, 36))
    return Pristine(rng.uniform(0.5, 2, 36), root @ root.T + 0.1 * np.eye(36), np.outer(line, line) / line.sum() ** 2)


def test_it_is_the_method_written_out(astronaut: U8, model: Pristine) -> None:
    """Whatever the model of good photographs; the rest beyond whole blocks is left out."""
    luma = _luma(astronaut[100:400, :300])
    assert niqe(luma, model) == pytest.approx(_by_loops(luma, model), abs=1e-6)


@pytest.mark.slow
def test_it_is_the_method_written_out_with_the_published_model(published: Path, data: Path) -> None:
    for path in sorted((data / "val/cid22_val").iterdir())[:3]:
        luma = _luma(decode(path.read_bytes()).pixels)
        assert niqe(luma, pristine()) == pytest.approx(_by_loops(luma, pristine()), abs=1e-6)


def test_worse_photographs_score_higher(published: Path, astronaut: U8) -> None:
    """More noise, and more blur, each at three levels."""
    model, luma = pristine(), _luma(astronaut)
    noise = np.random.default_rng(0).normal(0, 1, luma.shape)
    noisy = [niqe(np.round(luma + sigma * noise), model) for sigma in (0, 15, 40)]
    blurred = [niqe(np.round(convolve(luma, np.ones((n, n)) / n**2)), model) for n in (1, 3, 7)]
    assert noisy == sorted(noisy) and blurred == sorted(blurred)


def test_what_cannot_be_measured_is_nan(model: Pristine) -> None:
    """Too small an image has no NIQE, nor has one without any structure."""
    assert np.isnan(niqe(np.random.default_rng(0).normal(100, 20, (150, 96)), model))
    assert np.isnan(niqe(np.full((192, 192), 100.0), model))

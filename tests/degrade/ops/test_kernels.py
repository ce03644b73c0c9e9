"""Kernels follow their published formulas, checked by a loop over the grid and by scipy."""

import math

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import j1
from scipy.stats import multivariate_normal

from rwsr.degrade.ops.kernels import Kernel, render


def _by_loop(kernel: Kernel) -> np.ndarray:
    """The kernel weight by weight, with the covariance matrix written out."""
    c, s = math.cos(kernel.theta), math.sin(kernel.theta)
    turn = np.array([[c, -s], [s, c]])
    inverse = np.linalg.inv(turn @ np.diag([kernel.sigma_x**2, kernel.sigma_y**2]) @ turn.T)
    half = kernel.size // 2
    weights = np.empty((kernel.size, kernel.size))
    for row in range(kernel.size):
        for column in range(kernel.size):
            v = np.array([column - half, row - half], dtype=float)
            q = v @ inverse @ v
            if kernel.kind.startswith("plateau"):
                weights[row, column] = 1 / (1 + q**kernel.beta)
            else:
                weights[row, column] = math.exp(-0.5 * q**kernel.beta)
    return weights / weights.sum()


@pytest.mark.parametrize(
    ("kind", "beta"),
    [("iso", 1.0), ("aniso", 1.0), ("generalized_iso", 0.6), ("generalized_aniso", 3.1), ("plateau_aniso", 1.7)],
)
def test_gaussians_match_a_loop(kind: str, beta: float) -> None:
    """The vectorised formula equals the written-out one, rotation included."""
    kernel = Kernel.model_validate(
        {"kind": kind, "size": 13, "sigma_x": 2.3, "sigma_y": 0.9, "theta": 0.7, "beta": beta}
    )
    assert np.allclose(render(kernel), _by_loop(kernel), rtol=1e-12, atol=1e-15)


def test_gaussian_matches_scipy() -> None:
    """The isotropic Gaussian is the normal density on the grid, made to sum to 1; at r = 1 its centre is 0.1592."""
    steps = np.arange(21) - 10
    density = multivariate_normal(mean=[0, 0], cov=[[1, 0], [0, 1]]).pdf(np.stack(np.meshgrid(steps, steps), axis=-1))
    found = render(Kernel(kind="iso", size=21))
    assert np.allclose(found, density / density.sum(), rtol=1e-12)
    assert found[10, 10] == pytest.approx(0.1592, abs=5e-5)


def test_sinc_matches_its_formula_and_limit() -> None:
    """cutoff J1(cutoff r) / (2 pi r), and its limit cutoff^2 / (4 pi) in the middle."""
    cutoff = 1.9
    weights = np.empty((9, 9))
    for y in range(-4, 5):
        for x in range(-4, 5):
            r = math.hypot(x, y)
            weights[y + 4, x + 4] = cutoff**2 / (4 * math.pi) if r == 0 else cutoff * j1(cutoff * r) / (2 * math.pi * r)
    found = render(Kernel(kind="sinc", size=9, cutoff=cutoff))
    assert np.allclose(found, weights / weights.sum(), rtol=1e-12)


def test_a_kernel_without_a_middle_is_refused() -> None:
    """An even size is named, with the nearest odd ones."""
    with pytest.raises(ValidationError, match="use 7 or 9"):
        Kernel(kind="iso", size=8)

"""Blur kernels: the six Gaussians of Real-ESRGAN and BSRGAN, and the sinc.

All are [size, size] float64 on the integer grid -size//2..size//2, normalised to sum 1 (the sum over the
grid, no analytic constant). Formulas: Real-ESRGAN (Wang et al. 2021) section 3.2; BSRGAN (Zhang et al. 2021).
"""

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator
from scipy.special import j1

from ..family import Frozen

F64 = npt.NDArray[np.float64]
KernelKind = Literal["iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso", "sinc"]


class Kernel(Frozen):
    """One blur kernel by its parameters."""

    kind: KernelKind
    """The family."""
    size: Annotated[int, Field(ge=1, le=51)]
    """Side in pixels; odd."""
    sigma_x: Annotated[float, Field(gt=0)] = 1.0
    """Standard deviation in pixels along the first of the rotated axes."""
    sigma_y: Annotated[float, Field(gt=0)] = 1.0
    """Standard deviation in pixels along the second; equal to the first when isotropic."""
    theta: float = 0.0
    """Rotation in radians."""
    beta: Annotated[float, Field(gt=0)] = 1.0
    """Shape of the generalised and plateau families, which the others ignore."""
    cutoff: Annotated[float, Field(gt=0, le=np.pi)] = np.pi
    """Of the sinc, in radians per pixel; the Gaussians ignore it, the sinc ignores the others."""

    @field_validator("size")
    @classmethod
    def _odd(cls, size: int) -> int:
        if size % 2 == 0:
            raise ValueError(f"{size} is even; a kernel has a middle, use {size - 1} or {size + 1}")
        return size

    def __hash__(self) -> int:
        return hash((self.kind, self.size, self.sigma_x, self.sigma_y, self.theta, self.beta, self.cutoff))

    @property
    def is_separable(self) -> bool:
        """Whether it is the outer product of its own marginal: a round Gaussian is."""
        return self.kind in ("iso", "aniso") and self.sigma_x == self.sigma_y


def _grid(size: int) -> tuple[F64, F64]:
    """Coordinates x (columns) and y (rows), each [size, size], zero in the middle."""
    steps = np.arange(size, dtype=np.float64) - size // 2
    x, y = np.meshgrid(steps, steps)
    return x, y


def _quadratic_form(kernel: Kernel) -> F64:
    """x^T Sigma^-1 x, with Sigma = U diag(sigma_x^2, sigma_y^2) U^T and U the rotation by theta."""
    x, y = _grid(kernel.size)
    cos, sin = np.cos(kernel.theta), np.sin(kernel.theta)
    along = (cos * x + sin * y) / kernel.sigma_x
    across = (cos * y - sin * x) / kernel.sigma_y
    return along**2 + across**2


def _sinc(size: int, cutoff: float) -> F64:
    """The circular low-pass filter cutoff * J1(cutoff * r) / (2 pi r), cutoff^2 / (4 pi) at r = 0."""
    x, y = _grid(size)
    radius = np.hypot(x, y)
    centre = radius == 0
    safe = np.where(centre, 1.0, radius)
    return np.where(centre, cutoff**2 / (4 * np.pi), cutoff * j1(cutoff * safe) / (2 * np.pi * safe))


def render(kernel: Kernel) -> F64:
    """The weights [size, size] float64 of a kernel, summing to 1; size is odd.

    gaussian exp(-q/2), generalised exp(-q^beta/2), plateau 1/(1 + q^beta), with q the quadratic form.
    """
    if kernel.kind == "sinc":
        weights = _sinc(kernel.size, kernel.cutoff)
    elif kernel.kind.startswith("plateau"):
        weights = 1 / (1 + _quadratic_form(kernel) ** kernel.beta)
    else:
        beta = kernel.beta if kernel.kind.startswith("generalized") else 1
        weights = np.exp(-0.5 * _quadratic_form(kernel) ** beta)
    return weights / weights.sum()

"""Gaussian noise, as it is or multiplied by the image (speckle): gray, by channel, or correlated between channels."""

from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from ..images.pixels import F32
from .fields import add, normal_field
from .step import Site, Step

Mixing = tuple[float, float, float, float, float, float, float, float, float]


def _mixed(normal: F32, mixing: tuple[float, ...]) -> F32:
    """Channels correlated: each pixel's three independent draws times a 3x3 matrix, row by row."""
    matrix = np.array(mixing, dtype=np.float32).reshape(3, 3)
    return np.asarray(cv2.transform(normal, matrix), dtype=np.float32)


def gaussian(sigma_255: float, normal: F32, mixing: tuple[float, ...] | None) -> F32:
    """A normal field with that standard deviation in gray levels of 255, where 1 is white.

    mixing: nine numbers, the rows of M: the covariance of the channels is then sigma^2 M M^T.
    """
    if mixing is not None:
        normal = _mixed(normal, mixing)
    return np.asarray(normal * np.float32(sigma_255 / 255), dtype=np.float32)


class _Normal(Step):
    """Noise of a normal field."""

    is_noise: ClassVar[bool] = True
    sigma_255: Annotated[float, Field(ge=0, le=255)]
    """Standard deviation in gray levels of 255."""
    gray: bool
    """One field for all three channels."""
    field: str
    """Key of the random field, hexadecimal."""
    mixing: Mixing | None = None
    """Rows of a 3x3 matrix that correlates the channels; None leaves them independent (or one, when gray)."""

    def _noise(self, at: Site) -> F32:
        height, width = at.image.shape[:2]
        normal = at.shared.get(
            ("normal", self.field, height, width, self.gray),
            lambda: normal_field(int(self.field, 16), height, width, gray=self.gray),
        )
        return gaussian(self.sigma_255, normal, self.mixing)

    @property
    def _level(self) -> str:
        return f"{self.sigma_255:.1f}{' gray' if self.gray else ' mixed' if self.mixing else ''}"


class GaussianNoise(_Normal):
    """sigma_255: standard deviation in gray levels of 255. field: key of the random field, hexadecimal.

    mixing: rows of a 3x3 matrix that correlates the channels; None leaves them independent (or one, when gray).
    """

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"sigma_255": 10, "gray": False, "field": "1"},
        {"sigma_255": 30, "gray": True, "field": "1"},
    )
    op: Literal["gaussian"] = "gaussian"

    def apply(self, at: Site) -> F32:
        return add(at.image, self._noise(at))

    @property
    def text(self) -> str:
        return f"noise {self._level}"

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"Gaussian noise (levels)": self.sigma_255}


class SpeckleNoise(_Normal):
    """As `GaussianNoise`, but multiplied by the image: dark places get little of it."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = ({"sigma_255": 40, "gray": False, "field": "1"},)
    op: Literal["speckle"] = "speckle"

    def apply(self, at: Site) -> F32:
        return add(at.image, np.clip(at.image, 0, 1) * self._noise(at))

    @property
    def text(self) -> str:
        return f"speckle {self._level}"

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"speckle (levels)": self.sigma_255}

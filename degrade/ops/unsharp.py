"""Unsharp masking (Real-ESRGAN's USM of the HR): [H, W, 3] float32 RGB in, the same out."""

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from ..images.pixels import F32
from .blur import LEAST_WIDE, blur, wide_blur
from .kernels import Kernel, render
from .step import Site, Step

Gaussian = Literal["truncated", "pyramid"]


@lru_cache(maxsize=16)
def usm_kernel(radius: int) -> Kernel:
    """OpenCV's Gaussian for a width without a sigma: radius 50 means 51 taps, sigma 8."""
    taps = radius + 1 - radius % 2
    sigma = 0.3 * ((taps - 1) * 0.5 - 1) + 0.8
    return Kernel(kind="iso", size=taps, sigma_x=sigma, sigma_y=sigma)


def unsharp_mask(
    image: F32, *, radius: int, weight: float, threshold_255: float, gaussian: Gaussian = "truncated"
) -> F32:
    """The image with its edges made stronger, clamped to [0, 1] (Real-ESRGAN's USM of the HR).

    Where the image differs from its blurred self by more than threshold_255 gray levels, weight times the
    difference is added; the mask of these places is blurred too, so that it has no hard edge. gaussian: how it is
    blurred, `truncated` as OpenCV's taps end, or as a `pyramid` where it is wide enough for one.
    """
    blurred = _blurring(radius, gaussian)
    soft = blurred(image)
    _, mask = cv2.threshold(cv2.absdiff(image, soft), _as_float(threshold_255), 1, cv2.THRESH_BINARY)
    sharp = cv2.subtract(image, soft)
    np.multiply(sharp, np.float32(weight), out=sharp)  # two roundings: OpenCV's scaleAdd has one
    np.clip(np.add(image, sharp, out=sharp), np.float32(0), np.float32(1), out=sharp)
    soft = blurred(np.asarray(mask, dtype=np.float32))
    change = cv2.multiply(soft, cv2.subtract(sharp, image, dst=sharp), dst=sharp)
    return np.asarray(cv2.add(image, change, dst=change), dtype=np.float32)


@lru_cache(maxsize=16)
def _as_float(threshold_255: float) -> float:
    """The largest float32 of which 255 times, rounded, is not above a threshold in gray levels."""
    levels, limit = np.float32(255), np.float32(threshold_255)
    found = np.float32(limit / levels)
    while found * levels > limit:
        found = np.nextafter(found, np.float32(0))
    while np.nextafter(found, np.float32(2)) * levels <= limit:
        found = np.nextafter(found, np.float32(2))
    return float(found)


def is_by_pyramid(radius: int, gaussian: Gaussian) -> bool:
    """Whether it is a pyramid that blurs: where it is to be one, and the Gaussian is wide enough for it."""
    return gaussian == "pyramid" and usm_kernel(radius).sigma_x >= LEAST_WIDE


def _blurring(radius: int, gaussian: Gaussian) -> Callable[[F32], F32]:
    kernel = usm_kernel(radius)
    if is_by_pyramid(radius, gaussian):
        return lambda image: wide_blur(image, spread_of(kernel))
    return lambda image: blur(image, kernel)


@lru_cache(maxsize=16)
def spread_of(kernel: Kernel) -> float:
    """Standard deviation of a kernel as it is, which its ends, where they are cut off, make a little smaller."""
    line = render(kernel).sum(axis=0)
    return float(np.sqrt((line * (np.arange(kernel.size) - kernel.size // 2) ** 2).sum()))


class UnsharpMask(Step):
    """Edges made stronger, as Real-ESRGAN does it to the HR."""

    is_noise: ClassVar[bool] = False
    op: Literal["usm"] = "usm"
    radius: Annotated[int, Field(ge=1, le=50)] = 50
    """In pixels, of a Gaussian of that width."""
    weight: Annotated[float, Field(ge=0, le=10)] = 0.5
    """Of what is added."""
    threshold_255: Annotated[float, Field(ge=0, le=255)] = 10
    """Least difference that counts, in gray levels."""
    gaussian: Gaussian = "truncated"
    """How it blurs: `truncated` as OpenCV's taps end, or as a `pyramid`, within 0.2 levels of the whole Gaussian."""

    def apply(self, at: Site) -> F32:
        return unsharp_mask(
            at.image,
            radius=self.radius,
            weight=self.weight,
            threshold_255=self.threshold_255,
            gaussian=self.gaussian,
        )

    @property
    def text(self) -> str:
        return f"sharpened {self.weight:.1f}"

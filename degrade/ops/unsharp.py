"""Unsharp masking (Real-ESRGAN's USM of the HR): [H, W, 3] float32 RGB in, the same out."""

from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ..images.pixels import F32
from .blur import blur
from .kernels import Kernel
from .step import Site, Step


@lru_cache(maxsize=4)
def usm_kernel(radius: int) -> Kernel:
    """OpenCV's Gaussian for a width without a sigma: radius 50 means 51 taps, sigma 8."""
    taps = radius + 1 - radius % 2
    sigma = 0.3 * ((taps - 1) * 0.5 - 1) + 0.8
    return Kernel(kind="iso", size=taps, sigma_x=sigma, sigma_y=sigma)


def unsharp_mask(image: F32, *, radius: int, weight: float, threshold_255: float) -> F32:
    """The image with its edges made stronger, clamped to [0, 1] (Real-ESRGAN's USM of the HR).

    Where the image differs from its blurred self by more than threshold_255 gray levels, weight times the
    difference is added; the mask of these places is blurred too, so that it has no hard edge.
    """
    kernel = usm_kernel(radius)
    residual = image - blur(image, kernel)
    mask = (np.abs(residual) * 255 > threshold_255).astype(np.float32)
    soft = blur(mask, kernel)
    sharp = np.clip(image + np.float32(weight) * residual, 0, 1)
    return np.asarray(image + soft * (sharp - image), dtype=np.float32)


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

    def apply(self, at: Site) -> F32:
        return unsharp_mask(at.image, radius=self.radius, weight=self.weight, threshold_255=self.threshold_255)

    @property
    def text(self) -> str:
        return f"sharpened {self.weight:.1f}"

"""Resampling to an exact size: [H, W, 3] float32 RGB in, [height, width, 3] out, pixel centres aligned.

Real-ESRGAN's first resize passes a scale factor, which maps by the nominal scale while the output has a whole
number of pixels: LR then drifts by up to 1.5 LR pixels. A size has no such drift.
"""

from typing import Annotated, ClassVar, Literal, Self

import cv2
import numpy as np
from PIL import Image
from pydantic import Field, model_validator

from ..images.pixels import F32
from .step import Site, Step

ResizeMode = Literal["area", "bilinear", "bicubic", "lanczos", "nearest-exact", "matlab-bicubic"]

_POINTWISE: dict[ResizeMode, int] = {
    "area": cv2.INTER_AREA,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
    "nearest-exact": cv2.INTER_NEAREST_EXACT,
}
_ANTIALIASED: dict[ResizeMode, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "matlab-bicubic": Image.Resampling.BICUBIC,
}
_CUBIC_SUPPORT = 2


def can_antialias(mode: ResizeMode) -> bool:
    """Whether a mode has an antialiased form beside its pointwise one; area and matlab-bicubic always are."""
    return mode in _ANTIALIASED and mode in _POINTWISE


def _antialiased(image: F32, height: int, width: int, mode: ResizeMode, margin: tuple[int, int]) -> F32:
    """Pillow's resampling, whose filter widens with the reduction; `margin` rows and columns only feed the filter."""
    above, left = margin
    box = (left, above, image.shape[1] - left, image.shape[0] - above)
    planes = [
        np.asarray(Image.fromarray(plane).resize((width, height), _ANTIALIASED[mode], box=box))
        for plane in cv2.split(image)
    ]
    return np.asarray(cv2.merge(planes), dtype=np.float32)


def _matlab_bicubic(image: F32, height: int, width: int) -> F32:
    """MATLAB's imresize: cubic with a = -0.5, widened when it reduces, over borders mirrored with the edge pixel."""
    above, left = (
        int(np.ceil(_CUBIC_SUPPORT * max(1, old / new))) + 1
        for old, new in zip(image.shape[:2], (height, width), strict=True)
    )
    padded = cv2.copyMakeBorder(image, above, above, left, left, cv2.BORDER_REFLECT)
    return _antialiased(np.asarray(padded, dtype=np.float32), height, width, "matlab-bicubic", (above, left))


def resize(image: F32, height: int, width: int, mode: ResizeMode, *, antialias: bool = False) -> F32:
    """The image at another size; the same size is no work at all.

    area: the mean over each pixel's area when it reduces, close to nearest when it enlarges. nearest-exact: the pixel
    under each centre, as torch's and Pillow's. bilinear, bicubic
    (a = -0.75, as torch) and lanczos (8 taps) look at the nearest pixels only, as torch's interpolate does;
    with `antialias` they widen with the reduction (Pillow's filters: bicubic has a = -0.5, lanczos 3 lobes).
    matlab-bicubic: MATLAB's imresize, borders included.
    """
    if image.shape[:2] == (height, width):
        return image
    if mode == "matlab-bicubic":
        return _matlab_bicubic(image, height, width)
    if antialias:
        return _antialiased(image, height, width, mode, (0, 0))
    return np.asarray(cv2.resize(image, (width, height), interpolation=_POINTWISE[mode]), dtype=np.float32)


class Resize(Step):
    """Resampling to a size in pixels; `resize` says what each mode is."""

    is_noise: ClassVar[bool] = False
    op: Literal["resize"] = "resize"
    height: Annotated[int, Field(ge=1)]
    """Of the result, in pixels."""
    width: Annotated[int, Field(ge=1)]
    """Of the result, in pixels."""
    mode: ResizeMode
    """`resize` says what each is."""
    antialias: bool = False
    """Of the modes that have both forms: the one that widens with the reduction."""

    @model_validator(mode="after")
    def _has_both_forms(self) -> Self:
        if self.antialias and not can_antialias(self.mode):
            raise ValueError(f"antialias means nothing for {self.mode}, which always is; leave it out")
        return self

    def apply(self, at: Site) -> F32:
        return resize(at.image, self.height, self.width, self.mode, antialias=self.antialias)

    @property
    def text(self) -> str:
        return f"{self.mode} to {self.width} px"

    @property
    def family(self) -> str:
        return self.mode

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"resized to (of HR side)": self.width / hr_px}

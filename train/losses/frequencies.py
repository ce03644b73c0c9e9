"""Images parted into a low and a high band, for losses that look at one of them (FSSR; DASR)."""

from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from ...degrade.family import Frozen


class Split(Frozen):
    """How images are parted."""

    kind: Literal["mean", "haar"] = "mean"
    """mean: low is the mean around each pixel, high what is left; haar: one level of the Haar wavelet, at half the
    size, high its three bands.
    """
    side: Annotated[int, Field(ge=1, le=51)] = 5
    """Of the square of the mean, in pixels; odd."""

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.side % 2 == 0:
            raise ValueError(f"side = {self.side} is even; use {self.side + 1}")
        return self

    @property
    def channels(self) -> int:
        """Of the high band."""
        return 9 if self.kind == "haar" else 3

    def low(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] -> the same, or half as large; a flat image gives its own level, to its border."""
        return haar(image)[0] / 2 if self.kind == "haar" else mean_around(image, self.side)

    def high(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, channels, H, W], or half as large; a flat image gives 1/2, to its border."""
        if self.kind == "haar":
            return torch.cat(haar(image)[1:], dim=1) / 2 + 0.5
        return (image - mean_around(image, self.side)) / 2 + 0.5


def mean_around(image: Tensor, side: int) -> Tensor:
    """The mean of the square around each pixel, of as much of it as lies in the image."""
    return functional.avg_pool2d(image, side, 1, side // 2, count_include_pad=False)


def haar(image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """[B, C, H, W] -> what is alike, and the differences of rows, of columns and of diagonals, each [B, C, H/2, W/2];
    odd sides are continued by their last pixels.
    """
    height, width = image.shape[2:]
    image = functional.pad(image, (0, width % 2, 0, height % 2), mode="replicate")
    a, b = image[..., ::2, ::2], image[..., ::2, 1::2]
    c, d = image[..., 1::2, ::2], image[..., 1::2, 1::2]
    return (a + b + c + d) / 2, (a + b - c - d) / 2, (a - b + c - d) / 2, (a - b - c + d) / 2

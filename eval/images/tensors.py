"""Images between numpy and torch: the one place where layout and range change."""

import numpy as np
import torch
from torch import Tensor

from ...degrade.images.pixels import U8


def to_tensor(pixels: U8) -> Tensor:
    """[..., H, W, 3] uint8 -> [..., 3, H, W] float32 in [0, 1]."""
    return torch.from_numpy(np.require(pixels, requirements=["C", "W"])).movedim(-1, -3).float() / 255


def to_pixels(image: Tensor) -> U8:
    """[..., 3, H, W] float in [0, 1] -> [..., H, W, 3] uint8, rounded and saturated."""
    return (image.clamp(0, 1) * 255).round().to(torch.uint8).movedim(-3, -1).contiguous().cpu().numpy()

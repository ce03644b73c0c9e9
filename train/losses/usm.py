"""Real-ESRGAN's unsharp mask on batches, as `degrade.ops.blur.unsharp_mask` is on one image."""

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from ...eval.images.kept import kept

_RADIUS, _WEIGHT, _THRESHOLD = 50, 0.5, 10 / 255
LEAST_PX = _RADIUS // 2 + 1  # of a side: what is mirrored must be there


def check_target(sharpen_target: bool, lr_patch_px: int, scale: int) -> None:  # noqa: FBT001
    """Raises ValueError where a target that is to be sharpened is too small for it."""
    if sharpen_target and lr_patch_px * scale < LEAST_PX:
        raise ValueError(
            f"losses.sharpen_target looks {LEAST_PX - 1} px far, and loop.lr_patch_px = {lr_patch_px} makes HR crops "
            f"of {lr_patch_px * scale}; use {-(-LEAST_PX // scale)} or more, or set losses.sharpen_target=false"
        )


def _taps() -> npt.NDArray[np.float32]:
    return np.float32(cv2.getGaussianKernel(_RADIUS + 1 - _RADIUS % 2, 0)).flatten()


def _blurred(image: Tensor) -> Tensor:
    """[B, C, H, W] under the Gaussian, over mirrored borders (the edge pixel once)."""
    line = kept(_taps, device=image.device, dtype=image.dtype)
    reach, channels = len(line) // 2, image.shape[1]
    wide = functional.pad(image, (reach, reach, reach, reach), mode="reflect")
    across = functional.conv2d(wide, line.expand(channels, 1, 1, -1), groups=channels)
    return functional.conv2d(across, line[:, None].expand(channels, 1, -1, 1), groups=channels)


def sharpened(image: Tensor) -> Tensor:
    """[B, 3, H, W] in 0..1 with its edges made stronger; sides of LEAST_PX and more."""
    with torch.autocast(image.device.type, enabled=False):  # in bf16 a target would be half a gray level off
        residual = image - _blurred(image)
        soft = _blurred((residual.abs() > _THRESHOLD).to(image))
        return image + soft * ((image + _WEIGHT * residual).clamp(0, 1) - image)

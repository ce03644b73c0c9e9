"""PSNR and SSIM by the conventions of super-resolution papers.

Each takes SR and HR [B, 3, H, W] float RGB in [0, 1], rounds both to 8 bits as a saved image would be, crops
`border` pixels from each side (papers: the scale), and gives one value an image, [B] float64.
"""

import numpy as np
import torch
from torch import Tensor

from ...degrade.errors import UserError
from ..images.kept import row

SSIM_PX = 11  # a side of the window
_LUMA = (65.481, 128.553, 24.966)  # of R, G, B in Y


def levels(image: Tensor, border: int) -> Tensor:
    """Gray levels 0..255 in float64, borders cropped."""
    height, width = image.shape[-2:]
    if min(height, width) <= 2 * border:
        raise UserError(f"an image of {width}x{height} is gone after cropping {border} px from each side; lower border")
    cropped = image[..., border : height - border, border : width - border]
    return (cropped.double().clamp(0, 1) * 255).round()


def luma_bt601(levels: Tensor) -> Tensor:
    """Y [B, 1, H, W] in 16..235 from RGB levels [B, 3, H, W] in 0..255: MATLAB's rgb2ycbcr, not rounded."""
    return (levels * row(*(weight / 255 for weight in _LUMA), like=levels)).sum(dim=1, keepdim=True) + 16


def psnr_of(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of levels [B, C, h, w] in 0..255; inf for equal images."""
    return 20 * torch.log10(255 / (a - b).square().mean(dim=(1, 2, 3)).sqrt())


def psnr(sr: Tensor, hr: Tensor, *, border: int, luma: bool = True) -> Tensor:
    """The same of SR and HR, on BT.601 Y (the papers' PSNR-Y) or on RGB."""
    a, b = levels(sr, border), levels(hr, border)
    return psnr_of(luma_bt601(a), luma_bt601(b)) if luma else psnr_of(a, b)


def _windowed(image: Tensor, axis: int) -> Tensor:
    """The weighted mean of 11 neighbours along an axis, where all of them are inside."""
    weights = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    length = image.shape[axis] - 10
    found = image.narrow(axis, 0, length) * weights[0]
    for first in range(1, 11):
        found.add_(image.narrow(axis, first, length), alpha=float(weights[first]))
    return found


def ssim_of(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity of levels [B, C, h, w]: 11x11 Gaussian of sigma 1.5, valid windows, mean over channels
    (Wang et al. 2004).
    """
    if min(a.shape[-2:]) < SSIM_PX:
        raise UserError(f"SSIM needs {SSIM_PX} px after the border is cropped; use larger images")
    squares = torch.stack([a, b, a * a, b * b, a * b])
    mean_a, mean_b, mean_aa, mean_bb, mean_ab = _windowed(_windowed(squares, -1), -2)
    var_a, var_b = mean_aa - mean_a**2, mean_bb - mean_b**2
    cov = mean_ab - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    return (similarity / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean(dim=(1, 2, 3))


def ssim(sr: Tensor, hr: Tensor, *, border: int, luma: bool = True) -> Tensor:
    """The same of SR and HR, on BT.601 Y or on RGB."""
    a, b = levels(sr, border), levels(hr, border)
    return ssim_of(luma_bt601(a), luma_bt601(b)) if luma else ssim_of(a, b)

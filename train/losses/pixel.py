"""Losses between SR and HR, pixel by pixel, by structure and by frequency: what people train restorers with."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from ...eval.images.kept import kept

Kind = Literal["l1", "l2", "charbonnier"]

_MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, the finest first
_TAPS, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
_LDL_SIDE = 7


def by_pixels(kind: Kind, sr: Tensor, hr: Tensor) -> Tensor:
    """Of [B, 3, H, W]: the mean of |d|, of d^2, or of sqrt(d^2 + 1e-6) (Charbonnier; Lai et al. 2017)."""
    match kind:
        case "l1":
            return functional.l1_loss(sr, hr)
        case "l2":
            return functional.mse_loss(sr, hr)
        case "charbonnier":
            return ((sr - hr).square() + 1e-6).sqrt().mean()


def ms_ssim_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """1 - MS-SSIM (Wang et al. 2003) of [B, 3, H, W] in [0, 1], each channel by itself. A Gaussian of 11 taps wants 161
    pixels for five scales; smaller images have fewer, their weights made to sum to 1.
    """
    side = min(sr.shape[2:])
    scales = max(1, min(len(_MS_SSIM_WEIGHTS), ((side - 1) // (_TAPS - 1)).bit_length()))
    weights = kept(_ms_ssim_weights, scales, device=sr.device, dtype=sr.dtype)
    found: list[Tensor] = []
    for scale in range(scales):
        whole, contrast = _ssim(sr, hr)
        found.append(whole if scale == scales - 1 else contrast)
        if scale < scales - 1:
            sr, hr = (functional.avg_pool2d(image, 2, ceil_mode=False) for image in (sr, hr))
    likeness = torch.stack(found, dim=-1).clamp_min(1e-6)  # a negative likeness has no power
    return 1 - (likeness**weights).prod(dim=-1).mean()


def _ms_ssim_weights(scales: int) -> npt.NDArray[np.float64]:
    """Of so many scales, with a sum of 1."""
    first = np.array(_MS_SSIM_WEIGHTS[:scales])
    return first / first.sum()


def _gaussian() -> npt.NDArray[np.float64]:
    line = np.exp(-((np.arange(_TAPS) - _TAPS // 2) ** 2) / (2 * _SIGMA**2))
    return line / line.sum()


def _ssim(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM and its part without the means, [B, 3], over where the whole window lies inside."""
    line, channels = kept(_gaussian, device=a.device, dtype=a.dtype), a.shape[1]

    def mean(image: Tensor) -> Tensor:
        across = functional.conv2d(image, line.expand(channels, 1, 1, -1), groups=channels)
        return functional.conv2d(across, line[:, None].expand(channels, 1, -1, 1), groups=channels)

    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    contrast = (2 * covariance + _C2) / (variance_a + variance_b + _C2)
    whole = contrast * (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    return whole.mean(dim=(2, 3)), contrast.mean(dim=(2, 3))


def focal_frequency_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Square differences of the spectra of [B, 3, H, W], each weighed by its own size as a share of the largest.

    Jiang et al. 2021 with alpha = 1 and one patch; the weights are constants.
    """
    difference = torch.fft.fft2(sr.float(), norm="ortho") - torch.fft.fft2(hr.float(), norm="ortho")
    size = difference.abs()
    weight = size.detach() / size.detach().amax(dim=(2, 3), keepdim=True).clamp_min(1e-12)
    return (weight * size.square()).mean()


def ldl_loss(sr: Tensor, hr: Tensor, averaged_sr: Tensor) -> Tensor:
    """|SR - HR| where a GAN's artifacts are likely (LDL; Liang et al. 2022).

    That is where the differences vary, within 7x7 pixels and in the whole image, and SR is farther from HR than that of
    the averaged weights. The map is a constant.
    """
    with torch.no_grad():
        residual = (hr - sr).abs().sum(dim=1, keepdim=True)
        whole = residual.var(dim=(1, 2, 3), keepdim=True) ** 0.2
        padded = functional.pad(residual, [_LDL_SIDE // 2] * 4, mode="reflect")
        near = padded.unfold(2, _LDL_SIDE, 1).unfold(3, _LDL_SIDE, 1).flatten(-2).var(dim=-1)
        averaged = (hr - averaged_sr).abs().sum(dim=1, keepdim=True)
        likely = torch.where(residual < averaged, 0, whole * near)
    return functional.l1_loss(likely * sr, likely * hr)

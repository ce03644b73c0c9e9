"""The metrics by name. A name says all that the value depends on: `psnr-y` is not `psnr-rgb`, `lpips-alex` is not
`lpips-vgg`; where a paper measured with a mis-scaled input, that is a metric of its own.

All see what a saved 8-bit image would hold. NRQM, and so PI, is not among them: its parameters are not to be had.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from ...degrade.errors import UserError
from . import lpips_dists
from .niqe import niqe, pristine
from .psnr_ssim import levels, luma_bt601, psnr, ssim
from .weights import MissingWeights

Better = Literal["higher", "lower"]

_PSNR = "10 log10 of 255^2 over the mean squared error"
_SSIM = "Wang et al. 2004; 11x11 Gaussian of sigma 1.5, valid windows"
_LPIPS = "Zhang et al. 2018, v0.1"
_DISTS = "Ding et al. 2020"
_NIQE = "Mittal et al. 2013; blocks of 96 px, BasicSR's pristine model"
_Y, _RGB = "Y of BT.601, 16..235", "RGB, 0..255"

# name: what it is, what it sees, which way is better
_KINDS: dict[str, tuple[str, str, Better]] = {
    "psnr-y": (_PSNR, _Y, "higher"),
    "psnr-rgb": (_PSNR, _RGB, "higher"),
    "ssim-y": (_SSIM, _Y, "higher"),
    "ssim-rgb": (_SSIM, _RGB, "higher"),
    "lpips-alex": (_LPIPS, "RGB, -1..1", "lower"),
    "lpips-vgg": (_LPIPS, "RGB, -1..1", "lower"),
    "lpips-squeeze": (_LPIPS, "RGB, -1..1", "lower"),
    "lpips-alex-cugan": (f"{_LPIPS}; on 0..1, as CUGAN's code feeds it", "RGB, 0..1", "lower"),
    "dists": (_DISTS, "RGB, 0..1", "lower"),
    "dists-mm-realsr": (f"{_DISTS}; on -1..1, as MM-RealSR's code feeds it", "RGB, -1..1", "lower"),
    "niqe": (_NIQE, f"{_Y}, rounded", "lower"),
}
NAMES = tuple(_KINDS)
DEFAULT = ("psnr-y", "ssim-y")
_LEAST_PX = {  # what a window or the last pooling leaves nothing of
    "ssim-y": 11,
    "ssim-rgb": 11,
    "lpips-alex": 31,
    "lpips-alex-cugan": 31,
    "lpips-vgg": 16,
    "lpips-squeeze": 17,
}
_CROPPED = ("psnr-y", "psnr-rgb", "ssim-y", "ssim-rgb")  # by the scale, unless it is said otherwise


@dataclass(frozen=True)
class Metric:
    """A metric that is ready to measure.

    measure: SR and HR [B, 3, H, W], RGB in 0..1 -> [B] float64; NIQE does not look at the HR.
    space: what it sees. border: pixels that are cropped from each side first. version: paper and variant. least_px: the
    least side, border included, of an image that has a value.
    """

    name: str
    measure: Callable[[Tensor, Tensor], Tensor]
    better: Better
    space: str
    border: int
    version: str
    least_px: int = 1

    @property
    def needs_hr(self) -> bool:
        return self.name != "niqe"


def better_of(name: str) -> Better:
    """Which way a metric is better."""
    return _KINDS[name][2]


def _check_one(image: Tensor, what: str) -> None:
    if image.ndim != 4 or image.shape[1] != 3:
        raise UserError(f"{what} has the shape {list(image.shape)}; images are [batch, 3, height, width], RGB")
    if not bool(torch.isfinite(image).all()):
        raise UserError(f"{what} holds values that are not numbers; look at the model that made it")
    low, high = image.min().item(), image.max().item()
    if low < -0.5 or high > 1.5:
        raise UserError(f"{what} has values from {low:.4g} to {high:.4g}; images are in 0..1")


def check(sr: Tensor, hr: Tensor | None) -> None:
    """Check that two images can be compared.

    Raises:
        UserError: another shape, values that are not in 0..1 (a model's overshoot up to a half is clipped), or nan.
    """
    _check_one(sr, "SR")
    if hr is None:
        return
    _check_one(hr, "HR")
    if sr.shape != hr.shape:
        sizes = (f"{each.shape[-1]}x{each.shape[-2]}" for each in (sr, hr))
        raise UserError(f"SR is {' and HR '.join(sizes)}; they must be of one size")


def _quantised(image: Tensor, border: int, low: float, high: float) -> Tensor:
    """What a saved image holds, scaled to low..high, [B, 3, h, w] float32."""
    return (levels(image, border) / 255 * (high - low) + low).float()


def _perceptual(
    net: Callable[[Tensor, Tensor], Tensor], border: int, low: float, high: float, sr: Tensor, hr: Tensor
) -> Tensor:
    with torch.inference_mode():
        return net(_quantised(sr, border, low, high), _quantised(hr, border, low, high)).double()


def _niqe(border: int) -> Callable[[Tensor, Tensor], Tensor]:
    model = pristine()

    def measure(sr: Tensor, _: Tensor) -> Tensor:
        luma = luma_bt601(levels(sr, border)).round()[:, 0].cpu().numpy()
        return torch.tensor([niqe(each, model) for each in luma], dtype=torch.float64)

    return measure


def _measure(name: str, border: int, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    family, _, variant = name.partition("-")
    if family == "psnr":
        return partial(psnr, border=border, luma=variant == "y")
    if family == "ssim":
        return partial(ssim, border=border, luma=variant == "y")
    if family == "niqe":
        return _niqe(border)
    low, high = (0.0, 1.0) if name in ("dists", "lpips-alex-cugan") else (-1.0, 1.0)
    if family == "dists":
        return partial(_perceptual, lpips_dists.dists().to(device), border, low, high)
    net: lpips_dists.Net = "vgg" if variant == "vgg" else "squeeze" if variant == "squeeze" else "alex"
    return partial(_perceptual, lpips_dists.lpips(net).to(device), border, low, high)


def named(name: str, *, scale: int, border: int | None, device: torch.device) -> Metric:
    """A metric, ready to measure.

    border: pixels to crop from each side; None is the papers' habit: the scale for PSNR and SSIM, else nothing.

    Raises:
        UserError: no metric has that name.
        MissingWeights: the published parameters that it needs are not there.
    """
    if name not in _KINDS:
        raise UserError(f"metric {name} is unknown; known here: {', '.join(NAMES)}")
    version, space, better = _KINDS[name]
    cropped = border if border is not None else scale if name in _CROPPED else 0
    least = _LEAST_PX.get(name, 1) + 2 * cropped
    return Metric(name, _measure(name, cropped, device), better, space, cropped, version, least)


def lpips_here() -> str:
    """LPIPS by AlexNet, which papers mean where they say no more, or by SqueezeNet where its files are not there."""
    try:
        lpips_dists.check_lpips("alex")
    except MissingWeights:
        return "lpips-squeeze"
    return "lpips-alex"


def chosen(
    names: Sequence[str], *, scale: int, border: int | None, device: torch.device
) -> tuple[list[Metric], dict[str, str]]:
    """The metrics of those names, and by name why some cannot be measured here; raises UserError for an unknown one."""
    found: list[Metric] = []
    missing: dict[str, str] = {}
    for name in dict.fromkeys(names):
        try:
            found.append(named(name, scale=scale, border=border, device=device))
        except MissingWeights as error:
            missing[name] = str(error)
    return found, missing

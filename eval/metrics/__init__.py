"""The metrics, each of one name: `psnr-y` is not `psnr-rgb`, `lpips-alex` is not `lpips-vgg`; where a paper measured
with a mis-scaled input, that is a metric of its own.

NRQM, and so PI, is not among them: its parameters are not to be had.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...degrade.errors import UserError, did_you_mean
from . import lpips_dists, niqe, weights
from .base import Compare, Metric, Ready
from .lpips_dists import Net
from .psnr_ssim import SSIM_PX, luma_bt601, psnr_of, ssim_of
from .weights import MissingWeights

_Y, _RGB = "Y of BT.601, 16..235", "RGB, 0..255"
_PSNR = "10 log10 of 255^2 over the mean squared error"
_SSIM = "Wang et al. 2004; 11x11 Gaussian of sigma 1.5, valid windows"
_LPIPS = "Zhang et al. 2018, v0.1"
_DISTS = "Ding et al. 2020"
_ALEX, _VGG16 = (weights.ALEXNET, weights.LPIPS_ALEX), (weights.VGG16, weights.DISTS)


def _on_luma(compare: Compare) -> Callable[[torch.device], Compare]:
    return lambda _: lambda sr, hr: compare(luma_bt601(sr), luma_bt601(hr))


def _on_rgb(compare: Compare) -> Callable[[torch.device], Compare]:
    return lambda _: compare


def _perceptual(
    net: Callable[[], torch.nn.Module], low: float = -1.0, high: float = 1.0
) -> Callable[[torch.device], Compare]:
    """A network that sees both images in low..high, float32."""

    def on(device: torch.device) -> Compare:
        ready = net().to(device)

        def seen(image: Tensor) -> Tensor:
            return (image / 255 * (high - low) + low).float()

        return lambda sr, hr: ready(seen(sr), seen(hr))

    return on


def _lpips(net: Net) -> Callable[[], torch.nn.Module]:
    return lambda: lpips_dists.lpips(net)


def _dists() -> torch.nn.Module:
    return lpips_dists.dists()


def _niqe(_: torch.device) -> Compare:
    model = niqe.pristine()

    def compare(sr: Tensor, _: Tensor) -> Tensor:
        luma = luma_bt601(sr).round()[:, 0].cpu().numpy()
        return torch.tensor([niqe.niqe(each, model) for each in luma], dtype=torch.float64)

    return compare


METRICS: tuple[Metric, ...] = (
    Metric("psnr-y", _on_luma(psnr_of), "higher", _Y, _PSNR, unit="dB", digits=2, crops=True),
    Metric("psnr-rgb", _on_rgb(psnr_of), "higher", _RGB, _PSNR, unit="dB", digits=2, crops=True),
    Metric("ssim-y", _on_luma(ssim_of), "higher", _Y, _SSIM, unit="1 is equal", crops=True, least_px=SSIM_PX),
    Metric("ssim-rgb", _on_rgb(ssim_of), "higher", _RGB, _SSIM, unit="1 is equal", crops=True, least_px=SSIM_PX),
    Metric(
        "lpips-alex",
        _perceptual(_lpips("alex")),
        "lower",
        "RGB, -1..1",
        _LPIPS,
        unit="0 is equal",
        files=_ALEX,
        least_px=31,
    ),
    Metric(
        "lpips-vgg",
        _perceptual(_lpips("vgg")),
        "lower",
        "RGB, -1..1",
        _LPIPS,
        unit="0 is equal",
        files=(weights.VGG16, weights.LPIPS_VGG),
        least_px=16,
    ),
    Metric(
        "lpips-squeeze",
        _perceptual(_lpips("squeeze")),
        "lower",
        "RGB, -1..1",
        _LPIPS,
        unit="0 is equal",
        files=(weights.SQUEEZENET, weights.LPIPS_SQUEEZE),
        least_px=17,
    ),
    Metric(
        "lpips-alex-cugan",
        _perceptual(_lpips("alex"), 0.0),
        "lower",
        "RGB, 0..1",
        f"{_LPIPS}; on 0..1, as CUGAN's code feeds it",
        unit="0 is equal",
        files=_ALEX,
        least_px=31,
    ),
    Metric("dists", _perceptual(_dists, 0.0), "lower", "RGB, 0..1", _DISTS, unit="0 is equal", files=_VGG16),
    Metric(
        "dists-mm-realsr",
        _perceptual(_dists),
        "lower",
        "RGB, -1..1",
        f"{_DISTS}; on -1..1, as MM-RealSR's code feeds it",
        unit="0 is equal",
        files=_VGG16,
    ),
    Metric(
        "niqe",
        _niqe,
        "lower",
        f"{_Y}, rounded",
        "Mittal et al. 2013; blocks of 96 px, BasicSR's pristine model",
        unit="lower is better",
        needs_hr=False,
        files=(weights.NIQE,),
    ),
)
NAMES = tuple(each.name for each in METRICS)
DEFAULT = ("psnr-y", "ssim-y")


def metric(name: str) -> Metric:
    """The metric of a name; raises UserError where there is none."""
    for each in METRICS:
        if each.name == name:
            return each
    raise UserError(f"metric {name} is unknown; {did_you_mean(name, NAMES)}")


def printed(name: str, value: float) -> str:
    """A value of a metric, with its digits; of one that is none of ours, with four."""
    known = next((each for each in METRICS if each.name == name.partition(",")[0]), None)
    return f"{value:.4f}" if known is None else known.printed(value)


def unit_of(name: str) -> str:
    """What the values of a metric are in, where it is one of ours."""
    return next((each.unit for each in METRICS if each.name == name.partition(",")[0]), "")


def lpips_here() -> str:
    """LPIPS by AlexNet, which papers mean where they say no more, or by SqueezeNet where its files are not there."""
    try:
        lpips_dists.check_lpips("alex")
    except MissingWeights:
        return "lpips-squeeze"
    return "lpips-alex"


def ready(
    wanted: Sequence[str | Metric], *, scale: int, border: int | None, device: torch.device
) -> tuple[list[Ready], dict[str, str]]:
    """The metrics, by their names or as they are, and by name why some cannot be measured here.

    Raises:
        UserError: a name is unknown.
    """
    found: list[Ready] = []
    missing: dict[str, str] = {}
    for each in dict.fromkeys(metric(each) if isinstance(each, str) else each for each in wanted):
        try:
            found.append(each.ready(scale=scale, border=border, device=device))
        except MissingWeights as error:
            missing[each.name] = str(error)
    return found, missing

"""What is measured of MM-RealSR's scores while it is trained: whether they rise with what they are of, and steer."""

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
import torch

from ...degrade.images.pixels import U8, middle
from ...eval.images.sets import ImageSet
from ...eval.images.tensors import to_tensor
from ...eval.protocols.steering import MIDDLING, detail, residual_noise
from ...eval.protocols.udem_curves import RANGES, degraded, photographs
from ...eval.report.sweeps import spearman
from ..networks.mm_realsr import BLUR, NOISE, MMRealSR

_MOST, _SIDE_PX, _LEVELS = 8, 64, 6  # photographs, of the middle of each made small; and levels of each degradation
_KINDS: Mapping[str, int] = {"blur": BLUR, "noise": NOISE}


def of_scores(images: ImageSet, net: MMRealSR, device: torch.device) -> dict[str, list[float]]:
    """Of at most eight photographs, made smaller by 4 as in figure 6: spearman-blur and -noise, the rank correlation of
    each score with the strength of what it is of; steered-noise, the share of the noise that is left under score 0 that
    score 1 takes away, and steered-blur, by what share detail grows from 0 to 1.
    """
    found: dict[str, list[float]] = {}
    with torch.no_grad():
        clean = ((item.sample, middle(pixels, _SIDE_PX)) for _, items in photographs(images) for item, pixels in items)
        for number, pixels in islice(clean, _MOST):
            figures = _correlations(net, pixels, number, device) | _steering(net, pixels, number, device)
            for name, value in figures.items():
                found.setdefault(name, []).append(value)
    return found


def _batch(images: Sequence[U8], device: torch.device) -> torch.Tensor:
    return to_tensor(np.stack(images)).to(device)


def _correlations(net: MMRealSR, clean: U8, number: int, device: torch.device) -> dict[str, float]:
    found: dict[str, float] = {}
    for kind, score in _KINDS.items():
        levels = np.linspace(*RANGES[kind], _LEVELS)  # type: ignore[index]
        rising = [degraded(clean, kind, float(level), number) for level in levels]  # type: ignore[arg-type]
        found[f"spearman-{kind}"] = spearman(net.score(_batch(rising, device))[:, score].tolist())
    return found


def _steering(net: MMRealSR, clean: U8, number: int, device: torch.device) -> dict[str, float]:
    plain = _batch([clean], device)
    noisy, blurred = (_batch([degraded(clean, kind, MIDDLING[kind], number)], device) for kind in ("noise", "blur"))
    blur, noise = net.score(noisy)[0, BLUR].item(), net.score(blurred)[0, NOISE].item()
    left = [
        residual_noise(net.restore_at(noisy, blur, told).float(), net.restore_at(plain, blur, told).float())
        for told in (0.0, 1.0)
    ]
    shown = [detail(net.restore_at(blurred, told, noise).float()) for told in (0.0, 1.0)]
    return {
        "steered-noise": 1 - left[1] / left[0] if left[0] else 0.0,
        "steered-blur": shown[1] / shown[0] - 1 if shown[0] else 0.0,
    }

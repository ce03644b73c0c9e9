"""Two looks into HR-aware's training: does FAR tell degraded images from clean ones, and does the reconstruction of LR
reward a degraded HR (HR-aware figures 8 and 7)? The networks come as callables.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ...degrade.images.pixels import U8
from ...degrade.ops.blur import Blur
from ...degrade.ops.codecs import Jpeg
from ...degrade.ops.gaussian import GaussianNoise
from ...degrade.ops.kernels import Kernel
from ...degrade.ops.render import apply
from ...degrade.ops.resize import Resize
from ...degrade.ops.step import Step, field_key
from ..images.sets import ImageSet, Item, opened
from ..images.tensors import to_tensor
from ..images.tiling import bicubic
from ..metrics.by_name import Metric
from ..report.table import MetricRow, setting_of
from .sweeps import Sweep, sweep_of

FAR, RECONSTRUCTION = "far-histogram", "lr-reconstruction"
CLEAN = "clean"
_LEAST_PX = 32  # of HR

_log = logging.getLogger("rwsr")


def _steps(pixels: U8, key: str, kind: str) -> tuple[Step, ...]:
    """What a degradation of figure 8 does to an HR photograph; key: of its noise."""
    height, width = pixels.shape[:2]
    blur = Blur(kernel=Kernel(kind="iso", size=21, sigma_x=2, sigma_y=2))
    noise = GaussianNoise(sigma_255=25, gray=False, field=field_key(0, "far", key))
    lower = Resize(height=max(1, height // 4), width=max(1, width // 4), mode="matlab-bicubic")
    again = Resize(height=height, width=width, mode="matlab-bicubic")
    wild = noise.model_copy(update={"sigma_255": 10})
    kinds: dict[str, tuple[Step, ...]] = {
        "blur": (blur,),
        "noise": (noise,),
        "jpeg": (Jpeg(quality=30),),
        "enlarged": (lower, again),
        "wild": (blur, lower, wild, again),
    }
    return kinds[kind]


def degradations() -> dict[str, Callable[[U8, str], U8]]:
    """Those of figure 8 in small, by name: blur of sigma 2, noise of 25 gray levels, JPEG of quality 30; LR enlarged
    again; and blur, LR with noise of 10 and that enlarged, as the wild sets of NTIRE 2018 are."""

    def make(kind: str, pixels: U8, key: str) -> U8:
        return apply(pixels, _steps(pixels, key, kind))

    return {kind: partial(make, kind) for kind in ("blur", "noise", "jpeg", "enlarged", "wild")}


def _large_enough(items: Sequence[Item]) -> Iterator[Item]:
    """The images that the networks have features of; the others are named (logger `rwsr`) and left out."""
    for item in items:
        height, width = (item.lr if item.hr is None else item.hr).shape[:2]
        if min(height, width) >= _LEAST_PX:
            yield item
        else:
            _log.warning(
                "left out: too-small: %s is %dx%d px, and %d is the least", item.source, width, height, _LEAST_PX
            )


def far(
    images: ImageSet,
    kinds: Mapping[str, Callable[[U8, str], U8]],
    value_of: Callable[[Tensor], Tensor],
    name: str,
    checkpoint: str,
    encoder: str,
    device: torch.device,
) -> Iterator[tuple[int, list[MetricRow]]]:
    """FAR of each HR image as it is and under each degradation (figure 8); (images done, rows) as they come.

    kinds: degradations by name, HR [h, w, 3] and the image's name -> degraded. value_of: [B, 3, H, W] in 0..1 -> [B].
    encoder: the established one, in words.
    """
    for count, items in opened(images):
        rows: list[MetricRow] = []
        for item in _large_enough(items):
            clean = item.lr if item.hr is None else item.hr
            versions = {CLEAN: clean} | {kind: make(clean, item.source) for kind, make in kinds.items()}
            for kind, pixels in versions.items():
                with torch.inference_mode():
                    value = value_of(to_tensor(pixels)[None].to(device)).item()
                rows.append(
                    MetricRow(
                        protocol=FAR,
                        model=name,
                        checkpoint=checkpoint,
                        setting="{}",
                        **images.names(item),
                        member=kind,
                        metric="far",
                        value=value,
                        better="lower",
                        space="RGB, 0..1",
                        border=0,
                        version=f"HR-aware figure 8; established encoder: {encoder}",
                    )
                )
        yield count, rows


def area_under_curve(clean: Sequence[float], degraded: Sequence[float]) -> float:
    """The chance that a degraded image has the greater value, ties counted half: 1 parts them, 0.5 knows nothing."""
    a, b = np.asarray(clean)[:, None], np.asarray(degraded)[None]
    return float(((b > a) + 0.5 * (b == a)).mean())


def area_of(rows: Sequence[MetricRow], model: str, kind: str) -> float:
    """The area under curve of a degradation, by a model of a report."""
    clean, degraded = (
        [row.value for row in rows if (row.protocol, row.model, row.member) == (FAR, model, member)]
        for member in (CLEAN, kind)
    )
    return area_under_curve(clean, degraded)


def rises(rows: Sequence[MetricRow], model: str, kind: str) -> float:
    """How often an image has a greater FAR when it is degraded than when it is clean, of all images."""
    clean, degraded = (
        {
            (row.data_sha256, row.sample): row.value
            for row in rows
            if (row.protocol, row.model, row.member) == (FAR, model, member)
        }
        for member in (CLEAN, kind)
    )
    return float(np.mean([degraded[image] > value for image, value in clean.items()]))


def reconstruction(
    images: ImageSet,
    reconstruct: Callable[[Tensor, Tensor, str], tuple[Tensor, Tensor]],
    name: str,
    checkpoint: str,
    controlled: str,
    metrics: Sequence[Metric],
    device: torch.device,
    *,
    steps: int = 11,
) -> Iterator[tuple[int, list[MetricRow]]]:
    """How well LR X is reconstructed from Y_i = i f(X) + (1 - i) HR, f bicubic (equation 12, figure 7).

    reconstruct: LR [B, 3, h, w], Y [B, 3, H, W] and the image's name -> X again, and X. Without the controller the fit
    gets better with i. controlled: the controller, in words.
    """
    ratios = [round(float(ratio), 4) for ratio in np.linspace(0, 1, steps)]
    for count, items in opened(images):
        rows: list[MetricRow] = []
        for item in _large_enough(items):
            assert item.hr is not None
            lr, hr = to_tensor(item.lr)[None].to(device), to_tensor(item.hr)[None].to(device)
            for ratio in ratios:
                with torch.inference_mode():
                    found, wanted = reconstruct(lr, ratio * bicubic(lr, images.scale) + (1 - ratio) * hr, item.source)
                least = min(found.shape[-2:])
                rows += [
                    MetricRow(
                        protocol=RECONSTRUCTION,
                        model=name,
                        checkpoint=checkpoint,
                        setting=setting_of({"i": ratio}),
                        **images.names(item),
                        member=item.member,
                        metric=metric.name,
                        value=metric.measure(found, wanted).item() if least >= metric.least_px else math.nan,
                        better=metric.better,
                        space=metric.space,
                        border=metric.border,
                        version=f"{metric.version}; {controlled}",
                    )
                    for metric in metrics
                ]
        yield count, rows


def reconstructions(rows: Sequence[MetricRow], metric: str) -> dict[str, Sweep]:
    """The sweep over i of each model in a report, by its name."""
    found: dict[str, Sweep] = {}
    for model in dict.fromkeys(row.model for row in rows if row.protocol == RECONSTRUCTION):
        sweep = sweep_of([row for row in rows if row.model == model], RECONSTRUCTION, metric)
        if sweep is not None:
            found[model] = sweep
    return found

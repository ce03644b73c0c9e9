"""CUGAN's tables 1 and 2: images blurred by r and given noise of sigma, restored at scale 1 under z = (r/4, sigma/50).

As the published code measures (facts: 2.6): images are degraded whole, then cropped to multiples of 16; PSNR is on
8-bit RGB without a border, LPIPS on 0..1 (`lpips-alex-cugan`). The conditions of table 1 are those of the code,
(1, 15), (1, 30), (2, 30), (2, 50), (4, 30), (4, 50), not the six of section 4.2; r = 1 is z = 0.25, not 0.15.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch

from ...degrade.errors import ImageError
from ...degrade.images.pixels import U8
from ...degrade.ops.blur import Blur
from ...degrade.ops.gaussian import GaussianNoise
from ...degrade.ops.kernels import Kernel
from ...degrade.ops.render import apply
from ...degrade.ops.step import Step, field_key
from ..images.sets import ImageSet, Item, ItemSource
from ..metrics.by_name import Metric
from ..report.table import MetricRow
from .restoration import Method, evaluate

PROTOCOL = "cugan-settings"
TABLE_1 = ((0, 30), (0, 50), (2, 0), (4, 0), (1, 15), (1, 30), (2, 30), (2, 50), (4, 30), (4, 50))  # LIVE1
TABLE_2 = ((0, 30), (0, 50), (2, 0), (4, 0), (1, 15), (1, 30), (2, 50), (4, 50))  # CBSD68
_MULTIPLE, _KERNEL_PX = 16, 21


def condition(blur: float, noise: float) -> tuple[float, float]:
    """z of a blur of that sigma in pixels and a noise of that sigma of 255."""
    return blur / 4, noise / 50


def member_of(blur: float, noise: float) -> str:
    """How a report names a setting."""
    return f"r{blur:g} sigma{noise:g}"


def degraded(clean: U8, blur: float, noise: float, key: str) -> U8:
    """An image blurred with its edges continued, then given noise; rounded to 8 bits once, at the end."""
    steps: list[Step] = []
    if blur:
        kernel = Kernel(kind="iso", size=_KERNEL_PX, sigma_x=blur, sigma_y=blur)
        steps.append(Blur(kernel=kernel, border="replicate"))
    if noise:
        steps.append(GaussianNoise(sigma_255=noise, gray=False, field=field_key(0, "cugan-settings", key)))
    return apply(clean, tuple(steps))


def _at_setting(source: ItemSource, blur: float, noise: float) -> list[Item]:
    items: list[Item] = []
    for item in source.read():
        clean = item.lr if item.hr is None else item.hr
        height, width = (side // _MULTIPLE * _MULTIPLE for side in clean.shape[:2])
        if not height or not width:
            raise ImageError("too-small", f"{item.source} has less than {_MULTIPLE} px on a side")
        lr, clean = (
            np.ascontiguousarray(each[:height, :width]) for each in (degraded(clean, blur, noise, item.source), clean)
        )
        items.append(Item(item.source, item.sample, member_of(blur, noise), lr, clean, condition(blur, noise)))
    return items


def evaluate_settings(
    images: ImageSet,
    methods: Sequence[Method],
    metrics: Sequence[Metric],
    device: torch.device,
    *,
    settings: Sequence[tuple[float, float]] = TABLE_2,
) -> Iterator[tuple[int, list[MetricRow]]]:
    """Degrade the clean images of a set at each setting and restore them, conditioned methods under its z; (images
    done, rows) as they come."""
    for blur, noise in settings:
        at = [ItemSource(partial(_at_setting, each, blur, noise), each.count, True) for each in images.items]
        part = ImageSet(images.name, images.sha256, 1, at)
        yield from evaluate(part, methods, metrics, device, protocol=PROTOCOL)


def modulation_distances(rows: Sequence[MetricRow], metric: str) -> dict[str, dict[str, float]]:
    """How far each model that is told z is from the best of the models that are not, by model and setting.

    Those not told are the paper's Unet and UGAN, each trained on one degradation; methods without a checkpoint do not
    count. Positive where such a model is better. The paper's claim is at most 0.22 dB of PSNR.
    """
    rows = [row for row in rows if (row.protocol, row.metric) == (PROTOCOL, metric)]
    told: dict[tuple[str, str], list[float]] = {}
    untold: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if '"z"' in row.setting:
            told.setdefault((row.model, row.member), []).append(row.value)
        elif row.checkpoint:
            untold.setdefault((row.model, row.member), []).append(row.value)
    sign = 1 if rows and rows[0].better == "higher" else -1
    best: dict[str, float] = {}
    for (_, member), values in untold.items():
        best[member] = max(best.get(member, -math.inf), sign * float(np.mean(values)))
    found: dict[str, dict[str, float]] = {}
    for (model, member), values in told.items():
        if member in best:
            found.setdefault(model, {})[member] = best[member] - sign * float(np.mean(values))
    return found

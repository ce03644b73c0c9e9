"""CUGAN's tables 1 and 2: images blurred by r and given noise of sigma, restored at scale 1 under z = (r/4, sigma/50).

As the published code measures (facts: 2.6): images are cropped to multiples of 16; PSNR is on 8-bit RGB without a
border, LPIPS on 0..1 (`lpips-alex-cugan`). The conditions of table 1 are those of the code, (1, 15), (1, 30), (2, 30),
(2, 50), (4, 30), (4, 50), not the six of section 4.2; r = 1 is z = 0.25, not the 0.15 that the table prints.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch

from ..degrade.errors import ImageError
from ..degrade.image import U8
from ..degrade.kernels import Kernel
from ..degrade.render import apply
from ..degrade.steps import AnyStep, Blur, GaussianNoise, field_key
from .images import ImageSet, Item, ItemSource
from .metrics import Metric
from .report import MetricRow
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
    steps: list[AnyStep] = []
    if blur:
        kernel = Kernel(kind="iso", size=_KERNEL_PX, sigma_x=blur, sigma_y=blur)
        steps.append(Blur(kernel=kernel, border="replicate"))
    if noise:
        steps.append(GaussianNoise(sigma_255=noise, grey=False, field=field_key(0, "cugan-settings", key)))
    return apply(clean, tuple(steps))


def _at_setting(source: ItemSource, blur: float, noise: float) -> list[Item]:
    items: list[Item] = []
    for item in source.read():
        clean = item.lr if item.hr is None else item.hr
        height, width = (side // _MULTIPLE * _MULTIPLE for side in clean.shape[:2])
        if not height or not width:
            raise ImageError("too-small", f"{item.source} has less than {_MULTIPLE} px on a side")
        clean = np.ascontiguousarray(clean[:height, :width])
        lr = degraded(clean, blur, noise, item.source)
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


def modulation_distances(
    rows: Sequence[MetricRow], modulated: str, single: Sequence[str], metric: str
) -> dict[str, float]:
    """By setting, how far the modulated model's mean is below the best of the models of a single level.

    Below is worse: positive where a single-level model is better. The paper's claim is at most 0.22 dB.
    """
    values: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if (row.protocol, row.metric) == (PROTOCOL, metric):
            values.setdefault((row.member, row.model), []).append(row.value)
    means = {key: float(np.mean(found)) for key, found in values.items()}
    sign = next((1.0 if row.better == "higher" else -1.0 for row in rows if row.metric == metric), 1.0)
    found: dict[str, float] = {}
    for member in dict.fromkeys(member for member, _ in means):
        others = [means[member, name] for name in single if (member, name) in means]
        if others and (member, modulated) in means:
            found[member] = sign * (max(sign * each for each in others) * sign - means[member, modulated])
    return found

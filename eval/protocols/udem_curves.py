"""The UDEM's scores over rising levels of one degradation at a time (MM-RealSR figure 6).

Each photograph is made 4 times smaller by area averaging, so that it is as clean as LR can be, then blurred, given
Gaussian noise, or coded as JPEG, at equally spaced levels. Right is a score that rises with every level.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch

from ...degrade.images.pixels import U8
from ...degrade.ops.blur import Blur
from ...degrade.ops.codecs import Jpeg
from ...degrade.ops.gaussian import GaussianNoise
from ...degrade.ops.kernels import Kernel
from ...degrade.ops.render import apply
from ...degrade.ops.step import field_key
from ..images.sets import ImageSet, Item, opened
from ..images.tensors import to_tensor
from ..images.tiling import Model
from ..report.table import MetricRow, setting_of
from .trends import spearman

PROTOCOL = "udem-curves"
Degraded = Literal["blur", "noise", "jpeg"]
DEGRADED: tuple[Degraded, ...] = ("blur", "noise", "jpeg")
SCORES = ("blur", "noise")  # in the order in which the UDEM gives them
RISING = {"blur": "blur", "noise": "noise", "jpeg": "noise"}  # which score each degradation should raise
LEVELS, _LEAST_PX = 20, 64
_log = logging.getLogger("rwsr")
_RANGES: dict[Degraded, tuple[float, float]] = {"blur": (0.2, 3.0), "noise": (1.0, 30.0), "jpeg": (95.0, 30.0)}
UNITS = {"blur": "sigma in LR pixels", "noise": "sigma in gray levels of 255", "jpeg": "JPEG quality"}


@dataclass(frozen=True)
class ScoreCurve:
    """A score over rising levels of one degradation: the mean over the images at each level, mildest first."""

    degradation: str
    score: str
    levels: tuple[float, ...]
    scores: tuple[float, ...]

    @property
    def spearman(self) -> float:
        """Rank correlation of score and strength: 1 when every stronger level scores higher."""
        return spearman(self.scores)

    @property
    def dynamic_range(self) -> float:
        """How far apart the least and the greatest score are."""
        return max(self.scores) - min(self.scores)


def _made_smaller(photograph: U8) -> U8:
    height, width = photograph.shape[:2]
    return np.asarray(cv2.resize(photograph, (width // 4, height // 4), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def degraded(clean: U8, curve: Degraded, level: float, image: int) -> U8:
    """One degradation of a clean image; image: which one it is, for its own noise."""
    match curve:
        case "blur":
            return apply(clean, (Blur(kernel=Kernel(kind="iso", size=21, sigma_x=level, sigma_y=level)),))
        case "noise":
            return apply(clean, (GaussianNoise(sigma_255=level, gray=False, field=field_key(0, "score-curve", image)),))
        case "jpeg":
            return apply(clean, (Jpeg(quality=round(level)),))


def photographs(images: ImageSet) -> Iterator[tuple[int, list[tuple[Item, U8]]]]:
    """Each photograph with itself made smaller by 4, as clean LR; too small ones are named and left out."""
    for count, items in opened(images):
        kept: list[tuple[Item, U8]] = []
        for item in items:
            photograph = item.lr if item.hr is None else item.hr
            if min(photograph.shape[:2]) < _LEAST_PX:
                _log.warning("left out: too-small: %s has less than %d px on a side", item.source, _LEAST_PX)
            else:
                kept.append((item, _made_smaller(photograph)))
        yield count, kept


def evaluate(
    images: ImageSet, score: Model, name: str, checkpoint: str, device: torch.device, *, levels: int = LEVELS
) -> Iterator[tuple[int, list[MetricRow]]]:
    """Every score of every photograph at every level; (images done, rows) as they come.

    score: LR [B, 3, h, w] -> [B, 2], blur and noise.
    """
    for count, items in photographs(images):
        rows: list[MetricRow] = []
        for item, clean in items:
            for curve in DEGRADED:
                steps = [float(level) for level in np.linspace(*_RANGES[curve], levels)]
                lr = torch.stack([to_tensor(degraded(clean, curve, level, item.sample)) for level in steps])
                with torch.inference_mode():
                    found = torch.cat([score(each[None].to(device)) for each in lr]).double().cpu()
                rows += [
                    MetricRow(
                        protocol=PROTOCOL,
                        model=name,
                        checkpoint=checkpoint,
                        setting=setting_of({"level": round(level, 4)}),
                        **images.names(item),
                        member=curve,
                        metric=f"score-{SCORES[column]}",
                        value=found[number, column].item(),
                        better="higher",
                        space="LR in 0..1",
                        border=0,
                        version=f"MM-RealSR figure 6, {levels} levels",
                    )
                    for number, level in enumerate(steps)
                    for column in range(len(SCORES))
                ]
        yield count, rows


def curves_of(rows: Sequence[MetricRow], model: str) -> list[ScoreCurve]:
    """The curve of the score that each degradation should raise, mean over the images."""
    found: list[ScoreCurve] = []
    for curve in DEGRADED:
        values: dict[float, list[float]] = {}
        for row in rows:
            if (row.protocol, row.model, row.member, row.metric) == (PROTOCOL, model, curve, f"score-{RISING[curve]}"):
                values.setdefault(level_of(row), []).append(row.value)
        if values:
            mild_first = sorted(values, reverse=curve == "jpeg")
            scores = tuple(float(np.mean(values[level])) for level in mild_first)
            found.append(ScoreCurve(curve, RISING[curve], tuple(mild_first), scores))
    return found


def level_of(row: MetricRow) -> float:
    """The level that a row was measured at."""
    return float(json.loads(row.setting)["level"])

"""The UDEM's scores over rising levels of one degradation at a time (MM-RealSR figure 6).

Each photograph is made 4 times smaller by area averaging, so that it is as clean as LR can be, then blurred, given
Gaussian noise, or coded as JPEG, at equally spaced levels. Right is a score that rises with every level.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import torch
from pydantic import Field

from ...degrade.errors import UserError
from ...degrade.images.pixels import U8
from ...degrade.ops.blur import Blur
from ...degrade.ops.codecs import Jpeg
from ...degrade.ops.gaussian import GaussianNoise
from ...degrade.ops.kernels import Kernel
from ...degrade.ops.render import apply
from ...degrade.ops.step import field_key
from ..images.restoring import Model
from ..images.sets import ImageSet, Item, opened
from ..images.tensors import to_tensor
from ..metrics.base import Figure
from ..report.examples import Crop
from ..report.page import Picture, Section, Table
from ..report.parts import unique_of
from ..report.plots import COLOURS, Plot, new_figure, plain, to_plot
from ..report.sweeps import spearman
from ..report.table import MetricRow, setting_of
from .base import Counted, Protocol, ProtocolOptions, Setup, Subject, unlabelled

UDEM_CURVES = "udem-curves"
Degraded = Literal["blur", "noise", "jpeg"]
DEGRADED: tuple[Degraded, ...] = ("blur", "noise", "jpeg")
SCORES = ("blur", "noise")  # in the order in which the UDEM gives them
RISING = {"blur": "blur", "noise": "noise", "jpeg": "noise"}  # which score each degradation should raise
_LEAST_PX = 64
_log = logging.getLogger("rwsr")
RANGES: dict[Degraded, tuple[float, float]] = {"blur": (0.2, 3.0), "noise": (1.0, 30.0), "jpeg": (95.0, 30.0)}
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


class UdemOptions(ProtocolOptions):
    """What the curves can be told."""

    levels: Annotated[int, Field(ge=2, le=100)] = 20
    """Levels of each degradation."""


def scored(subject: Subject) -> Model:
    """What scores images; raises UserError where a model has no UDEM."""
    if subject.scores is None or not subject.scores_images:
        raise UserError(f"{subject.name} has no UDEM that scores images; name a run of an mm-realsr preset")
    return subject.scores


def _measure(setup: Setup, options: UdemOptions) -> Counted:
    """Every score of every photograph at every level, of each model."""
    version = f"MM-RealSR figure 6, {options.levels} levels"
    figures = [Figure(f"score-{name}", "higher", "LR in 0..1", version) for name in SCORES]
    models = [(subject, scored(subject)) for subject in setup.named()]
    for subject, score in models:
        for count, items in photographs(setup.images):
            rows: list[MetricRow] = []
            for item, clean in items:
                for curve in DEGRADED:
                    steps = [float(level) for level in np.linspace(*RANGES[curve], options.levels)]
                    lr = torch.stack([to_tensor(degraded(clean, curve, level, item.sample)) for level in steps])
                    with torch.inference_mode():
                        found = torch.cat([score(each[None].to(setup.device)) for each in lr]).double().cpu()
                    rows += [
                        setup.row(
                            UDEM_CURVES,
                            subject,
                            item,
                            figure,
                            found[number, column].item(),
                            setting=setting_of({"level": round(level, 4)}),
                            member=curve,
                        )
                        for number, level in enumerate(steps)
                        for column, figure in enumerate(figures)
                    ]
            yield count, rows


def curves_of(rows: Sequence[MetricRow], model: str) -> list[ScoreCurve]:
    """The curve of the score that each degradation should raise, mean over the images."""
    found: list[ScoreCurve] = []
    for curve in DEGRADED:
        values: dict[float, list[float]] = {}
        for row in rows:
            if (row.protocol, row.model, row.member, row.metric) == (
                UDEM_CURVES,
                model,
                curve,
                f"score-{RISING[curve]}",
            ):
                values.setdefault(level_of(row), []).append(row.value)
        if values:
            mild_first = sorted(values, reverse=curve == "jpeg")
            scores = tuple(float(np.mean(values[level])) for level in mild_first)
            found.append(ScoreCurve(curve, RISING[curve], tuple(mild_first), scores))
    return found


def level_of(row: MetricRow) -> float:
    """The level that a row was measured at."""
    return float(json.loads(row.setting)["level"])


# ------------------------------------------------------------------------------------------------ what is shown


def _all_curves(rows: Sequence[MetricRow]) -> dict[str, list[ScoreCurve]]:
    return {model: curves_of(rows, model) for model in unique_of(row.model for row in rows)}


def _values(rows: Sequence[MetricRow]) -> dict[str, Any]:
    return {
        "curves": {
            model: {
                each.degradation: {
                    "score": each.score,
                    "spearman": each.spearman,
                    "dynamic_range": each.dynamic_range,
                }
                for each in curves
            }
            for model, curves in _all_curves(rows).items()
        }
    }


def _lines(rows: Sequence[MetricRow]) -> list[str]:
    return [
        f"{model}: rising {each.degradation}: {each.score} score, Spearman {each.spearman:.3f}, dynamic range "
        f"{each.dynamic_range:.3f}"
        for model, curves in _all_curves(rows).items()
        for each in curves
    ]


def plot(curves: Mapping[str, Sequence[ScoreCurve]]) -> Plot:
    """The UDEM's score over rising levels, one panel a degradation, a line for each model."""
    degradations = list(dict.fromkeys(curve.degradation for found in curves.values() for curve in found))
    figure, panels = new_figure(4 * len(degradations), 3.6, columns=len(degradations))
    for axes, degradation in zip(panels, degradations, strict=True):
        for number, (model, found) in enumerate(curves.items()):
            for curve in (each for each in found if each.degradation == degradation):
                label = f"{plain(model)}: Spearman {curve.spearman:.3f}, range {curve.dynamic_range:.2f}"
                colour = COLOURS[(number + 1) % len(COLOURS)]
                axes.plot(curve.levels, curve.scores, marker=".", color=colour, label=label)
                axes.set_ylabel(f"{curve.score} score")
        axes.set_xlabel(UNITS[degradation])
        if degradation == "jpeg":
            axes.invert_xaxis()
        axes.set_ylim(0, 1)
        axes.set_title(f"rising {degradation}")
        axes.legend(frameon=False, fontsize=8)
    return to_plot(figure)


def _section(rows: list[MetricRow], crops: Sequence[Crop]) -> Section:
    found = _all_curves(rows)
    table = Table(
        ("model", "rising", "score", "Spearman", "dynamic range"),
        tuple(
            (model, each.degradation, each.score, f"{each.spearman:.3f}", f"{each.dynamic_range:.3f}")
            for model, all_curves in found.items()
            for each in all_curves
        ),
    )
    text = (
        "One degradation at a time on clean photographs (MM-RealSR figure 6). A Spearman correlation of 1 means that "
        "every stronger level got a higher score; the dynamic range is how far apart the scores are.",
    )
    pictures = Picture(plot(found), "The mean score over all photographs at each level.")
    return Section(f"UDEM: {rows[0].data}", text, (pictures, table))


PROTOCOL = Protocol(
    UDEM_CURVES,
    "A UDEM's scores over rising degradations",
    """Draw the scores of runs over rising blur, noise and JPEG (MM-RealSR figure 6): Spearman and dynamic range.

    \b
    Example:
      rwsr eval udem-curves --images photos --model run --out metrics.parquet
    """,
    UdemOptions,
    _measure,
    _section,
    on="photographs",
    passes=lambda _, models: models,
    label=unlabelled,
    lines=_lines,
    values=_values,
)

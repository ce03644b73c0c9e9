"""What a score does to an image: the noise left under a rising noise score, the detail under a rising blur score.

MM-RealSR (figures 1 and 5) and CUGAN (figure 1) show it as pictures; here it is measured. Residual noise is what noise
in LR changes in SR, so that it counts no texture: restored with and without the noise under the same scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ...degrade.errors import UserError
from ...degrade.images.pixels import U8
from ..images.sets import Item
from ..images.tensors import to_tensor
from ..images.tiling import is_large, restore_in_tiles
from ..metrics.base import Figure
from ..report.examples import Crop
from ..report.page import Picture, Section, Table
from ..report.parts import unique_of
from ..report.plots import COLOURS, Plot, new_figure, plain, to_plot
from ..report.sweeps import largest_step, spearman, sweep_of
from ..report.table import MetricRow, setting_of
from .base import Counted, Protocol, ProtocolOptions, Setup, Steered, Subject, unlabelled
from .udem_curves import SCORES, degraded, photographs

STEERING = "steering"
Told = Literal["blur", "noise"]
METRICS: dict[Told, str] = {"noise": "residual-noise", "blur": "detail"}
UNITS: dict[Told, str] = {"noise": "gray levels of 255", "blur": "mean step between pixels, of 255"}
# What is restored, in the units of the UDEM's curves: of the middle of what MM-RealSR learns, where its scores say how
# much to remove; and CUGAN's strongest, which is z = 1, so that no z says more than there is.
MIDDLING: Mapping[Told, float] = {"noise": 15.0, "blur": 1.5}
STRONGEST: Mapping[Told, float] = {"noise": 50.0, "blur": 4.0}


@dataclass(frozen=True)
class Steering:
    """A figure under a rising score: the mean over the images at each."""

    told: Told
    scores: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def spearman(self) -> float:
        """1 where more of the score always leaves less noise, or shows more detail; -1 where it does the contrary."""
        return -spearman(self.values) if self.told == "noise" else spearman(self.values)

    @property
    def largest_step(self) -> float:
        """The share of all the change that is in one step: 0.1 where 11 scores are even, 1 where it is a switch."""
        return largest_step(self.values)


def residual_noise(noisy: Tensor, clean: Tensor) -> float:
    """Standard deviation of what noise in LR changed in SR, in gray levels of 255; two SR [1, 3, H, W] in 0..1."""
    return 255 * float((noisy.clamp(0, 1) - clean.clamp(0, 1)).double().std(correction=0))


def detail(sr: Tensor) -> float:
    """Mean absolute step between neighbouring pixels of SR [1, 3, H, W] in 0..1, in gray levels of 255."""
    shown = sr.clamp(0, 1).double()
    return 255 * float(shown.diff(dim=-1).abs().mean() + shown.diff(dim=-2).abs().mean()) / 2


class SteeringOptions(ProtocolOptions):
    """What steering can be told."""

    steps: Annotated[int, Field(ge=2, le=101)] = 11
    """Scores from 0 to 1."""


def steered(subject: Subject) -> Steered:
    """The model at a strength of restoration; raises UserError where it cannot be."""
    if subject.steered is None:
        raise UserError(f"{subject.name} takes no strengths of restoration; name a run of an mm-realsr or cugan preset")
    return subject.steered


def _measure(setup: Setup, options: SteeringOptions) -> Counted:
    """Restore every photograph, made smaller and degraded, under rising scores, by each model.

    The score that is not told is the one that the model gives itself. Degraded is by one kind at a time: a model that
    scores images by the middle of what it learns, one that is told by the most that it can be told.
    """
    for subject in setup.named():
        steered(subject)
    for subject in setup.subjects:
        levels = MIDDLING if subject.scores_images else STRONGEST
        for count, items in photographs(setup.images):
            yield count, [row for item, clean in items for row in _rows(setup, subject, item, clean, levels, options)]


def _rows(
    setup: Setup, subject: Subject, item: Item, clean: U8, levels: Mapping[Told, float], options: SteeringOptions
) -> list[MetricRow]:
    restore, scale = steered(subject), subject.scale or setup.images.scale
    told_scores = [round(float(value), 4) for value in np.linspace(0, 1, options.steps)]

    def at(lr: Tensor, scores: Sequence[float]) -> Tensor:
        if not is_large(lr, scale):
            return restore(lr, scores[0], scores[1])
        return restore_in_tiles(lambda part: restore(part, scores[0], scores[1]), lr, scale, setup.device)

    rows: list[MetricRow] = []
    without = to_tensor(clean)[None].to(setup.device)
    for told, name in METRICS.items():
        version = f"LR with {told} of {levels[told]:g}, {options.steps} scores"
        figure = Figure(name, "lower" if told == "noise" else "higher", "SR in 0..1", version)
        lr = to_tensor(degraded(clean, told, levels[told], item.sample))[None].to(setup.device)
        with torch.inference_mode():
            assert subject.scores is not None
            own = [float(value) for value in subject.scores(lr)[0]]
            for value in told_scores:
                own[SCORES.index(told)] = value
                sr = at(lr, own)
                found = residual_noise(sr, at(without, own)) if told == "noise" else detail(sr)
                setting = setting_of({told: value})
                rows.append(setup.row(STEERING, subject, item, figure, found, setting=setting, member=told))
    return rows


def steering_of(rows: Sequence[MetricRow], model: str) -> list[Steering]:
    """The mean figure under each score, of each score that is told."""
    found: list[Steering] = []
    for told in METRICS:
        sweep = sweep_of([row for row in rows if row.model == model], STEERING, METRICS[told])
        if sweep is not None:
            found.append(Steering(told, tuple(score for (score,) in sweep.settings), sweep.means))
    return found


# ------------------------------------------------------------------------------------------------ what is shown


def _all(rows: Sequence[MetricRow]) -> dict[str, list[Steering]]:
    return {model: steering_of(rows, model) for model in unique_of(row.model for row in rows)}


def _values(rows: Sequence[MetricRow]) -> dict[str, Any]:
    return {
        "steering": {
            model: {
                each.told: {"values": each.values, "spearman": each.spearman, "largest_step": each.largest_step}
                for each in every
            }
            for model, every in _all(rows).items()
        }
    }


def _lines(rows: Sequence[MetricRow]) -> list[str]:
    return [
        f"{model}: {METRICS[each.told]} {each.values[0]:.2f} to {each.values[-1]:.2f} gray levels under a rising "
        f"{each.told} score, Spearman {each.spearman:.3f}, largest step {each.largest_step:.3f} of all"
        for model, every in _all(rows).items()
        for each in every
    ]


def _plot(found: Mapping[str, Sequence[Steering]]) -> Plot:
    """What is left or shown under a rising score, one panel a score, a line for each model."""
    every: list[Told] = list(dict.fromkeys(each.told for all_told in found.values() for each in all_told))
    figure, panels = new_figure(4.5 * len(every), 3.6, columns=len(every))
    for axes, told in zip(panels, every, strict=True):
        for number, (model, all_told) in enumerate(found.items()):
            for each in (each for each in all_told if each.told == told):
                colour = COLOURS[(number + 1) % len(COLOURS)]
                axes.plot(each.scores, each.values, marker=".", color=colour, label=plain(model))
        axes.set_xlabel(f"{told} score that the model is given")
        axes.set_ylabel(UNITS[told])
        axes.set_title(METRICS[told].replace("-", " "))
        axes.set_ylim(0, 1.1 * max(max(e.values) for several in found.values() for e in several if e.told == told))
        axes.legend(frameon=False, fontsize=8)
    return to_plot(figure)


def _section(rows: list[MetricRow], crops: Sequence[Crop]) -> Section:
    found = _all(rows)
    table = Table(
        ("model", "score", "figure", "under 0", "under 1", "Spearman", "largest step"),
        tuple(
            (
                model,
                f"{each.told} score",
                METRICS[each.told],
                f"{each.values[0]:.3f}",
                f"{each.values[-1]:.3f}",
                f"{each.spearman:.3f}",
                f"{each.largest_step:.3f}",
            )
            for model, every in found.items()
            for each in every
        ),
    )
    text = (
        "Photographs with noise, restored under a rising noise score: what the noise changes in SR is what is left of "
        "it. Photographs with blur, restored under a rising blur score: how far neighbouring pixels are apart. A "
        "Spearman correlation of 1 means that more of the score always removes more; the largest step is the share of "
        "the whole change that one step of the score makes.",
    )
    pictures = Picture(_plot(found), "The mean over all photographs under each score.")
    return Section(f"Steering: {rows[0].data}", text, (pictures, table))


PROTOCOL = Protocol(
    STEERING,
    "What telling a model more does",
    """Measure what telling a run more does: noise left under a rising noise score, detail under a rising blur score.

    \b
    Example:
      rwsr eval steering --images photos --model run --out metrics.parquet
    """,
    SteeringOptions,
    _measure,
    _section,
    on="photographs",
    passes=lambda _, models: models,
    label=unlabelled,
    lines=_lines,
    values=_values,
)

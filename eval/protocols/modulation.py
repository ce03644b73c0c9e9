"""Every image under each pair of scores of a grid, and the best pair for each image by one metric (MM-RealSR table 1).

The table gives CUGAN the best of 121 outputs by LPIPS against HR: an oracle that no user has.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from matplotlib.ticker import ScalarFormatter
from pydantic import Field

from ...degrade.errors import UserError
from ..metrics import metric as metric_of
from ..report.examples import Crop
from ..report.page import Part, Picture, Section
from ..report.parts import conditions_table, means_table, unique_of
from ..report.plots import BLUE, GRAY, ORANGE, Plot, new_figure, to_plot
from ..report.sweeps import Sweep, best_of, sweep_of
from ..report.table import Image, MetricRow, setting_of
from .base import Counted, Metrics, Protocol, ProtocolOptions, Setup, Subject
from .restoration import evaluate
from .steering import steered

MODULATION = "modulation"


class ModulationOptions(ProtocolOptions):
    """What modulation can be told."""

    metrics: Metrics = ()
    by: str = "lpips-squeeze"
    """Metric that the best is chosen by."""
    grid: Annotated[int, Field(ge=2, le=101)] = 11
    """Scores along each side."""


def _measure(setup: Setup, options: ModulationOptions) -> Counted:
    """Restore each image under every pair of scores of a grid over [0, 1]^2; then by the scores that the model gives
    itself; then the best of each.
    """
    if len(setup.subjects) != 1:
        raise UserError("name one --model: it is restored by under each pair of scores")
    setup.of_scale()
    subject = setup.subjects[0]
    restore, metrics = steered(subject), setup.metrics_to_choose_by(options.metrics, options.by)
    scores = [round(float(score), 4) for score in np.linspace(0, 1, options.grid)]
    told = [
        Subject(
            subject.name,
            lambda lr, b=blur, n=noise: restore(lr, b, n),
            subject.checkpoint,
            setting_of({"blur": blur, "noise": noise}),
        )
        for blur in scores
        for noise in scores
    ]
    rows: list[MetricRow] = []
    for count, found in evaluate(replace(setup, subjects=told), metrics, protocol=MODULATION):
        rows += found
        yield count, found
    if rows:
        yield 0, best_of(rows, options.by, name=f"{subject.name}, best of {options.grid**2}")
    yield from evaluate(setup, metrics, protocol=MODULATION)


@dataclass(frozen=True)
class Found:
    """What an image was degraded by, and the pair of a grid that restored it best: blur and noise, in 0..1."""

    true: tuple[float, float]
    best: tuple[float, float]


def best_and_true(rows: Sequence[MetricRow], model: str, metric: str) -> list[Found]:
    """Of every image of a modulation whose own condition the model was given besides: CUGAN's pairs, which have a z."""
    true: dict[Image, tuple[float, float]] = {}
    best: dict[Image, tuple[float, tuple[float, float]]] = {}
    for row in rows:
        if (row.protocol, row.model, row.metric) != (MODULATION, model, metric):
            continue
        setting = json.loads(row.setting)
        if "z" in setting:
            true[row.image] = setting["z"][0], setting["z"][1]
        elif "blur" in setting:
            value = row.value if row.better == "higher" else -row.value
            if not math.isnan(value) and (row.image not in best or value > best[row.image][0]):
                best[row.image] = value, (setting["blur"], setting["noise"])
    return [Found(true[image], best[image][1]) for image in best if image in true]


def mean_distances(found: Sequence[Found]) -> tuple[float, float]:
    """How far the best pair is from the true one on average: blur, noise."""
    apart = np.abs([np.subtract(each.best, each.true) for each in found]).mean(axis=0)
    return float(apart[0]), float(apart[1])


# ------------------------------------------------------------------------------------------------ what is shown


def _label(row: MetricRow) -> str | None:
    return None if "blur" in row.setting else row.model  # not the cells of the grid


def _lines(rows: Sequence[MetricRow]) -> list[str]:
    """How far the best pair of the grid is from the true one, where that is known."""
    lines: list[str] = []
    for model, metric in dict.fromkeys((row.model, row.metric) for row in rows):
        found = best_and_true(rows, model, metric)
        if found:
            blur, noise = mean_distances(found)
            lines.append(
                f"{model}: the pair that is best by {metric} is {blur:.3f} of blur and {noise:.3f} of noise from the "
                "true one on average"
            )
    return lines


def _heat_map(sweep: Sweep, better: str) -> Plot:
    """The mean of a metric over two settings, the best marked."""
    across, down = (sorted({setting[axis] for setting in sweep.settings}) for axis in (0, 1))
    values = np.full((len(down), len(across)), np.nan)
    for setting, value in zip(sweep.settings, sweep.means, strict=True):
        values[down.index(setting[1]), across.index(setting[0])] = value
    figure, (axes,) = new_figure(6, 4.6)
    middle, reach = float(np.nanmean(values)), float(np.nanmax(values) - np.nanmin(values))
    reach = max(reach, 2e-3 * abs(middle)) / 2  # else rounding would fill the whole scale
    low, high = min(middle - reach, float(np.nanmin(values))), max(middle + reach, float(np.nanmax(values)))
    colours = "viridis" if better == "higher" else "viridis_r"
    picture = axes.imshow(values, origin="lower", cmap=colours, aspect="auto", vmin=low, vmax=high)
    bar = figure.colorbar(picture, ax=axes, label=f"{sweep.metric}, {better} is better")
    bar.formatter = ScalarFormatter(useOffset=False)
    best = int(np.argmax(sweep.means) if better == "higher" else np.argmin(sweep.means))
    axes.plot(
        across.index(sweep.settings[best][0]),
        down.index(sweep.settings[best][1]),
        "*",
        color=ORANGE,
        markersize=18,
        markeredgecolor="white",
    )
    axes.set_xticks(range(len(across)), [f"{each:g}" for each in across])
    axes.set_yticks(range(len(down)), [f"{each:g}" for each in down])
    axes.set_xlabel(f"{sweep.axes[0]} score")
    axes.set_ylabel(f"{sweep.axes[1]} score")
    axes.grid(visible=False)
    return to_plot(figure)


def _best_against_true(found: Sequence[Found]) -> Plot:
    """The pair that restored each image best over the one that it was degraded by; on the line is right."""
    figure, panels = new_figure(8, 4, columns=2)
    for which, (axes, name) in enumerate(zip(panels, ("blur", "noise"), strict=True)):
        axes.plot([0, 1], [0, 1], color=GRAY, linewidth=1)
        axes.plot([f.true[which] for f in found], [f.best[which] for f in found], ".", color=BLUE, alpha=0.7)
        axes.set_xlabel(f"true {name}")
        axes.set_ylabel(f"best {name}")
        axes.set_xlim(-0.04, 1.04)
        axes.set_ylim(-0.04, 1.04)
        axes.set_aspect("equal")
    return to_plot(figure)


def _section(rows: list[MetricRow], crops: Sequence[Crop]) -> Section:
    grid = [row for row in rows if '"blur"' in row.setting]
    whole = [row for row in rows if '"blur"' not in row.setting]
    maps: list[Part] = []
    for model in unique_of(row.model for row in grid):
        for metric in unique_of(row.metric for row in grid):
            of_model = [row for row in grid if row.model == model]
            sweep = sweep_of(of_model, MODULATION, metric)
            if sweep is not None:
                text = f"{model}: mean {metric}; the star is the best pair."
                maps.append(Picture(_heat_map(sweep, metric_of(metric).better), text))
            found = best_and_true(rows, model, metric)
            if found:
                maps.append(Picture(_best_against_true(found), _nearness(model, metric, found)))
    text = (
        "Every image under every pair of scores. The best of each image is chosen by its figures: what the model "
        "could do if it were always given the truth, and no method that anybody could use (MM-RealSR table 1).",
    )
    return Section(f"Modulation: {rows[0].data}", text, (means_table(whole), *maps, conditions_table(rows)))


def _nearness(model: str, metric: str, found: Sequence[Found]) -> str:
    blur, noise = mean_distances(found)
    return (
        f"{model}: the pair that is best by {metric} over the true one; {blur:.3f} of blur and {noise:.3f} of noise "
        "apart on average."
    )


PROTOCOL = Protocol(
    MODULATION,
    "Each pair of scores of a grid, and the best",
    """Restore every image under each pair of scores; how good the best pair is, and the run's own (MM-RealSR table 1).

    \b
    Example:
      rwsr eval modulation --store held-out.zarr --model run --by psnr-y --grid 3 --out metrics.parquet
    """,
    ModulationOptions,
    _measure,
    _section,
    passes=lambda options, _: 2,
    label=_label,
    lines=_lines,
)

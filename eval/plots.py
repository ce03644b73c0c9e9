"""Plots of what the stages measured, as PNG bytes. No figure is kept and no global state of matplotlib is set."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .curves import ScoreCurve
from .report import MetricRow, mean

F64 = npt.NDArray[np.float64]
BLUE, ORANGE, GREY = "#2f6fb2", "#d9762b", "#9aa3ad"


def new_figure(width_in: float, height_in: float, columns: int = 1, rows: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(rows * columns)]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.grid(alpha=0.25)
    return figure, axes


def to_png(figure: Figure) -> bytes:
    canvas = FigureCanvasAgg(figure)
    sink = io.BytesIO()
    canvas.print_png(sink)
    return sink.getvalue()


def loss_curves(log: pa.Table) -> bytes:
    """Each named loss term over the steps; the pixel loss on its own, the others beside it."""
    figure, (left, right) = new_figure(9, 3.4, columns=2)
    names = list(dict.fromkeys(log["name"].to_pylist()))
    steps, values, labels = (np.asarray(log[name]) for name in ("step", "value", "name"))
    for name in names:
        axes = left if name == "pixel" else right
        chosen = labels == name
        axes.plot(steps[chosen], values[chosen], marker=".", label=name)
    left.set_title("pixel loss (mean absolute difference)")
    right.set_title("metric-learning losses, weighted")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlabel("training step")
    right.legend(frameon=False)
    return to_png(figure)


def score_curves(curves: Sequence[ScoreCurve]) -> bytes:
    """The UDEM's score over rising levels, one panel a degradation."""
    figure, panels = new_figure(9, 3.4, columns=len(curves))
    units = {"blur": "blur sigma (LR pixels)", "noise": "noise sigma (grey levels of 255)"}
    for axes, curve in zip(panels, curves, strict=True):
        axes.plot(curve.levels, curve.scores, marker="o", color=BLUE)
        axes.set_xlabel(units[curve.degradation])
        axes.set_ylabel(f"{curve.degradation} score")
        axes.set_ylim(0, 1)
        axes.set_title(f"Spearman {curve.spearman:.2f}")
    return to_png(figure)


def metric_bars(rows: Sequence[MetricRow], metric: str, unit: str) -> bytes:
    """The mean of a metric for each group member, models side by side."""
    models = list(dict.fromkeys(row.model for row in rows))
    members = list(dict.fromkeys(row.member for row in rows))
    figure, (axes,) = new_figure(7, 3.4)
    width = 0.8 / len(models)
    means: Mapping[str, list[float]] = {
        model: [mean(rows, model=model, metric=metric, member=member) for member in members] for model in models
    }
    for i, model in enumerate(models):
        at = np.arange(len(members)) + (i - (len(models) - 1) / 2) * width
        bars = axes.bar(at, means[model], width * 0.95, label=model, color=[GREY, BLUE, ORANGE, "#5a9e6f"][i % 4])
        axes.bar_label(bars, fmt="%.2f", fontsize=8, padding=2)
    axes.set_xticks(range(len(members)), members)
    everything = [value for values in means.values() for value in values]
    room = max(everything) - min(everything) + 1e-6
    axes.set_ylim(min(everything) - room, max(everything) + 0.2 * room)
    axes.set_ylabel(f"{metric.upper()} ({unit}), axis cut")
    axes.grid(axis="x", visible=False)
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, ncols=len(models), loc="outside upper right")
    return to_png(figure)

"""Plots of what was measured, each as a light and a dark PNG. No global state of matplotlib is set."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .ablation import Ablation
from .sweeps import Sweep
from .table import GRADIENT, VALIDATION, MetricRow, mean

F64 = npt.NDArray[np.float64]
BLUE, ORANGE, GRAY = "#2f6fb2", "#d9762b", "#9aa3ad"
COLOURS = (GRAY, BLUE, ORANGE, "#5a9e6f", "#a05fb4", "#c2556b")
_NIGHT, _NIGHT_TEXT = "#15181d", "#c9d1d9"


@dataclass(frozen=True)
class Plot:
    """A picture for a light page and for a dark one."""

    light: bytes
    dark: bytes


_LONGEST = 28
_BESIDE = 3


def plain(name: str) -> str:
    """A name as a label: not too long, and no formula, whatever it holds."""
    short = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 9]}...{name[-6:]}"
    return short.replace("$", r"\$")


def new_figure(
    width_in: float, height_in: float, columns: int = 1, count: int | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels, so many columns in a row; without a count, of one row."""
    count = columns if count is None else count
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    axes = [figure.add_subplot(-(-count // columns), columns, i + 1) for i in range(count)]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.grid(alpha=0.25)
    return figure, axes


def new_panels(count: int, width_in: float, height_in: float) -> tuple[Figure, list[Axes]]:
    """As many panels of that size, three beside each other, so that a page can show them at a legible size."""
    columns = min(count, _BESIDE)
    return new_figure(width_in * columns, height_in * -(-count // columns), columns, count)


def to_png(figure: Figure) -> bytes:
    canvas = FigureCanvasAgg(figure)
    sink = io.BytesIO()
    canvas.print_png(sink)
    return sink.getvalue()


def to_plot(figure: Figure) -> Plot:
    """The figure as it is, and with its paper and ink changed."""
    light = to_png(figure)
    figure.set_facecolor(_NIGHT)
    for axes in figure.get_axes():
        axes.set_facecolor(_NIGHT)
        axes.tick_params(which="both", colors=_NIGHT_TEXT)
        for spine in axes.spines.values():
            spine.set_color(_NIGHT_TEXT)
        for text in (axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts):
            text.set_color(_NIGHT_TEXT)
    for text in figure.texts:
        text.set_color(_NIGHT_TEXT)
    for legend in (*figure.legends, *(each for axes in figure.get_axes() if (each := axes.get_legend()) is not None)):
        for text in legend.get_texts():
            text.set_color(_NIGHT_TEXT)
    return Plot(light, to_png(figure))


_NO_LOSSES = ("strength", "hqi", "clamped")  # what a log has of HR-aware's controller


def _measured(name: str) -> str:
    """A title for what a training measured: on held-out images, or of SR of those that it is fine-tuned on."""
    metric = name.removeprefix(VALIDATION)
    return f"{metric} of SR, without HR" if metric in ("far", "niqe") else f"{metric} on held-out images"


def loss_curves(log: pa.Table) -> Plot:
    """Each named loss term over the steps: the pixel loss, the others together, and what was measured meanwhile."""
    names = list(dict.fromkeys(log["name"].to_pylist()))
    measured = [name for name in names if name.startswith(VALIDATION)]
    told = [name for name in names if name in _NO_LOSSES]
    gradients = [name for name in names if name.startswith(GRADIENT)]
    apart = {"pixel", "far", *measured, *told, *gradients}
    others = [name for name in names if name not in apart]
    panels = {"pixel loss, weighted": ["pixel"]} if "pixel" in names else {}
    panels |= {f"{'other ' if panels else ''}losses, weighted": others} if others else {}
    panels |= {"FAR": ["far"]} if "far" in names else {}  # what it counts is a share of gradients, not this value
    panels |= {"the controller": told} if told else {}
    panels |= {"norm of the gradient": gradients} if gradients else {}
    panels |= {_measured(name): [name] for name in measured}
    figure, found = new_panels(len(panels), 4.5, 3.4)
    steps, values, labels = (np.asarray(log[name]) for name in ("step", "value", "name"))
    for axes, (title, drawn) in zip(found, panels.items(), strict=True):
        for name in drawn:
            chosen = labels == name
            axes.plot(steps[chosen], values[chosen], marker=".", label=name.removeprefix(GRADIENT))
        axes.set_title(title)
        axes.set_xlabel("training step")
        if drawn is gradients:
            axes.set_yscale("log")
            axes.legend(frameon=False)
        if drawn in (others, told):
            axes.set_ylim(bottom=0)
            axes.legend(frameon=False)
    return to_plot(figure)


def validation_curves(logs: Mapping[str, Sequence[pa.Table]]) -> Plot | None:
    """What was measured while training, one panel a metric: the mean over the runs of each variant, and each run thin
    (RWSR-EDL figure 3). None where nothing was measured.
    """
    every = [row for logs_of in logs.values() for log in logs_of for row in log.to_pylist()]
    measured = [row["name"] for row in every if row["name"].startswith(VALIDATION) and math.isfinite(row["value"])]
    names = list(dict.fromkeys(measured))
    if not names:
        return None
    figure, panels = new_panels(len(names), 4.5, 3.8)
    for axes, name in zip(panels, names, strict=True):
        for number, (variant, logs_of) in enumerate(logs.items()):
            colour = COLOURS[(number + 1) % len(COLOURS)]
            found = [{row["step"]: row["value"] for row in log.to_pylist() if row["name"] == name} for log in logs_of]
            for each in found:
                axes.plot(list(each), list(each.values()), color=colour, alpha=0.25, linewidth=1)
            steps = sorted(set(found[0]).intersection(*found))
            means = [float(np.mean([each[step] for each in found])) for step in steps]
            axes.plot(steps, means, marker=".", color=colour, label=plain(variant))
        axes.set_title(_measured(name))
        axes.set_xlabel("training step")
    panels[0].legend(frameon=False, fontsize=8)
    return to_plot(figure)


def spread(found: Ablation) -> Plot:
    """The mean of a metric of each run of each variant, a dot a run, and the mean with its standard error."""
    figure, (axes,) = new_figure(7, 0.9 + 0.5 * len(found.runs))
    for number, (variant, runs) in enumerate(found.runs.items()):
        axes.plot(runs, [number] * len(runs), ".", color=BLUE, alpha=0.7, markersize=8)
        mean_of_runs, error = [found.mean(variant)], [found.error(variant)]
        axes.errorbar(mean_of_runs, [number], xerr=error, fmt="|", color=ORANGE, markersize=18, capsize=4)
    axes.set_yticks(range(len(found.runs)), [plain(name) for name in found.runs])
    axes.set_ylim(len(found.runs) - 0.4, -0.6)
    axes.set_xlabel(f"{found.metric}, {found.better} is better")
    axes.grid(axis="y", visible=False)
    return to_plot(figure)


def metric_bars(rows: Sequence[MetricRow], metric: str, unit: str) -> Plot:
    """The mean of a metric for each member, models side by side."""
    rows = [row for row in rows if row.metric == metric]
    models = list(dict.fromkeys(row.model for row in rows))
    members = list(dict.fromkeys(row.member for row in rows))
    figure, (axes,) = new_figure(max(7, 0.45 * len(models) * len(members)), 3.4)
    width = 0.8 / len(models)
    means: Mapping[str, list[float]] = {
        model: [mean(rows, model=model, member=member) for member in members] for model in models
    }
    for i, model in enumerate(models):
        at = np.arange(len(members)) + (i - (len(models) - 1) / 2) * width
        bars = axes.bar(at, means[model], width * 0.95, label=plain(model), color=COLOURS[i % len(COLOURS)])
        if len(models) <= 3:
            axes.bar_label(bars, fmt="%.2f" if means[model][0] > 2 else "%.3f", fontsize=7, padding=2)
    axes.set_xticks(range(len(members)), [plain(member) for member in members])
    everything = [value for values in means.values() for value in values if np.isfinite(value)]
    if everything:
        room = max(everything) - min(everything) + 1e-3 * max(map(abs, everything))
        axes.set_ylim(min(everything) - room, max(everything) + 0.2 * room)
    axes.set_ylabel(f"{metric} ({unit}), axis cut")
    axes.grid(axis="x", visible=False)
    figure.legend(
        *axes.get_legend_handles_labels(), frameon=False, ncols=min(4, len(models)), loc="outside upper right"
    )
    return to_plot(figure)


def each_image(rows: Sequence[MetricRow], metric: str) -> Plot:
    """A dot for each image of each model, and the mean: where a mean hides a few bad images, this shows them."""
    rows = [row for row in rows if row.metric == metric and np.isfinite(row.value)]
    models = list(dict.fromkeys(row.model for row in rows))
    figure, (axes,) = new_figure(9, 0.9 + 0.45 * len(models))
    for number, model in enumerate(models):
        values = np.array([row.value for row in rows if row.model == model])
        spread = (np.arange(len(values)) * 0.618034 % 1 - 0.5) * 0.5
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(values, number + spread, ".", color=colour, alpha=0.6, markersize=5)
        axes.plot([values.mean()] * 2, [number - 0.4, number + 0.4], color=colour, linewidth=2)
    axes.set_yticks(range(len(models)), [plain(model) for model in models])
    axes.set_ylim(len(models) - 0.4, -0.6)
    axes.set_xlabel(f"{metric}, {rows[0].better} is better")
    axes.grid(axis="y", visible=False)
    return to_plot(figure)


def lines(sweeps: Mapping[str, Mapping[str, Sweep]], axis: str) -> Plot:
    """The mean of each metric along one setting, a panel a metric, a line a model."""
    figure, panels = new_panels(len(sweeps), 4.5, 3.4)
    for axes, (metric, by_model) in zip(panels, sweeps.items(), strict=True):
        for number, (model, sweep) in enumerate(by_model.items()):
            settings = [setting[0] for setting in sweep.settings]
            axes.plot(
                settings, sweep.means, marker="o", color=COLOURS[1:][number % (len(COLOURS) - 1)], label=plain(model)
            )
        axes.set_xlabel(axis)
        axes.set_title(metric)
        if len(by_model) > 1:
            axes.legend(frameon=False)
    return to_plot(figure)


def histograms_against(clean: Sequence[float], others: Mapping[str, Sequence[float]], label: str) -> Plot:
    """How often each value occurs, a panel a kind, each before those of the clean."""
    figure, panels = new_panels(len(others), 4, 2.4)
    edges = np.histogram_bin_edges(np.concatenate([clean, *others.values()]), bins=20).tolist()
    for number, (axes, (kind, found)) in enumerate(zip(panels, others.items(), strict=True)):
        axes.hist(clean, bins=edges, color=GRAY, alpha=0.6, label="clean")
        colour = COLOURS[1:][number % (len(COLOURS) - 1)]
        axes.hist(found, bins=edges, histtype="step", linewidth=2, color=colour, label=plain(kind))
        axes.set_xlabel(label)
        axes.set_ylabel("images")
        axes.legend(frameon=False)
    return to_plot(figure)


def gains(found: Sequence[tuple[float, float]], across: str, up: str) -> Plot:
    """What each image gains by two metrics, a dot an image; the lines are no gain (RWSR-EDL figure 1)."""
    figure, (axes,) = new_figure(5.2, 4.4)
    for line in (axes.axhline, axes.axvline):
        line(0, color=GRAY, linewidth=1)
    axes.plot([x for x, _ in found], [y for _, y in found], ".", color=BLUE, alpha=0.8)
    axes.set_xlabel(f"gain of {across}")
    axes.set_ylabel(f"gain of {up}")
    return to_plot(figure)

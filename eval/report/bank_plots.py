"""Plots of a noise bank: its tiles among all tiles, its spectrum, and how its channels go together."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ...noisebank.cati import AnyRule, BoxRule, Cati, ThresholdRule, accepts
from ...noisebank.statistics import NoiseStatistics
from .plots import BLUE, GRAY, ORANGE, Plot, new_figure, to_plot, to_png

_MOST_DOTS = 20_000


def _tiles_panel(axes: Axes, tiles: pa.Table, rule: AnyRule, interval: Cati | None) -> None:
    mean, variance = np.asarray(tiles["mean"]), np.asarray(tiles["variance"])
    taken = accepts(tiles, rule, interval)
    shown = (variance > 0) & ~taken
    if tiles.num_rows > _MOST_DOTS:
        axes.hexbin(mean[shown], variance[shown], gridsize=90, yscale="log", bins="log", cmap="Grays", linewidths=0.1)
        axes.plot([], [], "s", color=GRAY, label="other tiles (darker: more)")
    else:
        axes.scatter(mean[shown], variance[shown], s=6, color=GRAY, label="other tiles", linewidths=0)
    chosen = np.flatnonzero(taken & (variance > 0))
    chosen = chosen[:: max(1, len(chosen) // _MOST_DOTS)]
    axes.scatter(mean[chosen], variance[chosen], s=9, color=ORANGE, label="taken into the bank", linewidths=0)
    for i, part in enumerate(interval.intervals if interval else ()):
        (low_v, high_v), (low_m, high_m) = part.variance, part.mean
        label = "CATI" if i == 0 else None
        corner, width, height = (low_m, low_v), high_m - low_m, high_v - low_v
        axes.add_patch(Rectangle(corner, width, height, fill=False, color=BLUE, linewidth=1.3, label=label))
    if isinstance(rule, BoxRule):
        (low_v, high_v), (low_m, high_m) = rule.variance, rule.mean
        box = Rectangle(
            (low_m, low_v), high_m - low_m, high_v - low_v, fill=False, color=BLUE, linewidth=1.3, label="box"
        )
        axes.add_patch(box)
    if isinstance(rule, ThresholdRule):
        axes.axhline(rule.max_var, color=BLUE, label=f"variance < {rule.max_var:g}")
        if rule.min_mean > 0:
            axes.axvline(rule.min_mean, color=BLUE, linestyle=":", label=f"mean > {rule.min_mean:g}")
    axes.set_yscale("log")
    axes.set_xlim(-3, 258)
    axes.set_xlabel("mean luma of the tile (gray levels)")


def tiles_and_rule(sets: Mapping[str, pa.Table], rule: AnyRule, interval: Cati | None) -> Plot:
    """The tiles of each set by mean and variance, with the rule as boxes or lines and what it takes marked.

    sets: tile tables of one size by the set's name.
    """
    columns = min(len(sets), 2)
    rows = (len(sets) + 1) // 2
    figure, panels = new_figure(1.5 + 5.5 * columns, 0.6 + 3.6 * rows, columns=columns, count=len(sets))
    for axes, (name, tiles) in zip(panels, sets.items(), strict=True):
        _tiles_panel(axes, tiles, rule, interval)
        axes.set_title(f"{name}: {tiles.num_rows:,} tiles")
        axes.set_ylabel("variance of its luma (squared gray levels)")
    low, high = min(axes.get_ylim()[0] for axes in panels), max(axes.get_ylim()[1] for axes in panels)
    for axes in panels:
        axes.set_ylim(low, high)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return to_plot(figure)


def spectra(found: Mapping[str, NoiseStatistics]) -> bytes:
    """Power over spatial frequency, a line for each collection of patches, the bank first."""
    figure, (axes,) = new_figure(7, 4)
    colours = [ORANGE, BLUE, "#5a9e6f", "#8d6cab", GRAY]
    for i, (name, each) in enumerate(found.items()):
        width = 2.2 if i == 0 else 1.2
        label = f"{name} ({each.num_patches} patches)"
        axes.plot(each.frequency, each.power, color=colours[i % len(colours)], linewidth=width, label=label)
    axes.set_yscale("log")
    axes.set_xlim(0, 0.5)
    axes.set_xlabel("spatial frequency (cycles per pixel)")
    axes.set_ylabel("power (squared gray levels; white noise is flat)")
    axes.legend(frameon=False)
    return to_png(figure)


def covariances(found: Mapping[str, NoiseStatistics]) -> bytes:
    """The correlation of R, G and B within patches as a map a collection, with their covariance written in."""
    figure, panels = new_figure(0.8 + 3 * len(found), 3.4, columns=len(found))
    for axes, (name, each) in zip(panels, found.items(), strict=True):
        axes.imshow(each.correlation, vmin=-1, vmax=1, cmap="RdBu_r")
        for row in range(3):
            for column in range(3):
                value = each.covariance[row, column]
                text = f"{value:{',.0f' if abs(value) >= 100 else '.3g'}}\n(r {each.correlation[row, column]:.2f})"
                dark = abs(each.correlation[row, column]) > 0.6
                axes.text(column, row, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
        axes.set_xticks(range(3), ["R", "G", "B"])
        axes.set_yticks(range(3), ["R", "G", "B"])
        axes.grid(visible=False)
        axes.set_title(f"{name}\n({each.num_patches} patches)", fontsize=10)
    figure.supxlabel("covariance in squared gray levels, and correlation r", fontsize=9)
    return to_png(figure)

"""Plots of a store: what was drawn for its samples, and what their images measure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from .plots import BLUE, F64, GRAY, ORANGE, Plot, new_figure, new_panels, to_plot

_COLOURS = (BLUE, "#5a9e6f", ORANGE, GRAY, "#a2494a")
_COLUMNS = 4


def histograms(values: Mapping[str, Mapping[str, F64]]) -> Plot:
    """A panel for each parameter, an outline in it for each member that has it.

    values: by the parameter's name with its unit, by member, every value that was drawn.
    """
    rows = -(-len(values) // _COLUMNS)
    figure, panels = new_figure(12, 0.5 + 2.5 * rows, columns=_COLUMNS, count=len(values))
    members = list(dict.fromkeys(member for of in values.values() for member in of))
    for axes, (name, of) in zip(panels, values.items(), strict=True):
        everything = np.concatenate(list(of.values()))
        low, high = float(everything.min()), float(everything.max())
        edges = np.linspace(low, high if high > low else low + 1, 25).tolist()
        for member, drawn in of.items():
            number = members.index(member) % len(_COLOURS)
            width = 3.4 - 0.6 * number  # so that equal outlines are seen below each other
            axes.hist(drawn, bins=edges, histtype="step", color=_COLOURS[number], linewidth=width)
        axes.set_title(name, fontsize=10)
        axes.set_yticks([])
        axes.set_ylabel("samples", fontsize=8)
    if len(members) > 1:
        for i, member in enumerate(members):
            panels[0].plot([], [], color=_COLOURS[i % len(_COLOURS)], label=member)
        figure.legend(*panels[0].get_legend_handles_labels(), frameon=False, ncols=5, loc="outside upper center")
    return to_plot(figure)


def boxes(table: pa.Table, members: Sequence[str], measures: Mapping[str, str]) -> Plot:
    """For each measure (column, and what its axis says), the spread over the samples of each member.

    Boxes hold the middle half with the median, whiskers the middle 95 %.
    """
    figure, panels = new_panels(len(measures), 4.2, 3.2)
    of = np.asarray(table["member"])
    for axes, (column, label) in zip(panels, measures.items(), strict=True):
        values = np.asarray(table[column], dtype=np.float64)
        drawn = [values[(of == member) & np.isfinite(values)] for member in members]
        gray = {"color": GRAY}  # seen on white and on black
        lines: Any = {"boxprops": gray, "whiskerprops": gray, "capprops": gray, "medianprops": {"color": BLUE}}
        axes.boxplot(drawn, tick_labels=list(members), whis=(2.5, 97.5), showfliers=False, **lines)
        axes.set_ylabel(label)
        axes.tick_params(axis="x", labelsize=8)
        axes.grid(axis="x", visible=False)
    return to_plot(figure)

"""Parts of a report's page that several protocols have: tables of means, conditions, the worst images, crops."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..metrics import printed
from . import examples
from . import table as report
from .examples import Crop
from .page import Caution, Part, Strip, Table
from .published import Published, beside
from .table import Image, MetricRow

_WORST = 5


def figure_of(metric: str, value: float) -> str:
    """A value as a table has it: the metric's name says the unit."""
    return printed(metric, value).removesuffix(" dB") if np.isfinite(value) else str(value)


def unique_of(values: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(values))


def told_apart(rows: Sequence[MetricRow]) -> list[MetricRow]:
    """The rows with metrics that were measured in several ways called apart, so that no mean mixes them."""
    ways: dict[str, set[tuple[str, int, str]]] = {}
    for row in rows:
        ways.setdefault(row.metric, set()).add((row.space, row.border, row.version))
    return [
        replace(row, metric=f"{row.metric}, {row.border} px cropped") if len(ways[row.metric]) > 1 else row
        for row in rows
    ]


def mean_value(rows: Sequence[MetricRow]) -> float | None:
    return report.mean_of([row.value for row in rows]) if rows else None


def means_table(rows: Sequence[MetricRow]) -> Table:
    """A row a model, a column a metric, over all images; what is best to the digits shown is marked."""
    rows = report.shared(rows)
    models, metrics = unique_of(row.model for row in rows), unique_of(row.metric for row in rows)
    by: dict[tuple[str, str], list[MetricRow]] = {}
    for row in rows:
        by.setdefault((row.model, row.metric), []).append(row)
    better = {row.metric: row.better for row in rows}
    text = [[model, *(cell_of(metric, by.get((model, metric), [])) for metric in metrics)] for model in models]
    best: set[tuple[int, int]] = set()
    for x, metric in enumerate(metrics, start=1):
        means = {
            y: mean for y, model in enumerate(models) if (mean := mean_value(by.get((model, metric), []))) is not None
        }
        if len(means) > 1:
            chosen = (
                max(means, key=means.__getitem__) if better[metric] == "higher" else min(means, key=means.__getitem__)
            )
            best |= {(y, x) for y in means if text[y][x] == text[chosen][x]}
    return Table(("model", *metrics), tuple(map(tuple, text)), frozenset(best))


def cell_of(metric: str, rows: Sequence[MetricRow]) -> str:
    mean = mean_value(rows)
    return "" if mean is None else figure_of(metric, mean)


def conditions_table(rows: Sequence[MetricRow]) -> Table:
    """What each metric saw."""
    seen = dict.fromkeys(
        (row.metric, row.space, str(row.border), row.better, row.version, row.device or "not said") for row in rows
    )
    return Table(("metric", "on", "px cropped", "better", "which", "computed by"), tuple(seen))


def values_of(rows: Sequence[MetricRow], metric: str) -> dict[tuple[Image, str], float]:
    return {(row.image, row.model): row.value for row in rows if row.metric == metric}


def worst_table(rows: Sequence[MetricRow], metric: str, model: str) -> Table:
    """The images that a model does worst at, beside what the others make of them."""
    values = values_of(rows, metric)
    models = unique_of(name for _, name in values)
    chosen = examples.ranked(rows, metric, model)[:_WORST]
    lines = tuple(
        (
            image[0],
            image[2],
            *("" if (value := values.get((image, each))) is None else figure_of(metric, value) for each in models),
        )
        for image in chosen
    )
    return Table(("image", "member", *models), lines, caption=f"{metric}: the images that {model} does worst at.")


def crop_strips(crops: Sequence[Crop], rows: Sequence[MetricRow], metric: str) -> list[Strip]:
    values = values_of(rows, metric)
    by: dict[tuple[str, Image], list[Crop]] = {}
    for crop in crops:
        by.setdefault((crop.judged, (crop.source, crop.sample, crop.member)), []).append(crop)
    found: list[Strip] = []
    for (judged, image), group in by.items():
        named: list[tuple[bytes, str]] = []
        for crop in group:
            value = values.get((image, crop.method))
            named.append((crop.png, crop.method if value is None else f"{crop.method} {figure_of(metric, value)}"))
        text = (
            f"{image[0]}, {image[2]}, chosen by {judged}: {metric} of the whole image; x {group[0].x}, y {group[0].y}."
        )
        found.append(Strip(tuple(named), text))
    return found


def beside_papers(rows: Sequence[MetricRow]) -> list[Part]:
    """What papers print for a set of that name."""
    metrics = unique_of(row.metric.partition(",")[0] for row in rows)
    found: list[Published] = beside(rows[0].data, metrics, rows[0].protocol)
    if not found:
        return []
    lines = tuple(
        (each.paper, each.table, each.method, each.member, each.metric, each.printed, each.note) for each in found
    )
    caution = Caution(
        f"Published figures for {found[0].data}, as they are printed: other images, borders, LR or weights than in "
        "this report may lie behind them. Compare only where the notes and the conditions above agree."
    )
    return [caution, Table(("paper", "table", "method", "setting", "metric", "value", "note"), lines)]

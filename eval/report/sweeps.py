"""Readings of a report along what models were told: the mean at each setting, how it runs, the best of each image."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.stats import spearmanr

from ...degrade.errors import UserError
from .table import Image, MetricRow, mean_of, setting_of


@dataclass(frozen=True)
class Sweep:
    """The mean of a metric at each setting, in order of the rows; axes are the names of what was set."""

    metric: str
    axes: tuple[str, ...]
    settings: tuple[tuple[float, ...], ...]
    means: tuple[float, ...]


def sweep_of(rows: Sequence[MetricRow], protocol: str, metric: str) -> Sweep | None:
    """The sweep in a report; None where there is none."""
    values: dict[str, list[float]] = {}
    for row in rows:
        if (row.protocol, row.metric) == (protocol, metric) and "best by" not in row.setting:
            values.setdefault(row.setting, []).append(row.value)
    if not values:
        return None
    parsed = [json.loads(setting) for setting in values]
    axes = tuple(parsed[0])
    settings = tuple(tuple(float(each[axis]) for axis in axes) for each in parsed)
    return Sweep(metric, axes, settings, tuple(mean_of(found) for found in values.values()))


def best_of(rows: Sequence[MetricRow], metric: str, *, name: str) -> list[MetricRow]:
    """The rows of each image's best restoration by one metric, of all methods and settings, as one method `name`.

    The choice looks at HR: an upper bound, not a method.

    Raises:
        UserError: no row has the metric.
    """
    judged = [row for row in rows if row.metric == metric]
    if not judged:
        raise UserError(f"there is no {metric} to choose by; measure it")
    sign = 1 if judged[0].better == "higher" else -1
    best: dict[Image, MetricRow] = {}
    for row in judged:
        if math.isfinite(row.value) and (row.image not in best or sign * row.value > sign * best[row.image].value):
            best[row.image] = row
    for row in judged:
        best.setdefault(row.image, row)  # none has a value: the first stands for all
    chosen = {(image, row.model, row.setting) for image, row in best.items()}
    return [
        replace(row, model=name, checkpoint="", setting=setting_of({"best by": metric}))
        for row in rows
        if (row.image, row.model, row.setting) in chosen
    ]


def spearman(values: Sequence[float]) -> float:
    """Rank correlation with the places: 1 where every value is greater than the one before, -1 where less; 0 where all
    are one."""
    if len(set(values)) == 1:
        return 0.0
    return float(np.asarray(spearmanr(range(len(values)), values))[0])


def largest_step(values: Sequence[float]) -> float:
    """The largest difference of neighbours, of that of the least and the greatest: of n values 1 / (n - 1) where they
    are even, 1 where all happens at once; 0 where all are one."""
    reach = max(values) - min(values)
    return max(abs(b - a) for a, b in pairwise(values)) / reach if reach else 0.0

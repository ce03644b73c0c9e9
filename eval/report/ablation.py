"""Variants of a training, each by several runs (RWSR-EDL tables VII to X), and whether one is better than another.

The models are trained and measured one by one with `restoration`; this reads their rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...degrade.errors import UserError
from .table import MetricRow


@dataclass(frozen=True)
class Ablation:
    """Of each variant the mean over all images of each run (seed), and their mean and deviation."""

    metric: str
    better: str
    runs: dict[str, tuple[float, ...]]

    def mean(self, variant: str) -> float:
        return float(np.mean(self.runs[variant]))

    def spread(self, variant: str) -> float:
        """The standard deviation over the runs; 0 of a single one."""
        values = self.runs[variant]
        return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0

    def error(self, variant: str) -> float:
        """The standard error of the mean; 0 of a single run."""
        return self.spread(variant) / len(self.runs[variant]) ** 0.5

    @property
    def order(self) -> tuple[str, ...]:
        """The variants, best first."""
        return tuple(sorted(self.runs, key=self.mean, reverse=self.better == "higher"))

    def holds(self, better: str, worse: str) -> bool:
        """Whether the mean of one is better by more than the spread of the two runs' means together."""
        gap = self.mean(better) - self.mean(worse)
        error = float(np.hypot(self.error(better), self.error(worse)))
        return (gap if self.better == "higher" else -gap) > error


def ablation(rows: Sequence[MetricRow], runs: Mapping[str, Sequence[str]], metric: str) -> Ablation:
    """The ablation out of a report: which models are the runs of which variant.

    Raises:
        UserError: the report has no such metric of one of the models.
    """
    found: dict[str, tuple[float, ...]] = {}
    better = ""
    for variant, models in runs.items():
        means: list[float] = []
        for model in models:
            chosen = [row for row in rows if (row.model, row.metric) == (model, metric)]
            if not chosen:
                raise UserError(f"the report has no {metric} of {model} ({variant}); measure it with `rwsr eval`")
            better = chosen[0].better
            means.append(float(np.mean([row.value for row in chosen])))
        found[variant] = tuple(means)
    return Ablation(metric, better, found)

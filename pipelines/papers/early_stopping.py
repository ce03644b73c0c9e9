"""Where a fine-tuning would have been stopped by each rule, and how good it was there, out of its log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ...eval.report.table import VALIDATION

RULES: Mapping[
    str, str | None
] = {  # the figure that each goes by, all of them lower where better; none is the last step
    "the last step": None,
    "least NIQE of SR": "niqe",
    "least FAR of SR": "far",
    "least LPIPS, with HR": "lpips",
}


@dataclass(frozen=True)
class Stopped:
    """The mean over runs of where a rule stops, and of what is measured there, by metric."""

    rule: str
    step: float
    figures: Mapping[str, float]


def _figures(log: pa.Table) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for row in log.to_pylist():
        if row["name"].startswith(VALIDATION):
            found.setdefault(row["name"].removeprefix(VALIDATION), {})[row["step"]] = row["value"]
    return found


def stopped(logs: Sequence[pa.Table], metrics: Sequence[str]) -> list[Stopped]:
    """Of each rule whose figure is in all the logs; nothing where no metric was measured meanwhile. `lpips` is
    whichever LPIPS was measured.
    """
    runs = [_figures(log) for log in logs]
    there = [metric for metric in metrics if all(metric in run for run in runs)]
    found: list[Stopped] = []
    for rule, told in RULES.items():
        by = next((name for name in runs[0] if name.startswith("lpips")), told) if told == "lpips" else told
        if not there or (by is not None and any(by not in run for run in runs)):
            continue
        known = [{step: value for step, value in run[by or there[0]].items() if np.isfinite(value)} for run in runs]
        if not all(known):
            continue
        steps = [max(run) if by is None else min(run, key=run.__getitem__) for run in known]
        figures = {
            metric: float(np.mean([run[metric][step] for run, step in zip(runs, steps, strict=True)]))
            for metric in there
        }
        found.append(Stopped(rule, float(np.mean(steps)), figures))
    return found

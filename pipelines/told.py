"""What the protocols found, as values and as lines for a person."""

import json
from collections.abc import Sequence

from ..eval.protocols import cugan_tables, sweeps
from ..eval.protocols import hr_aware_probes as probes
from ..eval.protocols.trends import largest_step, spearman
from ..eval.report import table as report
from ..eval.report.table import MetricRow


def _label(row: MetricRow) -> str | None:
    """What a mean is of: a model; in a sweep, a model and what it was told. None for the cells of a grid of scores."""
    if row.protocol == sweeps.MODULATION and "blur" in row.setting:
        return None
    if row.protocol == sweeps.INTERPOLATION:
        return f"{row.model}, alpha {json.loads(row.setting)['alpha']:g}"
    if row.protocol == probes.RECONSTRUCTION:
        return f"{row.model}, i {json.loads(row.setting)['i']:g}"
    return f"{row.model}, {row.member}" if row.protocol in (cugan_tables.PROTOCOL, probes.FAR) else row.model


def means_of(rows: Sequence[MetricRow]) -> dict[str, dict[str, float]]:
    """The mean of each metric over all images, of each model; in a sweep, at each setting."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in report.shared(rows):
        label = _label(row)
        if label is not None:
            found.setdefault(label, {}).setdefault(row.metric, []).append(row.value)
    return {model: {name: report.mean_of(v) for name, v in by.items()} for model, by in found.items()}


def _said(metric: str, value: float) -> str:
    return f"{metric} {value:.2f} dB" if metric.startswith("psnr") else f"{metric} {value:.4f}"


def mean_lines(rows: Sequence[MetricRow]) -> list[str]:
    """The means, a line a model, and what else a protocol is about."""
    means = [
        f"{model}: {', '.join(_said(name, value) for name, value in by.items())}"
        for model, by in means_of(rows).items()
    ]
    rows = report.shared(rows)
    return [*means, *_distance_lines(rows), *_trend_lines(rows), *_nearness_lines(rows), *_far_lines(rows)]


def _distance_lines(rows: Sequence[MetricRow]) -> list[str]:
    """How far a model that is told is from those of one degradation, by CUGAN's settings."""
    found: list[str] = []
    for metric in dict.fromkeys(row.metric for row in rows):
        for model, by in cugan_tables.modulation_distances(rows, metric).items():
            member = max(by, key=by.__getitem__)
            found.append(f"{model}: at most {_said(metric, by[member])} from the models of one degradation ({member})")
    return found


def _trend_lines(rows: Sequence[MetricRow]) -> list[str]:
    """How the metrics run along alpha."""
    found: list[str] = []
    for metric in dict.fromkeys(row.metric for row in rows):
        sweep = sweeps.sweep_of(rows, sweeps.INTERPOLATION, metric)
        if sweep is not None:
            found.append(
                f"{metric} along alpha: Spearman {spearman(sweep.means):.3f}, largest step "
                f"{largest_step(sweep.means):.3f} of all"
            )
        for model, fit in probes.reconstructions(rows, metric).items():
            found.append(
                f"{model}: {metric} of the reconstruction along i: Spearman {spearman(fit.means):.3f}, "
                f"{_said(metric, fit.means[0])} of HR, {_said(metric, fit.means[-1])} of LR enlarged"
            )
    return found


def _far_lines(rows: Sequence[MetricRow]) -> list[str]:
    """Whether FAR tells degraded images from clean ones."""
    lines: list[str] = []
    for model, member in dict.fromkeys((row.model, row.member) for row in rows if row.protocol == probes.FAR):
        if member != probes.CLEAN:
            area = probes.area_of(rows, model, member)
            lines.append(
                f"{model}: {member}: area under curve {area:.3f}, greater than of the same image clean in "
                f"{probes.rises(rows, model, member):.0%}"
            )
    return lines


def _nearness_lines(rows: Sequence[MetricRow]) -> list[str]:
    """How far the best pair of a grid is from the true one, where that is known."""
    lines: list[str] = []
    for model, metric in dict.fromkeys((row.model, row.metric) for row in rows):
        found = sweeps.best_and_true(rows, model, metric)
        if found:
            blur, noise = sweeps.mean_distances(found)
            lines.append(
                f"{model}: the pair that is best by {metric} is {blur:.3f} of blur and {noise:.3f} of noise from the "
                "true one on average"
            )
    return lines

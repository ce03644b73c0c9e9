"""Whether LR is reconstructed better from worse HR, which rewards degraded SR (HR-aware figure 7)."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from ...degrade.errors import UserError
from ..images.restoring import bicubic
from ..images.sets import Item, opened
from ..images.tensors import to_tensor
from ..metrics import printed
from ..metrics.base import Ready
from ..report import plots
from ..report.examples import Crop
from ..report.page import Picture, Section, Table
from ..report.parts import unique_of
from ..report.sweeps import Sweep, spearman, sweep_of
from ..report.table import MetricRow, setting_of
from .base import Counted, Metrics, Protocol, ProtocolOptions, Setup, Strength, Subject
from .far import large_enough

RECONSTRUCTION = "reconstruction"


class ReconstructionOptions(ProtocolOptions):
    """What the reconstruction can be told."""

    metrics: Metrics = ()
    steps: Annotated[int, Field(ge=2, le=101)] = 11
    """Images from HR to LR enlarged."""
    strength: Strength = "hqi"
    """What a controller is noise around: hqi as while fine-tuning, 1-hqi as while pretraining."""


def _measure(setup: Setup, options: ReconstructionOptions) -> Counted:
    """How well LR X is reconstructed from Y_i = i f(X) + (1 - i) HR, f bicubic (equation 12), by each network.

    Without the controller the fit gets better with i.
    """
    metrics = setup.of_scale().metrics_with_hr(options.metrics or ("psnr-rgb",), border=0)
    if not setup.images.has_hr:
        raise UserError(f"{setup.images.name} has no HR, which LR is reconstructed from; name --hr")
    for subject in setup.subjects:
        for count, items in opened(setup.images):
            yield count, [row for item in large_enough(items) for row in _rows(setup, subject, item, metrics, options)]


def _rows(
    setup: Setup, subject: Subject, item: Item, metrics: Sequence[Ready], options: ReconstructionOptions
) -> list[MetricRow]:
    told = subject.reconstruction
    if told is None:
        raise UserError(f"{subject.name} reconstructs no LR; name a run of hr-aware-pretrain")
    controlled = f"controller around {options.strength}" if told.controlled else "no controller"
    assert item.hr is not None
    rows: list[MetricRow] = []
    lr, hr = to_tensor(item.lr)[None].to(setup.device), to_tensor(item.hr)[None].to(setup.device)
    for ratio in [round(float(ratio), 4) for ratio in np.linspace(0, 1, options.steps)]:
        worse = ratio * bicubic(lr, setup.images.scale) + (1 - ratio) * hr
        with torch.inference_mode():
            found, wanted = told.again(lr, worse, item.source, options.strength)
        for metric in metrics:
            large = min(found.shape[-2:]) >= metric.least_px
            value = metric.measure(found, wanted).item() if large else math.nan
            figure = replace(metric.figure, version=f"{metric.metric.version}; {controlled}")
            rows.append(setup.row(RECONSTRUCTION, subject, item, figure, value, setting=setting_of({"i": ratio})))
    return rows


def reconstructions(rows: Sequence[MetricRow], metric: str) -> dict[str, Sweep]:
    """The sweep over i of each model in a report, by its name."""
    found: dict[str, Sweep] = {}
    for model in dict.fromkeys(row.model for row in rows if row.protocol == RECONSTRUCTION):
        sweep = sweep_of([row for row in rows if row.model == model], RECONSTRUCTION, metric)
        if sweep is not None:
            found[model] = sweep
    return found


# ------------------------------------------------------------------------------------------------ what is shown


def _label(row: MetricRow) -> str | None:
    return f"{row.model}, i {json.loads(row.setting)['i']:g}"


def _lines(rows: Sequence[MetricRow]) -> list[str]:
    found: list[str] = []
    for metric in dict.fromkeys(row.metric for row in rows):
        for model, fit in reconstructions(rows, metric).items():
            of_hr, of_lr = (f"{metric} {printed(metric, value)}" for value in (fit.means[0], fit.means[-1]))
            found.append(
                f"{model}: {metric} of the reconstruction along i: Spearman {spearman(fit.means):.3f}, {of_hr} of HR, "
                f"{of_lr} of LR enlarged"
            )
    return found


def _section(rows: list[MetricRow], crops: Sequence[Crop]) -> Section:
    found = {metric: reconstructions(rows, metric) for metric in unique_of(row.metric for row in rows)}
    picture = Picture(plots.lines(found, "i: 0 is HR, 1 is LR enlarged"), "How well LR is reconstructed from Y_i.")
    which = {(row.model, row.metric): row.version for row in rows}
    lines = tuple(
        (
            model,
            metric,
            f"{spearman(sweep.means):.3f}",
            f"{sweep.means[0]:.4g}",
            f"{sweep.means[-1]:.4g}",
            which[model, metric],
        )
        for metric, by_model in found.items()
        for model, sweep in by_model.items()
    )
    text = (
        "Y_i is i times LR enlarged and 1 - i times HR (HR-aware equation 12, figure 7). Where the reconstruction gets "
        "better with i, it rewards a model for degraded SR; a controller around HQI, as while fine-tuning, should stop "
        "that.",
    )
    table = Table(("network", "metric", "Spearman along i", "of HR", "of LR enlarged", "which"), lines)
    return Section("LR reconstruction", text, (picture, table))


PROTOCOL = Protocol(
    RECONSTRUCTION,
    "LR reconstructed from worse and worse HR",
    """Measure whether LR is reconstructed better from worse HR, which rewards degraded SR (HR-aware figure 7).

    \b
    Example:
      rwsr eval reconstruction --store held-out.zarr --reconstruction with --reconstruction without --out fit.parquet
    """,
    ReconstructionOptions,
    _measure,
    _section,
    of="reconstructions",
    passes=lambda _, models: models,
    label=_label,
    lines=_lines,
)

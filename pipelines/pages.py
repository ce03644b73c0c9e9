"""The page of a metric report: its means, its bars, and the loss curves of a run."""

from pathlib import Path

import pyarrow.parquet as pq

from ..degrade import places
from ..degrade.errors import StoreError
from ..degrade.places import Place
from ..eval import plots, report
from ..eval.page import Picture, Section, Table, page

_UNITS = {"psnr": "dB", "ssim": "1 is equal"}


def _metric_section(rows: list[report.MetricRow], metric: str) -> Section:
    models = list(dict.fromkeys(row.model for row in rows))
    members = list(dict.fromkeys(row.member for row in rows))
    table = Table(
        ("model", *members, "all"),
        tuple(
            (
                model,
                *(f"{report.mean(rows, model=model, metric=metric, member=member):.4f}" for member in (*members, None)),
            )
            for model in models
        ),
    )
    first = rows[0]
    text = (
        f"Means over {len({row.sample for row in rows})} groups, on {first.space} of 8-bit images, "
        f"{first.border} px cropped from each side. Higher is better."
    )
    bars = Picture(plots.metric_bars(rows, metric, _UNITS[metric]), f"Mean {metric.upper()} of each member.")
    return Section(metric.upper(), (text,), (table, bars))


def write_report(metrics: Place, run: Path | None, out: Place) -> None:
    """Draw a metric report, and the losses of a run, as one HTML page.

    Raises:
        StoreError: the report or the run's log is missing.
    """
    rows = report.read(metrics)
    names = list(dict.fromkeys(row.metric for row in rows))
    sections = [_metric_section([row for row in rows if row.metric == name], name) for name in names]
    if run is not None:
        log = run / "train.parquet"
        if not log.exists():
            raise StoreError(f"{log} does not exist; name the folder of a finished run, or finish it with rwsr train")
        curves = Picture(plots.loss_curves(pq.read_table(log)), "The losses while training.")
        sections.append(Section("Training", (), (curves,)))
    places.write(out, page(f"Metric report: {metrics.name}", str(metrics), sections))

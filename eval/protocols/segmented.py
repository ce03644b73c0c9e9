"""Models that share a range of degradations among them, and the best of them for each image (MM-RealSR table 2)."""

from collections.abc import Sequence

from ...degrade.errors import UserError
from ..report.examples import Crop
from ..report.page import Section
from ..report.parts import beside_papers, conditions_table, means_table
from ..report.sweeps import best_of
from ..report.table import MetricRow
from .base import Counted, Metrics, Protocol, ProtocolOptions, Setup
from .restoration import evaluate

SEGMENTED = "segmented"


class SegmentedOptions(ProtocolOptions):
    """What segmented models can be told."""

    metrics: Metrics = ()
    by: str = "lpips-squeeze"
    """Metric that the best is chosen by."""


def _measure(setup: Setup, options: SegmentedOptions) -> Counted:
    if len(setup.subjects) < 2:
        raise UserError("name two --model or more: the best of them is chosen for each image")
    setup.of_scale()
    rows: list[MetricRow] = []
    metrics = setup.metrics_to_choose_by(options.metrics, options.by)
    for count, found in evaluate(setup, metrics, protocol=SEGMENTED):
        rows += found
        yield count, found
    if rows:
        yield 0, best_of(rows, options.by, name=f"best of {len(setup.subjects)}")


def _section(rows: list[MetricRow], crops: Sequence[Crop]) -> Section:
    text = (
        "Each image by each model, and the best of them, chosen by its figures (MM-RealSR table 2): an upper bound.",
    )
    body = (means_table(rows), conditions_table(rows), *beside_papers(rows))
    return Section(f"Segmented models: {rows[0].data}", text, body)


PROTOCOL = Protocol(
    SEGMENTED,
    "The best of several models for each image",
    """Measure models that share a range of degradations among them, and the best of them for each image (MM-RealSR
    table 2).

    \b
    Example:
      rwsr eval segmented --store held-out.zarr --model mild --model strong --by psnr-y --out metrics.parquet
    """,
    SegmentedOptions,
    _measure,
    _section,
    averaged=True,
)

"""Metric reports: one row per image and metric; means are made by whoever reads the table."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from ..degrade import tables
from ..degrade.places import Place
from ..degrade.provenance import provenance

KIND = "metric-report"

SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("source", pa.string()),
        ("sample", pa.int64()),
        ("member", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("space", pa.string()),
        ("border", pa.int32()),
    ]
)


@dataclass(frozen=True)
class MetricRow:
    """One metric of one restored image.

    member: the group member that was restored. space: what the metric saw (`Y` is BT.601 in 16..235).
    border: pixels cropped from each side.
    """

    model: str
    source: str
    sample: int
    member: str
    metric: str
    value: float
    space: str
    border: int


class EvalConfig(BaseModel):
    """What was measured: the digest of the test store, and of each model its name and the hash of its file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    store_digest: str
    models: dict[str, str]


def write(path: Place, rows: Iterable[MetricRow], config: EvalConfig) -> None:
    """The report as Parquet."""
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=SCHEMA)
    tables.write(path, table, provenance(KIND, config, config.store_digest))


def read(path: Place) -> list[MetricRow]:
    """The rows of a report; raises StoreError when it is missing or something else."""
    return [MetricRow(**row) for row in tables.read(path, KIND)[0].to_pylist()]


def mean(rows: Sequence[MetricRow], *, model: str, metric: str, member: str | None = None) -> float:
    """The mean of a metric over a model's images, of one member or of all."""
    values = [row.value for row in rows if (row.model, row.metric) == (model, metric) and member in (None, row.member)]
    return sum(values) / len(values)

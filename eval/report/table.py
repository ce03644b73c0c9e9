"""Metric reports: one row per image and metric, with all that its value depends on; means are made by the reader."""

import json
import math
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ...degrade.errors import BusyError, UserError
from ...degrade.family import Frozen
from ...degrade.storage import location, tables
from ...degrade.storage.location import Place
from ...degrade.storage.provenance import FORMATS, Provenance, canonical, provenance, sha256_of

KIND = "metric-report"
VALIDATION = "val/"  # before the names of what a training measures meanwhile, in its train.parquet
GRADIENT = "grad_norm/"  # before the names of networks there: the norm of the gradient, before it is clipped
Image = tuple[str, int, str]  # source, sample, member
_WAIT_S, _PAUSE_S = 30.0, 0.1

SCHEMA = pa.schema(
    [
        ("protocol", pa.string()),
        ("data", pa.string()),
        ("data_sha256", pa.string()),
        ("model", pa.string()),
        ("checkpoint", pa.string()),
        ("setting", pa.string()),
        ("source", pa.string()),
        ("sample", pa.int64()),
        ("member", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("better", pa.string()),
        ("space", pa.string()),
        ("border", pa.int32()),
        ("version", pa.string()),
        ("device", pa.string()),
    ]
)
_FORMER = pa.schema([field for field in SCHEMA if field.name != "device"])


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric of one image.

    protocol: how it was measured. data, data_sha256: the set of images, and the hash of what is in it.
    model, checkpoint: what restored it, and the hash of its file; none for methods without one.
    setting: what the model was told, as JSON ({"blur": 0.5}); {} is nothing. source, sample: the image, by the name
    of its file and its number in the set. member: the group member that was restored, or what degraded it.
    metric, better, space, border, version: as of `metrics.Metric`. device: what computed it, in IEEE fp32 everywhere
    (on CUDA without TF32); "" where a report does not say.
    """

    protocol: str
    data: str
    data_sha256: str
    model: str
    checkpoint: str
    setting: str
    source: str
    sample: int
    member: str
    metric: str
    value: float
    better: str
    space: str
    border: int
    version: str
    device: str = ""

    @property
    def image(self) -> Image:
        """Which image of its set was measured."""
        return self.source, self.sample, self.member

    @property
    def subject(self) -> tuple[str, str, str, str]:
        """What was measured: by which protocol, on which images, of which model (by name), by which metric."""
        return self.protocol, self.data_sha256, self.model, self.metric


class ReportConfig(Frozen):
    """What was measured: the protocols, each data set and model by name with its hash."""

    protocols: tuple[str, ...]
    """By their names."""
    data: dict[str, str]
    """Each set of images by name, with its hash."""
    models: dict[str, str]
    """Each model by name, with the hash of its file."""


def setting_of(values: Mapping[str, Any]) -> str:
    """A setting as it stands in a row."""
    return canonical(dict(values))


def config_of(rows: Sequence[MetricRow]) -> ReportConfig:
    """What the rows measured."""
    return ReportConfig(
        protocols=tuple(dict.fromkeys(row.protocol for row in rows)),
        data={row.data: row.data_sha256 for row in rows},
        models={row.model: row.checkpoint for row in rows},
    )


def write(path: Place, rows: Sequence[MetricRow]) -> None:
    """The report as Parquet."""
    config = config_of(rows)
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=SCHEMA)
    tables.write(path, table, provenance(KIND, config, sha256_of(config.data.values())))


def read(path: Place) -> list[MetricRow]:
    """The rows of a report; raises StoreError when it is missing or something else."""
    table, made = tables.read(path, KIND)
    _check_columns(path, made)
    return [MetricRow(**row) for row in table.to_pylist()]


def _check_columns(path: Place, made: Provenance) -> None:
    """Those of its format; the one before did not say the device."""
    tables.check_schema(path, KIND, SCHEMA if made.format == FORMATS[KIND] else _FORMER)


@contextmanager
def held(path: Place) -> Generator[None]:
    """Keep other processes from writing to a report and what lies beside it; waits for them a while.

    Raises:
        BusyError: another process writes to it, and goes on doing so.
    """
    give_up = time.monotonic() + _WAIT_S
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(location.only_builder(path.parent, lambda _: None, path.name))
                break
            except BusyError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(_PAUSE_S)
        yield


def check(path: Place) -> None:
    """Check that rows can be added to a report, before they are measured.

    Raises:
        StoreError: something else is there, or its folder cannot be written to.
        BusyError: another process writes to it, and goes on doing so.
    """
    with held(path):
        if path.is_file():
            _check_columns(path, tables.read_provenance(path, KIND))


def add(path: Place, rows: Sequence[MetricRow]) -> None:
    """Put rows into a report beside those that are there, in the place of those of the same subjects: a model that was
    trained anew, or another border, is not averaged with what was.

    Reports that are written at the same time lose nothing: one waits for the other.

    Raises:
        StoreError: something else is there.
        BusyError: another process writes to it, and goes on doing so.
    """
    with held(path):
        old = read(path) if path.is_file() else []
        new = {row.subject for row in rows}
        write(path, [*(row for row in old if row.subject not in new), *rows])


def mean(rows: Iterable[MetricRow], **equal: object) -> float:
    """The mean over the rows whose columns have those values (`model="bicubic", metric="psnr-y"`).

    Images for which a metric has no finite value are left out of it; see `shared` for several models.

    Raises:
        UserError: there is no such row.
    """
    values = [row.value for row in rows if all(getattr(row, name) == value for name, value in equal.items())]
    if not values:
        raise UserError(f"the report has no row with {json.dumps(equal)}")
    return mean_of(values)


def mean_of(values: Sequence[float]) -> float:
    """The mean of those that are finite; where none is, that of all, inf or nan."""
    return float(np.mean([value for value in values if math.isfinite(value)] or values))


def not_finite(rows: Sequence[MetricRow]) -> dict[str, tuple[int, int]]:
    """By metric, for how many images it has no value (nan), and for how many it is infinite, for some model."""
    nan: dict[str, set[Image]] = {}
    infinite: dict[str, set[Image]] = {}
    for row in rows:
        if not math.isfinite(row.value):
            (nan if math.isnan(row.value) else infinite).setdefault(row.metric, set()).add(row.image)
    return {name: (len(nan.get(name, ())), len(infinite.get(name, ()))) for name in nan | infinite}


def shared(rows: Sequence[MetricRow]) -> list[MetricRow]:
    """The rows without those of images for which their metric has no finite value for some model or setting.

    So every mean is over the same images. A metric that is finite for no image of a member keeps its rows of those.
    """

    def of(row: MetricRow) -> tuple[str, str, str, str]:
        return row.protocol, row.data_sha256, row.metric, row.member

    infinite = {(*of(row), row.image) for row in rows if not math.isfinite(row.value)}
    measured = {of(row) for row in rows if (*of(row), row.image) not in infinite}
    return [row for row in rows if (*of(row), row.image) not in infinite or of(row) not in measured]

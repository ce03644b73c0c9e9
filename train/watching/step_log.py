"""The log of a training: means of its terms, in parts that end with the checkpoints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from ..engine.distributed import Ranks, average
from ..runs import checkpoint
from .events import Events


class StepLog:
    """Means of the named terms over some steps, in parts that end with the checkpoints."""

    def __init__(self, device: torch.device, events: Events) -> None:
        self.parts: dict[str, str] = {}  # the hash of each part that is written, by its name
        self._device, self._events = device, events
        self._rows: list[tuple[int, str, float]] = []
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def state(self, ranks: Ranks) -> dict[str, Any]:
        """The sums, the same in every process from here on."""
        average(self._sums.values(), ranks)
        return {"count": self._count, "sums": {name: value.cpu() for name, value in self._sums.items()}}

    def load(self, state: Mapping[str, Any]) -> None:
        self._count = state["count"]
        self._sums = {name: value.to(self._device) for name, value in state["sums"].items()}

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Without waiting for the device."""
        self._count += 1
        for name, value in terms.items():
            known = self._sums.get(name)
            self._sums[name] = value.detach().double() if known is None else known + value.detach()

    def mean(self, step: int, ranks: Ranks) -> dict[str, float]:
        """The means since the last ones; they are rows of the log from here on."""
        average(self._sums.values(), ranks)
        means = {name: value.item() / self._count for name, value in self._sums.items()}
        self.note(step, means)
        self._sums, self._count = {}, 0
        return means

    def note(self, step: int, values: Mapping[str, float]) -> None:
        self._rows += [(step, name, value) for name, value in values.items()]
        self._events.figures(step, values)

    def write(self, run: Path, step: int) -> None:
        """The rows since the last checkpoint, as the part of the log that ends with this one."""
        columns = [pa.array([row[i] for row in self._rows], field.type) for i, field in enumerate(checkpoint.LOG)]
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_arrays(columns, schema=checkpoint.LOG), sink)
        name, sha256 = checkpoint.write_log_part(run, step, sink.getvalue().to_pybytes())
        self.parts[name] = sha256
        self._rows = []

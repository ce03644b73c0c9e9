"""Rows of an index, as many as there are: columns in memory while they are few, in a file of their own beyond."""

import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from ..storage.location import Place, place
from ..storage.tables import compute
from .pixels import I64

SCHEMA = pa.schema(
    [
        ("root", pa.string()),
        ("path", pa.string()),
        ("sha256", pa.string()),
        ("bytes", pa.int64()),
        ("modified_ns", pa.int64()),
        ("format", pa.string()),
        ("mode", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("profile", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
    ]
)


_BATCH = 8192
_IN_MEMORY = 8 * _BATCH  # rows: some 15 MiB
_AT_ONCE = 2**17  # rows that are sorted in memory
_VALUES = attrgetter(*SCHEMA.names)


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row of `index.parquet`. path is relative to root, with forward slashes. profile: the colour profile of a file
    that is not in sRGB; its values are taken as if they were.

    status: ok, duplicate (same bytes as an earlier row), too-small, too-large, unsupported-mode, empty,
    not-an-image, damaged, unreadable, outside (a link that leads out of the folder); of pairs also no-partner and unfit
    (its size is not that of its partner).
    """

    root: str
    path: str
    sha256: str = ""
    bytes: int = -1
    modified_ns: int = -1
    format: str = ""
    mode: str = ""
    width: int = 0
    height: int = 0
    profile: str = ""
    status: str = "ok"
    reason: str = ""

    @property
    def file(self) -> Place:
        return place(self.root) / self.path

    @property
    def state(self) -> list[str | int]:
        """What its examination rests on: its place, size and time."""
        return [self.root, self.path, self.status, self.bytes, self.modified_ns]

    def as_dict(self) -> dict[str, str | int]:
        """The values by name."""
        return {name: getattr(self, name) for name in SCHEMA.names}


class Rows(Sequence[SourceRow]):
    """A sequence of rows that does not change. A `SourceRow` is made when one is asked for: as columns a row takes a
    fifth of the memory, and on the disk, where Arrow maps the file, none that another program could not have.
    """

    def __init__(self, batches: Sequence[pa.RecordBatch] = ()) -> None:
        self._batches = [each for each in batches if each.num_rows]
        self._stops = np.cumsum([each.num_rows for each in self._batches], dtype=np.int64)

    @staticmethod
    def of(rows: Iterable[SourceRow]) -> "Rows":
        """Rows in the order in which they come; those that are such already stay as they are."""
        return rows if isinstance(rows, Rows) else Rows.of_batches(_batches_of(rows))

    @staticmethod
    def of_batches(batches: Iterable[pa.RecordBatch]) -> "Rows":
        """Rows in the order in which they come, in a file that goes with them where they are many."""
        held: list[pa.RecordBatch] = []
        batches = iter(batches)
        for batch in batches:
            held.append(batch)
            if sum(each.num_rows for each in held) > _IN_MEMORY:
                return _on_disk(_evenly(held, batches))
        return Rows(held)

    @property
    def table(self) -> pa.Table:
        """All rows as columns; those on the disk are mapped, not read."""
        return pa.Table.from_batches(self._batches, schema=SCHEMA)

    def numbers(self, name: str) -> I64:
        """A column of numbers."""
        return np.concatenate([np.empty(0, np.int64), *(np.asarray(each[name]) for each in self._batches)])

    def where(self, chosen: "Sequence[bool] | np.ndarray[Any, np.dtype[np.bool_]]") -> "Rows":
        """Those rows for which `chosen`, one for each, is true."""
        mask = np.asarray(chosen, dtype=bool)
        starts = [0, *self._stops.tolist()]
        return Rows.of_batches(
            each.filter(pa.array(mask[start : start + each.num_rows]))
            for start, each in zip(starts, self._batches, strict=False)
        )

    def with_status(self, *names: str) -> "Rows":
        """Those rows that have one of some statuses."""
        wanted = pa.array(names)
        return Rows.of_batches(each.filter(compute.is_in(each["status"], wanted)) for each in self._batches)

    def by_hash(self) -> Iterator[tuple[I64, pa.Table]]:
        """The rows with status ok by their content, some hundred thousand at a time, those of one content in their
        order: the numbers of some rows, and these.
        """
        parts = 1
        while parts < 256 and len(self) > _AT_ONCE * parts:
            parts *= 2
        bounds = [f"{256 * part // parts:02x}" for part in range(1, parts)]
        for low, high in zip(["", *bounds], [*bounds, None], strict=True):
            yield self._of_hashes(low, high)

    def _of_hashes(self, low: str, high: str | None) -> tuple[I64, pa.Table]:
        """Those of `by_hash` whose hash is not below one text, and below another."""
        kept: list[pa.RecordBatch] = []
        numbers = [np.empty(0, np.int64)]
        for start, batch in zip([0, *self._stops.tolist()], self._batches, strict=False):
            mask = compute.and_(compute.equal(batch["status"], "ok"), compute.greater_equal(batch["sha256"], low))
            if high is not None:
                mask = compute.and_(mask, compute.less(batch["sha256"], high))
            kept.append(batch.filter(mask))
            numbers.append(start + np.flatnonzero(np.asarray(mask)))
        table = pa.Table.from_batches(kept, schema=SCHEMA).append_column("number", pa.array(np.concatenate(numbers)))
        table = table.sort_by([("sha256", "ascending"), ("number", "ascending")])
        return np.asarray(table["number"]), table.drop_columns("number")

    # ------------------------------------------------------------------------------------------------ a sequence

    def __len__(self) -> int:
        return int(self._stops[-1]) if self._batches else 0

    @overload
    def __getitem__(self, at: int) -> SourceRow: ...
    @overload
    def __getitem__(self, at: slice) -> "Rows": ...
    def __getitem__(self, at: int | slice) -> "SourceRow | Rows":
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            assert step == 1
            return Rows(self.table.slice(start, max(0, stop - start)).to_batches())
        number = at + len(self) if at < 0 else at
        if not 0 <= number < len(self):
            raise IndexError(f"row {at} of {len(self)}")
        which = int(np.searchsorted(self._stops, number, side="right"))
        batch = self._batches[which]
        place = number - int(self._stops[which]) + batch.num_rows
        return SourceRow(*(column[place].as_py() for column in batch.columns))

    def __iter__(self) -> Iterator[SourceRow]:
        for batch in self._batches:
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield SourceRow(*values)

    def __eq__(self, other: object) -> bool:
        """As lists are: by what they hold."""
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self)} rows>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Rows, (self._batches,)


def concat(parts: Iterable[Sequence[SourceRow]]) -> Rows:
    """All rows of some sequences, one after the other."""
    return Rows([batch for part in parts for batch in Rows.of(part).table.to_batches()])


def _batches_of(rows: Iterable[SourceRow]) -> Iterator[pa.RecordBatch]:
    rows = iter(rows)
    while some := [_VALUES(row) for row in islice(rows, _BATCH)]:
        columns = zip(*some, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _evenly(held: list[pa.RecordBatch], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches that are not small, which take more room than their rows."""
    while True:
        while sum(each.num_rows for each in held) < _BATCH and (batch := next(batches, None)) is not None:
            held.append(batch)
        if not held:
            return
        yield from pa.Table.from_batches(held, schema=SCHEMA).combine_chunks().to_batches(max_chunksize=_BATCH)
        held = []


def _on_disk(batches: Iterable[pa.RecordBatch]) -> Rows:
    """The same rows out of a file without a name, which is gone once nobody has them, however the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="rwsr-rows-", ignore_cleanup_errors=True)
    file = Path(folder.name) / "rows.arrow"
    with ipc.new_file(str(file), SCHEMA) as writer:
        for batch in batches:
            writer.write_batch(batch)
    found = Rows(ipc.open_file(pa.memory_map(str(file))).read_all().to_batches())
    if os.name == "nt":  # where a file that is mapped cannot go
        weakref.finalize(found, folder.cleanup)
    else:
        folder.cleanup()
    return found

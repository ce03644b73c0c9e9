"""Indexes image folders: one row per file, usable or not, with the reason when not."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError, StoreError, UserError
from ..progress import printable, progress, say
from ..storage import tables
from ..storage.location import Place
from ..storage.provenance import provenance, sha256_of
from ..tasks import Run, serial
from .decode import decode
from .listing import KIND, IndexConfig, listed
from .pixels import I64, U8
from .read import read_bytes
from .rows import SCHEMA, Rows, SourceRow

FILES_PER_TASK = 16
_ROWS_PER_GROUP = 2**16
OF_THE_OTHERS = ("duplicate", "no-partner", "unfit")  # what an image is beside others: looked at anew each time


def examine(row: SourceRow, config: IndexConfig) -> tuple[SourceRow, U8 | None]:
    """The row of one file after reading and decoding it whole, and its pixels [H, W, 3] when it can be used."""
    if row.status != "ok":
        return row, None
    try:
        data = read_bytes(row.file)
        row = replace(row, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
        image = decode(data, max_pixels=config.max_pixels)
        height, width = image.pixels.shape[:2]
        row = replace(row, format=image.format, mode=image.mode, width=width, height=height, profile=image.profile)
        if min(height, width) < config.min_side_px:
            raise ImageError("too-small", f"{width}x{height} is under min_side_px = {config.min_side_px}")
    except ImageError as error:
        return replace(row, status=error.status, reason=error.reason), None
    return row, image.pixels


@dataclass(frozen=True)
class _Files:
    """A task: some of the files to look at, in their order."""

    number: int
    rows: tuple[SourceRow, ...]


class _Tasks(Sequence[_Files]):
    """The files with some numbers, FILES_PER_TASK of them at a time, taken from their rows when they are asked for."""

    def __init__(self, rows: Rows, numbers: I64) -> None:
        self._rows, self._numbers = rows, numbers

    def __len__(self) -> int:
        return -(-len(self._numbers) // FILES_PER_TASK)

    def __getitem__(self, at: Any) -> Any:
        if not 0 <= at < len(self):
            raise IndexError(at)
        some = self._numbers[at * FILES_PER_TASK : (at + 1) * FILES_PER_TASK]
        return _Files(at, tuple(self._rows[int(number)] for number in some))


def _examine_all(files: _Files, config: IndexConfig) -> list[SourceRow]:
    return [examine(row, config)[0] for row in files.rows]


def mark_duplicates(rows: Sequence[SourceRow]) -> Rows:
    """The same rows, those with the bytes of an earlier one marked as such."""
    rows = Rows.of(rows)
    first: dict[int, int] = {}
    for numbers, some in rows.by_hash():
        original, of = -1, None
        for number, sha256 in zip(numbers.tolist(), some["sha256"].to_pylist(), strict=True):
            if sha256 == of:
                first[number] = original
            else:
                original, of = number, sha256
    if not first:
        return rows
    return Rows.of(
        replace(row, status="duplicate", reason=f"same bytes as {rows[first[number]].file}") if number in first else row
        for number, row in enumerate(rows)
    )


def unchanged(rows: Rows, out: Place, config: IndexConfig) -> tuple[Rows, I64]:
    """The rows of an earlier index at `out`, and for each of `rows` which of those has its file with the size and time
    that it has now; -1 where none has.
    """
    which = np.full(len(rows), -1, dtype=np.int64)
    if config.rehash:
        return Rows(), which
    try:
        old = read(out)
        old_config = tables.read_provenance(out, KIND).values
    except StoreError:
        return Rows(), which
    if old_config != config.model_dump(mode="json"):
        return Rows(), which
    keys = np.fromiter(map(_key, old), dtype=np.int64, count=len(old))
    order = np.argsort(keys, kind="stable")
    wanted = np.fromiter(map(_key, rows), dtype=np.int64, count=len(rows))
    at = np.searchsorted(keys, wanted, sorter=order)
    for number in np.flatnonzero(at < len(old)).tolist():
        found = int(order[at[number]])
        if keys[found] == wanted[number] and _is_same(old[found], rows[number]):
            which[number] = found
    return old, which


def _key(row: SourceRow) -> int:
    """A hash that two states of files share by chance alone."""
    return hash((row.root, row.path, row.bytes, row.modified_ns))


def _is_same(old: SourceRow, row: SourceRow) -> bool:
    """Whether an earlier row tells what reading the file would."""
    told = bool(old.sha256) and old.status in ("ok", "too-small", *OF_THE_OTHERS)
    return told and row.status == "ok" and replace(old, status="ok").state == row.state


def as_alone(row: SourceRow) -> SourceRow:
    """A row of an index without what the image was beside others."""
    return replace(row, status="ok", reason="") if row.status in OF_THE_OTHERS else row


def index(folders: Sequence[Place], out: Place, config: IndexConfig, run: Run = serial) -> Rows:
    """Index the images below the folders into the Parquet table `out`, and give back its rows.

    A file that an earlier index at `out` knows, unchanged in size and time, is not read again.

    Raises:
        UserError: a folder is missing or holds no image at all.
    """
    rows = mark_duplicates(examine_files(listed(folders, config), out, config, run))
    write(out, rows, config)
    return rows


def examine_files(files: Sequence[SourceRow], out: Place, config: IndexConfig, run: Run = serial) -> Rows:
    """The rows of files after reading each whole, but those that an earlier index at `out` knows."""
    files = Rows.of(files)
    old, found = unchanged(files, out, config)
    return Rows.of(_examined(files, old, found, config, run))


def _examined(files: Rows, old: Rows, found: I64, config: IndexConfig, run: Run) -> Iterator[SourceRow]:
    """Each row in its order; what is done before it waits for it."""
    todo = np.flatnonzero(found < 0)
    done: dict[int, list[SourceRow]] = {}
    num_left_out = next_task = given = 0
    with progress("index", len(todo)) as advance:
        for outcome in run(partial(_examine_all, config=config), _Tasks(files, todo)):
            if outcome.error is not None:
                raise outcome.error
            assert outcome.result is not None
            done[outcome.task.number] = outcome.result
            num_left_out += sum(row.status != "ok" for row in outcome.result)
            advance(len(outcome.result), f"{num_left_out} left out" if num_left_out else "")
            while next_task in done:
                for row in done.pop(next_task):
                    while found[given] >= 0:
                        yield as_alone(old[int(found[given])])
                        given += 1
                    yield row
                    given += 1
                next_task += 1
        for number in found[given:].tolist():
            yield as_alone(old[number])


def write(out: Place, rows: Sequence[SourceRow], config: IndexConfig) -> None:
    """Put an index on the disk."""
    rows = Rows.of(rows)
    made = provenance(KIND, config, sources_sha256(rows))
    with tables.writer(out, SCHEMA, made) as writer:
        for start in range(0, max(1, len(rows)), _ROWS_PER_GROUP):
            writer.write_table(rows[start : start + _ROWS_PER_GROUP].table, row_group_size=_ROWS_PER_GROUP)


def read(path: Place) -> Rows:
    """The rows of an `index.parquet`.

    Raises:
        StoreError: it is none, or names a file outside of its folder.
    """
    tables.check_schema(path, KIND, SCHEMA)
    rows = Rows.of_batches(batch for table in tables.row_groups(path, KIND) for batch in table.to_batches())
    names = (name for chunk in rows.table["path"].chunks for name in chunk.to_pylist())
    for number, name in enumerate(names):
        if (".." in name or name[:1] in ("/", "\\") or ":" in name[:2]) and _leads_out(name):
            raise StoreError(f"{path} names {name}, outside of {rows[number].root}; index the folder again")
    return rows


def _leads_out(name: str) -> bool:
    return Path(name).is_absolute() or ".." in Path(name).parts


def usable(rows: Sequence[SourceRow]) -> Rows:
    """The rows with status ok, by content: the order does not depend on names or folders."""
    return Rows.of_batches(batch for _, some in Rows.of(rows).by_hash() for batch in some.to_batches())


def sources_sha256(rows: Sequence[SourceRow]) -> str:
    """The identity of the usable images of an index: their content and their names below their folders, which go into
    manifests; not where the folders lie."""
    return sha256_of(
        f"{sha256} {path}"
        for _, some in Rows.of(rows).by_hash()
        for sha256, path in zip(some["sha256"].to_pylist(), some["path"].to_pylist(), strict=True)
    )


def left_out(rows: Sequence[SourceRow]) -> Rows:
    """The rows that a build cannot use."""
    return Rows.of(row for row in rows if row.status != "ok")


def name_left_out(rows: Sequence[SourceRow]) -> None:
    """A line for each file that a build cannot use."""
    for row in left_out(rows):
        say(f"left out: {row.status}: {printable(row.file)}: {printable(row.reason)}")


def summary(rows: Sequence[SourceRow]) -> str:
    """`indexed 9 images: 5 ok, 4 left out (1 damaged, 1 empty, ...)`."""
    counts = Counter(row.status for row in rows)
    good = counts.pop("ok", 0)
    text = f"indexed {len(rows)} images: {good} ok"
    if counts:
        text += f", {counts.total()} left out ({', '.join(f'{n} {status}' for status, n in sorted(counts.items()))})"
    profiles = Counter(row.profile for row in rows if row.status == "ok" and row.profile)
    if profiles:
        named = ", ".join(f"{count} {name}" for name, count in sorted(profiles.items()))
        text += f"; taken as sRGB, which they are not: {named}"
    return text


def check_apart(train: Sequence[SourceRow], held_out: Sequence[SourceRow]) -> None:
    """Raises UserError where a held-out image is one of those to train on, by content."""
    wanted = {row.sha256: row for row in usable(held_out)}
    shared = {row.sha256: row for row in usable(train) if row.sha256 in wanted}
    if shared:
        first = next(row for sha256, row in wanted.items() if sha256 in shared)
        raise UserError(
            f"{len(shared)} of the held-out images are sources too (the first, {first.file}, is "
            f"{shared[first.sha256].file}); a model must not be measured on what it was trained on: take them out "
            "of one of the two"
        )

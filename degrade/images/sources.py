"""Indexes image folders: one row per file, usable or not, with the reason when not."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from ..errors import ImageError, StoreError, UserError
from ..progress import printable, progress, say
from ..storage import tables
from ..storage.location import Place
from ..storage.provenance import provenance, sha256_of
from ..tasks import Run, serial
from .decode import decode
from .listing import KIND, SCHEMA, IndexConfig, SourceRow, listed
from .pixels import U8
from .read import read_bytes

FILES_PER_TASK = 16
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


def _examine_all(rows: tuple[SourceRow, ...], config: IndexConfig) -> list[SourceRow]:
    return [examine(row, config)[0] for row in rows]


def mark_duplicates(rows: Sequence[SourceRow]) -> list[SourceRow]:
    first: dict[str, SourceRow] = {}
    marked: list[SourceRow] = []
    for row in rows:
        if row.status == "ok":
            original = first.setdefault(row.sha256, row)
            if original is not row:
                row = replace(row, status="duplicate", reason=f"same bytes as {original.file}")
        marked.append(row)
    return marked


def unchanged(rows: Sequence[SourceRow], out: Place, config: IndexConfig) -> dict[tuple[str, str], SourceRow]:
    """Rows of an earlier index at `out` whose files have the size and time that they had then."""
    if config.rehash:
        return {}
    try:
        old = read(out)
        old_config = tables.read_provenance(out, KIND).values
    except StoreError:
        return {}
    if old_config != config.model_dump(mode="json"):
        return {}
    current = {(row.root, row.path): (row.bytes, row.modified_ns) for row in rows if row.status == "ok"}
    kept: dict[tuple[str, str], SourceRow] = {}
    for row in old:
        if row.status not in ("ok", "too-small", *OF_THE_OTHERS):
            continue
        if row.sha256 and current.get((row.root, row.path)) == (row.bytes, row.modified_ns):
            again = replace(row, status="ok", reason="") if row.status in OF_THE_OTHERS else row
            kept[row.root, row.path] = again
    return kept


def index(folders: Sequence[Place], out: Place, config: IndexConfig, run: Run = serial) -> list[SourceRow]:
    """Index the images below the folders into the Parquet table `out`, and give back its rows.

    A file that an earlier index at `out` knows, unchanged in size and time, is not read again.

    Raises:
        UserError: a folder is missing or holds no image at all.
    """
    rows = mark_duplicates(examine_files(listed(folders, config), out, config, run))
    write(out, rows, config)
    return rows


def examine_files(files: Sequence[SourceRow], out: Place, config: IndexConfig, run: Run = serial) -> list[SourceRow]:
    """The rows of files after reading each whole, but those that an earlier index at `out` knows."""
    done = unchanged(files, out, config)
    todo = [row for row in files if (row.root, row.path) not in done]
    tasks = [tuple(todo[i : i + FILES_PER_TASK]) for i in range(0, len(todo), FILES_PER_TASK)]
    num_left_out = 0
    with progress("index", len(todo)) as advance:
        for outcome in run(partial(_examine_all, config=config), tasks):
            if outcome.error is not None:
                raise outcome.error
            assert outcome.result is not None
            done |= {(row.root, row.path): row for row in outcome.result}
            num_left_out += len(left_out(outcome.result))
            advance(len(outcome.task), f"{num_left_out} left out" if num_left_out else "")
    return [done[row.root, row.path] for row in files]


def write(out: Place, rows: Sequence[SourceRow], config: IndexConfig) -> None:
    """Put an index on the disk."""
    table = pa.Table.from_pylist([row.as_dict() for row in rows], schema=SCHEMA)
    tables.write(out, table, provenance(KIND, config, sources_sha256(rows)))


def read(path: Place) -> list[SourceRow]:
    """The rows of an `index.parquet`.

    Raises:
        StoreError: it is none, or names a file outside of its folder.
    """
    table, _ = tables.read(path, KIND)
    tables.check_schema(path, KIND, SCHEMA)
    rows = [SourceRow(**row) for row in table.to_pylist()]
    for row in rows:
        if Path(row.path).is_absolute() or ".." in Path(row.path).parts:
            raise StoreError(f"{path} names {row.path}, outside of {row.root}; index the folder again")
    return rows


def usable(rows: Sequence[SourceRow]) -> list[SourceRow]:
    """The rows with status ok, by content: the order does not depend on names or folders."""
    return sorted((row for row in rows if row.status == "ok"), key=lambda row: row.sha256)


def sources_sha256(rows: Sequence[SourceRow]) -> str:
    """The identity of the usable images of an index: their content and their names below their folders, which go into
    manifests; not where the folders lie."""
    return sha256_of(f"{row.sha256} {row.path}" for row in usable(rows))


def left_out(rows: Sequence[SourceRow]) -> list[SourceRow]:
    """The rows that a build cannot use."""
    return [row for row in rows if row.status != "ok"]


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
    known = {row.sha256: row for row in usable(train)}
    shared = [row for row in usable(held_out) if row.sha256 in known]
    if shared:
        raise UserError(
            f"{len(shared)} of the held-out images are sources too (the first, {shared[0].file}, is "
            f"{known[shared[0].sha256].file}); a model must not be measured on what it was trained on: take them out "
            "of one of the two"
        )

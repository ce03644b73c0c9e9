"""Indexes image folders: one row per file, usable or not, with the reason when not."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import pyarrow as pa
from pydantic import Field

from ..errors import ImageError, StoreError, UserError
from ..family import Frozen
from ..progress import progress, say
from ..storage import tables
from ..storage.location import Place, absolute, place
from ..storage.object_store import ObjectPath
from ..storage.provenance import provenance, sha256_of
from ..tasks import Run, serial
from .decode import EXTENSIONS, MAX_PIXELS, decode
from .patterns import wanted
from .pixels import U8
from .read import read_bytes
from .roles import Role, paired_by_role

KIND = "sources-index"
FILES_PER_TASK = 16

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


class IndexConfig(Frozen):
    """Which images count as usable."""

    min_side_px: Annotated[int, Field(ge=1)] = 64
    """Shorter images are `too-small`."""
    max_pixels: Annotated[int, Field(ge=1)] = MAX_PIXELS
    """Larger ones are `too-large`, before they are decoded."""
    follow_links: bool = False
    """Links that lead out of the named folder are followed; otherwise they are `outside`."""
    role: Literal["hr", "lr", "both"] = "both"
    """Of a folder whose names say that it holds pairs (degrade/images/roles.py), which of the two are looked at."""
    include: tuple[str, ...] = ()
    """Patterns as `*_HR.png` of the path below the folder, or of the name alone, of which a file must fit one."""
    exclude: tuple[str, ...] = ()
    """Such patterns of which a file must fit none."""
    rehash: Annotated[bool, Field(exclude=True)] = False
    """Files are read again although their size and time are those of an earlier index; no part of what comes out."""

    def wants(self, path: str) -> bool:
        """Whether the patterns let a file in, by its path below the folder."""
        return wanted(path, self.include, self.exclude)


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row of `index.parquet`. path is relative to root, with forward slashes. profile: the colour profile of a file
    that is not in sRGB; its values are taken as if they were.

    status: ok, duplicate (same bytes as an earlier row), too-small, too-large, unsupported-mode, empty,
    not-an-image, damaged, unreadable, outside (a link that leads out of the folder).
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


@dataclass(frozen=True)
class _Found:
    """A file below a folder, or the status of a file or folder that cannot be looked at."""

    path: Path
    status: str = "ok"
    reason: str = ""
    bytes: int = -1
    modified_ns: int = -1


def _leads_out(entry: os.DirEntry[str], root: str) -> str | None:
    """Where a link leads to, when that is not below the root."""
    if not entry.is_symlink():
        return None
    real = os.path.realpath(entry.path)
    return None if os.path.commonpath([real, root]) == root else real


def _walk(folder: Path, config: IndexConfig) -> Iterator[_Found]:
    """Everything below a folder that is or may hold an image; each real folder once, however links run in circles."""
    root = os.path.realpath(folder)
    seen: set[str] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        real = os.path.realpath(here)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(here) as listing:
                entries = sorted(listing, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            yield _Found(here, "unreadable", f"cannot be listed: {error.strerror}; mend its permissions")
            continue
        for entry in entries:
            path, is_folder = Path(entry.path), os.path.isdir(entry.path)
            if not is_folder and path.suffix.lower() not in EXTENSIONS:
                continue
            if not config.follow_links and (out := _leads_out(entry, root)) is not None:
                yield _Found(path, "outside", f"links to {out}; name that folder too, or allow it with --follow-links")
            elif is_folder:
                waiting.append(path)
            else:
                yield _stated(path)


def _stated(path: Path) -> _Found:
    try:
        state = path.stat()
    except OSError:
        return _Found(path)  # reading it will say why
    return _Found(path, bytes=state.st_size, modified_ns=state.st_mtime_ns)


def _objects(folder: ObjectPath) -> Iterator[SourceRow]:
    """Everything below a folder on object storage that may hold an image."""
    for each in folder.below():
        if Path(each.name).suffix.lower() in EXTENSIONS:
            yield SourceRow(str(folder), each.name, bytes=each.bytes, modified_ns=each.modified_ns)


def _row(root: str, found: _Found) -> SourceRow:
    path = found.path.relative_to(root).as_posix()
    try:
        f"{path}{found.reason}".encode()
    except UnicodeEncodeError:
        named = os.fsencode(path).decode(errors="backslashreplace")
        return SourceRow(root, named, status="unreadable", reason="its name is not UTF-8; rename it")
    return SourceRow(
        root, path, bytes=found.bytes, modified_ns=found.modified_ns, status=found.status, reason=found.reason
    )


def listed(folders: Sequence[Place], config: IndexConfig) -> list[SourceRow]:
    """The files below the folders, not yet opened, by root and path.

    Raises:
        UserError: a folder is missing or holds no image at all.
    """
    rows = [row for folder in dict.fromkeys(map(absolute, folders)) for row in _listed_below(folder, config)]
    return sorted(rows, key=lambda row: (row.root, row.path))


def _listed_below(folder: Place, config: IndexConfig) -> list[SourceRow]:
    if isinstance(folder, ObjectPath):
        rows = list(_objects(folder))
    elif folder.is_dir():
        rows = [_row(str(folder), found) for found in _walk(folder, config)]
    else:
        raise UserError(f"{folder} is not a folder; name a folder of images")
    rows = _of_role(folder, [row for row in rows if config.wants(row.path)], config)
    if not any(row.status == "ok" for row in rows):
        why = f"; {rows[0].file} {rows[0].reason}" if rows else ""
        raise UserError(
            f"no image below {folder} (looked for {', '.join(sorted(EXTENSIONS))}){why}; name another folder"
        )
    return rows


def _of_role(folder: Place, rows: list[SourceRow], config: IndexConfig) -> list[SourceRow]:
    """The rows of the wanted role where a folder holds pairs, which is said."""
    found = paired_by_role(row.path for row in rows)
    if not found:
        return rows
    counts = " and ".join(f"{len(names)} {role.upper()}" for role, names in found.items())
    if config.role == "both":
        say(f"note: {folder} holds pairs, {counts} by their names: all are taken alike; --role chooses")
        return rows
    wanted = set(found[Role(config.role)])
    others = {name for names in found.values() for name in names} - wanted
    say(f"note: {folder} holds pairs, {counts} by their names: the {config.role.upper()} are taken; --role chooses")
    return [row for row in rows if row.path not in others]


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
        examined = row.status in ("ok", "duplicate", "too-small")
        if examined and current.get((row.root, row.path)) == (row.bytes, row.modified_ns):
            again = replace(row, status="ok", reason="") if row.status == "duplicate" else row
            kept[row.root, row.path] = again
    return kept


def index(folders: Sequence[Place], out: Place, config: IndexConfig, run: Run = serial) -> list[SourceRow]:
    """Index the images below the folders into the Parquet table `out`, and give back its rows.

    A file that an earlier index at `out` knows, unchanged in size and time, is not read again.

    Raises:
        UserError: a folder is missing or holds no image at all.
    """
    files = listed(folders, config)
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
    rows = mark_duplicates([done[row.root, row.path] for row in files])
    write(out, rows, config)
    return rows


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

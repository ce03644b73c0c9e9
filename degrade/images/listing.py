"""The files of image folders, not yet opened: which are wanted, and what can be said without reading them."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pyarrow as pa
from pydantic import Field

from ..errors import UserError
from ..family import Frozen
from ..progress import say
from ..storage.lmdb_folder import is_lmdb, of_lmdb
from ..storage.location import Place, absolute, place
from ..storage.object_store import ObjectPath
from .debris import is_debris_folder
from .decode import MAX_PIXELS, is_image, known_extensions
from .formats.photos import unread
from .roles import Role, paired_by_role, wanted

KIND = "sources-index"
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
        return wanted(self.include, self.exclude, path)


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


def _walk(folder: Path, config: IndexConfig, others: list[str]) -> Iterator[_Found]:
    """Everything below a folder that is or may hold an image; each real folder once, however links run in circles.

    others: gets the names of what is passed over.
    """
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
            yield _Found(here, "unreadable", f"cannot be listed: {error.strerror}; change its permissions")
            continue
        for entry in entries:
            path, is_folder = Path(entry.path), os.path.isdir(entry.path)
            if (is_folder and is_debris_folder(entry.name)) or (not is_folder and not is_image(entry.name)):
                others.append(entry.name)
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


def _objects(folder: ObjectPath, others: list[str]) -> Iterator[SourceRow]:
    """Everything below a folder on object storage that may hold an image."""
    for each in folder.below():
        if not is_image(each.name):
            others.append(each.name)
        else:
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
    """The files below the folders, not yet opened, by root and path; of folders of pairs those of the wanted role.

    Raises:
        UserError: a folder is missing or holds no image at all.
    """
    rows = [
        row
        for folder in dict.fromkeys(map(absolute, folders))
        for row in _of_role(folder, listed_below(folder, config), config)
    ]
    return sorted(rows, key=lambda row: (row.root, row.path))


def listed_below(folder: Place, config: IndexConfig) -> list[SourceRow]:
    """The files below one folder, not yet opened, of any role; raises as `listed`."""
    others: list[str] = []
    if isinstance(folder, ObjectPath):
        rows = list(_objects(folder, others))
    elif is_lmdb(folder):
        rows = [
            SourceRow(str(folder), name, bytes=size, modified_ns=changed) for name, size, changed in of_lmdb(folder)
        ]
    elif folder.is_dir():
        rows = [_row(str(folder), found) for found in _walk(folder, config, others)]
    else:
        raise UserError(f"{folder} is not a folder; name a folder of images")
    passed_over = unread(others)
    if passed_over is not None:
        say(f"note: {folder}: {passed_over}")
    rows = [row for row in rows if config.wants(row.path)]
    if not any(row.status == "ok" for row in rows):
        why = f"; {rows[0].file} {rows[0].reason}" if rows else ""
        raise UserError(
            f"no image below {folder} (looked for {', '.join(sorted(known_extensions()))}){why}; name another folder"
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

"""The files of image folders, not yet opened: which are wanted, and what can be said without reading them."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import Field

from ..errors import UserError
from ..family import Frozen
from ..progress import say
from ..storage.lmdb_folder import is_lmdb, of_lmdb
from ..storage.location import Place, absolute
from ..storage.object_store import ObjectPath
from .debris import is_debris_folder
from .decode import MAX_PIXELS, is_image, known_extensions
from .formats.photos import unread
from .roles import Role, paired_by_role, wanted
from .rows import Rows, SourceRow, concat

KIND = "sources-index"


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


@dataclass(frozen=True)
class _Found:
    """A file below a folder, or the status of a file or folder that cannot be looked at."""

    path: Path
    status: str = "ok"
    reason: str = ""
    bytes: int = -1
    modified_ns: int = -1


_Others = Counter[str]  # how many files like `*.txt` were passed over


def _leads_out(path: str, root: str) -> str | None:
    """Where a link leads to, when that is not below the root."""
    real = os.path.realpath(path)
    return None if os.path.commonpath([real, root]) == root else real


def _walk(folder: Path, config: IndexConfig, others: _Others) -> Iterator[_Found]:
    """Everything below a folder that is or may hold an image, by path; each real folder once, however links run in
    circles.
    """
    root = os.path.realpath(folder)
    seen: set[str] = set()
    waiting = [_entries(folder, seen)]
    while waiting:
        entry = next(waiting[-1], None)
        if entry is None:
            waiting.pop()
            continue
        if isinstance(entry, _Found):
            yield entry
            continue
        entry, is_folder = entry
        path = Path(entry.path)
        if (is_folder and is_debris_folder(entry.name)) or (not is_folder and not is_image(entry.name)):
            others[f"*{path.suffix}"] += 1
        elif entry.is_symlink() and not config.follow_links and (out := _leads_out(entry.path, root)) is not None:
            yield _Found(path, "outside", f"links to {out}; name that folder too, or allow it with --follow-links")
        elif is_folder:
            waiting.append(_entries(path, seen))
        else:
            yield _stated(path)


def _entries(folder: Path, seen: set[str]) -> Iterator["tuple[os.DirEntry[str], bool] | _Found"]:
    """What is in a folder that was not seen before, and whether it is a folder; or that it cannot be looked at.

    In the order that a walk needs to go through all files by their paths.
    """
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    try:
        with os.scandir(folder) as listing:
            entries = [(entry, os.path.isdir(entry.path)) for entry in listing]
    except OSError as error:
        yield _Found(folder, "unreadable", f"cannot be listed: {error.strerror}; change its permissions")
        return
    yield from sorted(entries, key=lambda each: f"{each[0].name}/" if each[1] else each[0].name)


def _stated(path: Path) -> _Found:
    try:
        state = path.stat()
    except OSError:
        return _Found(path)  # reading it will say why
    return _Found(path, bytes=state.st_size, modified_ns=state.st_mtime_ns)


def _objects(folder: ObjectPath, others: _Others) -> Iterator[SourceRow]:
    """Everything below a folder on object storage that may hold an image."""
    for each in folder.below():
        if not is_image(each.name):
            others[f"*{PurePosixPath(each.name).suffix}"] += 1
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


def listed(folders: Sequence[Place], config: IndexConfig) -> Rows:
    """The files below the folders, not yet opened, by root and path; of folders of pairs those of the wanted role.

    Raises:
        UserError: a folder is missing or holds no image at all.
    """
    named = sorted(set(map(absolute, folders)), key=str)
    return concat([_of_role(folder, listed_below(folder, config), config) for folder in named])


def listed_below(folder: Place, config: IndexConfig) -> Rows:
    """The files below one folder, not yet opened, of any role, by path; raises as `listed`."""
    others: _Others = Counter()
    if isinstance(folder, ObjectPath):
        found = _objects(folder, others)
    elif is_lmdb(folder):
        found = (SourceRow(str(folder), name, bytes=size, modified_ns=at) for name, size, at in of_lmdb(folder))
    elif folder.is_dir():
        found = (_row(str(folder), each) for each in _walk(folder, config, others))
    else:
        raise UserError(f"{folder} is not a folder; name a folder of images")
    rows = _by_path(Rows.of(row for row in found if config.wants(row.path)))
    passed_over = unread(others.elements())
    if passed_over is not None:
        say(f"note: {folder}: {passed_over}")
    if not rows.with_status("ok"):
        why = f"; {rows[0].file} {rows[0].reason}" if rows else ""
        raise UserError(
            f"no image below {folder} (looked for {', '.join(sorted(known_extensions()))}){why}; name another folder"
        )
    return rows


def _by_path(rows: Rows) -> Rows:
    """The same rows in the order of their paths, which nearly all folders are walked through in."""
    paths = (path for chunk in rows.table["path"].chunks for path in chunk.to_pylist())
    return rows if all(a <= b for a, b in pairwise(paths)) else Rows.of(sorted(rows, key=attrgetter("path")))


def _of_role(folder: Place, rows: Rows, config: IndexConfig) -> Rows:
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
    return Rows.of(row for row in rows if row.path not in others)

"""The pairs below folders: which files belong together, and those that cannot be used, with the reason."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import NamedTuple

from ..errors import UserError
from ..images.listing import IndexConfig, listed_below
from ..images.roles import Role, paired_by_role, said_by
from ..images.rows import SourceRow
from ..images.sources import examine_files, write
from ..progress import say
from ..storage.lmdb_folder import names_in
from ..storage.location import Place, absolute, place
from ..tasks import Run, serial
from .layouts import Split, find
from .pairing import ALL, Selection, matched

_CONFIG = IndexConfig(min_side_px=1)
_META_INFO = 'a line is "0001.png, 0001x4.png", HR and LR below their folders, or an HR alone'


class Pair(NamedTuple):
    """HR and LR of one scene."""

    hr: SourceRow
    lr: SourceRow


@dataclass(frozen=True)
class PairFiles:
    """Where the pairs are looked for.

    folders: of pairs: a known layout (layouts.py), or files whose names say which is which. hr, lr: or a folder of
    each. meta_info: a file that lists them, a pair a line ("hr/1.png, lr/1.png") or an HR alone, as BasicSR's. split:
    of a layout that has one. name_scale: which LR, where names have several (_LR2, _LR3, _LR4).
    """

    folders: Sequence[Place] = ()
    hr: Place | None = None
    lr: Place | None = None
    meta_info: Place | None = None
    split: Split | None = None
    name_scale: int | None = None
    selection: Selection = ALL


@dataclass(frozen=True)
class Listed:
    """pairs: whose sizes fit. rows: every file that was looked at, with its status; scale: HR size / LR size."""

    pairs: Sequence[Pair]
    rows: Sequence[SourceRow]
    scale: int


def list_pairs(
    files: PairFiles, out: Place, *, scale: int | None = None, images: IndexConfig = _CONFIG, run: Run = serial
) -> Listed:
    """The pairs, every file of them read whole, and an index of all files at `out`.

    scale: HR size / LR size; None takes the one that the pairs have.

    Raises:
        UserError: a folder has no pair, or the pairs are of several scales and none is wanted.
    """
    named = named_pairs(files, images)
    for note in named.notes:
        say(note)
    wanted = {row.file: row for pair in named.pairs for row in pair}
    examined = {row.file: row for row in examine_files(list(wanted.values()), out, images, run)}
    pairs = [Pair(examined[pair.hr.file], examined[pair.lr.file]) for pair in named.pairs]
    pairs.sort(key=lambda pair: (pair.hr.root, pair.hr.path, pair.lr.path))
    whole = [pair for pair in pairs if pair.hr.status == pair.lr.status == "ok"]
    scale = scale or _scale_of(whole)
    good: list[Pair] = []
    seen: dict[tuple[str, str], Pair] = {}
    for pair in whole:
        first = seen.setdefault((pair.hr.sha256, pair.lr.sha256), pair)
        if not _fits(pair, scale):
            reason = (
                f"is {pair.lr.width}x{pair.lr.height}, its HR {pair.hr.path} {pair.hr.width}x{pair.hr.height}, "
                f"not {scale} times as large"
            )
            examined[pair.lr.file] = replace(pair.lr, status="unfit", reason=reason)
        elif first is not pair:
            reason = f"same bytes as {first.lr.file}, and so has its HR"
            examined[pair.lr.file] = replace(pair.lr, status="duplicate", reason=reason)
        else:
            good.append(pair)
    rows = sorted([*examined.values(), *named.alone], key=lambda row: (row.root, row.path))
    write(out, rows, images)
    return Listed(sorted(good, key=lambda pair: (pair.hr.sha256, pair.lr.sha256)), rows, scale)


def _fits(pair: Pair, scale: int) -> bool:
    sides = ((pair.hr.width, pair.lr.width), (pair.hr.height, pair.lr.height))
    return all(-scale < big - small * scale < scale for big, small in sides)


def _scale_of(pairs: Sequence[Pair]) -> int:
    """That of all pairs that have one."""
    measured = [max(1, round(pair.hr.width / pair.lr.width)) for pair in pairs]
    counts = Counter(scale for pair, scale in zip(pairs, measured, strict=True) if _fits(pair, scale))
    if len(counts) > 1:
        said = ", ".join(f"{count} of scale {scale}" for scale, count in sorted(counts.items()))
        raise UserError(f"the pairs are {said}; name one with --scale")
    return next(iter(counts), 1)


# ------------------------------------------------------------------------------------------- which belong together


class Named(NamedTuple):
    """Pairs by their names, none opened; files without a partner; what was recognised, as lines."""

    pairs: list[Pair]
    alone: list[SourceRow]
    notes: list[str]


def named_pairs(files: PairFiles, images: IndexConfig = _CONFIG) -> Named:
    """What belongs together by its names alone; raises as `list_pairs`."""
    if (files.hr is None) != (files.lr is None) or (files.hr is None) == (not files.folders):
        raise UserError("name either folders of pairs (--source), or one of HR and one of LR (--hr and --lr)")
    if files.hr is not None and files.lr is not None:
        parts = [_of_two(files.hr, files.lr, files, images)]
    else:
        parts = [_of_folder(folder, files, images) for folder in dict.fromkeys(map(absolute, files.folders))]
    pairs = [pair for part in parts for pair in part.pairs if files.selection.wants(pair.hr.path, pair.lr.path)]
    alone = [row for part in parts for row in part.alone if files.selection.wants(row.path)]
    if not pairs:
        where = ", ".join(map(str, files.folders or [files.hr, files.lr]))
        raise UserError(
            f"no pair in {where}; names must be equal but for x4, _HR, _LR4, _gt, _lq, _x1, H or L at their ends, or a "
            "--meta-info lists them"
        )
    why = "has no partner by its name"
    notes = [note for part in parts for note in part.notes]
    return Named(pairs, [replace(row, status="no-partner", reason=row.reason or why) for row in alone], notes)


def _of_two(hr: Place, lr: Place, files: PairFiles, images: IndexConfig) -> Named:
    if absolute(hr) == absolute(lr):
        return _of_folder(absolute(hr), files, images)
    hr_rows = {row.path: row for row in listed_below(absolute(hr), images)}
    lr_rows = {row.path: row for row in listed_below(absolute(lr), images)}
    if files.meta_info is not None:
        return _of_meta_info(files.meta_info, hr_rows, lr_rows, files.name_scale)
    return _by_names(hr_rows, lr_rows, hr, lr, files.name_scale)


def _of_folder(folder: Place, files: PairFiles, images: IndexConfig) -> Named:
    """Of folders of a known layout below it; else of files whose names say which is which."""
    rows = {row.path: row for row in listed_below(folder, images)}
    if files.meta_info is not None:
        return _of_meta_info(files.meta_info, rows, rows, files.name_scale)
    below: dict[str, dict[str, SourceRow]] = {}
    for row in rows.values():
        below.setdefault(str(row.file.parent), {})[row.path] = row
    result = Named([], [], [])
    for found in find(below, files.split, files.name_scale):
        hr, lr = below[found.hr], below[found.lr]
        if hr is lr:
            part = _by_role(hr, place(found.hr), files)
        else:
            part = _by_names(_within(hr), _within(lr), place(found.hr), place(found.lr), files.name_scale)
        if part.pairs:
            beside = "" if hr is lr else f" with {found.lr}"
            result.notes.append(f"{found.hr}: {found.known.layout}, {len(part.pairs)} pairs{beside}")
        result.pairs.extend(part.pairs)
        result.alone.extend(part.alone)
    if result.pairs:
        return result
    if not paired_by_role(rows):
        raise UserError(
            f"{folder} is no layout of pairs that is known here (HR in hr or gt, LR in lr or lq, say), and its names "
            "do not say which is which (_HR and _LR4, 001H and 001L ...); name --hr and --lr"
        )
    return _by_role(rows, folder, files)


def _within(rows: Mapping[str, SourceRow]) -> dict[str, SourceRow]:
    """By the names that they have in their own folder."""
    return {row.file.name: row for row in rows.values()}


def _by_role(rows: Mapping[str, SourceRow], folder: Place, files: PairFiles) -> Named:
    found = paired_by_role(rows)
    if not found:
        return Named([], [], [])
    scales = {said_by(name)[0].scale for name in found[Role.LR]} - {None}
    if len(scales) > 1 and files.name_scale is None:
        said = ", ".join(map(str, sorted(filter(None, scales))))
        raise UserError(f"{folder} has LR of scales {said} by their names; name one with --scale")
    wanted = files.name_scale if files.name_scale in scales else next(iter(scales), None)
    lr = [name for name in found[Role.LR] if said_by(name)[0].scale in (None, wanted)]
    return _by_names({n: rows[n] for n in found[Role.HR]}, {n: rows[n] for n in lr}, folder, folder, wanted)


def _by_names(
    hr: Mapping[str, SourceRow], lr: Mapping[str, SourceRow], hr_folder: Place, lr_folder: Place, scale: int | None
) -> Named:
    if scale is None:
        scale = next((said.scale for name in lr for said in said_by(name)[:1] if said.scale), 1)
    names, lonely, alike = matched(list(hr), list(lr), hr_folder, lr_folder, scale)
    alone = [hr.get(name) or lr[name] for name in lonely]
    alone += [replace(rows[name], reason=why) for name, why in alike.items() for rows in (hr, lr) if name in rows]
    return Named([Pair(hr[a], lr[b]) for a, b in names], alone, [])


def _of_meta_info(file: Place, hr: Mapping[str, SourceRow], lr: Mapping[str, SourceRow], scale: int | None) -> Named:
    try:
        lines = [line for line in file.read_bytes().decode("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read as a text ({error}); name a meta_info.txt") from None
    if not lines:
        raise UserError(f"{file} is empty; {_META_INFO}")
    pairs = list(dict.fromkeys(tuple(re.split(r",\s*", line.strip(), maxsplit=1)) for line in lines))
    if all(len(pair) == 2 and PurePosixPath(pair[1]).suffix for pair in pairs):
        missing = [name for pair in pairs for name, rows in zip(pair, (hr, lr), strict=True) if name not in rows]
        if missing:
            raise UserError(
                f"{file} names {len(missing)} files that are not there (the first is {missing[0]}); {_META_INFO}"
            )
        return Named([Pair(hr[a], lr[b]) for a, b in pairs], [], [])
    names = list(dict.fromkeys(names_in("\n".join(lines))))
    missing = [name for name in names if name not in hr]
    if missing:
        raise UserError(f"{file} names {len(missing)} HR that are not there (the first is {missing[0]}); {_META_INFO}")
    found = _by_names({name: hr[name] for name in names}, lr, place("hr"), place("lr"), scale)
    without = set(names) - {pair.hr.path for pair in found.pairs}
    return found._replace(alone=[hr[name] for name in sorted(without)])

"""What the name of an image says of it: HR or LR, at which scale, which image it is; and whether it is wanted.

BasicSR's 0001x4, NTIRE's 0001_lq, DIV2K's 0801x4m, 0801x4d, 0801x4w1, RealSR's Canon_001_HR and _LR4, DRealSR's
DSC_1454_x1 and _x4, City100's 001H and 001L.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import PurePosixPath

_WORD = re.compile(r"_(?P<word>hr|gt|lr|lq)(?P<scale>\d*)$", re.IGNORECASE)
_TIMES = re.compile(r"(?P<sure>_?)x(?P<scale>\d)(?P<variant>[mdw]\d?)?$", re.IGNORECASE)
_LETTER = re.compile(r"(?<=\d{3})(?P<letter>[HL])$", re.IGNORECASE)


class Role(StrEnum):
    """Of an image in a pair."""

    HR = "hr"
    LR = "lr"


@dataclass(frozen=True)
class Said:
    """What a name says.

    image: what is left of it. role: none where nothing is said. scale: of LR, where it is said. variant: which of
    several LR of one HR (DIV2K's m, d, w1 to w4). sure: whether it cannot be read otherwise: `box2` is no LR of `bo`.
    """

    image: str
    role: Role | None = None
    scale: int | None = None
    variant: str = ""
    sure: bool = True


def said_by(name: str) -> tuple[Said, ...]:
    """All readings of a name, folder included, the likeliest first: an x4 at its end may be part of the name itself."""
    path = PurePosixPath(name)
    plain = Said(str(path.with_suffix("")))
    for pattern in (_WORD, _TIMES, _LETTER):
        found = pattern.search(path.stem)
        if found is None or not found.start():
            continue
        image, groups = str(path.with_name(path.stem[: found.start()])), found.groupdict()
        told = groups.get("scale")
        scale = int(told) if told else None
        word = groups.get("word") or groups.get("letter") or ("hr" if scale == 1 else "lr")
        role = Role.HR if word.lower() in ("hr", "gt", "h") else Role.LR
        return Said(image, role, scale, groups.get("variant") or "", groups.get("sure") != ""), plain
    return (plain,)


def paired_by_role(names: Iterable[str]) -> dict[Role, list[str]]:
    """The names of each role, where a folder holds pairs: some image of it is there as HR and as LR; else nothing."""
    by_role: dict[Role, dict[str, list[str]]] = {role: {} for role in Role}
    for name in names:
        said = said_by(name)[0]
        if said.role is not None and said.sure:
            by_role[said.role].setdefault(said.image.lower(), []).append(name)
    if not by_role[Role.HR].keys() & by_role[Role.LR].keys():
        return {}
    return {role: [name for each in found.values() for name in each] for role, found in by_role.items()}


def _fits(path: str, patterns: Sequence[str]) -> bool:
    """Whether some pattern, as `*_HR.png`, fits a path below a folder, or the name alone."""
    return any(fnmatch(each, pattern) for each in (path, PurePosixPath(path).name) for pattern in patterns)


def wanted(include: Sequence[str], exclude: Sequence[str], *paths: str) -> bool:
    """Whether some pattern of `include` fits an image, or one of a pair, or there is none; and no pattern of `exclude`
    fits any of them.
    """
    kept = not include or any(_fits(path, include) for path in paths)
    return kept and not any(_fits(path, exclude) for path in paths)

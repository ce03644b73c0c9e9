"""Which images of two folders, or of one, belong together, and which of them are wanted."""

import logging
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from ..errors import UserError
from ..images.roles import Role, paired_by_role, said_by, wanted
from ..storage.location import Place

_log = logging.getLogger("rwsr")


@dataclass(frozen=True)
class Selection:
    """Which images of folders are measured, and what a report calls them.

    include, exclude: patterns (degrade/images/roles.py); of pairs, either name may fit the first, and neither the
    second. name: instead of that of the folder, as a paper calls the data set.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    name: str | None = None

    def wants(self, *names: str) -> bool:
        """Whether an image, or a pair by its two names, is measured."""
        return wanted(self.include, self.exclude, *names)


ALL = Selection()


def _keys(name: str, scale: int, role: Role) -> list[str]:
    """What an image may be called beside its role: its whole name, then what is left of that."""
    keys = [_exact(name)]
    for said in said_by(name):
        if said.role is role and said.scale in (None, 1 if role is Role.HR else scale):
            keys.append(said.image)
    return keys


class Matched(NamedTuple):
    """(HR, LR) of each pair; names without a partner; and those of which two could be the partner of one, and why."""

    pairs: list[tuple[str, str]]
    lonely: list[str]
    alike: dict[str, str]


def matched(hr_names: Collection[str], lr_names: Collection[str], hr: Place, lr: Place, scale: int) -> Matched:
    """Which HR goes with which LR: by equal names, else by what is left of them without role and scale. Several LR may
    be of one HR (DIV2K's wild ones).
    """
    exact = {_exact(name): name for name in lr_names}
    of_hr = {_exact(name): name for name in hr_names}
    if len(exact) == len(lr_names) and len(of_hr) == len(hr_names) and of_hr.keys() == exact.keys():
        return Matched([(name, exact[_exact(name)]) for name in hr_names], [], {})
    keys = {name: {_exact(name), _keys(name, scale, Role.HR)[-1]} for name in hr_names}
    twins = _alike(hr, keys)
    of_key = {key: name for name in hr_names if name not in twins for key in keys[name]}
    found = {name: next((of_key[k] for k in _keys(name, scale, Role.LR) if k in of_key), None) for name in lr_names}
    # several LR of one HR must differ in what their names say of how they were made
    alike = _alike(lr, {name: {(of, said_by(name)[0].variant)} for name, of in found.items() if of is not None})
    pairs = [(of, name) for name, of in found.items() if of is not None and name not in alike]
    alike |= twins
    met = {name for pair in pairs for name in pair}
    lonely = [name for name in (*lr_names, *sorted(hr_names)) if name not in met and name not in alike]
    place_of = {name: i for i, name in enumerate(hr_names)}
    return Matched(sorted(pairs, key=lambda pair: (place_of[pair[0]], pair[1])), lonely, alike)


def _alike(folder: Place, keys: Mapping[str, Collection[Hashable]]) -> dict[str, str]:
    """Of names that have a key in common, what is wrong with each."""
    of_key: dict[Hashable, list[str]] = {}
    for name, each in keys.items():
        for key in each:
            of_key.setdefault(key, []).append(name)
    groups = [names for names in of_key.values() if len(names) > 1]
    return {
        name: f"{folder / names[-1]} and {folder / names[0]} are called alike; rename one of them"
        for names in groups
        for name in names
    }


def paired(
    hr_names: Collection[str], lr_names: Collection[str], hr: Place, lr: Place, scale: int, selection: Selection
) -> list[tuple[str, str]]:
    """Which HR goes with which LR; raises UserError where a wanted image has no partner, or could have two."""
    pairs, alone, alike = matched(hr_names, lr_names, hr, lr, scale)
    for why in alike.values():
        raise UserError(why)
    lonely = sorted(name for name in alone if selection.wants(name))
    if lonely:
        raise UserError(
            f"{len(lonely)} images have no partner in {hr} and {lr} (the first is {lonely[0]}); names must be "
            f"equal but for x{scale}, _HR, _LR{scale}, _gt, _lq, _x1, H or L at their ends"
        )
    return pairs


def _exact(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def of_role(names: list[str], role: Role, scale: int, folder: Place, *, pairs: bool) -> list[str]:
    """Of a folder that holds pairs, the images of one role, LR of one scale; of any other, all.

    pairs: the folder must hold pairs.

    Raises:
        UserError: it does not, or has no LR of that scale.
    """
    found = paired_by_role(names)
    if not found:
        if pairs:
            raise UserError(
                f"{folder} is named as HR and as LR, and its names do not say which is which (_HR and _LR{scale}, "
                "_gt and _lq, 001H and 001L ...); name two folders"
            )
        return names
    kept = [
        name for name in names if name in found[role] and (role is Role.HR or said_by(name)[0].scale in (None, scale))
    ]
    if not kept:
        raise UserError(f"{folder} holds pairs, and no LR of scale {scale} among them; name its --scale")
    if not pairs:
        _log.warning("note: %s holds pairs: their %d %s images are taken", folder, len(kept), role.upper())
    return kept

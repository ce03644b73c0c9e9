"""Every table and figure of the four papers by name: what each is, what it takes, and how it is made."""

from ....degrade.errors import UserError
from . import cugan, hr_aware, mm_realsr, rwsr_edl
from .base import Item

ITEMS: tuple[Item, ...] = (*cugan.ITEMS, *mm_realsr.ITEMS, *rwsr_edl.ITEMS, *hr_aware.ITEMS)


def item_of(paper: str, name: str) -> Item:
    """The item of a name, as table2 or fig7; raises UserError where there is none."""
    known = {each.name: each for each in ITEMS if each.paper == paper}
    wanted = name.lower().replace("figure", "fig").replace(" ", "")
    if wanted not in known:
        raise UserError(f"{paper} has no {name}; it has {', '.join(known)}")
    return known[wanted]

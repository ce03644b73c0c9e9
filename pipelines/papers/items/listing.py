"""What `rwsr paper list` says of an item: whether it can be made here, what it takes, how long."""

from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from .base import OPTIONS, Item
from .hours import HOURS

_WIDTH, _INDENT = 118, " " * 11
_BROKEN: dict[str, Any] = {
    "initial_indent": _INDENT,
    "subsequent_indent": f"{_INDENT}  ",
    "break_long_words": False,
    "break_on_hyphens": False,
}


@dataclass(frozen=True)
class State:
    """An item with what it takes here. missing: published files that are not here. hours: of its trainings at the
    paper's size, at the 100 TFLOP/s that are assumed of a GPU; None where one is not known.
    """

    item: Item
    missing: tuple[str, ...]
    hours: float | None

    @property
    def lines(self) -> list[str]:
        item = self.item
        lines = [f"  {item.name:8} {item.title}"]
        if item.make is None:
            return [*lines, f"{_INDENT}{item.why}: nothing to make"]
        takes = [f"{OPTIONS[option]} ({said})" for option, said in item.wants.items()]
        told = [f"takes {', '.join(takes)}"]
        instead = [f"{OPTIONS[option]} ({said})" for option, said in item.trained_from.items()]
        if instead:
            told.append(f"or trains its rows, instead of or beside --model, of {' and '.join(instead)}")
        if item.may:
            told.append(f"may take {', '.join(f'{OPTIONS[option]} ({said})' for option, said in item.may.items())}")
        if item.trains:
            trained = ", ".join(f"{count} x {name}" if count > 1 else name for name, count in item.trains.items())
            long = "" if self.hours is None else f", some {self.hours:,.0f} GPU hours at 100 TFLOP/s"
            told.append(f"{'those are ' if instead else 'trains '}{trained}{long}; --small on a CPU")
        if self.missing:
            told.append(f"at the paper's size also {', '.join(self.missing)} (rwsr weights)")
        return lines + [part for each in told for part in wrap(each, _WIDTH, **_BROKEN)]

    @property
    def values(self) -> dict[str, Any]:
        item = self.item
        return {
            "paper": item.paper,
            "item": item.name,
            "title": item.title,
            "made": item.make is not None,
            "why_not": item.why,
            "takes": {OPTIONS[option]: said for option, said in item.wants.items()},
            "takes_instead_of_model": {OPTIONS[option]: said for option, said in item.trained_from.items()},
            "may_take": {OPTIONS[option]: said for option, said in item.may.items()},
            "rows": list(item.rows),
            "trains": dict(item.trains),
            "missing_files": list(self.missing),
            "gpu_hours": self.hours,
        }


def state_of(item: Item) -> State:
    """An item as it stands here."""
    known = set(item.trains) <= set(HOURS)
    hours = sum(HOURS[name] * count for name, count in item.trains.items()) if item.trains and known else None
    return State(item, tuple(name for name in item.files if not _is_here(name)), hours)


def _is_here(name: str) -> bool:
    """Whether the published files of a metric or of a network are there."""
    from ....eval.metrics.weight_status import states

    return all(each.path is not None for each in states([name], download=False))

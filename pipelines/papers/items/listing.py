"""What `rwsr paper list` says of an item: whether it can be made here, what it takes, how long."""

from dataclasses import dataclass
from typing import Any

from .base import OPTIONS, Item
from .hours import HOURS


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
            return [*lines, f"           {item.why}: nothing to make"]
        takes = [f"{OPTIONS[option]} ({said})" for option, said in item.wants.items()]
        lines.append(f"           takes {', '.join(takes)}")
        if item.trains:
            trained = ", ".join(f"{count} x {name}" if count > 1 else name for name, count in item.trains.items())
            long = "" if self.hours is None else f", some {self.hours:,.0f} GPU hours at 100 TFLOP/s"
            lines.append(f"           trains {trained}{long}; --small on a CPU")
        if self.missing:
            lines.append(f"           at the paper's size also {', '.join(self.missing)} (rwsr weights)")
        return lines

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

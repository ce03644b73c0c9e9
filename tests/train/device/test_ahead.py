"""The batch after the next is copied while a step runs: into memory that no step reads any more."""

import weakref
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from rwsr.train.engine import loop


class _Stream:
    def __init__(self, name: str, events: list[str]) -> None:
        self._name, self._events = name, events

    def wait_stream(self, other: "_Stream") -> None:
        self._events.append(f"{self._name} waits for {other._name}")


class _Batch:
    """One that notes when it is copied, and which copies were freed by then."""

    def __init__(self, number: int, events: list[str], copies: dict[int, Any]) -> None:
        self.number, self._events, self._copies = number, events, copies

    def to(self, _: torch.device) -> "_Batch":
        freed = [number for number, copy in self._copies.items() if copy() is None]
        copied = _Batch(self.number, self._events, self._copies)
        self._copies[self.number] = weakref.ref(copied)
        self._events.append(f"copy {self.number}" + (f" while {freed[-1]} is freed" if freed else ""))
        return copied


def test_every_copy_waits_for_the_steps_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The allocator gives a new copy the memory of a freed one, by the order of the copying stream alone: it must have
    waited for the stream of the steps, which may still read it.
    """
    events: list[str] = []
    side, main = _Stream("side", events), _Stream("main", events)
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: side)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _=None: main)
    copies: dict[int, Any] = {}
    batches: Any = [_Batch(number, events, copies) for number in range(6)]
    for batch in loop._ahead(batches, torch.device("cuda")):  # noqa: SLF001
        events.append(f"step {batch.number}")
    assert [event for event in events if event.startswith("step")] == [f"step {number}" for number in range(6)]
    assert any("is freed" in event for event in events)
    for place, event in enumerate(events):
        if event.startswith("copy"):
            assert events[place - 1] == "side waits for main"
        if event.startswith("step"):
            number = int(event.split()[1])
            copied = next(i for i, each in enumerate(events) if each.split(" while")[0] == f"copy {number}")
            assert "main waits for side" in events[copied:place]

"""The batch after the next is copied while a step runs: into memory that no step reads any more."""

import weakref
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from rwsr.train.engine import loop


class _Stream:
    """A stream of which each event is what it had done before."""

    def __init__(self, name: str, events: list[str]) -> None:
        self._name, self._events = name, events

    def wait_stream(self, other: "_Stream") -> None:
        self._events.append(f"{self._name} waits for {other._name}")

    def record_event(self) -> int:
        return sum(event.startswith("step") for event in self._events)

    def wait_event(self, steps: int) -> None:
        self._events.append(f"{self._name} waits for {steps} steps")


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


def test_every_copy_waits_for_the_steps_that_may_read_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The allocator gives a new copy the memory of a freed one, by the order of the copying stream alone: it must have
    waited for the steps that read that one. But not for the step under way, beside which it is made.
    """
    events: list[str] = []
    side, main = _Stream("side", events), _Stream("main", events)
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: side)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _=None: main)
    copies: dict[int, Any] = {}
    loader: Any = [_Batch(number, events, copies) for number in range(6)]
    device = torch.device("cuda")
    for batch in loop._ahead(loader, lambda batch: batch.to(device), device):  # noqa: SLF001
        events.append(f"step {batch.number}")
    assert [event for event in events if event.startswith("step")] == [f"step {number}" for number in range(6)]
    freed = [(int(event.split()[1]), int(event.split()[3])) for event in events if "is freed" in event]
    assert freed == [(number, number - 2) for number in range(2, 6)]
    for place, event in enumerate(events):
        if event.startswith("copy"):
            number = int(event.split()[1])
            assert events[place - 1] == f"side waits for {max(0, number - 1)} steps"
            assert events[place + 1] == "main waits for side"
            done = [each for each in events[:place] if each.startswith("step")]
            assert len(done) == number, "the step before it is under way already"

"""Long work beside the page: in a thread, with a bar, and an end when somebody cancels it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar
from weakref import WeakSet

from ...degrade.errors import UserError
from ...degrade.progress import Advance, watched_by

T = TypeVar("T")
_log = logging.getLogger("rwsr.studio")


class CancelledError(Exception):
    """Somebody cancelled the work."""


_UNDER_WAY: "WeakSet[Work]" = WeakSet()


def cancel_all() -> None:
    """End all that is under way at its next step, as the server ends."""
    for each in list(_UNDER_WAY):
        each.cancel()


@dataclass(eq=False)
class Work:
    """How far some work is, as its thread says and the page reads. Cancelled, it ends at its next step."""

    title: str
    total: int = 0
    done: int = 0
    note: str = ""
    lines: list[str] = field(default_factory=list[str])
    cancelled: bool = False

    def __post_init__(self) -> None:
        _UNDER_WAY.add(self)

    def __hash__(self) -> int:
        return id(self)

    @property
    def share(self) -> float | None:
        """How much of it is done, from 0 to 1; None where it does not say."""
        return min(1.0, self.done / self.total) if self.total else None

    def cancel(self) -> None:
        self.cancelled = True

    def line(self, text: str) -> None:
        """As a watcher."""
        self.check()
        self.lines.append(text)

    @contextmanager
    def shown(self, title: str, total: int) -> Generator[Advance]:
        """As a watcher."""
        self.title, self.total, self.done, self.note = title, total, 0, ""

        def advance(count: int, note: str) -> None:
            self.check()
            self.done += count
            self.note = note

        yield advance

    def check(self) -> None:
        """Raises CancelledError once it is cancelled."""
        if self.cancelled:
            raise CancelledError


async def done(work: Work, function: Callable[[], T]) -> T:
    """Do a function in a thread, followed by `work`."""

    def watched() -> T:
        with watched_by(work):
            return function()

    return await asyncio.to_thread(watched)


class Newest:
    """Something that is done as often as it is ordered; while it is under way the newest order waits, and those between
    are left out.
    """

    def __init__(self, does: Callable[[], Awaitable[None]]) -> None:
        self._does, self._busy, self._again = does, False, False

    async def __call__(self) -> None:
        if self._busy:
            self._again = True
            return
        self._busy = True
        try:
            while True:
                self._again = False
                await self._does()
                if not self._again:
                    return
        finally:
            self._busy = False


async def quickly(function: Callable[[], T]) -> T:
    """Do what is short in a thread, so that the page stays alive."""
    return await asyncio.to_thread(function)


def told(error: Exception) -> str:
    """What went wrong, in one line: a user's error as it says; another with its kind, and in the log with its place."""
    if isinstance(error, UserError | OSError):
        return " ".join(str(error).split()) or type(error).__name__
    _log.error("%s", error, exc_info=error)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]} (the terminal has where)"

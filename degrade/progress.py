"""What long jobs tell whoever follows them: lines, and how far they are. Who follows is not their business."""

import logging
import os
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from typing import Protocol

from .storage.location import Place

Advance = Callable[[int, str], None]  # how many more are done, and a word on them

_log = logging.getLogger("rwsr")


class Watcher(Protocol):
    """Somebody who follows along: a person at a terminal, a flow run."""

    def line(self, text: str) -> None:
        """What is to be told."""

    def shown(self, title: str, total: int) -> AbstractContextManager[Advance]:
        """A long job of `total` things, for as long as it lasts."""
        ...


_everywhere: list[Watcher] = []
_here: ContextVar[tuple[Watcher, ...]] = ContextVar("watchers", default=())


def process_number() -> int:
    """Which of those that torchrun started this is; 0, which alone writes and speaks, where it started none."""
    return int(os.environ.get("RANK", "0"))


def follow(watcher: Watcher) -> None:
    """Let somebody follow all that this process does, in each of its threads, from now on; one of a kind."""
    if not any(type(each) is type(watcher) for each in _everywhere):
        _everywhere.append(watcher)


@contextmanager
def watched_by(watcher: Watcher) -> Generator[None]:
    """Let somebody follow what is said and done in a block."""
    token = _here.set((*_here.get(), watcher))
    try:
        yield
    finally:
        _here.reset(token)


def say(text: str) -> None:
    """One line for whoever follows; where nobody does, for the logger `rwsr`."""
    watchers = [*_everywhere, *_here.get()]
    for watcher in watchers:
        watcher.line(text)
    if not watchers:
        _log.info(text)


@contextmanager
def progress(title: str, total: int) -> Generator[Advance]:
    """A job of `total` things: call what is given with how many more are done, and a word on them."""
    with ExitStack() as stack:
        shows = [stack.enter_context(watcher.shown(title, total)) for watcher in (*_everywhere, *_here.get())]

        def advance(count: int, note: str) -> None:
            for show in shows:
                show(count, note)

        yield advance


def printable(text: Place | str) -> str:
    """A path or what was said of it, on one line, whatever it holds."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))

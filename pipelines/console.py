"""What a person sees of a long job: a bar on a terminal, now and then a line elsewhere; all on stderr."""

import logging
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ..degrade.places import Place

_SECONDS_BETWEEN_LINES = 10.0


class Watcher(Protocol):
    """Somebody else who follows along, as a flow run does."""

    def line(self, text: str) -> None:
        """What the person is told."""

    def progress(self, title: str, done: int, total: int) -> None:
        """How far a long job is; called often."""


_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Generator[None]:
    """Let somebody follow what is said and done in a block."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def say(text: str) -> None:
    """One line for the person."""
    click.echo(text, err=True)
    if (watcher := _watcher.get()) is not None:
        watcher.line(text)


class _Said(logging.Handler):
    """Tells the person what the library's own logger warns of."""

    def emit(self, record: logging.LogRecord) -> None:
        say(printable(record.getMessage()))


def tell_warnings() -> None:
    """Let the lines of the logger `rwsr` reach the person as all others do."""
    logger = logging.getLogger("rwsr")
    if not any(isinstance(handler, _Said) for handler in logger.handlers):
        logger.addHandler(_Said())
        logger.propagate = False


def printable(text: Place | str) -> str:
    """A path or what was said of it, on one line, whatever it holds."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def _short(seconds: float) -> str:
    """`40 s`, `12 min`, `3.4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class _RateColumn(ProgressColumn):
    """Things a second since the beginning."""

    def render(self, task: Task) -> Text:
        rate = task.completed / task.elapsed if task.elapsed else 0.0
        return Text(f"{rate:.1f}/s", style="progress.data.speed")


@contextmanager
def progress(title: str, total: int) -> Generator[Callable[[int, str], None]]:
    """A bar for `total` things: call what is given with how many more are done, and a word on them.

    Without a terminal a line every ten seconds: how many are done, how many a second, and how long it will take.
    """
    done, watcher = 0, _watcher.get()
    with _shown(title, total) as show:

        def advance(count: int, note: str) -> None:
            nonlocal done
            done += count
            show(count, note)
            if watcher is not None:
                watcher.progress(title, done, total)

        yield advance


@contextmanager
def _shown(title: str, total: int) -> Generator[Callable[[int, str], None]]:
    if sys.stderr.isatty():
        columns = [
            TextColumn("{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        ]
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=total, note="")
            yield lambda count, note: bar.update(task, advance=count, note=note)
        return
    done, begun, said = 0, time.monotonic(), time.monotonic()

    def line(count: int, note: str) -> None:
        nonlocal done, said
        done += count
        now = time.monotonic()
        if now - said > _SECONDS_BETWEEN_LINES:
            said, rate = now, done / (now - begun)
            left = f", {_short((total - done) / rate)} left" if done else ""
            click.echo(f"  {title}: {done}/{total}, {rate:.1f}/s{left} {note}".rstrip(), err=True)

    yield line

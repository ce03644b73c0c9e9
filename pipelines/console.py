"""What a person sees of a long job: a bar on a terminal, now and then a line elsewhere; all on stderr."""

import logging
import sys
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager

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

from ..degrade.progress import Advance, follow, printable, say

_SECONDS_BETWEEN_LINES = 10.0


class _Said(logging.Handler):
    """Tells the person what the library's own logger warns of."""

    def emit(self, record: logging.LogRecord) -> None:
        say(printable(record.getMessage()))


def tell_the_person() -> None:
    """Let all that this process says reach the person."""
    follow(_Person())


def tell_warnings() -> None:
    """Let the lines of the logger `rwsr` reach the person as all others do."""
    logger = logging.getLogger("rwsr")
    if not any(isinstance(handler, _Said) for handler in logger.handlers):
        logger.addHandler(_Said(logging.WARNING))
        logger.propagate = False


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
def _shown(title: str, total: int) -> Generator[Advance]:
    """A bar; without a terminal a line every ten seconds: how many are done, how many a second, how long to go."""
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


class _Person:
    """Who started the command."""

    def line(self, text: str) -> None:
        click.echo(text, err=True)

    def shown(self, title: str, total: int) -> AbstractContextManager[Advance]:
        return _shown(title, total)

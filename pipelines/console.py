"""What a person sees of a long job: a bar on a terminal, now and then a line elsewhere; all on stderr."""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..degrade.places import Place

_SECONDS_BETWEEN_LINES = 10.0


def say(text: str) -> None:
    """One line for the person."""
    click.echo(text, err=True)


def printable(text: Place | str) -> str:
    """A path or what was said of it, on one line, whatever it holds."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


@contextmanager
def progress(title: str, total: int) -> Generator[Callable[[int, str], None]]:
    """A bar for `total` things: call what is given with how many more are done, and a word on them."""
    if sys.stderr.isatty():
        columns = [
            TextColumn("{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        ]
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=total, note="")
            yield lambda count, note: bar.update(task, advance=count, note=note)
        return
    done, said = 0, time.monotonic()

    def line(count: int, note: str) -> None:
        nonlocal done, said
        done += count
        if time.monotonic() - said > _SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            say(f"  {title}: {done}/{total} {note}".rstrip())

    yield line

"""One HTML page that carries its pictures inside itself: it can be mailed, moved and opened offline, light or dark.

`page.html.j2` beside this file is how it looks.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from .plots import Plot


@dataclass(frozen=True)
class Picture:
    """A PNG, or a plot with its dark form, and the sentence below it, which also describes it for who cannot see it."""

    png: bytes | Plot
    caption: str


@dataclass(frozen=True)
class Table:
    """Columns and rows of plain text; cells that read as numbers are set to the right.

    best: (row, column) of cells that are the best of theirs. caption: a sentence above.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    best: frozenset[tuple[int, int]] = frozenset()
    caption: str = ""

    @cached_property
    def numeric(self) -> tuple[bool, ...]:
        """Of each column, whether there is something in it and all of that reads as numbers."""
        columns = [[row[at] for row in self.rows] for at in range(len(self.columns))]
        return tuple(any(cells) and all(map(_is_number, cells)) for cells in columns)

    def kind_of(self, column: int, row: int | None = None) -> str:
        """How a cell, or the head of a column, is shown: `number`, `best`, both or neither."""
        return " ".join(["number"] * self.numeric[column] + ["best"] * ((row, column) in self.best))


@dataclass(frozen=True)
class Strip:
    """Crops of one place in one image, PNG with a caption each, side by side under one magnifier."""

    crops: tuple[tuple[bytes, str], ...]
    caption: str


@dataclass(frozen=True)
class Caution:
    """A sentence that should not be overlooked."""

    text: str


Part = Picture | Table | Strip | Caution


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs of plain text, and what stands below them, in order."""

    title: str
    paragraphs: tuple[str, ...] = ()
    body: Sequence[Part] = field(default_factory=tuple)


def _is_number(text: str) -> bool:
    try:
        float(text.rstrip("%").replace(",", ""))
    except ValueError:
        return text == ""
    return True


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _is_a(kind: type, part: object) -> bool:
    return isinstance(part, kind)


@cache
def template(name: str) -> Template:
    """A template that lies beside this file."""
    environment = Environment(
        loader=PackageLoader("rwsr.eval", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["base64"] = _base64
    tests: Any = environment.tests
    for kind in (Picture, Plot, Table, Strip):
        tests[kind.__name__.lower()] = partial(_is_a, kind)
    return environment.get_template(name)


def page(title: str, lead: str, sections: Sequence[Section], *, refresh_s: int | None = None) -> bytes:
    """The page as UTF-8. refresh_s: a browser reads it again after so many seconds."""
    return template("page.html.j2").render(title=title, lead=lead, sections=sections, refresh_s=refresh_s).encode()

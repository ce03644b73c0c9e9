"""One HTML page that carries its pictures inside itself: it can be mailed, moved and opened offline, light or dark."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from .plots import Plot

_STYLE = """
:root { color-scheme: light dark; --ink: #20242c; --paper: #fff; --soft: #5b6470; --line: #d9dde3; --shade: #f2f4f7;
        --good: #1d6b3a; --warn: #8a4b00; --warn-paper: #fff4e0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #c9d1d9; --paper: #15181d; --soft: #97a1ad; --line: #333a44; --shade: #222831; --good: #6fd08c;
          --warn: #ffc46b; --warn-paper: #33270f; }
}
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
       max-width: 62rem; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.75rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p { max-width: 46rem; }
figure { margin: 1.25rem 0; }
img { max-width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: .9rem; max-width: 46rem; margin-top: .4rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0; font-size: .95rem; }
th, td { text-align: left; padding: .3rem 1.1rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; }
td.best { font-weight: 700; color: var(--good); }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
.over { color: var(--soft); margin: 1.6rem 0 0; }
.lead { color: var(--soft); font-size: 1.05rem; }
.warn { color: var(--warn); background: var(--warn-paper); padding: .5rem .8rem; border-radius: 4px; }
code { background: var(--shade); padding: .1rem .3rem; border-radius: 3px; font-size: .9em; overflow-wrap: anywhere; }
.strip { display: grid; gap: .6rem; margin: .5rem 0 1rem; overflow-x: auto; }
.strip figure { margin: 0; min-width: 0; }
.strip .crop { aspect-ratio: 1; background-size: 100% 100%; image-rendering: pixelated; cursor: crosshair; }
.strip figcaption { overflow-wrap: anywhere; }
"""

# Where the pointer is over one crop of a strip, all of them show that place six times larger.
_LENS = """
for (const strip of document.querySelectorAll('.strip')) {
  const crops = strip.querySelectorAll('.crop');
  const to = (size, x, y) => crops.forEach(c => {
    c.style.backgroundSize = size; c.style.backgroundPosition = `${x}% ${y}%`; });
  crops.forEach(c => {
    c.addEventListener('pointermove', e => to('600% 600%', 100 * e.offsetX / c.clientWidth,
      100 * e.offsetY / c.clientHeight));
    c.addEventListener('pointerleave', () => to('100% 100%', 0, 0)); });
}
"""


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


def _table(table: Table) -> str:
    numeric = [
        any(row[i] for row in table.rows) and all(_is_number(row[i]) for row in table.rows)
        for i in range(len(table.columns))
    ]
    head = "".join(
        f"<th{' class=number' if is_number else ''}>{escape(name)}</th>"
        for is_number, name in zip(numeric, table.columns, strict=True)
    )
    rows: list[str] = []
    for y, row in enumerate(table.rows):
        cells: list[str] = []
        for x, cell in enumerate(row):
            names = [*(["number"] if numeric[x] else []), *(["best"] if (y, x) in table.best else [])]
            attribute = f' class="{" ".join(names)}"' if names else ""
            cells.append(f"<td{attribute}>{escape(cell)}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    body = "".join(rows)
    above = f"<caption>{escape(table.caption)}</caption>" if table.caption else ""
    return f'<div class="scroll"><table>{above}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _data(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _picture(picture: Picture) -> str:
    caption = escape(picture.caption)
    if isinstance(picture.png, Plot):
        dark = f'<source media="(prefers-color-scheme: dark)" srcset="{_data(picture.png.dark)}">'
        image = f'<picture>{dark}<img alt="{caption}" src="{_data(picture.png.light)}"></picture>'
    else:
        image = f'<img alt="{caption}" src="{_data(picture.png)}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _strip(strip: Strip) -> str:
    row = f'<div class="strip" style="grid-template-columns: repeat({len(strip.crops)}, minmax(7rem, 11rem))">'
    crops = "".join(
        f'<figure><div class="crop" role="img" aria-label="{escape(name)}" '
        f'style="background-image:url({_data(png)})"></div><figcaption>{escape(name)}</figcaption></figure>'
        for png, name in strip.crops
    )
    return f'<p class="over">{escape(strip.caption)}</p>{row}{crops}</div>'


def _part(part: Part) -> str:
    match part:
        case Picture():
            return _picture(part)
        case Table():
            return _table(part)
        case Strip():
            return _strip(part)
        case Caution():
            return f'<p class="warn">{escape(part.text)}</p>'


def _section(section: Section) -> str:
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in section.paragraphs)
    return f"<section><h2>{escape(section.title)}</h2>{paragraphs}{''.join(map(_part, section.body))}</section>"


def page(title: str, lead: str, sections: Sequence[Section]) -> bytes:
    """The page as UTF-8."""
    body = "".join(_section(section) for section in sections)
    lens = (
        f"<script>{_LENS}</script>" if any(isinstance(part, Strip) for each in sections for part in each.body) else ""
    )
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f'<body><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>{body}{lens}</body></html>\n'
    )
    return html.encode()

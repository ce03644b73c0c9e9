"""One HTML page that carries its pictures inside itself: it can be mailed, moved and opened offline."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.55 system-ui, sans-serif; color: #20242c; background: #fff; margin: 0 auto; max-width: 62rem;
       padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; margin: 2.75rem 0 .5rem; padding-top: 1rem; border-top: 1px solid #d9dde3; }
p { max-width: 46rem; }
figure { margin: 1.25rem 0; }
img { max-width: 100%; height: auto; display: block; }
figcaption { color: #5b6470; font-size: .9rem; max-width: 46rem; margin-top: .4rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0; font-size: .95rem; }
th, td { text-align: left; padding: .3rem 1.1rem .3rem 0; border-bottom: 1px solid #e6e9ed; vertical-align: top; }
td.number, th.number { text-align: right; }
.lead { color: #5b6470; font-size: 1.05rem; }
code { background: #f2f4f7; padding: .1rem .3rem; border-radius: 3px; font-size: .9em; overflow-wrap: anywhere; }
"""


@dataclass(frozen=True)
class Picture:
    """A PNG and the sentence below it; the caption is also its description for who cannot see it."""

    png: bytes
    caption: str


@dataclass(frozen=True)
class Table:
    """Columns and rows of plain text; cells that read as numbers are set to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs of plain text, and what stands below them, in order."""

    title: str
    paragraphs: tuple[str, ...] = ()
    body: Sequence[Picture | Table] = field(default_factory=tuple)


def _is_number(text: str) -> bool:
    try:
        float(text.rstrip("%").replace(",", ""))
    except ValueError:
        return False
    return True


def _table(table: Table) -> str:
    numeric = [all(_is_number(row[i]) for row in table.rows) for i in range(len(table.columns))]
    kinds = [' class="number"' if is_number else "" for is_number in numeric]
    head = "".join(f"<th{kind}>{escape(name)}</th>" for kind, name in zip(kinds, table.columns, strict=True))
    rows = "".join(
        "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in table.rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _picture(picture: Picture) -> str:
    data, caption = base64.b64encode(picture.png).decode(), escape(picture.caption)
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}"><figcaption>{caption}</figcaption></figure>'
    )


def _section(section: Section) -> str:
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in section.paragraphs)
    body = "".join(_picture(part) if isinstance(part, Picture) else _table(part) for part in section.body)
    return f"<section><h2>{escape(section.title)}</h2>{paragraphs}{body}</section>"


def page(title: str, lead: str, sections: Sequence[Section]) -> bytes:
    """The page as UTF-8."""
    body = "".join(_section(section) for section in sections)
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f'<body><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>{body}</body></html>\n'
    )
    return html.encode()

"""Contact sheets: images in a grid, each with lines of text below, as one picture to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .image import U8

_GAP_PX = 8
_TEXT_PX = 12
_LINE_PX = 15
_INK, _PAPER = (32, 36, 44), (255, 255, 255)


@dataclass(frozen=True)
class Cell:
    """An image [H, W, 3] uint8 and the lines below it."""

    pixels: U8
    lines: tuple[str, ...] = ()


def _fit(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: int) -> str:
    """The text, cut with an ellipsis where it would run into the next cell."""
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(text + "…") > width_px:
        text = text[:-1]
    return text + "…"


def contact_sheet(rows: Sequence[Sequence[Cell]], *, cell_px: int, title: str = "") -> U8:
    """The cells row by row, each image enlarged by whole pixels or shrunk to `cell_px`; [H, W, 3] uint8."""
    font = ImageFont.load_default(size=_TEXT_PX)
    head = 2 * _LINE_PX if title else 0
    heights = [cell_px + _LINE_PX * max((len(cell.lines) for cell in row), default=0) + _GAP_PX for row in rows]
    width = max(len(row) for row in rows) * (cell_px + _GAP_PX) + _GAP_PX
    sheet = Image.new("RGB", (width, head + sum(heights) + _GAP_PX), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP_PX, _GAP_PX), _fit(title, font, width - 2 * _GAP_PX), font=font, fill=_INK)
    top = head + _GAP_PX
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            left = _GAP_PX + column * (cell_px + _GAP_PX)
            picture = Image.fromarray(cell.pixels)
            zoom = cell_px / max(picture.size)
            size = tuple(max(1, round(side * zoom)) for side in picture.size)
            method = Image.Resampling.NEAREST if zoom >= 1 else Image.Resampling.LANCZOS
            sheet.paste(picture.resize((size[0], size[1]), method), (left, top))
            for i, line in enumerate(cell.lines):
                draw.text((left, top + cell_px + 2 + i * _LINE_PX), _fit(line, font, cell_px), font=font, fill=_INK)
        top += height
    return np.asarray(sheet)

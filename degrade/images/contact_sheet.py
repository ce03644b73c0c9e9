"""Contact sheets: images in a grid, each with lines of text below, as one picture to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .pixels import U8

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
    """The text on one line, cut with an ellipsis where it would run into the next cell."""
    text = " ".join(text.split())
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(text + "…") > width_px:
        text = text[:-1]
    return text + "…"


def _scaled(pixels: U8, cell_px: int) -> Image.Image:
    """The image with its longer side at `cell_px`: pixels repeated when enlarged, averaged when shrunk."""
    picture = Image.fromarray(pixels)
    zoom = cell_px / max(picture.size)
    size = (max(1, round(picture.width * zoom)), max(1, round(picture.height * zoom)))
    return picture.resize(size, Image.Resampling.NEAREST if zoom >= 1 else Image.Resampling.LANCZOS)


def contact_sheet(rows: Sequence[Sequence[Cell]], *, cell_px: int, title: str = "") -> U8:
    """The cells row by row, the longer side of each image brought to `cell_px`; [H, W, 3] uint8."""
    font = ImageFont.load_default(size=_TEXT_PX)
    pictures = [[_scaled(cell.pixels, cell_px) for cell in row] for row in rows]
    tallest = [max(picture.height for picture in row) for row in pictures]
    texts = [_LINE_PX * max(len(cell.lines) for cell in row) for row in rows]
    head = 2 * _LINE_PX if title else 0
    width = max(len(row) for row in rows) * (cell_px + _GAP_PX) + _GAP_PX
    height = head + sum(tallest) + sum(texts) + (len(rows) + 1) * _GAP_PX
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP_PX, _GAP_PX), _fit(title, font, width - 2 * _GAP_PX), font=font, fill=_INK)
    top = head + _GAP_PX
    for i, row in enumerate(rows):
        for column, cell in enumerate(row):
            left = _GAP_PX + column * (cell_px + _GAP_PX)
            sheet.paste(pictures[i][column], (left, top))
            for number, line in enumerate(cell.lines):
                below = top + tallest[i] + 2 + number * _LINE_PX
                draw.text((left, below), _fit(line, font, cell_px), font=font, fill=_INK)
        top += tallest[i] + texts[i] + _GAP_PX
    return np.array(sheet)

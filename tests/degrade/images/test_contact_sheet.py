"""Contact sheets hold every image at its place and size."""

import numpy as np

from rwsr.degrade.images.contact_sheet import Cell, contact_sheet


def test_a_line_stays_one_line() -> None:
    """Whatever a file is called."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    sheets = [contact_sheet([[Cell(pixels, (name, "below"))]], cell_px=80) for name in ("a\nb.png", "a b.png")]
    assert np.array_equal(*sheets)


def test_cells_stand_where_they_should() -> None:
    """Two rows of different shapes: colours are found in the middle of each cell, text below it."""
    red, blue = (np.full((20, 40, 3), colour, np.uint8) for colour in ([255, 0, 0], [0, 0, 255]))
    tall = np.full((200, 100, 3), [0, 255, 0], np.uint8)
    sheet = contact_sheet([[Cell(red, ("a",)), Cell(blue)], [Cell(tall)]], cell_px=80)
    assert sheet.shape == (8 + 40 + 15 + 8 + 80 + 8, 2 * 88 + 8, 3)
    assert sheet[28, 48].tolist() == [255, 0, 0] and sheet[28, 136].tolist() == [0, 0, 255]
    assert sheet[110, 28].tolist() == [0, 255, 0] and sheet[110, 60].tolist() == [255, 255, 255]
    assert (sheet[50:62, 8:30] < 128).any()


def test_long_text_does_not_run_into_the_next_cell() -> None:
    """It is cut, so that the next cell's ground stays white."""
    cell = Cell(np.zeros((40, 40, 3), np.uint8), ("a very long line that would never fit below such a cell",))
    sheet = contact_sheet([[cell, Cell(cell.pixels)]], cell_px=80)
    assert (sheet[90:105, 96:] == 255).all() and (sheet[90:105, 8:88] < 128).any()

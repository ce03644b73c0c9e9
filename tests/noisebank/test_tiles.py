"""Tile statistics equal a loop over the tiles, the last row and column included."""

import numpy as np
import pytest

from rwsr.degrade.image import U8, luma
from rwsr.noisebank.tiles import TileGrid, tile_stats


@pytest.mark.parametrize(("size", "stride"), [(64, 64), (64, 32), (50, 17)])
def test_statistics_match_a_loop(astronaut: U8, size: int, stride: int) -> None:
    """Corners, means, variances and clipped shares, tile by tile with numpy."""
    pixels = astronaut[:200, :333]
    grey = luma(pixels)
    expected = []
    for y in range(0, 200 - size + 1, stride):
        for x in range(0, 333 - size + 1, stride):
            tile = grey[y : y + size, x : x + size].astype(float)
            expected.append((y, x, tile.mean(), tile.var(), ((tile == 0) | (tile == 255)).mean()))
    found = tile_stats(pixels, TileGrid(size=size, stride=stride))
    got = np.stack([found.y, found.x, found.mean, found.variance, found.clipped], axis=1)
    assert np.allclose(got, np.array(expected), rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize(("side", "tiles"), [(256, 1), (1024, 16), (255, 0)])
def test_the_last_row_and_column_count(side: int, tiles: int) -> None:
    """The published script finds 0 tiles in 256x256 and 9 in 1024x1024; there are 1 and 16."""
    assert len(tile_stats(np.zeros((side, side, 3), np.uint8), TileGrid()).y) == tiles


def test_a_constant_tile_has_no_variance_at_all() -> None:
    """Exactly zero, not a rounding error."""
    assert (tile_stats(np.full((512, 512, 3), 201, np.uint8), TileGrid()).variance == 0).all()

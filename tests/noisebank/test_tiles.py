"""Tile statistics equal a loop over the tiles, the last row and column included, on any number of grids at once."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rwsr.degrade.images.pixels import U8
from rwsr.noisebank.tiles import TileGrid, tile_stats, to_table

GRIDS = {
    "one": [(64, 64)],
    "three": [(64, 64), (32, 32), (16, 16)],
    "overlapping": [(64, 32)],
    "nothing in common": [(50, 17), (23, 23)],
    "a tile of many rows": [(300, 7)],
}


def _loop(pixels: U8, grids: list[TileGrid]) -> Iterator[list[float]]:
    """Pillow's luma and numpy on each tile on its own."""
    gray = np.asarray(Image.fromarray(pixels).convert("L")).astype(float)
    height, width = gray.shape
    for grid in grids:
        for y in range(0, height - grid.size + 1, grid.stride):
            for x in range(0, width - grid.size + 1, grid.stride):
                box = slice(y, y + grid.size), slice(x, x + grid.size)
                rgb = pixels[box].reshape(-1, 3)
                clipped = ((rgb == 0) | (rgb == 255)).mean(axis=0).max()
                statistics = [gray[box].mean(), gray[box].var(), *rgb.mean(axis=0), *rgb.var(axis=0), clipped]
                yield [y, x, grid.size, *statistics]


@pytest.mark.parametrize("name", GRIDS)
def test_statistics_match_a_loop(astronaut: U8, name: str) -> None:
    """Corners, means, variances and clipped shares, tile by tile."""
    pixels = astronaut[:310, :333]
    grids = [TileGrid(size=size, stride=stride) for size, stride in GRIDS[name]]
    found = tile_stats(pixels, grids)
    columns = (found.y, found.x, found.size, found.mean, found.variance)
    got = np.column_stack([*columns, found.channel_mean, found.channel_variance, found.clipped])
    assert np.allclose(got, np.array(list(_loop(pixels, grids))), rtol=1e-10, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 90), st.integers(8, 90), st.integers(8, 40), st.integers(1, 40), st.integers(0, 9))
def test_any_image_and_grid_is_measured_exactly(height: int, width: int, size: int, stride: int, seed: int) -> None:
    """Mean and variance are the exact fractions of whole sums, so that equal tiles tie and 20 is not 19.999."""
    rng = np.random.default_rng(seed)
    pixels = rng.choice(np.array([0, 3, 128, 255], np.uint8), (height, width, 3))
    gray = np.asarray(Image.fromarray(pixels).convert("L")).astype(int)
    found = tile_stats(pixels, [TileGrid(size=size, stride=stride)])
    for y, x, mean, variance in zip(found.y, found.x, found.mean, found.variance, strict=True):
        tile = gray[y : y + size, x : x + size]
        assert mean == tile.sum() / tile.size
        assert variance == (tile.size * (tile**2).sum() - tile.sum() ** 2) / tile.size**2


@pytest.mark.parametrize(("side", "tiles"), [(256, 1), (1024, 16), (255, 0)])
def test_the_last_row_and_column_count(side: int, tiles: int) -> None:
    """The published script finds 0 tiles in 256x256 and 9 in 1024x1024; there are 1 and 16."""
    assert len(tile_stats(np.zeros((side, side, 3), np.uint8), [TileGrid()]).y) == tiles


def test_a_constant_tile_has_no_variance_at_all() -> None:
    """Exactly zero, not a rounding error."""
    assert (tile_stats(np.full((512, 512, 3), 201, np.uint8), [TileGrid()]).variance == 0).all()


def test_a_saturated_red_is_clipped_in_every_channel_though_its_luma_is_not() -> None:
    """Its luma is 76, but no channel can show noise."""
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[..., 0] = 255
    found = tile_stats(pixels, [TileGrid(size=16, stride=16)])
    assert found.mean == 76 and found.clipped == 1


def test_rows_name_their_image() -> None:
    """Each row of the table has the image's path and hash, as text once it leaves the dictionary."""
    stats = tile_stats(np.zeros((32, 48, 3), np.uint8), [TileGrid(size=16, stride=16)])
    table = to_table([(stats, "a/b.png", "00ff")])
    assert table["source"].cast(pa.string()).to_pylist() == ["a/b.png"] * 6 and table["x"].to_pylist()[:3] == [
        0,
        16,
        32,
    ]

"""Statistics of every full tile of an image, on any number of grids, from one pass over its pixels.

The pixels are summed into cells, the largest squares that all grids are made of; a tile is a block of cells. Grids
with nothing in common are summed tile by tile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Annotated

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from ..degrade.family import Frozen
from ..degrade.images.pixels import I64, U8, luma

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

STATISTICS = [
    ("mean", pa.float64()),
    ("variance", pa.float64()),
    ("mean_r", pa.float64()),
    ("mean_g", pa.float64()),
    ("mean_b", pa.float64()),
    ("variance_r", pa.float64()),
    ("variance_g", pa.float64()),
    ("variance_b", pa.float64()),
    ("clipped", pa.float64()),
]

SCHEMA = pa.schema(
    [
        ("source", pa.dictionary(pa.int32(), pa.string())),
        ("source_sha256", pa.dictionary(pa.int32(), pa.string())),
        ("y", pa.int32()),
        ("x", pa.int32()),
        ("size", pa.int32()),
        *STATISTICS,
    ]
)

_OF_TILES = ("y", "x", "size", "mean", "variance", "clipped")
_OF_CHANNELS = ("channel_mean", "channel_variance")
_CELL_PX = range(8, 65)  # below, summing tile by tile costs less; above, long loops over few rows
_FLOAT32_ROWS = 256  # the squares of so many 8-bit levels sum to less than 2^24: exact in float32
_BLOCK_FLOATS = 2**17


class TileGrid(Frozen):
    """Which tiles of an image are looked at: squares of `size` pixels every `stride` pixels."""

    size: Annotated[int, Field(ge=8, le=4096)] = 256
    """Side of a tile in pixels."""
    stride: Annotated[int, Field(ge=1)] = 256
    """Pixels from tile to tile."""

    def resized(self, size: int) -> "TileGrid":
        """The grid of another tile size, with tiles that overlap as much."""
        return TileGrid(size=size, stride=max(1, self.stride * size // self.size))


@dataclass(frozen=True)
class TileStats:
    """One entry per tile, by grid, then in raster order: corner and side in pixels; mean and variance of its luma
    [N] and of its channels R, G, B [N, 3], in gray levels of 255; the share of pixels at 0 or 255 in the channel
    that has most of them [N]."""

    y: I64
    x: I64
    size: I64
    mean: F64
    variance: F64
    channel_mean: F64
    channel_variance: F64
    clipped: F64


_NO_INT, _NO_FLOAT, _NO_RGB = np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 3))
_NONE = TileStats(_NO_INT, _NO_INT, _NO_INT, _NO_FLOAT, _NO_FLOAT, _NO_RGB, _NO_RGB, _NO_FLOAT)


def _cell_size(grids: Sequence[TileGrid]) -> int | None:
    """The side of the largest cells that all grids are made of, or None where they would be tiny."""
    common = gcd(*(number for grid in grids for number in (grid.size, grid.stride)))
    return max((cell for cell in _CELL_PX if common % cell == 0), default=None)


def _row_squares(rows: U8, num: int, size: int, stride: int) -> F64:
    """[num, n]: sums of the squares of [H, n] uint8 over the rows [i * stride, i * stride + size)."""
    sums = np.zeros((num, rows.shape[1]), np.float32 if size <= _FLOAT32_ROWS else np.float64)
    step = max(1, _BLOCK_FLOATS // rows.shape[1])
    for first in range(0, num, step):
        block = sums[first : first + step]
        for row in range(first * stride, first * stride + size):
            cv2.accumulateSquare(rows[row::stride][: len(block)], block)
    return sums.astype(np.float64)


def _row_sums(rows: U8, num: int, size: int, stride: int) -> F64:
    """[num, n]: sums of [H, n] uint8 over the rows [i * stride, i * stride + size)."""
    sums = np.empty((num, rows.shape[1]))
    for i in range(num):
        sums[i] = cv2.reduce(rows[i * stride : i * stride + size], 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    return sums


def _row_unclipped(rows: U8, num: int, size: int, stride: int) -> F64:
    """[num, n]: how many of [H, n] uint8 are neither 0 nor 255 in the rows [i * stride, i * stride + size)."""
    sums = np.empty((num, rows.shape[1]))
    unclipped = np.empty((size, rows.shape[1]), np.uint8)
    for i in range(num):
        np.subtract(rows[i * stride : i * stride + size], np.uint8(1), out=unclipped)  # 0 wraps round to 255
        cv2.threshold(unclipped, 253, 1, cv2.THRESH_BINARY_INV, unclipped)
        sums[i] = cv2.reduce(unclipped, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    return sums


def _column_sums(sums: F64, width: int, size: int, stride: int) -> F64:
    """[num, columns, C]: sums of [num, W * C] over the columns [i * stride, i * stride + size)."""
    x = np.arange(0, width - size + 1, stride)
    by_column = sums.reshape(len(sums), width, -1)
    if size == stride:
        return np.add.reduceat(by_column[:, : x[-1] + size], x, axis=1)
    before = np.concatenate([np.zeros_like(by_column[:, :1]), by_column.cumsum(axis=1)], axis=1)
    return before[:, x + size] - before[:, x]


def _square_sums(pixels: U8, size: int, stride: int) -> F64:
    """[rows, columns, 11]: over each square of a grid the sums of R, G, B, luma, of their squares, and how many R, G,
    B are not clipped. Whole numbers, exact."""
    height, width = pixels.shape[:2]
    num = (height - size) // stride + 1
    flat, gray = pixels.reshape(height, 3 * width), luma(pixels)
    sums = [
        *(_row_sums(part, num, size, stride) for part in (flat, gray)),
        *(_row_squares(part, num, size, stride) for part in (flat, gray)),
        _row_unclipped(flat, num, size, stride),
    ]
    return np.concatenate([_column_sums(part, width, size, stride) for part in sums], axis=2)


def _tile_sums(pixels: U8, grids: Sequence[TileGrid], corners: Sequence[tuple[I64, I64]]) -> F64:
    """[N, 11]: the sums of `_square_sums` over each tile."""
    cell = _cell_size(grids)
    if cell is None:
        return np.concatenate([_square_sums(pixels, grid.size, grid.stride).reshape(-1, 11) for grid in grids])
    sums = _square_sums(pixels, cell, cell)
    integral = np.zeros((sums.shape[0] + 1, sums.shape[1] + 1, 11))
    integral[1:, 1:] = sums.cumsum(axis=0).cumsum(axis=1)
    return np.concatenate(
        [
            _window_sums(integral, y // cell, x // cell, grid.size // cell)
            for (y, x), grid in zip(corners, grids, strict=True)
        ]
    )


def _window_sums(integral: F64, rows: I64, columns: I64, cells: int) -> F64:
    """[N, C] sums over the squares of `cells` cells at those corners."""
    low_y, high_y, low_x, high_x = rows, rows + cells, columns, columns + cells
    return integral[high_y, high_x] - integral[low_y, high_x] - integral[high_y, low_x] + integral[low_y, low_x]


def _num_starts(length: int, grid: TileGrid) -> int:
    """How many full tiles fit. The last row and column count, which the published script drops."""
    return max(0, (length - grid.size) // grid.stride + 1)


def _corners(shape: tuple[int, ...], grid: TileGrid) -> tuple[I64, I64]:
    """y and x of every tile, in raster order."""
    num_y, num_x = (_num_starts(length, grid) for length in shape[:2])
    y, x = (np.arange(count) * grid.stride for count in (num_y, num_x))
    return np.repeat(y, num_x), np.tile(x, num_y)


def num_tiles(height: int, width: int, grids: Sequence[TileGrid]) -> int:
    """How many tiles an image has on all grids together."""
    return sum(_num_starts(height, grid) * _num_starts(width, grid) for grid in grids)


def tile_stats(pixels: U8, grids: Sequence[TileGrid]) -> TileStats:
    """Statistics of every full tile of [H, W, 3] uint8 RGB; none where the image is smaller than a tile.

    Luma is BT.601 in integers (`degrade.images.pixels.luma`), variance the population's, exact up to one division.
    Source: RWSR-EDL section III-E.
    """
    fitting = [grid for grid in grids if min(pixels.shape[:2]) >= grid.size]
    corners = [_corners(pixels.shape, grid) for grid in fitting]
    if not fitting:
        return _NONE
    size = np.concatenate([np.full(len(y), grid.size) for (y, _), grid in zip(corners, fitting, strict=True)])
    total, squares, unclipped = np.split(_tile_sums(pixels, fitting, corners), [4, 8], axis=1)
    count = (size**2)[:, None].astype(np.float64)
    mean = total / count
    variance = (count * squares - total**2) / count**2
    return TileStats(
        y=np.concatenate([y for y, _ in corners]),
        x=np.concatenate([x for _, x in corners]),
        size=size,
        mean=mean[:, 3],
        variance=variance[:, 3],
        channel_mean=mean[:, :3],
        channel_variance=variance[:, :3],
        clipped=((count - unclipped) / count).max(axis=1),
    )


def to_table(found: Sequence[tuple[TileStats, str, str]]) -> pa.Table:
    """The statistics of the tiles of some images, each with its path and its hash, as rows of `SCHEMA`."""
    stats = [each for each, _, _ in found] or [_NONE]
    image = np.repeat(np.arange(len(stats), dtype=np.int32), [len(each.y) for each in stats])
    mean, variance = (np.concatenate([getattr(each, name) for each in stats]) for name in _OF_CHANNELS)
    columns = {
        "source": pa.DictionaryArray.from_arrays(image, pa.array([path for _, path, _ in found], pa.string())),
        "source_sha256": pa.DictionaryArray.from_arrays(image, pa.array([of for _, _, of in found], pa.string())),
        **{name: np.concatenate([getattr(each, name) for each in stats]) for name in _OF_TILES},
        **{f"mean_{c}": mean[:, i] for i, c in enumerate("rgb")},
        **{f"variance_{c}": variance[:, i] for i, c in enumerate("rgb")},
    }
    return pa.Table.from_arrays([pa.array(columns[field.name], field.type) for field in SCHEMA], schema=SCHEMA)

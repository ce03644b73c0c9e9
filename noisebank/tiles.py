"""Statistics of every full tile of an image, from two integral images of its luma."""

from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from ..degrade.image import U8, luma

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("source_sha256", pa.string()),
        ("y", pa.int32()),
        ("x", pa.int32()),
        ("size", pa.int32()),
        ("mean", pa.float64()),
        ("variance", pa.float64()),
        ("clipped", pa.float64()),
    ]
)


class TileGrid(BaseModel):
    """Which tiles of an image are looked at: squares of `size` pixels every `stride` pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: Annotated[int, Field(ge=8)] = 256
    stride: Annotated[int, Field(ge=1)] = 256


@dataclass(frozen=True)
class TileStats:
    """One entry per tile, in raster order: corner, luma mean and variance in grey levels (of 255), and the
    share of pixels at 0 or 255."""

    y: I64
    x: I64
    mean: F64
    variance: F64
    clipped: F64


def _starts(length: int, grid: TileGrid) -> I64:
    """Where the full tiles begin. The last one counts, which the published script drops."""
    return np.arange(0, length - grid.size + 1, grid.stride, dtype=np.int64)


def _window_sums(integral: F64, y: I64, x: I64, size: int) -> I64:
    """The sums over the windows with those corners. Sums of 8-bit levels are whole numbers, exact in float64."""
    sums = integral[y + size, x + size] - integral[y, x + size] - integral[y + size, x] + integral[y, x]
    return sums.astype(np.int64)


def tile_stats(pixels: U8, grid: TileGrid) -> TileStats:
    """Statistics of every full tile of [H, W, 3] uint8 RGB; none where the image is smaller than a tile.

    Luma is BT.601 in integers (`degrade.image.luma`), variance the population's, exact up to one division.
    Source: RWSR-EDL section III-E.
    """
    grey = luma(pixels)
    y, x = (axis.ravel() for axis in np.meshgrid(*(_starts(n, grid) for n in grey.shape), indexing="ij"))
    sums, squares = cv2.integral2(grey, sdepth=cv2.CV_64F, sqdepth=cv2.CV_64F)
    clipped = cv2.integral(((grey == 0) | (grey == 255)).astype(np.uint8), sdepth=cv2.CV_64F)
    count = grid.size**2
    total = _window_sums(np.asarray(sums, dtype=np.float64), y, x, grid.size)
    total_squares = _window_sums(np.asarray(squares, dtype=np.float64), y, x, grid.size)
    return TileStats(
        y=y,
        x=x,
        mean=total / count,
        variance=(count * total_squares - total**2) / count**2,
        clipped=_window_sums(np.asarray(clipped, dtype=np.float64), y, x, grid.size) / count,
    )


def to_table(stats: TileStats, *, source: str, source_sha256: str, size: int) -> pa.Table:
    """The statistics of one image's tiles as rows of `SCHEMA`."""
    n = len(stats.y)
    columns = [
        pa.array([source] * n, pa.string()),
        pa.array([source_sha256] * n, pa.string()),
        pa.array(stats.y, pa.int32()),
        pa.array(stats.x, pa.int32()),
        pa.array([size] * n, pa.int32()),
        pa.array(stats.mean),
        pa.array(stats.variance),
        pa.array(stats.clipped),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)

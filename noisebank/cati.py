"""The characteristic interval (CATI): the range of variance and mean of a data set's flattest tiles."""

from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from ..degrade.errors import UserError

F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class CatiRule(BaseModel):
    """quantile: the share of tiles, by variance, that is taken for noise on a flat ground (the paper: 2 %).

    max_clipped: a tile with a larger share of pixels at 0 or 255 is left out: clipping cuts its noise off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    quantile: Annotated[float, Field(gt=0, le=1)] = 0.02
    max_clipped: Annotated[float, Field(ge=0, le=1)] = 0.05


class Cati(BaseModel):
    """Closed intervals of luma variance and mean (grey levels of 255), and how they came about.

    num_tiles: all tiles. num_noiseless: constant and clipped tiles, which carry no whole noise and are left
    out. num_bottom: tiles that span the interval (ties at its upper end included).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    variance: tuple[float, float]
    mean: tuple[float, float]
    quantile: float
    num_tiles: int
    num_noiseless: int
    num_bottom: int


def _column(tiles: pa.Table, name: str) -> F64:
    return np.asarray(tiles[name])


def carries_noise(tiles: pa.Table, rule: CatiRule) -> Mask:
    """Which tiles are not constant, have a positive mean (the paper: "positive m"), and are not clipped."""
    varies = (_column(tiles, "variance") > 0) & (_column(tiles, "mean") > 0)
    return varies & (_column(tiles, "clipped") <= rule.max_clipped)


def cati(tiles: pa.Table, rule: CatiRule) -> Cati:
    """The interval of the bottom `quantile` of the tiles that carry noise.

    tiles: at least the columns variance, mean and clipped of `tiles.SCHEMA`.

    The ceil(quantile * n) tiles of lowest variance and every tile that ties with the last of them: the
    result does not depend on the order of the tiles. Source: RWSR-EDL section III-E and Algorithm 1, step b,
    read as percentile of all patches (the algorithm's line says images, its text says patches).

    Raises:
        UserError: no tile carries noise.
    """
    variance, mean = _column(tiles, "variance"), _column(tiles, "mean")
    noisy = carries_noise(tiles, rule)
    num_noisy = int(noisy.sum())
    if num_noisy == 0:
        raise UserError(
            f"none of {len(variance)} tiles carries noise (all are constant or clipped, or the images are smaller "
            "than a tile); use other images, or a smaller --size"
        )
    wanted = int(np.ceil(rule.quantile * num_noisy))
    highest = np.partition(variance[noisy], wanted - 1)[wanted - 1]
    bottom = noisy & (variance <= highest)
    return Cati(
        variance=(float(variance[bottom].min()), float(highest)),
        mean=(float(mean[bottom].min()), float(mean[bottom].max())),
        quantile=rule.quantile,
        num_tiles=len(variance),
        num_noiseless=len(variance) - num_noisy,
        num_bottom=int(bottom.sum()),
    )


def inside(tiles: pa.Table, interval: Cati, rule: CatiRule) -> Mask:
    """Which tiles carry noise and lie in both intervals (Algorithm 1, steps c and e)."""
    variance, mean = _column(tiles, "variance"), _column(tiles, "mean")
    in_variance = (variance >= interval.variance[0]) & (variance <= interval.variance[1])
    in_mean = (mean >= interval.mean[0]) & (mean <= interval.mean[1])
    return in_variance & in_mean & carries_noise(tiles, rule)

"""Which tiles are noise on a flat ground: the characteristic interval (CATI), a fixed threshold, or a box by hand."""

from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from ..degrade.family import Frozen

F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

WHITE = 255.0


class CatiRule(Frozen):
    """The tiles inside the interval that the flattest tiles of the target set span (RWSR-EDL section III-E)."""

    kind: Literal["cati"] = "cati"
    quantile: Annotated[float, Field(gt=0, le=1)] = 0.02
    """The share of tiles, by variance, that spans the interval (the paper: 2 %)."""
    min_mean: Annotated[float, Field(ge=0, lt=WHITE)] = 0.0
    """Only tiles of a larger luma mean (the paper: "positive m")."""
    max_clipped: Annotated[float, Field(ge=0, le=1)] = 0.05
    """A tile with a larger share of pixels at 0 or 255 carries no whole noise and is left out, as is a constant one."""
    paper_exact: bool = False
    """Read the paper to the letter: constant and clipped tiles count too."""
    strata: Annotated[int, Field(ge=1, le=64)] = 1
    """The quantile is taken, and the interval spanned, in each of so many equal bands of brightness; a band of fewer
    than 1 / quantile tiles gives none.
    """


class ThresholdRule(Frozen):
    """The published rule of Impressionism and RWSR-EDL's code: variance < max_var and mean > min_mean.

    Both in gray levels of 255, both strict. It takes constant tiles too.
    """

    kind: Literal["threshold"] = "threshold"
    max_var: Annotated[float, Field(gt=0)] = 20.0
    min_mean: Annotated[float, Field(ge=0, lt=WHITE)] = 0.0


class BoxRule(Frozen):
    """The tiles whose variance and mean lie in closed intervals that somebody chose, as `rwsr studio` saves them."""

    kind: Literal["box"] = "box"
    variance: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]
    """Of luma, least and most, in squared gray levels of 255."""
    mean: tuple[Annotated[float, Field(ge=0, le=WHITE)], Annotated[float, Field(ge=0, le=WHITE)]] = (0.0, WHITE)
    """Of luma, least and most, in gray levels of 255."""
    max_clipped: Annotated[float, Field(ge=0, le=1)] = 0.05
    """A tile with a larger share of pixels at 0 or 255 is left out, as is a constant one."""

    @model_validator(mode="after")
    def _rises(self) -> Self:
        for name, (low, high) in (("variance", self.variance), ("mean", self.mean)):
            if low > high:
                raise ValueError(f"{name} = [{low:g}, {high:g}] does not rise; write the least first")
        return self

    @property
    def min_mean(self) -> float:
        """The least mean, as the other rules have it."""
        return self.mean[0]


AnyRule = CatiRule | ThresholdRule | BoxRule
Rule = Annotated[AnyRule, Field(discriminator="kind")]


class Interval(Frozen):
    """Closed intervals of luma variance and mean (gray levels of 255), and how they came about."""

    variance: tuple[float, float]
    mean: tuple[float, float]
    num_candidates: int
    """The tiles that the quantile was taken of."""
    num_bottom: int
    """Those that span the interval."""


class Cati(Frozen):
    """The characteristic interval of a target set: one interval, or one for each band of brightness that has any."""

    intervals: tuple[Interval, ...]


def _column(tiles: pa.Table, name: str) -> F64:
    return np.asarray(tiles[name])


def is_constant(tiles: pa.Table) -> Mask:
    """Which tiles have one luma throughout."""
    return _column(tiles, "variance") == 0


def _carries_noise(tiles: pa.Table, rule: CatiRule | BoxRule) -> Mask:
    return ~is_constant(tiles) & (_column(tiles, "clipped") <= rule.max_clipped)


def left_out(tiles: pa.Table, rule: AnyRule) -> Mask:
    """Which tiles a rule leaves out since they carry no whole noise: constant and clipped ones."""
    if isinstance(rule, ThresholdRule) or (isinstance(rule, CatiRule) and rule.paper_exact):
        return np.zeros(tiles.num_rows, dtype=np.bool_)
    return ~_carries_noise(tiles, rule)


def _bottom(variance: F64, candidates: Mask, quantile: float) -> Mask:
    """The ceil(quantile * n) candidates of lowest variance, and every one that ties with the last of them."""
    wanted = int(np.ceil(quantile * candidates.sum()))
    highest = np.partition(variance[candidates], wanted - 1)[wanted - 1]
    return candidates & (variance <= highest)


def _span(values: F64) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def cati(tiles: pa.Table, rule: CatiRule) -> Cati | None:
    """The interval of the bottom `quantile` of the tiles of a target set; None when no tile can span one.

    tiles: at least the columns variance, mean and clipped of `tiles.SCHEMA`, of one size.

    The ceil(quantile * n) tiles of lowest variance and every tile that ties with the last of them: the
    result does not depend on the order of the tiles. n counts the tiles that carry noise and have a mean above
    min_mean; read literally, it counts all, and those of no positive mean are taken out of the bottom afterwards.
    Source: RWSR-EDL section III-E and Algorithm 1, step b, read as percentile of all patches (the algorithm's
    line says images, its text says patches).
    """
    variance, mean = _column(tiles, "variance"), _column(tiles, "mean")
    bright = mean > rule.min_mean
    candidates = np.ones_like(bright) if rule.paper_exact else bright & _carries_noise(tiles, rule)
    band = np.minimum(mean * rule.strata // WHITE, rule.strata - 1)
    intervals: list[Interval] = []
    for stratum in range(rule.strata):
        inside_band = candidates & (band == stratum)
        count = int(inside_band.sum())
        if count == 0 or (rule.strata > 1 and count * rule.quantile < 1):
            continue
        bottom = _bottom(variance, inside_band, rule.quantile) & bright
        if bottom.any():
            intervals.append(
                Interval(
                    variance=_span(variance[bottom]),
                    mean=_span(mean[bottom]),
                    num_candidates=count,
                    num_bottom=int(bottom.sum()),
                )
            )
    return Cati(intervals=tuple(intervals)) if intervals else None


def accepts(tiles: pa.Table, rule: AnyRule, interval: Cati | None) -> Mask:
    """Which tiles of any set go into the bank (Algorithm 1, steps c and e; for a threshold, the published rule)."""
    variance, mean = _column(tiles, "variance"), _column(tiles, "mean")
    if isinstance(rule, BoxRule):
        (low, high), (dark, light) = rule.variance, rule.mean
        inside = (variance >= low) & (variance <= high) & (mean >= dark) & (mean <= light)
        return inside & _carries_noise(tiles, rule)
    bright = mean > rule.min_mean
    if isinstance(rule, ThresholdRule):
        return bright & (variance < rule.max_var)
    assert interval is not None
    taken = np.zeros_like(bright)
    for part in interval.intervals:
        in_variance = (variance >= part.variance[0]) & (variance <= part.variance[1])
        taken |= in_variance & (mean >= part.mean[0]) & (mean <= part.mean[1])
    return taken & bright & ~left_out(tiles, rule)

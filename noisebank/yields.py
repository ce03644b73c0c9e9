"""What each rule would take, from the tile tables alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..degrade.config import compose
from .cati import AnyRule, Cati, CatiRule, Mask, ThresholdRule, accepts, cati


@dataclass(frozen=True)
class SetYield:
    """What a rule takes of one set."""

    name: str
    num_tiles: int
    num_patches: int
    num_images: int


@dataclass(frozen=True)
class Yield:
    """What a rule takes of every set at one tile size; no interval for a threshold, or where no tile can span one."""

    size: int
    rule: AnyRule
    cati: Cati | None
    sets: tuple[SetYield, ...]


def _num_images(tiles: pa.Table, taken: Mask) -> int:
    codes = tiles["source_sha256"].unify_dictionaries().combine_chunks().indices
    return len(np.unique(np.asarray(codes)[taken]))


def _take(name: str, tiles: pa.Table, taken: Mask) -> SetYield:
    return SetYield(name, tiles.num_rows, int(taken.sum()), _num_images(tiles, taken) if taken.any() else 0)


def yields(sets: Mapping[str, pa.Table], rules: Sequence[AnyRule], *, size: int) -> list[Yield]:
    """What each rule takes.

    sets: the tile tables of one size by the set's name, the target first, whose tiles span the interval.
    """
    target = next(iter(sets.values()))
    found: list[Yield] = []
    for rule in rules:
        interval = cati(target, rule) if isinstance(rule, CatiRule) else None
        if isinstance(rule, CatiRule) and interval is None:
            taken = {name: np.zeros(tiles.num_rows, dtype=np.bool_) for name, tiles in sets.items()}
        else:
            taken = {name: accepts(tiles, rule, interval) for name, tiles in sets.items()}
        found.append(Yield(size, rule, interval, tuple(_take(name, sets[name], mask) for name, mask in taken.items())))
    return found


def rules_of(
    quantiles: Sequence[float] = (), min_means: Sequence[float] = (), max_vars: Sequence[float] = (), strata: int = 1
) -> list[AnyRule]:
    """Every rule of those numbers, by least mean; of none of a kind, the usual ones. Raises UserError where one breaks
    a bound.
    """
    rules: list[AnyRule] = []
    for low in min_means or (0.0, 50.0):
        shares = quantiles or (0.005, 0.01, 0.02, 0.05, 0.1)
        rules += [compose(CatiRule(), quantile=each, min_mean=low, strata=strata) for each in shares]
        rules += [compose(ThresholdRule(), max_var=each, min_mean=low) for each in max_vars or (20.0,)]
    return rules

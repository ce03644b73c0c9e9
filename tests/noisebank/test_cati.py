"""The CATI equals a literal reading of Algorithm 1, ties and all, whatever the order of the tiles."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwsr.noisebank.cati import BoxRule, CatiRule, ThresholdRule, accepts, cati, left_out

Row = tuple[float, float, float]


def _table(rows: list[Row]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    return pa.table(
        {name: pa.array(c, pa.float64()) for name, c in zip(("variance", "mean", "clipped"), columns, strict=True)}
    )


TILE = st.tuples(st.integers(0, 12).map(float), st.integers(0, 9).map(float), st.sampled_from([0.0, 0.04, 0.3]))
QUANTILE = st.sampled_from([0.02, 0.1, 0.5, 1.0])


def _loop(rows: list[Row], candidates: list[Row], quantile: float, min_mean: float) -> list[Row]:
    """Sort, count off the bottom share, widen by ties, take the ends: what lies inside them of the candidates."""
    last = sorted(candidates)[math.ceil(quantile * len(candidates)) - 1][0]
    bottom = [row for row in candidates if row[0] <= last and row[1] > min_mean]
    if not bottom:
        return []
    variances, means = [row[0] for row in bottom], [row[1] for row in bottom]
    return sorted(
        row
        for row in rows
        if row in candidates
        and row[1] > min_mean
        and min(variances) <= row[0] <= max(variances)
        and min(means) <= row[1] <= max(means)
    )


def _taken(rows: list[Row], rule: CatiRule | ThresholdRule) -> list[Row]:
    table = _table(rows)
    interval = cati(table, rule) if isinstance(rule, CatiRule) else None
    if isinstance(rule, CatiRule) and interval is None:
        return []
    return sorted(row for row, is_in in zip(rows, accepts(table, rule, interval), strict=True) if is_in)


@given(st.lists(TILE, min_size=1, max_size=80), QUANTILE, st.sampled_from([0.0, 4.0]))
def test_matches_a_literal_loop(rows: list[Row], quantile: float, min_mean: float) -> None:
    """Tiles without noise are left out before the bottom share is counted off."""
    rule = CatiRule(quantile=quantile, min_mean=min_mean)
    good = [row for row in rows if row[0] > 0 and row[1] > min_mean and row[2] <= 0.05]
    assert _taken(rows, rule) == (_loop(rows, good, quantile, min_mean) if good else [])


@given(st.lists(TILE, min_size=1, max_size=80), QUANTILE)
def test_the_literal_reading_counts_every_tile(rows: list[Row], quantile: float) -> None:
    """Constant and clipped tiles too; only those of mean 0 are taken out of the bottom, after it was counted off."""
    rule = CatiRule(quantile=quantile, paper_exact=True)
    assert _taken(rows, rule) == _loop(rows, rows, quantile, 0)


@given(st.lists(TILE, min_size=3, max_size=40), st.randoms())
def test_the_order_of_the_tiles_does_not_count(rows: list[Row], random) -> None:
    """Bsrgan tiles give the same interval."""
    rows = [*rows, (3.0, 5.0, 0.0)]
    shuffled = rows.copy()
    random.shuffle(shuffled)
    assert cati(_table(rows), CatiRule()) == cati(_table(shuffled), CatiRule())


def test_constant_and_clipped_tiles_are_left_out_and_counted() -> None:
    """A black corner and a burnt-out sky would otherwise be the whole bottom 2 %."""
    rng = np.random.default_rng(0)
    rows = (
        [(0.0, 0.0, 1.0)] * 50 + [(0.2, 254.9, 0.9)] * 30 + [(float(v), 100.0, 0.0) for v in rng.uniform(5, 900, 100)]
    )
    found = cati(_table(rows), CatiRule())
    assert found is not None and len(found.intervals) == 1
    assert found.intervals[0].num_candidates == 100 and found.intervals[0].num_bottom == 2
    assert found.intervals[0].mean == (100, 100) and left_out(_table(rows), CatiRule()).sum() == 80


def test_nothing_but_constant_tiles_spans_no_interval() -> None:
    """None, for the caller to explain; read literally, a gray constant tile is one."""
    rows = [(0.0, 128.0, 0.0)] * 10
    assert cati(_table(rows), CatiRule()) is None
    assert len(_taken(rows, CatiRule(paper_exact=True))) == 10


@given(st.lists(TILE, min_size=1, max_size=40))
def test_the_threshold_is_the_published_comparison(rows: list[Row]) -> None:
    """variance < max_var and mean > min_mean, both strict; constant tiles are in."""
    rule = ThresholdRule(max_var=5, min_mean=2)
    assert _taken(rows, rule) == sorted(row for row in rows if row[0] < 5 and row[1] > 2)


def test_a_box_takes_what_lies_in_it_and_carries_noise() -> None:
    """Both ends count; constant and clipped tiles are left out; a box that falls is refused."""
    rows = [(1.0, 50.0, 0.0), (2.0, 60.0, 0.0), (3.0, 70.0, 0.0), (2.0, 80.0, 0.2), (0.0, 60.0, 0.0), (2.0, 49.0, 0.0)]
    box = BoxRule(variance=(1, 2), mean=(50, 80))
    assert accepts(_table(rows), box, None).tolist() == [True, True, False, False, False, False]
    assert left_out(_table(rows), box).tolist() == [False, False, False, True, True, False]
    with pytest.raises(ValueError, match="does not rise; write the least first"):
        BoxRule(variance=(2, 1))


def test_strata_keep_a_bank_from_being_all_sky() -> None:
    """Of a bright flat sky and a dark, noisier ground one quantile takes sky only; with strata each gives its share."""
    rng = np.random.default_rng(0)
    sky = [(float(v), 220.0, 0.0) for v in rng.uniform(0.5, 1, 200)]
    ground = [(float(v), 40.0, 0.0) for v in rng.uniform(5, 50, 200)]
    assert {row[1] for row in _taken(sky + ground, CatiRule(quantile=0.05))} == {220.0}
    taken = _taken(sky + ground, CatiRule(quantile=0.05, strata=4))
    assert [sum(row[1] == mean for row in taken) for mean in (40.0, 220.0)] == [10, 10]


def test_a_band_with_too_few_tiles_gives_none() -> None:
    """One tile is no 2 % of anything: it may be texture."""
    rows = [(float(v), 40.0, 0.0) for v in range(1, 101)] + [(700.0, 220.0, 0.0)]
    found = cati(_table(rows), CatiRule(strata=2))
    assert found is not None and [part.num_candidates for part in found.intervals] == [100]


@pytest.mark.parametrize("mean", [0.01, 254.99, 255.0])
def test_every_mean_has_a_band(mean: float) -> None:
    """White belongs to the last band."""
    assert len(_taken([(1.0, mean, 0.0)] * 50, CatiRule(strata=7))) == 50

"""The CATI equals a literal reading of Algorithm 1, ties and all, whatever the order of the tiles."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwsr.degrade.errors import UserError
from rwsr.noisebank.cati import CatiRule, cati, inside


def _table(rows: list[tuple[float, float, float]]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    return pa.table(
        {name: pa.array(c, pa.float64()) for name, c in zip(("variance", "mean", "clipped"), columns, strict=True)}
    )


TILE = st.tuples(st.integers(0, 12).map(float), st.integers(0, 9).map(float), st.sampled_from([0.0, 0.04, 0.3]))


@given(st.lists(TILE, min_size=1, max_size=80), st.sampled_from([0.02, 0.1, 0.5, 1.0]))
def test_matches_a_literal_loop(rows: list[tuple[float, float, float]], quantile: float) -> None:
    """Sort, count off the bottom share, widen by ties, take the ends, collect what lies inside."""
    rule = CatiRule(quantile=quantile)
    good = sorted(row for row in rows if row[0] > 0 and row[1] > 0 and row[2] <= rule.max_clipped)
    if not good:
        with pytest.raises(UserError, match="carries noise"):
            cati(_table(rows), rule)
        return
    last = good[math.ceil(quantile * len(good)) - 1][0]
    bottom = [row for row in good if row[0] <= last]
    means = [row[1] for row in bottom]
    found = cati(_table(rows), rule)
    assert found.variance == (bottom[0][0], last) and found.mean == (min(means), max(means))
    assert (found.num_bottom, found.num_noiseless) == (len(bottom), len(rows) - len(good))
    taken = [row for row, is_in in zip(rows, inside(_table(rows), found, rule), strict=True) if is_in]
    assert sorted(taken) == [row for row in good if row[0] <= last and min(means) <= row[1] <= max(means)]


@given(st.lists(TILE, min_size=3, max_size=40), st.randoms())
def test_the_order_of_the_tiles_does_not_count(rows: list[tuple[float, float, float]], random) -> None:
    """Shuffled tiles give the same interval."""
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
    assert found.num_noiseless == 80 and found.num_bottom == 2 and found.mean == (100, 100)

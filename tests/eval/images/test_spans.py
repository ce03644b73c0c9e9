"""How an image is cut into tiles: all of it once, each with room around, of one size, and no more of it than needed."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwsr.eval.images.tiling import OVERLAP_PX, _spans


@given(st.integers(1, 3000), st.integers(32, 600), st.integers(0, 48))
def test_every_pixel_is_written_and_seen_with_room_around_it(length: int, tile: int, overlap: int) -> None:
    overlap = min(overlap, int(tile / 2.5))
    spans = _spans(length, tile, overlap)
    assert spans[0].write.start == 0 and spans[-1].write.stop == length
    assert len({len(span.read) for span in spans}) == 1 and len(spans[0].read) <= max(1, tile)
    for span in spans:
        assert 0 <= span.read.start and span.read.stop <= length
    for before, after in pairwise(spans):
        fade = overlap // 4
        border = after.write.start + fade
        assert before.write.stop == border + fade and after.fade == 2 * fade
        assert after.read.start <= border - overlap and before.read.stop >= border + overlap


@pytest.mark.parametrize(
    ("length", "tile", "most"), [(400, 256, 1.55), (1000, 512, 1.7), (513, 512, 1.5), (257, 256, 2)]
)
def test_little_is_computed_twice(length: int, tile: int, most: float) -> None:
    """Of both axes; tiles that are all as large as allowed computed 3.7 times an image of 400 px."""
    computed = sum(len(span.read) for span in _spans(length, tile, OVERLAP_PX))
    assert (computed / length) ** 2 <= most


def test_there_are_no_more_tiles_than_their_size_asks_for() -> None:
    for length in range(257, 2000, 13):
        assert len(_spans(length, 256, 48)) == math.ceil((length - 96) / 160)

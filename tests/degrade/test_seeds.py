"""Streams depend on what they are for, and on nothing else."""

import numpy as np

from rwsr.degrade import seeds


def test_same_identity_same_numbers() -> None:
    """The same seed and identity give the same draws, whatever was drawn in between."""
    first = seeds.stream(7, "box", "abc", 3).random(5)
    seeds.stream(7, "box", "abc", 4).random(100)
    assert np.array_equal(seeds.stream(7, "box", "abc", 3).random(5), first)


def test_every_part_of_the_identity_counts() -> None:
    """Another seed, stage, source or sample, and "1" against 1, are other streams."""
    keys = {
        seeds.key(0, "box", "a", 1),
        seeds.key(1, "box", "a", 1),
        seeds.key(0, "noise", "a", 1),
        seeds.key(0, "box", "b", 1),
        seeds.key(0, "box", "a", 2),
        seeds.key(0, "box", "a", "1"),
        seeds.key(0, "boxa", 1),
    }
    assert len(keys) == 7


def test_the_key_is_pinned() -> None:
    """Stores of other machines stay reproducible: this number must never change."""
    assert seeds.key(0, "group", "00", 0) == 136930578217963701873559741220909540060

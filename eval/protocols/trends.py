"""How a figure runs along something that rises in equal steps: whether it always rises, and whether it jumps."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.stats import spearmanr


def spearman(values: Sequence[float]) -> float:
    """Rank correlation with the places: 1 where every value is greater than the one before, -1 where less; 0 where all
    are one."""
    if len(set(values)) == 1:
        return 0.0
    return float(np.asarray(spearmanr(range(len(values)), values))[0])


def largest_step(values: Sequence[float]) -> float:
    """The largest difference of neighbours, of that of the least and the greatest: of n values 1 / (n - 1) where they
    are even, 1 where all happens at once; 0 where all are one."""
    reach = max(values) - min(values)
    return max(abs(b - a) for a, b in pairwise(values)) / reach if reach else 0.0

"""How a figure runs along something that rises in equal steps: whether it always rises, and whether it jumps."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr


def spearman(values: Sequence[float]) -> float:
    """Rank correlation with the places: 1 where every value is greater than the one before, -1 where less; 0 where all
    are one."""
    if len(set(values)) == 1:
        return 0.0
    return float(np.asarray(spearmanr(range(len(values)), values))[0])

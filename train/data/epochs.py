"""The order in which samples are met: every epoch a new permutation of all of them."""

import numpy as np
import numpy.typing as npt

from ...degrade.images.pixels import I64
from ...degrade.seeds import stream


class Epochs:
    """Items without an end, none of them twice before all of them; of the epochs the order of the last one is kept.

    stage, key: what the streams are called beside the seed.
    """

    def __init__(self, items: npt.ArrayLike, seed: int, stage: str, *key: str | int) -> None:
        self._items = np.asarray(items, dtype=np.int64)
        self._seed, self._stage, self._key = seed, stage, key
        self._kept: tuple[int, I64] | None = None

    def __len__(self) -> int:
        return len(self._items)

    def order(self, epoch: int) -> I64:
        """All items, as that epoch meets them."""
        if self._kept is None or self._kept[0] != epoch:
            drawn = stream(self._seed, self._stage, *self._key, epoch).permutation(len(self._items))
            self._kept = epoch, self._items[drawn]
        return self._kept[1]

    def batch(self, step: int, size: int) -> I64:
        """The items of a step; what does not fill a batch at the end of an epoch is left out of it."""
        epoch, place = divmod(step, len(self._items) // size)
        return self.order(epoch)[place * size : (place + 1) * size]

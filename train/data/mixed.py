"""Several stores as one without an end: so many of each in a thousand samples, none of it twice before all of it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...degrade.errors import UserError
from ...degrade.images.pixels import I64
from ...degrade.seeds import stream
from .batches import GroupSource, Samples
from .epochs import Epochs

_CYCLE = 1000  # samples that hold the stores by their weights


class MixedGroups:
    """A `GroupSource`: sample n is of the store, and the next of a permutation of it, that (seed, n) say.

    weights: how often each is drawn, of any sum; None draws by the number of its samples.

    Raises:
        UserError: the stores are not for one training, or the weights not one for each.
    """

    def __init__(self, parts: Sequence[GroupSource], weights: Sequence[float] | None, seed: int) -> None:
        self.parts = list(parts)
        first = self.parts[0]
        for name in ("scale", "members", "conditions"):
            for part in self.parts:
                if getattr(part, name) != getattr(first, name):
                    raise UserError(
                        f"{first.name} has {name} {getattr(first, name)}, {part.name} {getattr(part, name)}; a "
                        "training takes stores of one kind and scale"
                    )
        self.name = " and ".join(part.name for part in self.parts)
        self.scale, self.members, self.conditions = first.scale, first.members, first.conditions
        self.lr_size_px = min(part.lr_size_px for part in self.parts)
        self.sharpened = all(part.sharpened for part in self.parts)
        self.in_use = None
        self._epochs = [Epochs(_in_use(part), seed, "mixed-epoch", number) for number, part in enumerate(self.parts)]
        self.shares = _shares([len(each) for each in self._epochs] if weights is None else weights, len(self.parts))
        counts = _counts(self.shares)
        order = stream(seed, "mix").permutation(_CYCLE)
        self._part_of = np.repeat(np.arange(len(counts)), counts)[order]
        self._before = np.stack([np.cumsum(self._part_of == k) - (self._part_of == k) for k in range(len(counts))])
        self._counts = counts

    def _find(self, sample: int) -> tuple[int, int]:
        """(which store, which of its samples)."""
        cycle, place = divmod(sample, _CYCLE)
        part = int(self._part_of[place])
        drawn = cycle * int(self._counts[part]) + int(self._before[part, place])
        epoch, at = divmod(drawn, len(self._epochs[part]))
        return part, int(self._epochs[part].order(epoch)[at])

    def read(self, samples: list[int]) -> Samples:
        found = [self._find(sample) for sample in samples]
        hr: dict[int, npt.NDArray[np.uint8]] = {}
        lr: dict[int, npt.NDArray[np.uint8]] = {}
        condition: dict[int, npt.NDArray[np.float32]] = {}
        own_noise = [False] * len(samples)
        for number, part in enumerate(self.parts):
            places = [place for place, (of, _) in enumerate(found) if of == number]
            if places:
                read = part.read([found[place][1] for place in places])
                for i, place in enumerate(places):
                    hr[place], lr[place], condition[place] = read.hr[i], read.lr[i], read.condition[i]
                    own_noise[place] = bool(read.own_noise) and read.own_noise[i]
        order = range(len(samples))
        conditions = np.stack([condition[i] for i in order])
        return Samples([hr[i] for i in order], [lr[i] for i in order], conditions, own_noise)


def _in_use(part: GroupSource) -> "Sequence[int] | I64":
    if part.in_use is None or not len(part.in_use):
        raise UserError(f"{part.name} has no sample in use; name another store")
    return part.in_use


def _shares(weights: Sequence[float], count: int) -> list[float]:
    if len(weights) != count or not all(weight > 0 for weight in weights):
        raise UserError(f"weights = {list(weights)} are not one above 0 for each of {count} stores")
    return [weight / sum(weights) for weight in weights]


def _counts(shares: Sequence[float]) -> npt.NDArray[np.int64]:
    """Of a cycle, each store at least one: whole parts, and what is left to the largest rests."""
    wanted = np.array(shares) * _CYCLE
    counts = np.maximum(np.floor(wanted).astype(np.int64), 1)
    while counts.sum() != _CYCLE:
        off = wanted - counts
        k = int(off.argmax()) if counts.sum() < _CYCLE else int(np.where(counts > 1, off, np.inf).argmin())
        counts[k] += 1 if counts.sum() < _CYCLE else -1
    return counts

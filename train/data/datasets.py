"""Stores as map-style torch datasets, for training scripts of one's own.

    from torch.utils.data import DataLoader
    from rwsr.train.data.datasets import GroupDataset
    loader = DataLoader(GroupDataset("groups.zarr", lr_patch_px=48), batch_size=8, shuffle=True, num_workers=4)

Safe under fork, spawn and threads; a torch DistributedSampler shards them.
"""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...degrade.errors import UserError
from ...degrade.images.pixels import I64
from ...degrade.manifest import conditions_of, in_use
from ...degrade.recipes.store_config import GROUPS, PAIRS
from ...degrade.seeds import stream
from ...degrade.storage.location import Place, place
from ...degrade.storage.shards.reader import ShardReader
from ...degrade.storage.shards.store import Store, open_store
from ...eval.images.tensors import to_tensor
from .crops import drawn_crop, drawn_turn


class GroupItem(TypedDict):
    """hr [3, H, W], lr [5, 3, h, w] in the order of the store's members, float32 in [0, 1]; sample: its number."""

    hr: Tensor
    lr: Tensor
    sample: int


class PairItem(TypedDict):
    """hr [3, H, W], lr [3, h, w], float32 in [0, 1]; sample: its number; condition [C]: of CUGAN z, else empty."""

    hr: Tensor
    lr: Tensor
    sample: int
    condition: Tensor


class _Samples:
    """What both data sets do: which samples there are, reading them, and cutting and turning HR and LR alike.

    Crops and turns are drawn from the stream of (seed, epoch, sample): the same for any number of workers.
    """

    def __init__(self, store: Store, samples: I64, lr_patch_px: int | None, augment: bool, seed: int) -> None:
        self._hr, self._lr = ShardReader(store, "hr"), ShardReader(store, "lr")
        self._samples = samples
        self._size_px = store.layout.array("lr").sample_shape[1]
        self._patch_px = self._size_px if lr_patch_px is None else lr_patch_px
        self._augment, self._seed = augment, seed
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # workers that live on see it change
        if not 1 <= self._patch_px <= self._size_px:
            raise UserError(
                f"lr_patch_px = {lr_patch_px} is not from 1 to {self._size_px}, the LR side of {store.path}"
            )

    def __len__(self) -> int:
        return len(self._samples)

    def set_epoch(self, epoch: int) -> None:
        self._epoch.fill_(epoch)

    def read(self, indices: Sequence[int]) -> list[tuple[int, Tensor, Tensor]]:
        """(sample, hr [3, H, W], lr [K, 3, h, w]) of each index."""
        samples = [int(self._samples[index]) for index in indices]
        found: list[tuple[int, Tensor, Tensor]] = []
        for sample, hr, lr in zip(samples, self._hr.read(samples), self._lr.read(samples), strict=True):
            rng = stream(self._seed, "dataset", int(self._epoch), sample)
            hr, lr = drawn_crop(hr, lr, self._patch_px, rng)
            if self._augment:
                turn = drawn_turn(rng, use_rot90=True)
                hr, lr = turn.of(hr), turn.of(lr)
            found.append((sample, to_tensor(np.ascontiguousarray(hr)), to_tensor(np.ascontiguousarray(lr))))
        return found


class GroupDataset(Dataset[GroupItem]):
    """Contrast and anchor groups of a store that `rwsr degrade build --preset mm-realsr` wrote.

    lr_patch_px: a random crop of each LR and the same place of HR; None is the whole. augment: random flips and
    transposition. disordered: also groups whose measured order is not the one of their levels, when the store was
    built to flag them. members: the names of the five LR images, in their order. Call `set_epoch` before each epoch,
    as of a DistributedSampler, and crops are drawn anew.

    Raises:
        StoreError: the store is missing, unfinished or not one of groups.
        UserError: lr_patch_px is larger than the LR images.
    """

    def __init__(
        self,
        path: str | Place,
        *,
        lr_patch_px: int | None = None,
        augment: bool = True,
        disordered: bool = False,
        seed: int = 0,
    ) -> None:
        store = open_store(place(path), GROUPS)
        self.members: tuple[str, ...] = tuple(store.attributes["members"])
        kept = np.arange(store.layout.num_samples) if disordered else in_use(store)
        self._samples = _Samples(store, kept, lr_patch_px, augment, seed)

    def __len__(self) -> int:
        return len(self._samples)

    def set_epoch(self, epoch: int) -> None:
        """Draw crops and turns of another epoch from here on, in running workers too."""
        self._samples.set_epoch(epoch)

    def __getitems__(self, indices: Sequence[int]) -> list[GroupItem]:
        """A batch, read at once; a DataLoader asks for this."""
        return [GroupItem(hr=hr, lr=lr, sample=sample) for sample, hr, lr in self._samples.read(indices)]

    def __getitem__(self, index: int) -> GroupItem:
        return self.__getitems__([index])[0]


class PairDataset(Dataset[PairItem]):
    """LR/HR pairs of a store that `rwsr degrade build` wrote with any preset but mm-realsr; as `GroupDataset`."""

    def __init__(
        self, path: str | Place, *, lr_patch_px: int | None = None, augment: bool = True, seed: int = 0
    ) -> None:
        store = open_store(place(path), PAIRS)
        self._conditions = torch.from_numpy(conditions_of(store))
        self._samples = _Samples(store, np.arange(store.layout.num_samples), lr_patch_px, augment, seed)

    def __len__(self) -> int:
        return len(self._samples)

    def set_epoch(self, epoch: int) -> None:
        """Draw crops and turns of another epoch from here on, in running workers too."""
        self._samples.set_epoch(epoch)

    def __getitems__(self, indices: Sequence[int]) -> list[PairItem]:
        """A batch, read at once; a DataLoader asks for this."""
        return [
            PairItem(hr=hr, lr=lr[0], sample=sample, condition=self._conditions[sample])
            for sample, hr, lr in self._samples.read(indices)
        ]

    def __getitem__(self, index: int) -> PairItem:
        return self.__getitems__([index])[0]

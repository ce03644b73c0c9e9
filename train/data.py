"""Training batches from a store of groups; a batch is a pure function of (store, seed, step)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..degrade.errors import UserError
from ..degrade.image import U8
from ..degrade.reader import ShardReader
from ..degrade.samples import in_use
from ..degrade.seeds import stream
from ..degrade.shards import Store
from ..eval.tensors import to_tensor


@dataclass(frozen=True)
class GroupBatch:
    """hr [B, 3, H, W] and lr [B, 5, 3, h, w], float32 in [0, 1]."""

    hr: Tensor
    lr: Tensor

    def to(self, device: torch.device) -> "GroupBatch":
        return GroupBatch(self.hr.to(device), self.lr.to(device))


class GroupBatches(Dataset[GroupBatch]):
    """Batch number `step` of a training: which groups, which crop and flip of each, all from keyed streams.

    Every epoch is a new permutation of the store; a crop is lr_patch_px of each LR and the same place of HR.
    """

    def __init__(self, store: Store, *, groups: int, lr_patch_px: int, seed: int) -> None:
        self._hr, self._lr = ShardReader(store, "hr"), ShardReader(store, "lr")
        self._scale = int(store.attributes["scale"])
        self._lr_size_px = store.layout.array("lr").sample_shape[1]
        self._groups, self._patch, self._seed = groups, lr_patch_px, seed
        self._in_use = np.array(in_use(store), dtype=np.int64)
        if groups > len(self._in_use):
            raise UserError(
                f"loop.groups = {groups} is more than the {len(self._in_use)} groups in order of {store.path}; lower it"
            )
        if lr_patch_px > self._lr_size_px:
            raise UserError(
                f"loop.lr_patch_px = {lr_patch_px} is larger than the LR of {store.path}; "
                f"use {self._lr_size_px} at most"
            )

    def _samples(self, step: int) -> list[int]:
        batches_per_epoch = len(self._in_use) // self._groups
        epoch, place = divmod(step, batches_per_epoch)
        order = self._in_use[stream(self._seed, "epoch", epoch).permutation(len(self._in_use))]
        return order[place * self._groups : (place + 1) * self._groups].tolist()

    def _crop(self, hr: U8, lr: U8, rng: np.random.Generator) -> tuple[U8, U8]:
        y, x = rng.integers(0, self._lr_size_px - self._patch + 1, size=2)
        s, p = self._scale, self._patch
        hr, lr = hr[y * s : (y + p) * s, x * s : (x + p) * s], lr[:, y : y + p, x : x + p]
        if rng.random() < 0.5:
            hr, lr = hr[:, ::-1], lr[:, :, ::-1]
        return hr, lr

    def __getitem__(self, step: int) -> GroupBatch:
        samples = self._samples(step)
        pairs = [
            self._crop(hr, lr, stream(self._seed, "augment", step, sample))
            for sample, hr, lr in zip(samples, self._hr.read(samples), self._lr.read(samples), strict=True)
        ]
        return GroupBatch(
            hr=to_tensor(np.stack([hr for hr, _ in pairs])), lr=to_tensor(np.stack([lr for _, lr in pairs]))
        )

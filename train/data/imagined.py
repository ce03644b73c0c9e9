"""What a store for a training says of itself, where there is none: to know what the training takes before there is."""

from typing import Any

import torch

from .batches import GroupBatch, GroupSource, LrBatch, Samples


class ImaginedGroups:
    """A `GroupSource` of the shapes that a config learns from, which no sample can be read of."""

    name, lr_size_px, sharpened, in_use = "a store that is not there", 2**14, False, list(range(2**10))

    def __init__(self, config: Any) -> None:
        """config: of any method."""
        self.scale = getattr(config.network, "scale", 1)
        self.conditions = 3 if config.method == "corruption-classifier" else 2  # who is told of none takes no harm
        self.photographs = bool(config.photographs_for)
        self.members = 5 if config.method == "mm-realsr" and getattr(config.network, "modulated", False) else 1

    def read(self, samples: list[int]) -> Samples:
        raise NotImplementedError(f"{self.name} has no samples")

    def batch(self, count: int, lr_patch_px: int) -> GroupBatch:
        """A batch of that shape; what its numbers are is not said."""
        return imagined(self, count, lr_patch_px, photographs=self.photographs)


def imagined(groups: GroupSource, count: int, lr_patch_px: int, *, photographs: bool = False) -> GroupBatch:
    """A batch of such groups; what its numbers are is not said. photographs: beside crops of such."""
    lr_px, hr_px = lr_patch_px, lr_patch_px * groups.scale
    hr, lr = torch.empty(count, 3, hr_px, hr_px), torch.empty(count, groups.members, 3, lr_px, lr_px)
    beside = torch.empty(count, 3, lr_px, lr_px) if photographs else None
    return GroupBatch(hr, lr, torch.empty(count, groups.conditions), torch.zeros(count, dtype=torch.int64), beside)


def imagined_lr(count: int, lr_patch_px: int) -> LrBatch:
    """A batch of LR alone; what its numbers are is not said."""
    return LrBatch(torch.empty(count, 3, lr_patch_px, lr_patch_px), torch.zeros(count, dtype=torch.int64))

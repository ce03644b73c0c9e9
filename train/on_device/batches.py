"""Batches whose samples are only planned and cut by the loaders, and rendered by the device that trains."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...degrade.images.pixels import U8
from ...degrade.samples import Source, draw_sample
from ...eval.images.kept import to_device
from ...eval.images.restoring import in_fp32
from ..data.batches import GroupBatch, GroupBatches, GroupSource
from ..data.on_the_fly import LiveGroups
from .samples import Made, made_of

_TRIES = 4  # of a group until it is in order; 22 % of the first draws are not, so 1 of 500 groups wants more
_LEVEL = float(np.float32(1 / 255))


@dataclass(frozen=True)
class PlannedSample:
    """A sample by its number, and its first draws: source, number and crop [size, size, 3] uint8 of each."""

    number: int
    tries: Sequence[tuple[Source, int, Tensor]]


@dataclass(frozen=True)
class PlannedBatch:
    """Samples of a step. noise: of a bank, [B, 1, 3, h, w], which is added to LR. photographs: crops, [B, 3, h, w]."""

    step: int
    samples: Sequence[PlannedSample]
    noise: Tensor | None = None
    photographs: Tensor | None = None

    def pin_memory(self) -> "PlannedBatch":
        pinned = [
            PlannedSample(each.number, [(source, draw, crop.pin_memory()) for source, draw, crop in each.tries])
            for each in self.samples
        ]
        noise, photographs = (None if each is None else each.pin_memory() for each in (self.noise, self.photographs))
        return replace(self, samples=pinned, noise=noise, photographs=photographs)


class PlannedBatches(Dataset[PlannedBatch]):
    """The batches of `GroupBatches`, of the same samples with the same numbers, crops and turns, but rendered by the
    device, whose arithmetic ends in other last digits.
    """

    def __init__(self, batches: GroupBatches, groups: LiveGroups) -> None:
        self._batches, self._groups = batches, groups
        recipe = groups.config.recipe
        self._tries = 1 if recipe.keeps_disorder else _TRIES

    def __getitem__(self, step: int) -> PlannedBatch:
        numbers = self._batches.samples(step)
        samples = [
            PlannedSample(number, [(each.source, each.draw, _levels(each.crop)) for each in tries])
            for number, tries in zip(numbers, self._groups.tries(numbers, self._tries), strict=True)
        ]
        noise = self._batches.noise(step, numbers) if self._batches.has_noise else None
        return PlannedBatch(step, samples, noise, self._batches.photographs(step, numbers))

    def put(self, batch: PlannedBatch, device: torch.device) -> GroupBatch:
        """The batch rendered on the device."""
        with torch.no_grad(), in_fp32():
            made, conditions = self._made(batch, device)
            pairs = [self._cropped(batch.step, each.number, one) for each, one in zip(batch.samples, made, strict=True)]
            lr = torch.stack([lr for _, lr in pairs]) / 255
            if batch.noise is not None:
                lr = (lr + batch.noise.to(device, non_blocking=True)).clamp(0, 1)
            photographs = batch.photographs
            return GroupBatch(
                hr=torch.stack([hr for hr, _ in pairs]) / 255,
                lr=lr,
                photographs=None if photographs is None else photographs.to(device, non_blocking=True).float() / 255,
                condition=to_device(torch.from_numpy(np.array(conditions, np.float32).reshape(len(made), -1)), device),
                keys=self._batches.keys(batch.step, [each.number for each in batch.samples]),
            )

    def _made(self, batch: PlannedBatch, device: torch.device) -> tuple[list[Made], list[tuple[float, ...]]]:
        """The samples, each the first of its tries that is in order, and what a network is told of them; what is in
        order in none of them, the CPU goes on with.
        """
        found: dict[int, Made] = {}
        conditions: dict[int, tuple[float, ...]] = {}
        left = list(range(len(batch.samples)))
        for number in range(self._tries):
            tries = [batch.samples[i].tries[number] for i in left]
            draws = [
                draw_sample(self._groups.config, source, batch.samples[i].number, draw, None)
                for i, (source, draw, _) in zip(left, tries, strict=True)
            ]
            made = made_of(draws, [_on(crop, device) for _, _, crop in tries])
            for i, drawn, one in zip(left, draws, made, strict=True):
                if one.in_order or self._groups.config.recipe.keeps_disorder:
                    found[i], conditions[i] = one, drawn.condition or ()
            left = [i for i in left if i not in found]
            if not left:
                break
        for i in left:
            drawn, rendered = self._groups.render(batch.samples[i].number)
            found[i] = Made(_planes(rendered.hr, device), _planes(rendered.lr, device), in_order=True)
            conditions[i] = drawn.condition or ()
        order = range(len(batch.samples))
        return [found[i] for i in order], [conditions[i] for i in order]

    def _cropped(self, step: int, sample: int, made: Made) -> tuple[Tensor, Tensor]:
        """HR [3, H, W] and LR [members, 3, h, w] as `GroupBatches` cuts and turns them."""
        side, scale = made.lr.shape[-1], made.hr.shape[-1] // made.lr.shape[-1]
        patch = self._batches.patch_px
        y, x, turn = self._batches.place_and_turn(step, sample, side)

        def turned(image: Tensor) -> Tensor:
            axes = [axis for axis, is_so in ((-1, turn.mirrored), (-2, turn.upside_down)) if is_so]
            image = image.flip(axes) if axes else image
            return image.mT if turn.swapped else image

        hr = made.hr[:, y * scale : (y + patch) * scale, x * scale : (x + patch) * scale]
        return turned(hr), turned(made.lr[..., y : y + patch, x : x + patch])


def on_device(batches: GroupBatches, groups: GroupSource) -> "Dataset[Any]":
    """The same batches, rendered by the device where the groups are to be."""
    return PlannedBatches(batches, groups) if isinstance(groups, LiveGroups) and groups.on_device else batches


def _on(crop: Tensor, device: torch.device) -> Tensor:
    """Levels [size, size, 3] as [3, size, size] float32 in [0, 1]."""
    return crop.to(device, non_blocking=True).movedim(-1, 0).float() * _LEVEL


def _levels(pixels: U8) -> Tensor:
    """The same numbers; a copy where they may not be written to, as those of some decoders."""
    return torch.from_numpy(np.require(pixels, requirements=["C", "W"]))


def _planes(pixels: U8, device: torch.device) -> Tensor:
    """[..., H, W, 3] as [..., 3, H, W] float32, of 0 to 255."""
    return _levels(pixels).to(device).movedim(-1, -3).float()

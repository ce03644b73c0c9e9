"""The protocol of every paper: restore each image of a set with each model, and measure against HR."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ...degrade.errors import UserError
from ..images.sets import ImageSet, Item, opened
from ..images.tensors import to_tensor
from ..images.tiling import Model, is_large, restore, restore_in_tiles
from ..metrics.by_name import Metric, check
from ..report.table import MetricRow, setting_of

PROTOCOL = "restoration"
_BATCH_PIXELS = 2**18  # of LR, in one call of a model
Conditioned = Callable[[Tensor, Tensor], Tensor]  # LR [B, 3, h, w], condition [B, C] -> SR


@dataclass(frozen=True)
class Method:
    """A model under a name, the hash of its file (none for one without), and what it is told.

    conditioned: what is called instead of the model, with the condition [B, C] of the images too; where the setting
    says nothing, rows say that condition. seen: the model for one image that is restored in tiles, once it has seen all
    of it, LR [1, 3, h, w]; none needs not.
    """

    name: str
    model: Model
    checkpoint: str = ""
    setting: str = "{}"
    conditioned: Conditioned | None = None
    seen: Callable[[Tensor], Model] | None = None

    def told(self, item: Item) -> str:
        """The setting of an image's rows."""
        if self.conditioned is None or self.setting != "{}" or item.condition is None:
            return self.setting
        return setting_of({"z": [round(value, 4) for value in item.condition]})

    def at(self, items: Sequence[Item], device: torch.device) -> Model:
        """The model for these images; raises UserError where it wants a condition that one of them has not."""
        if self.conditioned is None:
            return self.model
        told = [item.condition for item in items if item.condition is not None]
        if len(told) != len(items):
            raise UserError(
                f"{self.name} is told how images are degraded, and nothing says so of {items[0].source}; measure it on "
                "a store of cugan, or by `rwsr eval cugan`"
            )
        z = torch.tensor(told, dtype=torch.float32, device=device)
        return partial(_told, self.conditioned, z)


def _restored(method: Method, items: Sequence[Item], lr: Tensor, scale: int, device: torch.device) -> Tensor:
    """SR of LR [B, 3, h, w]; of large images in tiles."""
    model = method.at(items, device)
    if not is_large(lr, scale):
        return restore(model, lr, device)
    if method.seen is not None:
        with torch.inference_mode():
            model = method.seen(lr)
    return restore_in_tiles(model, lr, scale, device)


def _told(model: Conditioned, z: Tensor, lr: Tensor) -> Tensor:
    return model(lr, z)


def _batches(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Images of one size together, as many as a call of a model should take."""
    waiting: list[Item] = []
    for item in items:
        pixels = item.lr.shape[0] * item.lr.shape[1]
        if waiting and (item.lr.shape != waiting[0].lr.shape or (len(waiting) + 1) * pixels > _BATCH_PIXELS):
            yield waiting
            waiting = []
        waiting.append(item)
    if waiting:
        yield waiting


def rows_of(
    images: ImageSet, items: Sequence[Item], method: Method, sr: Tensor, metrics: Sequence[Metric], protocol: str
) -> list[MetricRow]:
    """Measure what a method made of some images, SR [B, 3, H, W]; nan where they are too small for a metric.

    Raises:
        UserError: SR and HR cannot be compared, or a metric needs HR where there is none.
    """
    hr = None if items[0].hr is None else torch.stack([to_tensor(item.hr) for item in items if item.hr is not None])
    try:
        check(sr, hr)
        rows: list[MetricRow] = []
        for metric in metrics:
            if hr is None and metric.needs_hr:
                raise UserError(f"{metric.name} needs HR; measure niqe, or name a folder of HR")
            if min(sr.shape[-2:]) < metric.least_px:
                values = [math.nan] * len(items)
            else:
                values = metric.measure(sr, sr if hr is None else hr.to(sr.device)).tolist()
            rows += [
                MetricRow(
                    protocol=protocol,
                    model=method.name,
                    checkpoint=method.checkpoint,
                    setting=method.told(item),
                    **images.names(item),
                    member=item.member,
                    metric=metric.name,
                    value=value,
                    better=metric.better,
                    space=metric.space,
                    border=metric.border,
                    version=metric.version,
                )
                for item, value in zip(items, values, strict=True)
            ]
        return rows
    except UserError as error:
        raise UserError(f"{items[0].source}, restored by {method.name}: {error}") from None


def evaluate(
    images: ImageSet,
    methods: Sequence[Method],
    metrics: Sequence[Metric],
    device: torch.device,
    *,
    protocol: str = PROTOCOL,
) -> Iterator[tuple[int, list[MetricRow]]]:
    """Restore and measure; (images done, rows) as they come. Each image is read once, whatever the methods."""
    for count, items in opened(images):
        rows: list[MetricRow] = []
        for batch in _batches(items):
            lr = torch.stack([to_tensor(item.lr) for item in batch])
            for method in methods:
                sr = _restored(method, batch, lr, images.scale, device)
                rows += rows_of(images, batch, method, sr.to(device), metrics, protocol)
        yield count, rows

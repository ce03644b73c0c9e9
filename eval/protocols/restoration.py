"""The protocol of every paper: restore each image of a set with each model, and measure against HR."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor

from ...degrade.errors import ImageError, UserError
from ...degrade.progress import say
from ..images.restoring import restore
from ..images.sets import Item, ItemSource, opened
from ..images.tensors import to_tensor
from ..images.tiling import is_large, restore_in_tiles
from ..metrics import unit_of
from ..metrics.base import Ready, check
from ..report import examples, plots, table
from ..report.examples import Crop
from ..report.page import Caution, Part, Picture, Section
from ..report.parts import beside_papers, conditions_table, crop_strips, means_table, unique_of, worst_table
from ..report.table import MetricRow
from .base import Counted, Metrics, Protocol, ProtocolOptions, Setup, Subject, baselines

RESTORATION = "restoration"
_BATCH_PIXELS = 2**18  # of LR, in one call of a model
_TOO_SMALL = "no image is large enough for any of the metrics; lower --border, or name larger images"


def _restored(subject: Subject, items: Sequence[Item], lr: Tensor, scale: int, device: torch.device) -> Tensor:
    """SR of LR [B, 3, h, w]; of large images in tiles."""
    model = subject.at(items, device)
    if not is_large(lr, scale):
        return restore(model, lr, device)
    if subject.seen is not None:
        with torch.no_grad():
            model = subject.seen(lr)
    return restore_in_tiles(model, lr, scale, device)


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


def _rows_of(
    setup: Setup, items: Sequence[Item], subject: Subject, sr: Tensor, metrics: Sequence[Ready], protocol: str
) -> list[MetricRow]:
    """Measure what a model made of some images, SR [B, 3, H, W]; nan where they are too small for a metric.

    Raises:
        UserError: SR and HR cannot be compared, or a metric needs HR where there is none.
    """
    hr = None if items[0].hr is None else torch.stack([to_tensor(item.hr) for item in items if item.hr is not None])
    try:
        check(sr, hr)
        rows: list[MetricRow] = []
        for metric in metrics:
            if hr is None and metric.metric.needs_hr:
                raise UserError(f"{metric.name} needs HR; measure niqe, or name a folder of HR")
            if min(sr.shape[-2:]) < metric.least_px:
                values = [math.nan] * len(items)
            else:
                values = metric.measure(sr, sr if hr is None else hr.to(sr.device)).tolist()
            rows += [
                setup.row(protocol, subject, item, metric.figure, value)
                for item, value in zip(items, values, strict=True)
            ]
        return rows
    except UserError as error:
        raise UserError(f"{items[0].source}, restored by {subject.name}: {error}") from None


def _rows_of_all(setup: Setup, batch: Sequence[Item], metrics: Sequence[Ready], protocol: str) -> list[MetricRow]:
    """Restore some images of one size with every model, and measure; none where one of the models cannot take them."""
    lr = torch.stack([to_tensor(item.lr) for item in batch])
    rows: list[MetricRow] = []
    for subject in setup.subjects:
        try:
            sr = _restored(subject, batch, lr, setup.images.scale, setup.device)
        except ImageError as error:
            for item in batch:
                say(f"left out: {error.status}: {item.source}, of {subject.name}: {error.reason}")
            return []
        rows += _rows_of(setup, batch, subject, sr.to(setup.device), metrics, protocol)
    return rows


def evaluate(setup: Setup, metrics: Sequence[Ready], *, protocol: str = RESTORATION) -> Counted:
    """Restore and measure; (images done, rows) as they come. Each image is read once, whatever the models.

    An image that one of the models cannot take, as it is too small to learn from, is named and left out for all.
    """
    for count, items in opened(setup.images):
        yield count, [row for batch in _batches(items) for row in _rows_of_all(setup, batch, metrics, protocol)]


# --------------------------------------------------------------------------------------------------- protocol


class RestorationOptions(ProtocolOptions):
    """What restoration can be told."""

    metrics: Metrics = ()
    border: Annotated[int, Field(ge=0)] | None = None
    """Pixels to crop from each side. Without, the scale for PSNR and SSIM, else 0."""
    condition: str | None = None
    """BLUR,NOISE, each 0 to 1: how all images of a folder are degraded, for models that are told that, as CUGAN."""

    @field_validator("condition")
    @classmethod
    def _two_numbers(cls, told: str | None) -> str | None:
        parts = [] if told is None else told.split(",")
        if told is not None and (len(parts) != 2 or not all(map(_is_share, parts))):
            raise ValueError(f"{told!r} is not two numbers from 0 to 1; write them as 0.25,0.30")
        return told

    @property
    def z(self) -> tuple[float, float] | None:
        """The condition as numbers."""
        if self.condition is None:
            return None
        blur, noise = self.condition.split(",")
        return float(blur), float(noise)


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _measure(setup: Setup, options: RestorationOptions) -> Counted:
    setup.of_scale()
    metrics = setup.metrics_with_hr(options.metrics, border=options.border)
    if options.z is not None:
        _tell_all(setup, options.z)
    yield from evaluate(_with_baselines(setup), metrics)


def _tell_all(setup: Setup, z: tuple[float, float]) -> None:
    """Say of every image, for the crops too, that it is degraded so.

    Raises:
        UserError: no model listens, or the images say by themselves how they are degraded.
    """
    if not any(each.conditioned for each in setup.subjects):
        raise UserError("no model is told how images are degraded; leave out --condition")

    def read(source: ItemSource) -> list[Item]:
        items = source.read()
        if any(item.condition is not None for item in items):
            raise UserError(f"{setup.images.name} says of each image how it is degraded; leave out --condition")
        return [replace(item, condition=z) for item in items]

    told = [replace(each, read=partial(read, each)) for each in setup.images.items]
    setup.images = replace(setup.images, items=told)


def _with_baselines(setup: Setup) -> Setup:
    return replace(setup, subjects=[*baselines(setup.images.scale), *setup.subjects])


def _crops(setup: Setup, rows: Sequence[MetricRow]) -> list[Crop]:
    """Of the images that the last model does worst at, by the first metric, and of the one in the middle."""
    subjects = _with_baselines(setup).subjects
    picked = examples.telling(examples.ranked(rows, rows[0].metric, subjects[-1].name))

    def restored(item: Item, lr: Tensor) -> dict[str, Tensor]:
        return {each.name: _restored(each, [item], lr, setup.images.scale, setup.device) for each in subjects}

    return examples.cut(setup.images, restored, picked)


def _section(rows: list[MetricRow], crops: Sequence[Crop]) -> Section:
    first, metric = rows[0], rows[0].metric
    model = [row.model for row in rows if row.metric == metric][-1]
    images = len({row.image for row in rows})
    body: list[Part] = [means_table(rows)]
    if len({row.member for row in rows}) > 1:
        body += [
            Picture(plots.metric_bars(table.shared(rows), each, unit_of(each)), f"Mean {each} of each member.")
            for each in unique_of(row.metric for row in rows)[:2]
        ]
    if any(np.isfinite(row.value) for row in rows if row.metric == metric):
        body.append(Picture(plots.each_image(rows, metric), f"{metric} of each image; every dot is one."))
        body.append(worst_table(rows, metric, model))
    body += [*crop_strips(crops, rows, metric), conditions_table(rows), *beside_papers(rows)]
    for name, (without, exact) in table.not_finite(rows).items():
        if without:
            body.append(Caution(f"{name} has no value for {without} of them: its means are over the others."))
        if exact:
            body.append(Caution(f"{name} is infinite for {exact} of them: its means are over the others."))
    text = (
        f"Means over {images} images of {first.data} (SHA-256 {first.data_sha256[:12]}), then each image, and crops of "
        "the worst ones and of a middling one; hold the pointer over a crop to enlarge all beside it."
    )
    return Section(f"Restoration: {first.data}", (text,), body)


PROTOCOL = Protocol(
    RESTORATION,
    "Every model against HR, beside bicubic",
    """Restore every image with every model, and with bicubic and Lanczos, and compare with HR.

    LPIPS, DISTS and NIQE need published files; `rwsr weights` says which are there. A metric whose files are missing is
    skipped by name.

    \b
    Example:
      rwsr eval restoration --store held-out.zarr --model run --out metrics.parquet
      rwsr eval restoration --hr Set5 --scale 4 --model IMDN_x4.pth --metric psnr-y --out metrics.parquet
    """,
    RestorationOptions,
    _measure,
    _section,
    crops=_crops,
    averaged=True,
)

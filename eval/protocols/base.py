"""What a protocol is to the rest: how models are measured on images, and what its figures are on a page and in words.

A protocol is a value in one file, PROTOCOL; `protocols/__init__.py` lists ours, and `measure` takes any.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Generic, Literal, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from ...degrade.errors import UserError
from ...degrade.family import Frozen
from ...degrade.progress import say
from ..images.restoring import Device, Model, bicubic_model, lanczos_model, name_of, unchanged
from ..images.sets import ImageSet, Item
from ..metrics import DEFAULT, NAMES, ready
from ..metrics.base import Figure, Metric, Ready
from ..report.examples import Crop
from ..report.page import Section
from ..report.table import MetricRow, setting_of

Conditioned = Callable[[Tensor, Tensor], Tensor]  # LR [B, 3, h, w], condition [B, C] -> SR
Steered = Callable[[Tensor, float, float], Tensor]  # LR, blur score, noise score -> SR
Strength = Literal["hqi", "1-hqi"]  # what the controller is noise around
Reconstruct = Callable[[Tensor, Tensor, str, Strength], tuple[Tensor, Tensor]]
BICUBIC, LANCZOS, DEGRADED = "bicubic", "lanczos", "degraded"


@dataclass(frozen=True)
class Far:
    """FAR of images [B, 3, H, W] -> [B], and its established encoder in words."""

    value_of: Callable[[Tensor], Tensor]
    encoder: str


@dataclass(frozen=True)
class Reconstruction:
    """A network of HR-aware's that reconstructs LR.

    again: LR, an HR, the image's name and what the controller is noise around -> X again, and X. controlled: whether it
    has a controller.
    """

    again: Reconstruct
    controlled: bool


@dataclass(frozen=True)
class Subject:
    """A model that is measured, under a name, with the hash of its file (none for one without), and what it can do.

    model: LR [B, 3, h, w] -> SR. setting: what it is told, for the rows. conditioned: what is called instead of the
    model, with the condition [B, C] of the images too; where the setting says nothing, rows say that condition. seen:
    the model for one image that is restored in tiles, once it has seen all of it, LR [1, 3, h, w]; none needs not.
    steered: the model, told how strongly to restore. scores: what it would tell itself of LR [B, 3, h, w], [B, 2];
    scores_images: whether it is a UDEM that says so. weights: the network, whose weights can be interpolated. far,
    reconstruction: of HR-aware's networks.
    """

    name: str
    model: Model
    checkpoint: str = ""
    setting: str = "{}"
    conditioned: Conditioned | None = None
    seen: Callable[[Tensor], Model] | None = None
    scale: int | None = None
    steered: Steered | None = None
    scores: Model | None = None
    scores_images: bool = False
    weights: nn.Module | None = None
    far: Far | None = None
    reconstruction: Reconstruction | None = None

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
                f"{self.name} is conditioned on how images are degraded, which is not known of {items[0].source}; "
                "say it by --condition, or measure it on a store of cugan or by `rwsr eval cugan`"
            )
        z = torch.tensor(told, dtype=torch.float32, device=device)
        return partial(_told, self.conditioned, z)


def _told(model: Conditioned, z: Tensor, lr: Tensor) -> Tensor:
    return model(lr, z)


def baselines(scale: int) -> list[Subject]:
    """What every paper puts beside its model."""
    if scale == 1:
        return [Subject(DEGRADED, unchanged)]
    return [Subject(BICUBIC, bicubic_model(scale)), Subject(LANCZOS, lanczos_model(scale))]


Metrics = Annotated[
    tuple[str, ...],
    Field(description=f"Metric, repeatable: {', '.join(NAMES)}.  [default: those of the protocol]"),
]


class ProtocolOptions(Frozen):
    """The options of a protocol, beside images and models."""


@dataclass
class Setup:
    """What is measured: images, models, on which device.

    skipped: by name why a metric could not be measured; it is filled as metrics are asked for.
    """

    images: ImageSet
    subjects: Sequence[Subject]
    device: Device
    skipped: dict[str, str] = field(default_factory=dict[str, str])

    def metrics(
        self, wanted: Sequence[str | Metric], *, border: int | None = None, scale: int | None = None
    ) -> list[Ready]:
        """The metrics that can be measured here, those of papers where none is named; those that cannot are said.

        Raises:
            UserError: none can, or one needs HR where there is none.
        """
        scale = self.images.scale if scale is None else scale
        names = tuple(wanted) or (DEFAULT if self.images.has_hr else ("niqe",))
        found, missing = ready(names, scale=scale, border=border, device=self.device)
        for name, reason in missing.items():
            say(f"skipped: {name}: {reason}")
        self.skipped |= missing
        if not found:
            raise UserError("none of the metrics can be measured here; see the lines above")
        return found

    def metrics_with_hr(self, wanted: Sequence[str | Metric], *, border: int | None = None) -> list[Ready]:
        """The same; raises UserError too where one needs HR and there is none."""
        found = self.metrics(wanted, border=border)
        for each in found:
            if each.metric.needs_hr and not self.images.has_hr:
                raise UserError(f"{each.name} needs HR, and {self.images.name} has none; measure niqe, or name --hr")
        return found

    def metrics_to_choose_by(self, wanted: Sequence[str | Metric], by: str) -> list[Ready]:
        """Those metrics, and the one that the best is chosen by, which must be among what can be measured."""
        found = self.metrics_with_hr((*wanted, by))
        if by in self.skipped:
            raise UserError(f"--by {by} cannot be measured here ({self.skipped[by]}); name another")
        return found

    def named(self) -> Sequence[Subject]:
        """The models; raises UserError where there is none."""
        if not self.subjects:
            raise UserError("name a --model")
        return self.subjects

    def of_scale(self) -> "Setup":
        """Itself; raises UserError where a model is for another scale than the images."""
        for each in self.subjects:
            if each.scale not in (None, self.images.scale):
                raise UserError(
                    f"{each.name} enlarges {each.scale} times, this is for {self.images.scale}; name a model of scale "
                    f"{self.images.scale}"
                )
        return self

    def row(
        self,
        protocol: str,
        subject: Subject,
        item: Item,
        figure: Figure,
        value: float,
        *,
        setting: str | None = None,
        member: str | None = None,
    ) -> MetricRow:
        """One figure of one image. setting, member: what the model was given and what was restored, where it is not
        what subject and item say.
        """
        return MetricRow(
            protocol=protocol,
            data=self.images.name,
            data_sha256=self.images.sha256,
            model=subject.name,
            checkpoint=subject.checkpoint,
            setting=subject.told(item) if setting is None else setting,
            source=item.source,
            sample=item.sample,
            member=item.member if member is None else member,
            metric=figure.name,
            value=value,
            better=figure.better,
            space=figure.space,
            border=figure.border,
            version=figure.version,
            device=name_of(self.device),
        )


Counted = Iterator[tuple[int, list[MetricRow]]]  # (images done, their rows), as they come
O = TypeVar("O", bound=ProtocolOptions)  # noqa: E741


def by_model(row: MetricRow) -> str:
    """The label of figures that are averaged over all images of a model."""
    return row.model


def unlabelled(row: MetricRow) -> None:
    """The label of figures whose mean over settings says nothing."""


def by_member(row: MetricRow) -> str:
    """The label of figures that are averaged by the group member, or by what degraded an image."""
    return f"{row.model}, {row.member}"


def _no_lines(rows: Sequence[MetricRow]) -> list[str]:
    return []


def _no_values(rows: Sequence[MetricRow]) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Protocol(Generic[O]):
    """A way to measure models on images.

    name: in reports and of the command. short, about: its help, in a few
    words and with an example. options: their class. measure: gives rows as
    they come. section: of a page, from the rows of one set of images, and crops of it. on: images with LR (and HR), or
    clean photographs. of: models that restore, or HR-aware's networks. passes: how often each image is gone through, of
    (options, number of models). label: what a mean is of; None where it is of nothing that one would print. lines,
    values: what else is told, for a person and for a program. crops: pieces of the images that tell most, of (setup,
    rows). averaged: whether means of one metric under several conditions have to be told apart.
    """

    name: str
    short: str
    about: str
    options: type[O]
    measure: Callable[[Setup, O], Counted]
    section: Callable[[list[MetricRow], Sequence[Crop]], Section]
    on: Literal["pairs", "photographs"] = "pairs"
    of: Literal["models", "reconstructions"] = "models"
    passes: Callable[[O, int], int] = lambda options, count: 1
    label: Callable[[MetricRow], str | None] = by_model
    lines: Callable[[Sequence[MetricRow]], list[str]] = _no_lines
    values: Callable[[Sequence[MetricRow]], dict[str, Any]] = _no_values
    crops: Callable[[Setup, Sequence[MetricRow]], list[Crop]] | None = None
    averaged: bool = False

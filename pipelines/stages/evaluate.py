"""Measurements by the protocols, and pages of reports, of stores and of their quality."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from ...degrade import build_store
from ...degrade.config import validated
from ...degrade.errors import UserError
from ...degrade.storage.location import Place, place, sha256
from ...degrade.storage.provenance import canonical, sha256_of
from .base import Artifact, Given, Input, Inputs, Ref, Stage, Texts, Work
from .train import model_of


def _named(value: object) -> object:
    """A list of models as a table, each by the last part of its name."""
    if isinstance(value, str):
        value = [value]
    return {Path(str(each)).stem: each for each in value} if isinstance(value, list | tuple) else value  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _told(value: object) -> object:
    """A list of protocols as a table of their options."""
    return dict.fromkeys(map(str, value), {}) if isinstance(value, list | tuple) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


class Evaluate(Stage):
    """A measurement of models by one protocol or several, into one report."""

    kind: ClassVar[str] = "evaluate"
    folder: ClassVar[str] = "metrics"
    suffix: ClassVar[str] = ".parquet"
    refs: ClassVar[tuple[str, ...]] = ("models", "store", "hr", "lr", "far_model")

    models: Annotated[
        dict[str, Input], BeforeValidator(_named, json_schema_input_type=str | list[str] | dict[str, str])
    ] = {}
    """Runs or checkpoints: a list of them, or NAME: MODEL."""
    protocols: Annotated[dict[str, dict[str, Any]], BeforeValidator(_told)] = {"restoration": {}}
    """Protocols of `rwsr eval`: a list of them, or NAME: {option: value}."""
    store: Input | None = None
    """The store to measure on."""
    hr: Input | None = None
    """Or: a folder of HR images (or an index); without lr, LR is made by MATLAB's bicubic."""
    lr: Input | None = None
    """A folder of LR images; of clean photographs for the protocols that are on such."""
    scale: Annotated[int, Field(ge=1, le=16)] = 4
    """Of folders: HR pixels an LR pixel."""
    include: Texts = ()
    """Of folders: only such files, as '*_HR.png'."""
    exclude: Texts = ()
    """Of folders: leave such files out."""
    name: str | None = None
    """What the report calls the images of folders."""
    far_model: Input | None = None
    """The SR model that FAR was trained to look through."""

    def check(self, stages: Mapping[str, Stage]) -> None:
        from ...eval.measure import protocol_of

        if (self.store is None) == (self.hr is None and self.lr is None):
            raise UserError("name either a store, or folders: hr, lr, or both")
        for name, options in self.protocols.items():
            protocol = protocol_of(name)
            validated(protocol.options, options, f"protocol {name}")
            if self.scale == 1 and self.lr is None and self.store is None and protocol.on != "photographs":
                raise UserError(f"{name} at scale 1 would compare {self.hr} with itself; name the LR too (--lr)")
        if not self.protocols:
            raise UserError("protocols is empty; name at least one")

    def _images(self, given: Given, scale: int) -> Any:
        from ...degrade.pairs.pairing import Selection
        from ..evaluate import image_set

        store, hr, lr = (None if ref is None else _folder(given, ref) for ref in (self.store, self.hr, self.lr))
        return image_set(store, hr, lr, scale, Selection(self.include, self.exclude, self.name))

    def identity(self, given: Given) -> str:
        from ...train.runs.moments import model_file

        models = {name: sha256(model_file(model_of(given, ref))) for name, ref in self.models.items()}
        config = self.model_dump(mode="json", exclude=set(self.refs))
        far = sha256(model_file(model_of(given, self.far_model))) if self.far_model else ""
        return sha256_of([canonical([config, models, far]), self._images(given, self.scale).sha256])

    def there(self, at: Place) -> Artifact:
        from ...eval.measure import summary_of

        means, lines = summary_of(at)
        values: dict[str, Any] = {"report": str(at), "means": means}
        return Artifact(self.kind, at, sha256(at), values, [*lines, f"{at} was there already"], changed=False)

    def run(self, at: Place, given: Given, work: Work) -> Artifact:
        from ...eval.measure import protocol_of
        from ...eval.report import table

        values: dict[str, Any] = {"report": str(at), "means": {}, "skipped": {}, "left_out": 0}
        lines: list[str] = []
        table.check(at)
        opened: dict[int, Any] = {}  # by scale: every file of a folder is read for its hash
        for name, told in self.protocols.items():
            scale = 1 if protocol_of(name).on == "photographs" else self.scale
            if scale not in opened:
                opened[scale] = self._images(given, scale)
            found, more = self._measured(name, told, opened[scale], at, given)
            values["means"] |= found.pop("means")
            values["skipped"] |= found.pop("skipped")
            values["left_out"] = max(values["left_out"], found.pop("left_out"))
            values |= found
            lines += more
        return Artifact(self.kind, at, sha256(at), values, [*lines, f"wrote {at}"])

    def _measured(
        self, name: str, told: dict[str, Any], images: Any, at: Place, given: Given
    ) -> tuple[dict[str, Any], list[str]]:
        from ...eval.images.restoring import pick_device
        from ...eval.measure import lines_of, means_of, measure, protocol_of
        from ..evaluate import open_subjects

        protocol, device = protocol_of(name), pick_device()
        options = validated(protocol.options, told, f"protocol {name}")
        subjects = open_subjects(
            {each: model_of(given, ref) for each, ref in self.models.items()},
            device,
            reconstructions=protocol.of == "reconstructions",
            far_model=model_of(given, self.far_model) if self.far_model else None,
        )
        found = measure(protocol, images, subjects, options, at, device)
        values = {"means": means_of(protocol, found.rows), "skipped": found.skipped, "left_out": found.left_out}
        return values | protocol.values(found.rows), lines_of(protocol, found.rows)


def _folder(given: Given, ref: Ref) -> Place:
    """A store, or the one folder of an index, or a folder."""
    if ref in given and "folders" in given[ref].values:
        folders = given[ref].values["folders"]
        if len(folders) != 1:
            raise UserError(f"{ref} is of {len(folders)} folders; models are measured on one")
        return place(folders[0])
    return given.at(ref)


class Report(Stage):
    """A page: of metric reports and a training's losses, or of a store's quality."""

    kind: ClassVar[str] = "report"
    folder: ClassVar[str] = "reports"
    suffix: ClassVar[str] = ".html"
    refs: ClassVar[tuple[str, ...]] = ("metrics", "training", "store")

    metrics: Inputs = ()
    """Metric reports, beside each other."""
    training: Input | None = None
    """A run, or a checkpoint of one (RUN@20000): how far it is, its loss curves, its images."""
    store: Input | None = None
    """Or: a store, for its quality."""
    samples: Annotated[int, Field(ge=1)] = 200
    """Of a store: how many samples are measured."""
    refresh_s: Annotated[int | None, Field(ge=1, exclude=True)] = None
    """A browser reads the page again after so many seconds."""

    def check(self, stages: Mapping[str, Stage]) -> None:
        if bool(self.metrics or self.training) == (self.store is not None):
            raise UserError("name either metrics or a training, or a store")

    def there(self, at: Place) -> Artifact:
        return Artifact(self.kind, at, sha256(at), {"page": str(at)}, [f"{at} was there already"], changed=False)

    def run(self, at: Place, given: Given, work: Work) -> Artifact:
        if self.store is not None:
            from ...eval.store_page import write_quality

            written = write_quality(build_store.open_samples(given.at(self.store)), at, self.samples, work.run)
            lines = [f"wrote {each}" for each in written]
            return Artifact(self.kind, at, sha256(at), {"page": str(at), "quality": str(at)}, lines)
        from ...eval.pages import write_report
        from ...train.run_page import training_sections

        training = training_sections(model_of(given, self.training)) if self.training is not None else []
        write_report([given.at(ref) for ref in self.metrics], at, training=training, refresh_s=self.refresh_s)
        return Artifact(self.kind, at, sha256(at), {"page": str(at)}, [f"wrote {at}"])

"""Trainings, and fine-tunings on LR images alone."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, PrivateAttr

from ...degrade.errors import UserError
from ...degrade.images import sources
from ...degrade.images.listing import IndexConfig
from ...degrade.images.rows import SourceRow
from ...degrade.storage.location import Place, sha256
from ...degrade.storage.provenance import canonical, sha256_of
from ...degrade.tasks import Run
from .base import Artifact, Given, Input, Inputs, Ref, Stage, Work, counts, folders_of
from .images import rows_of
from .pairs import Pairs
from .store import Store

if TYPE_CHECKING:
    from ...eval.images.sets import ImageSet
    from ...train.methods.base import TrainingConfig
    from ...train.methods.hr_aware import FineTuneConfig

LR_IMAGES = IndexConfig(role="lr", min_side_px=1)  # of any size: what is fine-tuned on has patches of its own length


def model_of(given: Given, ref: Ref) -> Path:
    """The run or checkpoint that an input is."""
    return given.on_disk(ref)


def _check_held_out(store: Ref | None, hr: Ref | None, lr: Ref | None) -> None:
    if (hr is None) != (lr is None) or (store is not None and hr is not None):
        raise UserError("to measure meanwhile, name a store (val), or both of val_hr and val_lr")


def _held_out(
    given: Given, store: Ref | None, hr: Ref | None, lr: Ref | None, scale: int, count: int | None
) -> "ImageSet | None":
    """The images to measure on meanwhile, if any."""
    from ...eval.images.sets import first_of
    from ..evaluate import image_set

    if store is None and hr is None:
        return None
    at_store, at_hr, at_lr = (given.at(ref) if ref else None for ref in (store, hr, lr))
    images = image_set(at_store, at_hr, at_lr, scale)
    return images if count is None else first_of(images, count)


def _trained(kind: str, at: Path, line: str | None) -> Artifact:
    """What a training left in its folder; line: what it did, if anything."""
    model, log = at / "model.safetensors", at / "train.parquet"
    values = {"model": str(model), "log": str(log), "trained": line is not None}
    lines = [line or "the training was done already", f"wrote {model} and {log}"]
    return Artifact(kind, at, sha256(model), values, lines, changed=line is not None)


class Train(Stage):
    """A training on groups or pairs."""

    kind: ClassVar[str] = "train"
    folder: ClassVar[str] = "runs"
    refs: ClassVar[tuple[str, ...]] = (
        "data",
        "source",
        "recipe",
        "start_from",
        "start_discriminator",
        "noise",
        "val",
        "val_hr",
        "val_lr",
        "far_model",
        "photographs",
        "downscaling",
        "extractor",
    )

    preset: str
    """A preset of `rwsr train`."""
    config: dict[str, Any] = {}
    """Keys of the preset that are changed."""
    data: Inputs = ()
    """The store to train on, or several that are mixed."""
    weights: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """How often each of several stores is drawn; none draws by the number of their samples."""
    source: Inputs = ()
    """Or: indexes or folders of images, rendered on the fly."""
    recipe: Input | None = None
    """Of `source`: a config as `rwsr degrade show` writes."""
    on_device: bool = False
    """Of `source`: rendered by the device that trains; the same steps and numbers, other last digits."""
    start_from: Input | None = None
    """An earlier run, a checkpoint of one (RUN@20000) or a published file whose weights to start from."""
    start_partly: bool = False
    """What of them fits is enough."""
    start_discriminator: Input | None = None
    """The same of the discriminator: a run of a GAN's training, or a published file."""
    noise: Input | None = None
    """A noise bank of which each LR gets new noise in each step."""
    val: Input | None = None
    """A store of held-out samples, to measure on meanwhile."""
    val_hr: Input | None = None
    """Or: a folder of held-out HR, with val_lr."""
    val_lr: Input | None = None
    """The folder of its LR."""
    val_images: int | None = None
    """Of folders: how many images, spread evenly.  [default: all]"""
    far_model: Input | None = None
    """The SR model that FAR looks through."""
    photographs: Inputs = ()
    """Indexes or folders of photographs of a camera, without HR, where a method learns of such."""
    downscaling: Input | None = None
    """DASR's: a run of a learned downscaling, whose discriminator says how near LR is to photographs."""
    extractor: Input | None = None
    """LWay's: an SRResNet, trained on clean LR, whose trunk says how LR is degraded."""
    images: IndexConfig = IndexConfig(role="hr")
    """Of folders: which images count as usable."""
    branch: Annotated[bool, Field(exclude=True)] = False
    """Where it is under way under another learning rate or schedule, it goes on under this one."""

    _composed: Any = PrivateAttr(None)

    @classmethod
    def of(cls, preset: str, config: "TrainingConfig", **inputs: Any) -> Self:
        """A training of a config that is whole."""
        found = cls(preset=preset, config=config.model_dump(mode="json"), **inputs)
        found._composed = config
        return found

    def training(self) -> "TrainingConfig":
        """Its config, composed once; raises UserError."""
        from ...train.compose import training_of

        if self._composed is None:
            self._composed = training_of(self.preset, self.config)
        return self._composed

    def check(self, stages: Mapping[str, Stage]) -> None:
        from ...train.compose import method_of
        from ...train.methods.base import check_measured, check_photographs, check_start

        method, config = method_of(self.preset), self.training()
        if (not self.data) == (not self.source) or (self.recipe is not None and not self.source):
            raise UserError("name either `data`, a store, or `source`, folders (and their `recipe`)")
        if self.on_device and not self.source:
            raise UserError("on_device is of `source`; the stores of `data` are rendered already")
        _check_held_out(self.val, self.val_hr, self.val_lr)
        check_start(config, self.start_from is not None)
        check_photographs(config, bool(self.photographs))
        check_measured(method, self.val is not None or self.val_hr is not None)
        if self.weights and len(self.weights) != len(self.data):
            raise UserError(f"{len(self.weights)} weights are for {len(self.data)} stores of `data`; name one for each")
        for ref, to_learn in (*((ref, True) for ref in self.data), (self.val, False)):
            made = stages.get(ref) if isinstance(ref, str) else None
            store = made.store_config() if isinstance(made, Store | Pairs) else None
            reason = None if store is None else method.why_not(config, store.recipe, to_learn)
            if reason:
                of = f"of preset {made.preset}" if isinstance(made, Store) else "of real pairs"
                raise UserError(f"{ref} is {of}, but preset {self.preset} {reason}")

    def identity(self, given: Given) -> str:
        config = self.training().model_dump(mode="json")
        return sha256_of(
            [
                canonical([config, self.weights, self.start_partly] if self.weights or self.start_partly else config),
                *(["on device"] if self.on_device else []),
                *(given.identity(ref) for ref in self.inputs() if ref not in (self.val, self.val_hr, self.val_lr)),
            ]
        )

    def run(self, at: Place, given: Given, work: Work) -> Artifact:
        from ...train.compose import method_of
        from ...train.data.of_training import live, stored
        from ...train.runs.identity import check_free
        from ...train.train import train_run

        out = Given({}).on_disk(at)
        method, config = method_of(self.preset), self.training()
        check_free(out)
        bank = given.at(self.noise) if self.noise else None
        if self.data:
            stores = [given.at(ref) for ref in self.data]
            data = stored(stores, bank, weights=self.weights, seed=config.loop.seed)
        else:
            recipe = given.on_disk(self.recipe) if self.recipe else None
            of_preset = method.presets[self.preset].data
            folders = folders_of(given, self.source)
            data = live(folders, recipe, out, preset=of_preset, images=self.images, bank=bank, on_device=self.on_device)
        photographs: list[SourceRow] = []
        if self.photographs:
            photographs = photographs_of(self.photographs, given, out / "photographs.parquet", work.run)
            data = data.beside(photographs, config.loop.lr_patch_px)
        trained = train_run(
            out,
            data,
            method,
            config,
            start_from=model_of(given, self.start_from) if self.start_from else None,
            start_partly=self.start_partly,
            start_discriminator=model_of(given, self.start_discriminator) if self.start_discriminator else None,
            far_model=model_of(given, self.far_model) if self.far_model else None,
            downscaling=model_of(given, self.downscaling) if self.downscaling else None,
            extractor=model_of(given, self.extractor) if self.extractor else None,
            val=_held_out(given, self.val, self.val_hr, self.val_lr, data.groups.scale, self.val_images),
            branch=self.branch,
        )
        made = _trained(self.kind, out, f"trained {config.loop.steps} steps" if trained else None)
        return replace(made, rows=[*data.rows, *photographs])


class FineTune(Stage):
    """A fine-tuning of any SR model on LR images alone, to the camera that they are of (HR-aware, LWay)."""

    kind: ClassVar[str] = "fine_tune"
    folder: ClassVar[str] = "runs"
    refs: ClassVar[tuple[str, ...]] = (
        "model",
        "lr_images",
        "reconstruction",
        "far_model",
        "val",
        "val_hr",
        "val_lr",
    )

    preset: str
    """A preset of `rwsr train hr-aware`."""
    config: dict[str, Any] = {}
    """Keys of the preset that are changed."""
    model: Input
    """The SR model: a run, or a checkpoint."""
    lr_images: Inputs = Field(min_length=1)
    """Indexes or folders of LR images of one camera."""
    reconstruction: Input | None = None
    """A run of `rwsr train hr-aware-pretrain`, of its scale; self-training has none."""
    far_model: Input | None = None
    """The SR model that its FAR looks through."""
    val: Input | None = None
    """A store of held-out pairs, to measure on meanwhile."""
    val_hr: Input | None = None
    """Or: a folder of held-out HR, with val_lr."""
    val_lr: Input | None = None
    """The folder of its LR."""
    val_images: int | None = None
    """Of folders: how many images, spread evenly.  [default: all]"""
    images: IndexConfig = LR_IMAGES
    """Of folders: which images count as usable."""
    branch: Annotated[bool, Field(exclude=True)] = False
    """Where it is under way under another learning rate or schedule, it goes on under this one."""

    _composed: Any = PrivateAttr(None)

    @classmethod
    def of(cls, preset: str, config: "FineTuneConfig", **inputs: Any) -> Self:
        """A fine-tuning by a config that is whole."""
        found = cls(preset=preset, config=config.model_dump(mode="json"), **inputs)
        found._composed = config
        return found

    def tuning(self) -> "FineTuneConfig":
        """Its config, composed once; raises UserError."""
        from ...train.compose import fine_tuning_of

        if self._composed is None:
            self._composed = fine_tuning_of(self.preset, self.config)
        return self._composed

    def check(self, stages: Mapping[str, Stage]) -> None:
        self.tuning()
        _check_held_out(self.val, self.val_hr, self.val_lr)

    def identity(self, given: Given) -> str:
        config = self.tuning().model_dump(mode="json")
        return sha256_of([canonical(config), *map(given.identity, self.inputs())])

    def run(self, at: Place, given: Given, work: Work) -> Artifact:
        from ...train.fine_tune import Inputs as Named
        from ...train.fine_tune import fine_tune_run
        from ...train.runs.identity import check_free

        out, config = Given({}).on_disk(at), self.tuning()
        check_free(out)

        def val(scale: int) -> "ImageSet | None":
            return _held_out(given, self.val, self.val_hr, self.val_lr, scale, self.val_images)

        rows = photographs_of(self.lr_images, given, out / "index.parquet", work.run, self.images)
        inputs = Named(
            model=model_of(given, self.model),
            rows=tuple(rows),
            reconstruction=model_of(given, self.reconstruction) if self.reconstruction else None,
            far_model=model_of(given, self.far_model) if self.far_model else None,
        )
        done = fine_tune_run(out, inputs, config, val=val if self.val or self.val_hr else None, branch=self.branch)
        made = _trained(self.kind, out, done)
        values = made.values | {"counts": counts(rows)}
        return Artifact(self.kind, out, made.identity, values, made.lines, rows, changed=made.changed)


def photographs_of(refs: Inputs, given: Given, at: Place, run: Run, images: IndexConfig = LR_IMAGES) -> list[SourceRow]:
    """The rows of LR images by the indexes and folders that are named; of folders their index is written."""
    rows = [row for ref in refs if ref in given for row in rows_of(given[ref])]
    folders = folders_of(given, [ref for ref in refs if ref not in given])
    return rows + list(index_lr(folders, at, run, images)) if folders else rows


def index_lr(folders: list[Place], at: Place, run: Run, images: IndexConfig = LR_IMAGES) -> tuple[SourceRow, ...]:
    """The index of LR images of any size, as what is fine-tuned on has patches of its own length; what is left out is
    named.
    """
    rows = sources.index(folders, at, images, run)
    sources.name_left_out(rows)
    return tuple(rows)

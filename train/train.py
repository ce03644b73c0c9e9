"""Training as plain calls on folders: configs by preset, samples from a store, figures on held-out ones."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..degrade.build_store import open_samples
from ..degrade.config import compose, compose_values, composed_values, merged
from ..degrade.errors import UserError
from ..degrade.images.sources import IndexConfig
from ..degrade.progress import progress, say
from ..degrade.recipes.store_config import GROUPS, StoreConfig, store_preset
from ..degrade.storage.location import Place
from ..degrade.storage.object_store import ObjectPath
from ..degrade.storage.provenance import Json
from ..degrade.storage.shards.verify import digest
from ..degrade.tasks import cores
from ..eval.images.sets import ImageSet, of_store
from ..eval.images.tiling import Device, Model
from ..eval.metrics.by_name import DEFAULT, chosen, lpips_here
from ..eval.protocols.restoration import Method, evaluate
from ..eval.report.table import mean_of
from ..noisebank.bank import NoiseBank
from .data.batches import GroupSource, StoredGroups
from .data.on_the_fly import live_groups
from .engine import run
from .engine.distributed import local_device
from .engine.loop import Interrupted
from .engine.run import Make, OnStep, Stage, Validate
from .losses.far_encoders import encoder_of
from .methods import cugan, hr_aware, mm_realsr, rwsr_edl
from .methods.hr_aware_validation import reconstructed
from .networks.cunet import CUnet, wants_condition
from .networks.lr_reconstruction import LrReconstruction
from .networks.open import open_restorer

Config = mm_realsr.TrainConfig | cugan.CuganConfig | rwsr_edl.EdlConfig | hr_aware.PretrainConfig
PRESETS: dict[str, Callable[[Stage], Config]] = {
    **mm_realsr.PRESETS,
    **cugan.PRESETS,
    **rwsr_edl.PRESETS,
    **hr_aware.PRETRAIN_PRESETS,
}


# What is rendered where folders are named instead of a store, and no recipe.
_RECIPES = {
    "mm-realsr-code": "mm-realsr",
    "mm-realsr-paper": "mm-realsr",
    "mm-realsr-small": "mm-realsr",
    "real-esrgan": "real-esrgan",
    "esrgan": "bicubic",
    "cugan": "cugan",
    "cugan-small": "cugan",
    "unet": "cugan",
    **dict.fromkeys(rwsr_edl.PRESETS, "rwsr-edl-noisefree"),
    **dict.fromkeys(hr_aware.PRETRAIN_PRESETS, "real-esrgan-nousm"),
}


def _preset(preset: str, stage: Stage | None, values: Mapping[str, Any]) -> Config:
    """The preset of the stage that the values or the caller name: a stage is all of its keys, never a label alone."""
    if preset not in PRESETS:
        raise UserError(f"preset {preset} is unknown; known here: {', '.join(PRESETS)}")
    check_not_filled_in(values, "far_model")
    told = values.get("stage", stage or 1)
    if told not in (1, 2):
        return PRESETS[preset](1)  # whose rules say what is wrong with it
    if stage is not None and told != stage:
        raise UserError(f"the config is of stage {told}, and --stage is {stage}; drop one of them")
    return PRESETS[preset](told)


def check_not_filled_in(values: Mapping[str, Any], name: str) -> None:
    """Raises UserError where a config has a value for a key that the training fills in by itself."""
    if values.get(name) is not None:
        raise UserError(f"{name} is filled in by the training, out of what it is given; leave it out of the config")


def compose_config(
    preset: str, stage: Stage | None, *, config: Path | None, sets: Sequence[str], steps: int | None, seed: int | None
) -> Config:
    """The training config of a preset, changed by a file, `--set`s and options; raises UserError.

    stage: none is the config's own, or the first.
    """
    loop = {name: value for name, value in (("steps", steps), ("seed", seed)) if value is not None}
    values = composed_values(config, sets)
    return compose_values(_preset(preset, stage, values), merged(values, {"loop": loop} if loop else {}))


def compose_values_of(preset: str, values: Mapping[str, Any]) -> Config:
    """The training config of a preset with some keys changed; `stage` chooses the preset's; raises UserError."""
    return compose_values(_preset(preset, None, values), values)


def held_out(store_folder: Place) -> ImageSet:
    """The groups or pairs of a store, to measure on meanwhile; raises StoreError."""
    return of_store(open_samples(store_folder))


def validation(images: ImageSet, scale: int, device: Device, wanted: Sequence[str] = ()) -> Validate:
    """The means of PSNR, SSIM and, where published weights are, LPIPS on images, as a training asks for them.

    Raises UserError.

    wanted: metrics that must be among them.
    """
    if images.scale != scale:
        raise UserError(f"the held-out images, {images.name}, are for scale {images.scale}, the network for {scale}")
    metrics, missing = chosen((*DEFAULT, lpips_here(), *wanted), scale=images.scale, border=None, device=device)
    for name in wanted:
        if name in missing:
            raise UserError(f"{name} cannot be measured here ({missing[name]}); choose another")

    def validate(net: Model) -> dict[str, float]:
        if isinstance(net, LrReconstruction):
            return reconstructed(images, net, device)
        method = Method("net", net, conditioned=wants_condition(net))
        rows = [row for _, part in evaluate(images, [method], metrics, device) for row in part]
        return {each.name: mean_of([row.value for row in rows if row.metric == each.name]) for each in metrics}

    return validate


def _scale(config: Config) -> int:
    return CUnet.scale if isinstance(config, cugan.CuganConfig) else config.network.scale


def why_not_on(config: Config, store: StoreConfig, *, to_learn: bool) -> str | None:
    """What of a training does not fit a store that it should learn from, or be measured on; None where all does."""
    if store.recipe.scale != _scale(config):
        return f"is for scale {_scale(config)}, not {store.recipe.scale}"
    if isinstance(config, cugan.CuganConfig):
        told = to_learn or config.network.conditioned
        return "is told blur and noise (cugan)" if told and not store.recipe.num_conditions else None
    if isinstance(config, rwsr_edl.EdlConfig):
        return "learns from pairs (rwsr-edl)" if to_learn and store.kind == GROUPS else None
    if isinstance(config, hr_aware.PretrainConfig):
        if not to_learn:
            return "makes no model that restores, so there is nothing to measure; drop `held_out` and `test_store`"
        return "learns from pairs (real-esrgan-nousm)" if store.kind == GROUPS else None
    unordered = to_learn and config.network.modulated and store.kind != GROUPS
    return "learns from groups (mm-realsr)" if unordered else None


def _make(config: Config, far_model: Path | None) -> Make:
    match config:
        case hr_aware.PretrainConfig():
            return partial(hr_aware.pretraining, config, encoder_of(config.network.far, far_model, local_device()))
        case cugan.CuganConfig():
            return partial(cugan.method_of, config)
        case rwsr_edl.EdlConfig():
            return partial(rwsr_edl.method_of, config)
        case mm_realsr.TrainConfig():
            return partial(mm_realsr.method_of, config)


@dataclass(frozen=True)
class Data:
    """Groups or pairs to train on. identity: the hash of all in them. remote: whether they lie on object storage.

    recipe: of their config. noise: the bank of which LR gets new noise in each step.
    """

    groups: GroupSource
    identity: str
    recipe: Json
    remote: bool = False
    noise: NoiseBank | None = None


def stored(store_folder: Place, bank: Place | None = None) -> Data:
    """The groups or pairs of a store, and a noise bank.

    Raises:
        UserError: there is no such store or bank, or noise of a bank is in the pairs already.
    """
    store = open_samples(store_folder)
    recipe = store.provenance.config["recipe"]
    if bank is not None and recipe.get("strength"):
        raise UserError(
            f"{store_folder} has noise of a bank in its LR already; build it with recipe.strength=0, or drop --bank"
        )
    noise = None if bank is None else NoiseBank.open(bank)
    return Data(StoredGroups(store), digest(store), recipe, isinstance(store.path, ObjectPath), noise)


_OF_ONE_DEGRADATION = "unet"


def _recipe_of(preset: str, config: Config) -> StoreConfig:
    """What is rendered for a training where nothing else is said."""
    if isinstance(config, mm_realsr.TrainConfig) and config.network.modulated and config.losses.sharpen_target:
        return store_preset("mm-realsr-stage-1" if config.stage == 1 else "mm-realsr")
    return store_preset(_RECIPES[preset])


def live(
    folders: Sequence[Place],
    config: Path | None,
    out: Path,
    *,
    preset: str,
    images: IndexConfig = IndexConfig(role="hr"),  # noqa: B008 - frozen
    bank: Place | None = None,
    trained: Config | None = None,
) -> Data:
    """What the config of a store (`rwsr degrade show`) makes of the images below the folders, rendered while training.

    Raises:
        UserError: the config or the folders are wrong.
    """
    if preset == _OF_ONE_DEGRADATION and config is None:
        raise UserError(
            f"preset {preset} is trained on one degradation; name it with --recipe (`rwsr degrade show cugan --set "
            "recipe.fixed_level=[2,30]`)"
        )
    composed = compose(_recipe_of(preset, trained or PRESETS[preset](1)), config=config)
    groups, identity = live_groups(folders, out / "index.parquet", composed, images, cores())
    recipe = composed.recipe.model_dump(mode="json")
    return Data(groups, identity, recipe, noise=None if bank is None else NoiseBank.open(bank))


def train_run(
    out: Path,
    data: Data,
    config: Config,
    *,
    start_from: Path | None = None,
    far_model: Path | None = None,
    val: ImageSet | None = None,
    notes: Sequence[str] = (),
) -> bool:
    """Train a stage into the folder `out`, measured on held-out images meanwhile; False when that was done before.

    far_model: the SR model that FAR looks through, where its net is `sr`. notes: said once the training begins.

    Raises:
        UserError: the groups, the config or the earlier run do not fit; or it was asked to stop, and is saved.
    """
    device = local_device()
    validate = None if val is None else validation(val, _scale(config), device)
    if far_model is not None:
        config = looking_through(config, far_model)
    with told(config.loop.steps, notes) as tell:
        return run.train(
            out,
            data.groups,
            data.identity,
            config,
            config.loop,
            _make(config, far_model),
            device,
            tell,
            start_from=start_from,
            noise=data.noise,
            spawn=data.remote,
            validate=validate,
        )


@contextmanager
def told(steps: int, notes: Sequence[str] = ()) -> Generator[OnStep]:
    """A training's progress bar, with its terms, once the notes are said; raises UserError where the training was asked
    to stop.
    """
    unsaid = list(notes)
    with progress("train", steps) as advance:

        def tell(done: int, terms: dict[str, float]) -> None:
            while unsaid:
                say(unsaid.pop(0))
            advance(done, " ".join(f"{name} {value:.4f}" for name, value in terms.items()))

        try:
            yield tell
        except Interrupted as interrupted:
            raise UserError(
                f"stopped after {interrupted.step} of {steps} steps, which are saved; the same command goes on from "
                "there"
            ) from None


def looking_through(config: Config, far_model: Path) -> Config:
    """The config with the hash of the SR model that FAR looks through; raises UserError where it has no FAR of one."""
    if not isinstance(config, hr_aware.PretrainConfig) or config.network.far is None:
        raise UserError("--far-model is for FAR, which this training has not; drop it")
    return config.model_copy(update={"far_model": open_restorer(far_model, local_device()).checkpoint})

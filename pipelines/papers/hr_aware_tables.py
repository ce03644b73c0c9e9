"""HR-aware's tables as one call: pretrain what reconstructs LR, fine-tune SR models on LR alone, measure, draw.

OUT/
    photos/                          with --simulate-camera: HR as it is, and LR by one camera
    pairs.zarr                       what the reconstruction networks learn from
    clean.zarr, corrupted.zarr       of table 1: what LWay's extractor, and SRTTA's classifier, learn from
    reconstructions/<network>-<seed>/
    runs/<model>-<variant>-<seed>/   the fine-tuned models; of several at once their logs beside them
    metrics.parquet, report.html     what was measured, the tables and the curves

As in the paper a model is fine-tuned on the LR of the very images that it is measured on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...degrade.config import compose
from ...degrade.errors import UserError
from ...degrade.images import sources
from ...degrade.images.listing import IndexConfig
from ...degrade.images.rows import SourceRow
from ...degrade.recipes.store_config import StoreConfig, store_preset
from ...degrade.storage.location import Place
from ...eval.images.sets import check_fits
from ...eval.metrics import lpips_here
from ...eval.metrics.lpips_dists import check_lpips
from ...eval.report.page import Table
from ...eval.report.published import of_set
from ...train.compose import compose_fine_tuning, compose_training
from ...train.data.lr_images import large_enough
from ...train.engine.distributed import local_device
from ...train.files.open import Restorer
from ...train.fine_tune import choice_of
from ...train.losses.far_encoders import check_weights
from ...train.methods.hr_aware import FineTuneConfig, Restoring, check_model
from ...train.methods.hr_aware_pretrain import PretrainConfig
from ...train.runs.checkpoint import read_log
from ..evaluate import image_set, open_alike
from ..executors import runner
from ..pipeline import Named, make_all
from ..stages.base import Work
from ..stages.images import Index
from ..stages.store import Store
from ..stages.train import LR_IMAGES, FineTune, Train
from .early_stopping import stopped
from .hr_aware_baselines import classifier_of, extractor_of, extractor_run, srtta_of, why_no_srtta, zero_shot_of
from .hr_aware_variants import BEFORE, FROZEN, NETWORKS, PRETRAINED, SRTTA, Network, Plan, Variant
from .parallel_training import telling, train_all
from .rwsr_edl_variants import plain_name
from .simulated_cameras import CAMERAS, pairs_by
from .table_page import Finished, Sheet, finished, metrics_of

PAIRS, LR_INDEX = "pairs.zarr", "LR"
_CURVE_IMAGES, _CURVE_POINTS = 8, 6


# ------------------------------------------------------------------------------------------------------ configs


def _pairs_config(plan: Plan, scale: int) -> StoreConfig:
    order = plan.order
    samples, size = order.samples_or(100_000), plan.hr_size_px
    found = compose(store_preset("real-esrgan-nousm"), num_samples=samples, hr_size_px=size, recipe={"scale": scale})
    return compose(found, sets=order.sets_of("pairs", alone=True))


def _pretraining(plan: Plan, network: Network, seed: int, scale: int) -> tuple[str, PretrainConfig]:
    """The preset and the config of a reconstruction network."""
    preset = FROZEN if network == "LWay" else PRETRAINED
    sets = plan.order.sets_of(preset)
    found = compose_training(plan.sized(preset), sets=sets, steps=plan.order.steps_of(preset), seed=seed)
    assert isinstance(found, PretrainConfig)
    return plan.sized(preset), compose(found, network=NETWORKS[network] | {"scale": scale})


def _fine_tuning(plan: Plan, variant: Variant, seed: int) -> FineTuneConfig:
    sets, steps = plan.order.sets_of("hr-aware"), plan.order.steps_of("hr-aware")
    base = compose_fine_tuning(plan.preset, sets=sets, steps=steps, seed=seed)
    every = f"loop.validate_every={max(1, base.loop.steps // _CURVE_POINTS)}"
    return variant.tuned(compose_fine_tuning(plan.preset, sets=[every, *sets], steps=steps, seed=seed))


def _check(plan: Plan, models: Sequence[Restorer]) -> None:
    """Raises UserError where a plan cannot be carried out: keys, models, published files that are missing."""
    scale = models[0].scale
    size = _pairs_config(plan, scale).hr_size_px
    for network in plan.networks:
        preset, config = _pretraining(plan, network, 0, scale)
        if size < config.loop.lr_patch_px * scale:
            raise UserError(
                f"pairs:hr_size_px = {size} is less than a patch of {config.loop.lr_patch_px} px of LR, as {preset} "
                f"takes; use {config.loop.lr_patch_px * scale} or more"
            )
        if config.network.far is not None:
            check_weights(config.network.far)
        if config.network.controller is not None:
            check_lpips(config.network.controller.hqi)
        if config.losses.lpips:
            check_lpips(config.losses.net)
    for variant in plan.variants:
        tuned = _fine_tuning(plan, variant, 0)
        if tuned.losses.lpips:
            check_lpips(tuned.losses.net)
        choice_of(tuned, has_hr=True, has_far=variant.has_far)
        for each in models:
            check_model(tuned, Restoring(each.net, each.scale))


# --------------------------------------------------------------------------------------------------------- data


@dataclass(frozen=True)
class Images:
    """HR and LR to measure on."""

    hr: Place
    lr: Place


def _images(plan: Plan, scale: int) -> tuple[Images, Sequence[SourceRow]]:
    """HR and LR as they are, or LR made, and the photographs to pretrain on; raises UserError where HR is of those."""
    order, run = plan.order, runner(plan.order.workers)
    assert order.test is not None
    plan.out.mkdir(parents=True, exist_ok=True)
    pretrain = sources.index(order.photos, plan.out / "photos.index.parquet", IndexConfig(role="hr"), run)
    hr = sources.index([order.test], plan.out / "test.index.parquet", IndexConfig(role="hr"), run)
    sources.check_apart(pretrain, hr)
    sources.name_left_out(hr)
    if order.test_lr is not None:
        return Images(order.test, order.test_lr), pretrain
    assert order.simulate_camera is not None
    return Images(*pairs_by(CAMERAS[order.simulate_camera], hr, plan.out / "photos", scale)), pretrain


def _pairs(plan: Plan, scale: int) -> Named:
    """What the reconstruction networks learn from."""
    return Named(PAIRS, Store.of(_pairs_config(plan, scale), source=plan.order.photos), PAIRS)


# ---------------------------------------------------------------------------------------------------- trainings


def _far_model(plan: Plan, network: Network | None, model: Path) -> Path | None:
    """What FAR looks through in the row of an SR model: the one that is named, or that which is fine-tuned."""
    return (plan.far_model or model) if network == "SR model" else None


def _pretrainings(plan: Plan, scale: int) -> list[Named]:
    found: dict[Path, Named] = {}
    for seed in plan.seeds:
        for network in plan.networks:
            preset, config = _pretraining(plan, network, seed, scale)
            for model, path in plan.models.items():
                run = plan.network_run(network, seed, model)
                stage = Train.of(
                    preset,
                    config,
                    data=PAIRS,
                    far_model=_far_model(plan, network, path),
                    extractor=extractor_run(plan) if network == "LWay" else None,
                )
                found[run] = Named(run.name, stage, f"reconstructions/{run.name}")
    return list(found.values())


def _fine_tunings(plan: Plan, images: Images) -> list[Named]:
    held_out: dict[str, Any] = {"val_hr": str(images.hr), "val_lr": str(images.lr), "val_images": _CURVE_IMAGES}
    found: list[Named] = []
    for seed in plan.seeds:
        for model, path in plan.models.items():
            for variant in plan.variants:
                run, network = plan.run(model, variant, seed), variant.network
                stage = FineTune.of(
                    plan.preset,
                    _fine_tuning(plan, variant, seed),
                    model=path,
                    lr_images=(LR_INDEX,),
                    reconstruction=None if network is None else plan.network_run(network, seed, model),
                    far_model=_far_model(plan, network, path),
                    **held_out,
                )
                found.append(Named(run.name, stage, f"runs/{run.name}"))
    return found


# ------------------------------------------------------------------------------------------------------ results


@dataclass(frozen=True)
class _Others:
    """The runs of rows that are fine-tuned on no folder: of a model by SRTTA, or of no model."""

    srtta: Mapping[str, Path]
    zero_shot: Mapping[str, Path]


def _others(plan: Plan, models: Sequence[Restorer], rows: Sequence[SourceRow]) -> _Others:
    """Make them, behind their classifier."""
    scale = models[0].scale
    adapted = [each.name for each in models if why_no_srtta(each) is None] if plan.adapts else []
    if adapted:
        store, training = classifier_of(plan, scale)
        made = make_all([store], plan.out, plan.out / "runs", Work(workers=plan.order.workers), telling)
        train_all([training], plan.out, made, plan.order.workers)
    return _Others(
        {name: srtta_of(plan, name, rows, scale) for name in adapted},
        {row: zero_shot_of(plan, preset, scale) for row, preset in plan.zero_shot.items()},
    )


def _sheet(plan: Plan, model: Restorer, others: _Others, data: str) -> Sheet:
    """The table of a model; rows of no model are on that of the first."""
    name, path = model.name, plan.models[model.name]
    paper_data, paper = of_set(plan.table, data, name)
    if plan.far_model is None:
        paper = {row: values for row, values in paper.items() if row != "SR model"}  # the paper's is EDSR
    trained = {variant.name: [plan.run(name, variant, seed) for seed in plan.seeds] for variant in plan.variants}
    runs = {BEFORE: {f"{plain_name(name)}-{BEFORE}": path}}
    runs |= {row: {run.name: run for run in each} for row, each in trained.items()}
    if name in others.srtta:
        runs[SRTTA] = {others.srtta[name].name: others.srtta[name]}
    if name == next(iter(plan.models)):
        runs |= {row: {run.name: run} for row, run in others.zero_shot.items()}
    no_srtta = why_no_srtta(model) if plan.adapts else None
    return Sheet(
        title=f"HR-aware table {plan.table}: {name}",
        runs=runs,
        logs=trained,
        paper=paper,
        paper_data=paper_data,
        tables=(_stopping(trained),),
        notes=(
            "the models are fine-tuned on the LR of the images that they are measured on, as in the paper",
            *_stand_ins(plan, model.scale),
            *([] if no_srtta is None else [no_srtta]),
            *(
                ["FAR's SR model is the one that is fine-tuned; the paper's is EDSR, which --far-model can name"]
                if plan.table == "3" and plan.far_model is None
                else []
            ),
        ),
    )


def _stopping(trained: Mapping[str, Sequence[Path]]) -> Table:
    """What each rule of stopping would have given of each variant."""
    metrics = ("psnr-y", lpips_here())
    rows: list[tuple[str, ...]] = []
    for name, runs in trained.items():
        for each in stopped([read_log(run) for run in runs], metrics):
            figures = (f"{each.figures[metric]:.4f}" if metric in each.figures else "" for metric in metrics)
            rows.append((name, each.rule, f"{each.step:.0f}", *figures))
    return Table(("variant", "stopped at", "step", *metrics), tuple(rows))


def _stand_ins(plan: Plan, scale: int) -> list[str]:
    """What stands in for the paper's networks, in words."""
    found: list[str] = []
    for network in plan.networks:
        far = _pretraining(plan, network, 0, scale)[1].network.far
        if far is not None:
            found.append(f"FAR of {network} looks through {far.text}")
    return found


def run(plan: Plan) -> Finished:
    """Pretrain, fine-tune and measure into the plan's folder, and draw its page; what is there already is kept.

    Raises:
        UserError: the plan is wrong, or a stage failed; the same call goes on from there.
    """
    order = plan.order
    models = open_alike(plan.models, local_device())
    _check(plan, models)
    scale = models[0].scale
    images, photos = _images(plan, scale)
    measured_on = image_set(None, images.hr, images.lr, scale)
    check_fits(measured_on)
    work, runs = Work(workers=order.workers), plan.out / "runs"
    lr = Named(LR_INDEX, Index(folders=(images.lr,), images=LR_IMAGES), "lr.index.parquet")
    made = make_all([lr], plan.out, runs, work)
    patches = [_fine_tuning(plan, each, 0).loop.lr_patch_px for each in plan.variants]
    large_enough(made[LR_INDEX].rows, max(patches, default=1))
    data, first = [_pairs(plan, scale)] if plan.networks else [], list[list[Named]]()
    if "LWay" in plan.networks:
        clean, first = extractor_of(plan, scale)
        data.append(clean)
    made |= make_all(data, plan.out, runs, work, telling)
    for wave in (*first, _pretrainings(plan, scale), _fine_tunings(plan, images)):
        if wave:
            train_all(wave, plan.out, made, order.workers)
    others = _others(plan, models, photos)
    sheets = [_sheet(plan, each, others, measured_on.name) for each in models]
    return finished(plan.out, measured_on, f"HR-aware table {plan.table}", sheets, metrics_of(order.metrics))

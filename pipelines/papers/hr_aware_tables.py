"""HR-aware's tables as one call: pretrain what reconstructs LR, fine-tune SR models on LR alone, measure, draw.

OUT/
    photos/                          with `simulate_camera`: HR as it is, and LR by one camera
    pairs.zarr                       what the reconstruction networks learn from
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
from .hr_aware_variants import BEFORE, NETWORKS, Network, Plan, Variant
from .parallel_training import telling, train_all
from .rwsr_edl_variants import plain_name
from .simulated_cameras import CAMERAS, pairs_by
from .table_page import Finished, Sheet, finished, metrics_of

PAIRS, LR_INDEX = "pairs.zarr", "LR"
_CURVE_IMAGES, _CURVE_POINTS = 8, 6


# ------------------------------------------------------------------------------------------------------ configs


def _pairs_config(plan: Plan, scale: int) -> StoreConfig:
    size = plan.hr_size_px
    return compose(
        store_preset("real-esrgan-nousm"),
        sets=plan.pairs_sets,
        num_samples=plan.samples,
        hr_size_px=size,
        recipe={"scale": scale},
    )


def _pretraining(plan: Plan, network: Network, seed: int, scale: int) -> tuple[str, PretrainConfig]:
    """The preset and the config of a reconstruction network."""
    preset = "hr-aware-pretrain-small" if plan.preset.endswith("-small") else "hr-aware-pretrain"
    sets = plan.pretrain_sets
    found = compose_training(preset, sets=sets, steps=plan.pretrain_steps, seed=seed)
    assert isinstance(found, PretrainConfig)
    return preset, compose(found, network=NETWORKS[network] | {"scale": scale})


def _fine_tuning(plan: Plan, variant: Variant, seed: int) -> FineTuneConfig:
    base = compose_fine_tuning(plan.preset, sets=plan.sets, steps=plan.steps, seed=seed)
    every = f"loop.validate_every={max(1, base.loop.steps // _CURVE_POINTS)}"
    config = compose_fine_tuning(plan.preset, sets=[every, *plan.sets], steps=plan.steps, seed=seed)
    return variant.tuned(config)


def _check(plan: Plan, models: Sequence[Restorer]) -> None:
    """Raises UserError where a plan cannot be carried out: keys, models, published files that are missing."""
    scale = models[0].scale
    if (plan.simulate_camera is None) == (plan.lr is None):
        only = "only one of the two: " if plan.simulate_camera else ""
        raise UserError(
            f"name {only}--lr, the LR of the HR, or --simulate-camera to have it made by a fixed degradation"
        )
    for network in plan.networks:
        _, config = _pretraining(plan, network, 0, scale)
        if plan.hr_size_px < config.loop.lr_patch_px * scale:
            raise UserError(
                f"--hr-size {plan.hr_size_px} is less than a patch of {config.loop.lr_patch_px} px of LR; use "
                f"{config.loop.lr_patch_px * scale} or more"
            )
        if config.network.far is not None:
            check_weights(config.network.far)
        if config.network.controller is not None:
            check_lpips(config.network.controller.hqi)
        if config.losses.lpips:
            check_lpips(config.losses.net)
    _pairs_config(plan, scale)
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


def _images(plan: Plan, scale: int) -> Images:
    """HR and LR as they are, or LR made; raises UserError where HR is a source of the pretraining too."""
    run = runner(plan.workers)
    plan.out.mkdir(parents=True, exist_ok=True)
    pretrain = sources.index(plan.pretrain_on, plan.out / "pretrain.index.parquet", IndexConfig(role="hr"), run)
    hr = sources.index([plan.hr], plan.out / "hr.index.parquet", IndexConfig(role="hr"), run)
    sources.check_apart(pretrain, hr)
    sources.name_left_out(hr)
    if plan.lr is not None:
        return Images(plan.hr, plan.lr)
    assert plan.simulate_camera is not None
    return Images(*pairs_by(CAMERAS[plan.simulate_camera], hr, plan.out / "photos", scale))


def _pairs(plan: Plan, scale: int) -> Named:
    """What the reconstruction networks learn from."""
    return Named(PAIRS, Store.of(_pairs_config(plan, scale), source=plan.pretrain_on), PAIRS)


# ---------------------------------------------------------------------------------------------------- trainings


def _far_model(plan: Plan, network: Network | None, model: Path) -> Path | None:
    """What FAR looks through in the row of an SR model: the one that is named, or that which is fine-tuned."""
    return (plan.far_model or model) if network == "SR model" else None


def _pretrainings(plan: Plan, scale: int) -> list[Named]:
    found: dict[Path, Named] = {}
    for seed in range(min(plan.seeds, plan.pretrain_seeds)):
        for network in plan.networks:
            preset, config = _pretraining(plan, network, seed, scale)
            for model, path in plan.models.items():
                run = plan.network_run(network, seed, model)
                stage = Train.of(preset, config, data=PAIRS, far_model=_far_model(plan, network, path))
                found[run] = Named(run.name, stage, f"reconstructions/{run.name}")
    return list(found.values())


def _fine_tunings(plan: Plan, images: Images) -> list[Named]:
    held_out: dict[str, Any] = {"val_hr": str(images.hr), "val_lr": str(images.lr), "val_images": _CURVE_IMAGES}
    found: list[Named] = []
    for seed in range(plan.seeds):
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


def _sheet(plan: Plan, model: str, path: Path, scale: int, data: str) -> Sheet:
    paper_data, paper = of_set(plan.table, data)
    if plan.far_model is None:
        paper = {name: values for name, values in paper.items() if name != "SR model"}  # the paper's is EDSR
    trained = {
        variant.name: [plan.run(model, variant, seed) for seed in range(plan.seeds)] for variant in plan.variants
    }
    runs = {BEFORE: {f"{plain_name(model)}-{BEFORE}": path}} | {
        name: {run.name: run for run in each} for name, each in trained.items()
    }
    return Sheet(
        title=f"HR-aware table {plan.table}: {model}",
        runs=runs,
        logs=trained,
        paper=paper,
        paper_data=paper_data,
        tables=(_stopping(trained),),
        notes=(
            "the models are fine-tuned on the LR of the images that they are measured on, as in the paper",
            *_stand_ins(plan, scale),
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
    models = open_alike(plan.models, local_device())
    _check(plan, models)
    scale = models[0].scale
    images = _images(plan, scale)
    measured_on = image_set(None, images.hr, images.lr, scale)
    check_fits(measured_on)
    work = Work(workers=plan.workers)
    lr = Named(LR_INDEX, Index(folders=(images.lr,), images=LR_IMAGES), "lr.index.parquet")
    made = make_all([lr], plan.out, plan.out / "runs", work)
    large_enough(made[LR_INDEX].rows, max(_fine_tuning(plan, each, 0).loop.lr_patch_px for each in plan.variants))
    made |= make_all([_pairs(plan, scale)], plan.out, plan.out / "runs", work, telling)
    train_all(_pretrainings(plan, scale), plan.out, made, plan.workers)
    train_all(_fine_tunings(plan, images), plan.out, made, plan.workers)
    sheets = [_sheet(plan, model, path, scale, measured_on.name) for model, path in plan.models.items()]
    title = f"HR-aware table {plan.table}"
    return finished(plan.out, measured_on, title, sheets, metrics_of(plan.metrics))

"""RWSR-EDL's ablations, each a table of the paper as one call: build, train every variant by every seed, measure.

OUT/
    photos/                         with --simulate-camera: the photographs, spoilt
    bank.zarr, mixed-bank.zarr      noise of the target set, and of all sets as one
    target.zarr, mixed.zarr, ngdc.zarr   the pairs of each kind of data
    runs/<variant>-<seed>/          the trainings; of several at once runs/<variant>-<seed>.log
    metrics.parquet, report.html    what was measured, the table and the curves
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...degrade.config import compose
from ...degrade.errors import UserError
from ...degrade.images import sources
from ...degrade.images.listing import IndexConfig
from ...degrade.progress import say
from ...degrade.recipes.store_config import store_preset
from ...degrade.storage.local import write_atomic
from ...degrade.storage.location import Place
from ...noisebank import build_bank
from ...noisebank.bank import BankConfig
from ...noisebank.tiles import TileGrid
from ..executors import runner
from ..pipeline import Named, make_all
from ..stages.base import Work
from ..stages.images import Bank
from ..stages.store import Store
from ..stages.train import Train
from . import simulated_cameras as cameras
from .parallel_training import telling, train_all
from .rwsr_edl_variants import OFF, TABLES, Variant, branches_of, losses_of

if TYPE_CHECKING:
    from ...train.methods.rwsr_edl import EdlConfig
    from .items.base import Order
    from .table_page import Finished

SCALE = 4
OWN_BANK, MIXED_BANK, PSNR = "bank.zarr", "mixed-bank.zarr", "psnr"
TOOK_NOTHING = "no auxiliary image lies in the target's interval, so NGDC takes none and trains on the target alone"
_CURVE_IMAGES, _CURVE_POINTS = 8, 8
_PSNR_STEPS, _PSNR_STEPS_SMALL = 1_000_000, 1500
_OF_THE_CAMERA = IndexConfig(role="lr")  # of pairs: those that its noise is in


@dataclass(frozen=True)
class Plan:
    """A table of an order: the target's and auxiliary photographs, and HR to measure on, with its LR unless all is
    spoilt by a camera here. Every training starts from one model, as published: the main generator alone, by L1 on the
    target's pairs without noise.
    """

    order: "Order"
    table: str

    @property
    def out(self) -> Path:
        return self.order.out

    @property
    def preset(self) -> str:
        return "rwsr-edl-small" if self.order.small else "rwsr-edl"

    @property
    def variants(self) -> tuple[Variant, ...]:
        return tuple(each for each in TABLES[self.table] if self.order.wants(each.name))

    @property
    def all_seeds(self) -> range:
        return range(self.order.seeds)

    def config(self, seed: int | None = None) -> "EdlConfig":
        """The training's config before a variant changes it; raises UserError."""
        from ...train.compose import compose_training
        from ...train.methods.rwsr_edl import EdlConfig

        sets = self.order.sets_of("rwsr-edl")
        found = compose_training(self.preset, sets=sets, steps=self.order.steps_of("rwsr-edl"), seed=seed)
        assert isinstance(found, EdlConfig)
        return found


def check(plan: Plan) -> None:
    """Raises UserError where a plan cannot be carried out."""
    from ...train.losses.perceptual import check_weights

    base = plan.config()
    for variant in plan.variants:
        check_weights(compose(base, **variant.changes).losses.perceptual)


# --------------------------------------------------------------------------------------------------------- data


def _photographs(plan: Plan) -> tuple[list[Place], list[Place], Place, Place]:
    """Target and auxiliary folders, HR and LR: as they are, or spoilt; raises UserError where HR is a source too."""
    order = plan.order
    assert order.test is not None
    photos, run = plan.out / "photos", runner(order.workers)
    kinds = {"target": order.target, "auxiliary": order.auxiliary, "test": (order.test,)}
    clean = IndexConfig(role="hr")
    rows = {
        kind: sources.index(
            folders,
            plan.out / f"{kind}.index.parquet",
            clean if order.simulate_camera or kind == "test" else _OF_THE_CAMERA,
            run,
        )
        for kind, folders in kinds.items()
        if folders
    }
    sources.check_apart([*rows["target"], *rows.get("auxiliary", [])], rows["test"])
    if order.simulate_camera is None:
        assert order.test_lr is not None
        return [*order.target], [*order.auxiliary], order.test, order.test_lr
    for found in rows.values():
        sources.name_left_out(found)
    camera = cameras.CAMERAS[order.simulate_camera]
    target = cameras.written(
        rows["target"], photos / "target", "photographs of the camera", partial(cameras.by_one_camera, camera=camera)
    )
    auxiliary: list[Place] = []
    if "auxiliary" in rows:
        title = "photographs of other cameras"
        auxiliary = [cameras.written(rows["auxiliary"], photos / "auxiliary", title, cameras.by_others)]
    return [target], auxiliary, *cameras.pairs_by(camera, rows["test"], photos, SCALE)


def _check_held_out(plan: Plan, hr: Place, lr: Place) -> None:
    """Raises UserError where LR does not belong to HR, or the folder measures on other images."""
    from ..evaluate import image_set

    images = image_set(None, hr, lr, SCALE)
    try:
        for each in images.items:
            each.read()
    except UserError as error:
        raise UserError(f"--test-lr {lr}: {error}") from None
    noted = plan.out / "test.sha256"
    if noted.exists() and noted.read_text() != images.sha256:
        raise UserError(f"{plan.out} measures on other images; use another --out, or remove {plan.out}")
    write_atomic(noted, images.sha256.encode())


def _took_nothing(plan: Plan) -> bool:
    """Whether no auxiliary image lies in the target's interval, so that NGDC trains on the target alone."""
    listed = build_bank.distilled_path(plan.out / "bank.zarr")
    return (
        any(each.data == "ngdc" for each in plan.variants) and listed.exists() and not build_bank.read_distilled(listed)
    )


def _data(plan: Plan, target: Sequence[Place], auxiliary: Sequence[Place]) -> list[Named]:
    """A bank and a store of every kind of data that the variants, and the PSNR model, want."""
    order, tile = plan.order, 64 if plan.order.small else 256
    wanted = {each.data for each in plan.variants} | {"target"}
    grid = compose(BankConfig(grid=TileGrid(size=tile, stride=tile)), sets=order.sets_of("bank", alone=True))
    base = compose(store_preset("rwsr-edl-noisefree"), num_samples=order.samples_or(50_000), hr_size_px=128)
    config = compose(base, sets=order.sets_of("pairs", alone=True))
    all_sets, own = [*target, *auxiliary], tuple(target)
    bank = Bank(target=own, auxiliary=tuple(auxiliary), config=grid, images=_OF_THE_CAMERA)
    found = [Named(OWN_BANK, bank, OWN_BANK)]
    if "mixed" in wanted:
        mixed = Bank(target=tuple(all_sets), config=grid, images=_OF_THE_CAMERA)
        found.append(Named(MIXED_BANK, mixed, MIXED_BANK))
    kinds: dict[str, dict[str, Any]] = {
        "target": {"source": own},
        "mixed": {"source": tuple(all_sets)},
        "ngdc": {"source": own, "distilled": (OWN_BANK,) if auxiliary else ()},
    }
    for kind, inputs in kinds.items():
        if kind in wanted:
            stage = Store.of(config, images=_OF_THE_CAMERA, **inputs)
            found.append(Named(kind, stage, f"{kind}.zarr"))
    return found


# ----------------------------------------------------------------------------------------------------- trainings


def _psnr(plan: Plan, held_out: Mapping[str, Any]) -> Named:
    """The model that all start from."""
    order, base = plan.order, plan.config()
    alone = losses_of(pixel=1, perceptual=OFF, gan=OFF) | branches_of("none")
    steps = order.steps or (_PSNR_STEPS_SMALL if order.small else _PSNR_STEPS)
    loop = {"steps": steps, "validate_every": steps, "learning_rate": 2 * base.loop.learning_rate}  # as ESRGAN's
    config = compose(compose(base, loop=loop), **alone)
    config = compose(config, sets=order.sets_of("esrgan-psnr", alone=True))
    return Named(PSNR, Train.of(plan.preset, config, data="target", **held_out), "runs/psnr")


def _trainings(plan: Plan, held_out: Mapping[str, Any]) -> list[Named]:
    """Every variant by every seed."""
    found: list[Named] = []
    for seed in plan.all_seeds:
        base = plan.config(seed)
        loop = {"validate_every": max(1, base.loop.steps // _CURVE_POINTS)}
        for variant in plan.variants:
            config = compose(compose(base, loop=loop), **variant.changes)
            bank = MIXED_BANK if variant.data == "mixed" else OWN_BANK
            stage = Train.of(
                plan.preset,
                config,
                data=variant.data,
                noise=bank if variant.noise else None,
                start_from=PSNR,
                **held_out,
            )
            found.append(Named(variant.run(seed), stage, f"runs/{variant.run(seed)}"))
    return found


def run(plan: Plan) -> "Finished":
    """Build, train and measure into the plan's folder, and draw its page; what is there already is kept.

    Raises:
        UserError: the plan is wrong, or a stage failed; the same call goes on from there.
    """
    check(plan)
    order = plan.order
    plan.out.mkdir(parents=True, exist_ok=True)
    target, auxiliary, hr, lr = _photographs(plan)
    _check_held_out(plan, hr, lr)
    held_out = {"val_hr": hr, "val_lr": lr, "val_images": _CURVE_IMAGES}
    data = [*_data(plan, target, auxiliary), _psnr(plan, held_out)]
    made = make_all(data, plan.out, plan.out / "runs", Work(workers=order.workers), telling)
    if _took_nothing(plan):
        say(f"note: {TOOK_NOTHING}")
    train_all(_trainings(plan, held_out), plan.out, made, order.workers)
    from ...eval.report.published import ablation as published_ablation
    from ..evaluate import image_set
    from . import table_page

    runs = {
        variant.name: {variant.run(seed): plan.out / "runs" / variant.run(seed) for seed in plan.all_seeds}
        for variant in plan.variants
    }
    title = f"RWSR-EDL table {plan.table}"
    sheet = table_page.Sheet(
        title=title,
        runs=runs,
        logs={variant: list(each.values()) for variant, each in runs.items()},
        paper=published_ablation("RWSR-EDL", plan.table)["RealSR-Canon"],
        paper_data="RealSR-Canon",
        notes=(TOOK_NOTHING,) if _took_nothing(plan) else (),
    )
    return table_page.finished(
        plan.out, image_set(None, hr, lr, SCALE), title, [sheet], table_page.metrics_of(order.metrics)
    )

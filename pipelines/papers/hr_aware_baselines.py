"""What else stands in HR-aware's table 1: LWay's frozen extractor, SRTTA's runs, and those that learn of each image."""

from collections.abc import Sequence
from pathlib import Path

from ...degrade.config import compose
from ...degrade.images import sources
from ...degrade.images.rows import SourceRow
from ...degrade.recipes.store_config import store_preset
from ...train.compose import compose_training
from ...train.files.open import Restorer
from ...train.zero_shot.presets import srtta, zero_shot
from ...train.zero_shot.srtta import check_adapts
from ..pipeline import Named
from ..stages.store import Store
from ..stages.train import Train
from .hr_aware_variants import Plan
from .rwsr_edl_variants import plain_name
from .simulated_cameras import made_smaller, written

CLEAN, CORRUPTED, CLASSIFIER = "clean.zarr", "corrupted.zarr", "corruption-classifier"
_CLEAN_IMAGES = 5  # LR of which SRTTA learns which numbers stay: as many as Set5 has


def _store(plan: Plan, name: str, preset: str, scale: int, hr_px: int) -> Named:
    order = plan.order
    config = compose(
        store_preset(preset), num_samples=order.samples_or(100_000), hr_size_px=hr_px, recipe={"scale": scale}
    )
    return Named(name, Store.of(config, source=order.photos), name)


def _training(plan: Plan, preset: str, data: str, *sets: str, start_from: Path | None = None) -> Train:
    told, steps = plan.order.sets_of(preset), plan.order.steps_of(preset)
    config = compose_training(plan.sized(preset), sets=[*sets, *told], steps=steps)
    return Train.of(plan.sized(preset), config, data=(data,), start_from=start_from)


def _named(name: str, training: Train) -> Named:
    return Named(name, training, f"reconstructions/{name}")


def extractor_run(plan: Plan) -> Path:
    """Where LWay's extractor is trained."""
    return plan.out / "reconstructions/lway-extractor"


def extractor_of(plan: Plan, scale: int) -> tuple[Named, list[list[Named]]]:
    """The store and the trainings, one after the other, of LWay's extractor: an SRResNet by L1, then with a GAN; small
    it begins with the latter.
    """
    scaled = f"network.scale={scale}"
    store = _store(plan, CLEAN, "bicubic", scale, plan.hr_size_px)
    if plan.order.small:
        return store, [[_named("lway-extractor", _training(plan, "lway-extractor", CLEAN, scaled))]]
    start = plan.out / "reconstructions/srresnet"
    first = _named("srresnet", _training(plan, "srresnet", CLEAN, scaled))
    second = _training(plan, "lway-extractor", CLEAN, scaled, start_from=start)
    return store, [[first], [_named("lway-extractor", second)]]


def classifier_of(plan: Plan, scale: int) -> tuple[Named, Named]:
    """The store and the training of what says to SRTTA what befell an image."""
    training = _training(plan, CLASSIFIER, CORRUPTED)
    hr_px = training.training().loop.lr_patch_px * scale
    return _store(plan, CORRUPTED, "corruptions", scale, hr_px), _named(CLASSIFIER, training)


def why_no_srtta(model: Restorer) -> str | None:
    """What keeps SRTTA from adapting a model."""
    if model.sizes is None:
        return f"SRTTA adapts an EDSR or an ESRGAN; {model.name} is of spandrel's"
    try:
        check_adapts(model.net, model.sizes.arch)
    except ValueError:
        return f"SRTTA adapts an EDSR or an ESRGAN; {model.name} is a {model.sizes.arch}"
    return None


def srtta_of(plan: Plan, name: str, rows: Sequence[SourceRow], scale: int) -> Path:
    """A run of SRTTA of a model; what stays of it is learned of LR of photographs that nothing befell."""
    out = plan.out / "runs" / f"{plain_name(name)}-srtta"
    usable = list(sources.usable(rows))
    few = usable[:: max(1, len(usable) // _CLEAN_IMAGES)][:_CLEAN_IMAGES]
    clean = written(few, plan.out / "clean-lr", "clean LR", lambda pixels, _: made_smaller(pixels, scale), scale)
    classifier = plan.out / "reconstructions" / CLASSIFIER
    sets = plan.order.sets_of("srtta", alone=True)
    srtta(plan.sized("srtta"), out, model=plan.models[name], classifier=classifier, clean=[clean], sets=sets)
    return out


def zero_shot_of(plan: Plan, preset: str, scale: int) -> Path:
    """A run of what learns of each image when it restores it."""
    out = plan.out / "runs" / preset
    zero_shot(plan.sized(preset), out, scale=scale, sets=plan.order.sets_of(preset, alone=True))
    return out

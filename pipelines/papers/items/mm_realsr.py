"""MM-RealSR's tables and figures: scores, modulation, and models of a quarter of the degradations each."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ....degrade.config import compose, compose_values
from ....degrade.errors import UserError
from ....degrade.recipes.real_esrgan import FIRST, SECOND
from ....degrade.recipes.store_config import store_preset
from ...pipeline import Named
from ...stages.store import Store
from ...stages.train import Train
from .base import (
    PAIRS,
    Item,
    Made,
    Order,
    build_stores,
    finished,
    measure_into,
    photographs,
    run_of,
    stage,
    train,
    training,
)
from .measured import measured, pairs_of, swept

_PHOTOS = "photographs to train on (DF2K and OST)"
_REAL = "real photographs"
_SET = "the paper's RealSRSet is RealSR of Cai et al., of which version and camera it does not say"
_METRICS = ("niqe", "lpips-vgg", "dists-mm-realsr")


def _store(order: Order, preset: str, name: str, **recipe: Any) -> Named:
    size = 128 if order.small else store_preset(preset).hr_size_px
    sizes: dict[str, Any] = {"num_samples": order.samples_or(100_000), "hr_size_px": size}
    config = compose_values(store_preset(preset), sizes | ({"recipe": recipe} if recipe else {}))
    config = compose(config, sets=order.sets_of(PAIRS, alone=True))
    return Named(name, Store.of(config, source=order.photos), f"{name}.zarr")


def _stage(order: Order, paper: str, small: str, data: str, *sets: str, **inputs: Any) -> Train:
    return stage(order, small if order.small else paper, data, *sets, part=paper, **inputs)


# ----------------------------------------------------------------------------------------------------- table 1


def _table_1(item: Item, order: Order) -> Made:
    """The named models; one of scale 1 that is told blur and noise (CUGAN's) behind bicubic, by the best of 121."""
    from ....eval.images.restoring import pick_device
    from ....eval.protocols.modulation import MODULATION, ModulationOptions
    from ....eval.protocols.restoration import RestorationOptions
    from ....train.enlarge import enlarge
    from ....train.files.open import open_restorer

    models, oracles = dict(order.models), dict[str, Path]()
    for name, path in order.models.items():
        if open_restorer(path, pick_device()).scale == 1:
            oracles[name] = order.out / "runs" / f"{name}-x4"
            enlarge(path, 4, oracles[name])
            del models[name]
    metrics = order.metrics or _metrics_here()
    images, out = pairs_of(order, 4), order.out / "metrics.parquet"
    if models:
        measure_into(out, "restoration", images, models, RestorationOptions(metrics=metrics))
    for name, path in oracles.items():
        by = _lpips_among(metrics)
        measure_into(out, MODULATION, images, {name: path}, ModulationOptions(metrics=metrics, by=by))
    names = {f"{name}, best of 121": "CUGAN, best of 121" for name in oracles}
    return finished(item, order, metrics=out, names=names)


def _metrics_here() -> tuple[str, ...]:
    """The paper's metrics, or of LPIPS and DISTS what can be had here."""
    from ....eval.images.restoring import pick_device
    from ....eval.metrics import ready

    found, _ = ready(_METRICS, scale=4, border=None, device=pick_device())
    names = tuple(each.name for each in found)
    return names if "lpips-vgg" in names else (*names, "lpips-squeeze")


def _lpips_among(metrics: Sequence[str]) -> str:
    """By which the best is chosen; raises UserError where there is none."""
    by = next((each for each in metrics if each.startswith("lpips")), None)
    if by is None:
        raise UserError("the best is chosen by LPIPS; name one too, as --metric lpips-squeeze")
    return by


# ----------------------------------------------------------------------------------------------------- table 2

SEGMENTS = 4


def segment(first: bool, number: int) -> dict[str, Any]:  # noqa: FBT001
    """A round's ranges cut to the quarter of that number, 0 the mildest: every range is parted evenly, sizes and
    qualities from their high end.
    """
    ranges = FIRST if first else SECOND

    def part(low: float, high: float, *, falling: bool = False) -> list[float]:
        i = SEGMENTS - 1 - number if falling else number
        step = (high - low) / SEGMENTS
        return [round(low + i * step, 6), round(low + (i + 1) * step, 6)]

    low, high = part(*ranges.resize_range, falling=True)
    resize = {"up": 0.5, "down": 0.5, "keep": 0} if low <= 1 <= high else {"up": 0, "down": 1, "keep": 0}
    if low > 1:
        resize = {"up": 1, "down": 0, "keep": 0}
    quality = part(*ranges.jpeg_quality, falling=True)
    return {
        "blur_sigma": part(*ranges.blur_sigma),
        "resize_range": [low, high],
        "resize": resize,
        "noise_sigma_255": part(*ranges.noise_sigma_255),
        "poisson_scale": part(*ranges.poisson_scale),
        "jpeg_quality": [round(quality[0]), round(quality[1])],
    }


def _table_2(item: Item, order: Order) -> Made:
    """Four Real-ESRGANs of a quarter of the degradations each, the best of them for each image, and MM-RealSR."""
    from ....eval.protocols.restoration import RestorationOptions
    from ....eval.protocols.segmented import SEGMENTED, SegmentedOptions

    parts = [f"segment-{i + 1}" for i in range(SEGMENTS)]
    stores = [_store(order, "mm-realsr", "groups")]
    stores += [
        _store(order, "real-esrgan", name, first=segment(True, i), second=segment(False, i))  # noqa: FBT003
        for i, name in enumerate(parts)
    ]
    metrics = order.metrics or _metrics_here()
    by = _lpips_among(metrics)
    made = build_stores(order, stores)
    plain = ("network.modulated=false", "losses.ranking=0", "losses.anchor=0")
    first = [training("mm-realsr", _stage(order, "mm-realsr-code", "mm-realsr-small", "groups"))]
    second: list[Named] = []
    for name in parts:
        stage = _stage(order, "real-esrnet", "mm-realsr-small", name, *(plain if order.small else ()))
        first.append(training(f"{name}-psnr" if not order.small else name, stage))
        if not order.small:
            gan = _stage(order, "real-esrgan", "", name, start_from=run_of(order, f"{name}-psnr"))
            second.append(training(name, gan))
    ours = "mm-realsr"
    if not order.small:
        ours = "mm-realsr-gan"
        gan = _stage(order, "mm-realsr-code-gan", "", "groups", start_from=run_of(order, "mm-realsr"))
        second.append(training(ours, gan))
    train(order, (first, second), made)
    images, out = pairs_of(order, 4), order.out / "metrics.parquet"
    segments = {f"Segment-{i + 1}": run_of(order, name) for i, name in enumerate(parts)}
    measure_into(out, SEGMENTED, images, segments, SegmentedOptions(metrics=metrics, by=by))
    measure_into(out, "restoration", images, {"MM-RealSR": run_of(order, ours)}, RestorationOptions(metrics=metrics))
    names = {f"Segment-{i + 1}": f"quarter {i + 1}" for i in range(SEGMENTS)} | {f"best of {SEGMENTS}": "best of four"}
    return finished(item, order, metrics=out, names=names)


# ----------------------------------------------------------------------------------------------------- figures


def _anchors(item: Item, order: Order) -> Made:
    """Figure 6: a UDEM's scores over rising degradations, learned with and without anchors."""
    from ....eval.protocols.udem_curves import PROTOCOL, UdemOptions

    made = build_stores(order, [_store(order, "mm-realsr", "groups")])
    runs = {"with anchors": (), "without anchors": ("losses.anchor=0",)}
    names = {name: name.replace(" ", "-") for name in runs}
    trainings = [
        training(names[name], _stage(order, "mm-realsr-code", "mm-realsr-small", "groups", *sets))
        for name, sets in runs.items()
    ]
    train(order, (trainings,), made)
    out = order.out / "metrics.parquet"
    models = {name: run_of(order, folder) for name, folder in names.items()}
    measure_into(out, PROTOCOL.name, photographs(order.test), models, UdemOptions())
    return finished(item, order, metrics=out)


def _scored(item: Item, order: Order) -> Made:
    """Figure 7: what a UDEM says of real photographs."""
    from ....eval.protocols.scores import PROTOCOL, ScoresOptions

    out = order.out / "metrics.parquet"
    measure_into(out, PROTOCOL.name, photographs(order.test), order.models, ScoresOptions())
    return finished(item, order, metrics=out)


def _crops(item: Item, order: Order) -> Made:
    """Figures 8 and 10: pieces of the same images by each of the named models."""
    return measured(item, order, _metrics_here())


_DRAWING = partial(Item, "mm-realsr", why="a drawing")
_MODELS = "the table's models by their names (NAME=FILE): published files, or runs"
ITEMS = (
    Item(
        "mm-realsr", "table1", "NIQE, LPIPS and DISTS beside models with and without modulation",
        {"test": "HR of RealSR or AIM19", "test_lr": "its LR, or --simulate-camera", "model": _MODELS}, {}, (),
        (_SET, "how CUGAN came to x4 is not said; here it restores what bicubic enlarged, by the best of 121",
         "tables 1 and 2 print other figures for one model (LPIPS 0.3606 and 0.3662)"), _table_1,
    ),
    Item(
        "mm-realsr", "table2", "MM-RealSR beside four models of a quarter of the degradations each",
        {"photos": _PHOTOS, "test": "HR of RealSR", "test_lr": "its LR, or --simulate-camera"},
        {"mm-realsr-code": 1, "mm-realsr-code-gan": 1, "real-esrnet": 4, "real-esrgan": 4}, ("vgg19",),
        (_SET, "how the ranges are parted is not said beyond evenly; --small has the first stage alone"), _table_2,
    ),
    Item("mm-realsr", "fig1", "Photographs under rising scores", {"test": _REAL, "model": "a run of MM-RealSR"},
         make=swept),
    _DRAWING("fig2", "Earlier modulation, and this"),
    _DRAWING("fig3", "The networks"),
    _DRAWING("fig4", "The UDEM"),
    _DRAWING("fig5", "Contrast and anchor groups"),
    Item(
        "mm-realsr", "fig6", "A UDEM's scores over rising noise, blur and JPEG, with and without anchors",
        {"photos": _PHOTOS, "test": "clean photographs"}, {"mm-realsr-code": 2}, (), (), _anchors,
    ),
    Item("mm-realsr", "fig7", "A UDEM's scores of real photographs",
         {"test": _REAL, "model": "a run of MM-RealSR"}, make=_scored),
    Item("mm-realsr", "fig8", "Crops beside other models",
         {"test": "HR (AIM19)", "test_lr": "its LR, or --simulate-camera", "model": _MODELS}, make=_crops),
    Item("mm-realsr", "fig9", "MM-RealSR told more noise, and more blur",
         {"test": _REAL, "model": "a run of MM-RealSR"}, make=swept,
         notes=("CUGAN's row of the figure is `rwsr paper cugan fig5`",)),
    Item("mm-realsr", "fig10", "Crops beside the segmented models",
         {"test": "HR of RealSR", "test_lr": "its LR, or --simulate-camera",
          "model": "runs of `rwsr paper mm-realsr table2`"}, make=_crops),
)  # fmt: skip

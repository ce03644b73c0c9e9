"""HR-aware's tables and figures: SR models adapted to LR alone, beside other self-supervision."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ....degrade.config import compose
from ....degrade.recipes.store_config import store_preset
from ...pipeline import Named
from ...stages.store import Store
from ..hr_aware_variants import ZERO_SHOT, rows_of
from .base import (
    PAIRS,
    Item,
    Made,
    Option,
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
from .measured import lpips_and, measured, pairs_of

_PHOTOS = "clean photographs to pretrain on (DIV2K)"
_PAIRS: Mapping[Option, str] = {"test": "HR to measure on", "test_lr": "its LR, or --simulate-camera"}
_MODEL = "the SR model (RealESRGAN_x4plus, SwinIR's GAN model)"
_SET = "the paper does not name the set; its figures are those of table 1 on {}"


def _table(item: Item, order: Order) -> Made:
    """Tables 1 to 4; figure 9 is table 1's curves, on its page."""
    from .. import hr_aware_tables as tables
    from ..hr_aware_variants import Plan

    curves = item.name == "fig9"
    found = tables.run(Plan(order, "1" if curves else item.number, each_image=not curves))
    return Made(found.page, found.lines, found.runs)


def _pretrained(item: Item, order: Order, variants: dict[str, tuple[str, ...]]) -> dict[str, Path]:
    """Reconstruction networks, by what is changed of them."""
    preset = "hr-aware-pretrain-small" if order.small else "hr-aware-pretrain"
    size = 128 if order.small else 400
    config = compose(store_preset("real-esrgan-nousm"), num_samples=order.samples_or(100_000), hr_size_px=size)
    config = compose(config, sets=order.sets_of(PAIRS, alone=True))
    pairs = Named("second-order", Store.of(config, source=order.photos), "second-order.zarr")
    made = build_stores(order, [pairs])
    part = next(iter(item.trains))
    trainings = [training(name, stage(order, preset, pairs.name, *sets, part=part)) for name, sets in variants.items()]
    train(order, (trainings,), made)
    return {name: run_of(order, name) for name in variants}


def _fit(item: Item, order: Order) -> Made:
    """Figures 2b and 7: how well LR comes of HR, and of worse and worse images, with and without the controller."""
    from ....eval.protocols.reconstruction import PROTOCOL, ReconstructionOptions

    variants: dict[str, tuple[str, ...]] = {"no-controller": ("network.controller=null", "network.far=null")}
    if item.name == "fig7":
        variants["controller"] = ("network.far=null",)
    runs, out = _pretrained(item, order, variants), order.out / "metrics.parquet"
    metrics = order.metrics or lpips_and("psnr-rgb")
    options = ReconstructionOptions(metrics=metrics, steps=2 if item.name == "fig2" else 11)
    measure_into(out, PROTOCOL.name, pairs_of(order, 4), runs, options)
    return finished(item, order, metrics=out)


def _far(item: Item, order: Order) -> Made:
    """Figure 8: FAR of clean images, and of degraded ones."""
    from ....eval.protocols.far import PROTOCOL

    runs, out = _pretrained(item, order, {"hr-aware": ()}), order.out / "metrics.parquet"
    measure_into(out, PROTOCOL.name, photographs(order.test), runs, PROTOCOL.options())
    return finished(item, order, metrics=out)


def _crops(item: Item, order: Order) -> Made:
    """Figure 5: pieces of the same images by each of the named models."""
    return measured(item, order, lpips_and("psnr-y", "ssim-y"))


def _photographs_without_hr(item: Item, order: Order) -> Made:
    """Figure 6: LR without HR, as DPED's."""
    from ....eval.protocols.restoration import RestorationOptions
    from ...evaluate import image_set
    from .measured import scale_of

    assert order.test_lr is not None
    images, out = image_set(None, None, order.test_lr, scale_of(order)), order.out / "metrics.parquet"
    options = RestorationOptions(metrics=order.metrics or ("niqe",))
    measure_into(out, "restoration", images, order.models, options)
    return finished(item, order, metrics=out)


_NRQM = "NRQM is printed, not measured: its parameters cannot be had here"
_TABLE = partial(Item, "hr-aware", wants={"photos": _PHOTOS, **_PAIRS, "model": _MODEL}, make=_table, seeded=True)
_LWAY = {"srresnet": 1, "lway-extractor": 1, "lway-pretrain-frozen": 1}
_TUNED = "hr-aware"  # the part that fine-tunings are
_FILES = ("vgg19", "lpips-alex", "clip-rn50")
_DRAWING = partial(Item, "hr-aware", why="a drawing")
ITEMS = (
    _TABLE("table1", "SR models before and after adaptation, beside LWay, SRTTA and what learns of each image",
           trains={"hr-aware-pretrain": 1, **_LWAY, "corruption-classifier": 1}, files=_FILES, rows=rows_of("1"),
           parts=(_TUNED, "srtta", *ZERO_SHOT.values()), notes=(
               _NRQM, "the text has SRTTA always lose in perception; by LPIPS it gains on Canon and Nikon",
               "on Canon LWay's LPIPS is better than the paper's own")),
    _TABLE("table2", "With and without the controller and FAR", trains={"hr-aware-pretrain": 4}, files=_FILES,
           rows=rows_of("2"), parts=(_TUNED,), notes=(
        _NRQM, "the check marks of its rows are lost in our copy, and told by the text",
        _SET.format("RealSR-Canon"))),
    _TABLE("table3", "What FAR looks through: an SR model, VGG-19, CLIP", trains={"hr-aware-pretrain": 3},
           files=_FILES, rows=rows_of("3"), parts=(_TUNED,), may={"far_model": "EDSR, for the first row"},
           notes=(_NRQM, _SET.format("NTIRE20"), "its first row is EDSR; here the model itself")),
    _TABLE("table4", "What the controller is noise around while fine-tuning", trains={"hr-aware-pretrain": 1},
           files=_FILES, rows=rows_of("4"), parts=(_TUNED,), notes=(_NRQM, _SET.format("NTIRE20"))),
    _DRAWING("fig1", "Earlier self-supervision, and this"),
    Item("hr-aware", "fig2", "LR reconstructed better from a blurred image than from HR, without the controller",
         {"photos": _PHOTOS, **_PAIRS}, {"lway-pretrain": 1}, _FILES, (), _fit),
    _DRAWING("fig3", "Pretraining and fine-tuning"),
    _DRAWING("fig4", "FAR"),
    Item("hr-aware", "fig5", "Crops beside other methods", {**_PAIRS, "model": _MODEL}, make=_crops),
    Item("hr-aware", "fig6", "Crops of photographs without HR",
         {"test_lr": "photographs (DPED)", "model": _MODEL}, make=_photographs_without_hr),
    Item("hr-aware", "fig7", "LR reconstructed from worse and worse images, with and without the controller",
         {"photos": _PHOTOS, **_PAIRS}, {"hr-aware-pretrain": 2}, _FILES, (), _fit),
    Item("hr-aware", "fig8", "FAR of clean images, and of degraded ones",
         {"photos": _PHOTOS, "test": "clean photographs"}, {"hr-aware-pretrain": 1}, _FILES,
         ("NTIRE 2018's wild sets are stood in for by one fixed chain",), _far),
    _TABLE("fig9", "LPIPS over the steps of adaptation", trains={"hr-aware-pretrain": 1, **_LWAY}, files=_FILES,
           parts=(_TUNED,)),
)  # fmt: skip

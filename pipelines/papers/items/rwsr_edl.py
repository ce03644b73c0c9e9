"""RWSR-EDL's tables and figures: beside other methods, and its ablations."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ....degrade.errors import UserError
from ....degrade.storage.location import place
from ..rwsr_edl_variants import TABLES
from . import beside
from .base import Item, Made, Option, Order, finished, measure_into
from .measured import lpips_and, measured, pairs_of, scale_of, timed

_TARGET = "photographs of the camera (RealSR's LR)"
_HELD_OUT: Mapping[Option, str] = {
    "test": "HR to measure on",
    "test_lr": "its LR by the same camera, or --simulate-camera",
}
_MODELS = "the table's models by their names (NAME=FILE): published files, or runs (see docs/papers)"
_UNSAID = "RGB or Y and LPIPS's network are not said in the paper; its code: RGB of 8 bits less 4 px, AlexNet"


def _ablation(item: Item, order: Order) -> Made:
    """Tables VII to X; figure 3 is IX's curves, on its page."""
    from .. import rwsr_edl_tables as tables

    found = tables.run(tables.Plan(order, "IX" if item.name == "fig3" else item.number))
    return Made(found.page, found.lines, found.runs)


def _measured(item: Item, order: Order) -> Made:
    """The named models, and those that are trained now where photographs are named."""
    if item.trains_for(order):
        order = replace(order, models={**beside.trained(order, item.number), **order.models})
    return measured(item, order, ("niqe",) if item.number == "II" else lpips_and("psnr-rgb", "ssim-rgb"))


def _noise(item: Item, order: Order) -> Made:
    """Figure 4: patches of nothing but noise, and of more."""
    from ....degrade.images.pixels import encode_png
    from ....eval.report import bank_plots
    from ....eval.report.page import Picture
    from ....noisebank.bank import BankConfig, NoiseBank
    from ....noisebank.cati import CatiRule
    from ....noisebank.pictures import bank_sheet
    from ....noisebank.set_scan import open_scan
    from ....noisebank.tiles import TileGrid
    from ...stages.base import Given, Work
    from ...stages.images import Bank

    tile = 64 if order.small else 256
    grid = BankConfig(grid=TileGrid(size=tile, stride=tile))
    at = order.out / "bank.zarr"
    made = Bank(target=order.target, config=grid).run(at, Given({}), Work(workers=order.workers))
    bank = NoiseBank.open(at)
    (scan,) = open_scan(place(made.values["scan"]))
    body = [Picture(encode_png(bank_sheet(bank)), "Patches of nothing but noise.")]
    if bank.cati is not None and isinstance(bank.rule, CatiRule):
        tiles = {scan.name: scan.read_tiles(grid.grid)}
        plot = bank_plots.tiles_and_rule(tiles, bank.rule, bank.cati)
        body.append(Picture(plot, "Every tile; the box is the characteristic interval, and what lies in it is taken."))
    return finished(item, order, body=body, lines=made.lines)


def _gains(item: Item, order: Order) -> Made:
    """Figure 1: where a model gains by PSNR and where by LPIPS, image by image, over the first of the two."""
    from ....eval.protocols.restoration import RestorationOptions
    from ....eval.report import plots
    from ....eval.report.page import Picture
    from ....eval.report.table import read

    if len(order.models) != 2:
        raise UserError(f"{item.called} is of two models: name the one before, then the one that gains")
    metrics = order.metrics or lpips_and("psnr-rgb")
    if len(metrics) != 2 or not (metrics[0].startswith("psnr") and metrics[1].startswith("lpips")):
        raise UserError(f"{item.called} is of PSNR and LPIPS; name both, --metric psnr-rgb --metric lpips-squeeze")
    psnr, lpips = metrics
    images, out = pairs_of(order, scale_of(order)), order.out / "metrics.parquet"
    measure_into(out, "restoration", images, order.models, RestorationOptions(metrics=(psnr, lpips)))
    before, after = order.models
    values: dict[tuple[str, str], dict[Any, float]] = {}
    for row in read(out):
        values.setdefault((row.model, row.metric), {})[row.image] = row.value
    shared = list(values[before, psnr])
    gains = [
        (
            values[after, psnr][each] - values[before, psnr][each],
            values[before, lpips][each] - values[after, lpips][each],
        )
        for each in shared
    ]
    plot = plots.gains(gains, psnr, lpips)
    both = sum(a > 0 and b > 0 for a, b in gains)
    said = (
        f"Each dot is an image: how much {after} gains over {before}. {both} of {len(gains)} gain by both, "
        f"{sum(a > 0 >= b for a, b in gains)} by PSNR alone, {sum(b > 0 >= a for a, b in gains)} by LPIPS alone.",
    )
    body = [Picture(plot, "Gains by the two metrics.")]
    return finished(item, order, metrics=out, body=body, said=said, lines=said)


_CONTRADICTIONS = {
    "VII": ("the text has 0.1 dB and 0.005 between mask and none, the table 0.087 dB and 0.004",),
    "VIII": ("the text has 27.75 and 26.67 dB, the table 27.775 and 27.673",),
    "IX": ("its best is 27.802 dB and 0.8110, table I's 27.803 and 0.8112",),
    "X": (),
}


def _item_of_ablation(name: str, number: str, title: str, runs: int) -> Item:
    wants: Any = {"target": _TARGET, **_HELD_OUT}
    if number in ("IX", "X"):
        wants["auxiliary"] = "photographs of other cameras (NTIRE 2020)"
    return Item(
        "rwsr-edl", name, title, wants, {"esrgan-psnr": 1, "rwsr-edl": runs}, ("vgg19", "lpips-alex"),
        _CONTRADICTIONS[number], seeded=True, make=_ablation, parts=("bank",),
        rows=tuple(each.name for each in TABLES[number]),
    )  # fmt: skip


def _trained(number: str) -> Mapping[str, Any]:
    """What an item takes and trains where it is to make its rows itself."""
    return {
        "trained_from": {"target": "photographs of the camera, without HR", "photos": "clean photographs (DF2K)"},
        "trains": beside.presets_of(number),
        "rows": beside.ROWS[number],
        "parts": ("bank", "kernels", *beside.ZERO_SHOT.values()),
        "files": ("vgg19", "lpips-alex"),
    }


_BESIDE = partial(Item, "rwsr-edl", wants={**_HELD_OUT, "model": _MODELS}, make=_measured)
_ALONE = "RWSR-EDL learns of noise that is injected here; one of real pairs is named by --model RWSR-EDL=RUN"
_DRAWING = partial(Item, "rwsr-edl", why="a drawing")
ITEMS = (
    _BESIDE("table1", "PSNR, SSIM and LPIPS beside other methods on RealSR", notes=(
        _UNSAID, "RWSR-EDL learns from 200 real pairs (`rwsr pairs build`), most of the others from none", _ALONE),
        **_trained("I")),
    _BESIDE("table2", "NIQE beside other methods on RealSR", notes=("Impressionism and FASRGAN are not in it", _ALONE),
        **_trained("II")),
    _BESIDE("table3", "PSNR, SSIM and LPIPS beside other methods on CameraSR", notes=(
        _UNSAID, "LR and HR are of one size; the published network of scale 1 lacks both upsamplings",
        "how FSSR, DASR and Impressionism come to scale 1 is not said; RWSR-EDL learns of real pairs: name runs")),
    _BESIDE("table4", "PSNR, SSIM and LPIPS beside other methods on AIM 2019", notes=(
        _UNSAID, "the text's 0.55 dB and 0.046 are over DASR, not FSSR"), **_trained("IV")),
    _BESIDE("table5", "PSNR, SSIM, LPIPS and MOS beside other methods on NTIRE 2020", notes=(
        _UNSAID, "the text has a MOS 8.5 % better, the table 8.4 %", "MOS is rated by people: `rwsr eval mos`"),
        **_trained("V")),
    Item("rwsr-edl", "table6", "Seconds for an image, and parameters", {"model": _MODELS}, make=timed, notes=(
        "the table says frames a second and means seconds a frame: its least is bold",)),
    _item_of_ablation("table7", "VII", "One branch, two, and two with a mask", 3),
    _item_of_ablation("table8", "VIII", "VGG-128 and Patch-D", 2),
    _item_of_ablation("table9", "IX", "Noise injection, other cameras' photographs, and NGDC", 4),
    _item_of_ablation("table10", "X", "Which loss looks at which branch", 5),
    Item("rwsr-edl", "fig1", "Where a model gains by PSNR, and where by LPIPS",
         {**_HELD_OUT, "model": "two models by name, the one that gains second (the paper's: DASR)"}, make=_gains,
         notes=("the paper shows crops with their gains; over what they are gained it does not say",)),
    _DRAWING("fig2", "The networks"),
    Item("rwsr-edl", "fig3", "PSNR and LPIPS while training with and without NGDC",
         {"target": _TARGET, "auxiliary": "photographs of other cameras (NTIRE 2020)", **_HELD_OUT},
         {"esrgan-psnr": 1, "rwsr-edl": 4}, ("vgg19", "lpips-alex"), (), _ablation, seeded=True,
         parts=("bank",), rows=tuple(each.name for each in TABLES["IX"])),
    Item("rwsr-edl", "fig4", "Patches of nothing but noise, and where they lie among all", {"target": _TARGET},
         make=_noise),
    *(_BESIDE(f"fig{n}", f"Crops beside other methods on {data}") for n, data in (
        (5, "RealSR"), (6, "CameraSR"), (7, "AIM 2019"), (8, "AIM 2019"), (9, "NTIRE 2020"), (10, "NTIRE 2020"))),
)  # fmt: skip

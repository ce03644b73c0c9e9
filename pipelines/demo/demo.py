"""The whole way on photographs that scikit-image ships: sources, noise bank, store, training, report.

OUT/
    photos/train, photos/held-out   the photographs
    index.parquet, held-out.index.parquet
    bank.zarr, bank.zarr.scan/      the noise bank and the statistics of every tile
    groups.zarr, held-out.zarr      the training groups and the test groups
    run/                            the training: model.safetensors, train.parquet
    restored/                       held-out photographs, restored
    metrics.parquet                 what was measured, and the UDEM's scores over rising levels
    report.html                     all of it explained
"""

import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from ...degrade import build_store
from ...degrade.config import compose
from ...degrade.errors import UserError
from ...degrade.images import sources
from ...degrade.images.sources import SourceRow
from ...degrade.progress import printable, say
from ...degrade.recipes.mm_realsr import ROLES
from ...degrade.recipes.store_config import StoreConfig, store_preset
from ...degrade.storage.local import write_atomic
from ...degrade.storage.shards.writer import Store
from ...degrade.tasks import Run
from ...noisebank import build_bank
from ...noisebank.bank import BankConfig, NoiseBank
from ...noisebank.scan import ScanConfig, scan, scan_grids
from ...noisebank.tiles import TileGrid

T = TypeVar("T")

TRAIN = (
    "astronaut.png",
    "camera.png",
    "coffee.png",
    "coins.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
)
HELD_OUT = ("chelsea.png", "retina.jpg", "rocket.jpg")
MADE = (
    "report.html",
    "index.parquet",
    "bank.zarr",
    "groups.zarr",
    "held-out.zarr",
    "run/model.safetensors",
    "run/train.parquet",
    "metrics.parquet",
    "restored",
)
_STEPS = 2000
BANK = BankConfig(grid=TileGrid(size=64, stride=32))

# MM-RealSR's recipe with JPEG kept mild and the noises further apart. With the published ranges a strong JPEG
# wipes out much of the noise that it is meant to go with: in the pixels, NOISIER then beats BASE in high-frequency
# energy in 75 % of the groups only, against 93 % here, and a training of minutes cannot see through that.
_RECIPE = (
    "recipe.first.jpeg_quality=[70,95]",
    "recipe.second.jpeg_quality=[70,95]",
    "recipe.gaps.jpeg_quality=[2,10]",
    "recipe.gaps.noise_sigma_255=[10,21]",
    "recipe.gaps.poisson_scale=[1,2.05]",
)


def groups_config(*, held_out: bool) -> StoreConfig:
    """The demo's groups: many small ones to train on; few larger ones, of another seed, to measure on."""
    hr_size_px, num_samples, seed = (288, 24, 1) if held_out else (128, 480, 0)
    return compose(
        store_preset("mm-realsr"), sets=_RECIPE, shard_mib=2, hr_size_px=hr_size_px, num_samples=num_samples, seed=seed
    )


def _copy_photographs(names: Sequence[str], folder: Path) -> int:
    """Photographs from the installed scikit-image; those that are there already are left as they are."""
    package = files("skimage") / "data"
    missing = [name for name in names if not (folder / name).exists()]
    for name in missing:
        try:
            write_atomic(folder / name, (package / name).read_bytes())
        except FileNotFoundError:
            raise UserError(f"the installed scikit-image has no {name}; install it from constraints.txt") from None
    return len(missing)


def _stage(title: str, work: Callable[[], tuple[T, str, bool]]) -> tuple[T, bool]:
    """Run a stage and say in one line what it did and how long it took; False when all of it was there already."""
    started = time.monotonic()
    result, text, worked = work()
    seconds = f"[{time.monotonic() - started:.1f} s]" if worked else "[done before]"
    say(f"{title:<10} {text} {seconds}")
    return result, worked


def _sources(out: Path, run: Run) -> tuple[tuple[list[SourceRow], list[SourceRow]], str, bool]:
    found: list[list[SourceRow]] = []
    copied = 0
    for names, folder, index in (
        (TRAIN, "photos/train", "index.parquet"),
        (HELD_OUT, "photos/held-out", "held-out.index.parquet"),
    ):
        copied += _copy_photographs(names, out / folder)
        found.append(sources.index([out / folder], out / index, sources.IndexConfig(), run))
    for row in (row for rows in found for row in sources.left_out(rows)):
        say(f"left out: {row.status}: {printable(row.file)}: {row.reason}")
    return (found[0], found[1]), f"{sources.summary(found[0])}; {len(found[1])} more held out", copied > 0


def _bank(out: Path, run: Run) -> tuple[NoiseBank, str, bool]:
    folder = out / "bank.zarr"
    grids = ScanConfig(grids=scan_grids(BANK.grids()))
    scans, _ = scan(out / "bank.zarr.scan", [out / "photos/train"], [], grids, sources.IndexConfig(), run)
    bank, num_cut = build_bank.build(folder, scans, BANK, run)
    return bank, f"{len(bank.patches)} patches out of {bank.sets[0].num_tiles} tiles of {bank.size_px} px", num_cut > 0


def _groups(out: Path, name: str, rows: list[SourceRow], run: Run, *, held_out: bool) -> tuple[Store, str, bool]:
    config = groups_config(held_out=held_out)
    store, rendered = build_store.build(out / name, build_store.plan(config, rows), run)
    lr = f"{config.lr_size_px} px LR of {config.hr_size_px} px HR"
    return store, f"{name} holds {config.num_samples} groups of {len(ROLES)} {lr}", rendered > 0


_PRESET = "mm-realsr-small"


def _train(out: Path, steps: int | None) -> tuple[None, str, bool]:
    from ...train.compose import compose_training, method_of
    from ...train.data.of_training import stored
    from ...train.train import train_run

    config, method = compose_training(_PRESET, steps=steps or _STEPS), method_of(_PRESET)
    trained = train_run(out / "run", stored(out / "groups.zarr"), method, config)
    return None, f"MM-RealSR stage 1, {config.loop.steps} steps", trained


def run_demo(out: Path, run: Run, *, steps: int | None) -> list[Path]:
    """Go the whole way into the folder `out`, and give back what was made; what is there already is kept.

    steps: of the training; None is what a few minutes allow.

    Raises:
        UserError: `out` holds something else, or a stage failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    (train_rows, held_out_rows), copied = _stage("sources", lambda: _sources(out, run))
    bank, cut = _stage("noise bank", lambda: _bank(out, run))
    store, drawn = _stage("degrade", lambda: _groups(out, "groups.zarr", train_rows, run, held_out=False))
    held_out, drawn_too = _stage("degrade", lambda: _groups(out, "held-out.zarr", held_out_rows, run, held_out=True))
    _, trained = _stage("train", lambda: _train(out, steps))

    from . import page

    means, measured = _stage("evaluate", lambda: page.measure(out, held_out))
    _, written = _stage("report", lambda: page.write(out, bank, store, held_out, means))
    if not any((copied, cut, drawn, drawn_too, trained, measured, written)):
        say("all is done already")
    return [out / name for name in MADE]

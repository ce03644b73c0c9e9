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

from ...degrade import build_store
from ...degrade.config import compose
from ...degrade.errors import UserError
from ...degrade.progress import say
from ...degrade.recipes.store_config import StoreConfig, store_preset
from ...degrade.storage.local import write_atomic
from ...degrade.storage.location import Place
from ...noisebank.bank import BankConfig, NoiseBank
from ...noisebank.tiles import TileGrid
from ..pipeline import Named, make_all
from ..stages.base import Artifact, Given, Work
from ..stages.images import Bank, Index
from ..stages.store import Store
from ..stages.train import Train

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


def stages(out: Path, steps: int | None) -> list[Named]:
    """The demo as a pipeline, but for its page."""
    from ...train.compose import compose_training

    config = compose_training("mm-realsr-small", steps=steps or _STEPS)
    return [
        Named("sources", Index(folders=(str(out / "photos/train"),)), "index.parquet"),
        Named("held out", Index(folders=(str(out / "photos/held-out"),)), "held-out.index.parquet"),
        Named("noise bank", Bank(target=("sources",), config=BANK), "bank.zarr"),
        Named("degrade", Store.of(groups_config(held_out=False), source=("sources",)), "groups.zarr"),
        Named("test", Store.of(groups_config(held_out=True), source=("held out",)), "held-out.zarr"),
        Named("train", Train.of("mm-realsr-small", config, data="degrade"), "run"),
    ]


def _say(title: str, text: str, seconds: float, *, new: bool) -> None:
    say(f"{title:<10} {text} {f'[{seconds:.1f} s]' if new else '[done before]'}")


def _told(named: Named, at: Place, given: Given, make: Callable[[], Artifact]) -> Artifact:
    """Do a stage, and say in one line what it did and how long it took."""
    started = time.monotonic()
    made = make()
    _say(named.name, _SAID[named.stage.kind](made), time.monotonic() - started, new=made.changed)
    return made


_SAID: dict[str, Callable[[Artifact], str]] = {
    "index": lambda made: made.lines[-2],
    "bank": lambda made: next(line for line in made.lines if "tile" in line),
    "store": lambda made: made.lines[-1],
    "train": lambda made: made.lines[0],
}


def run_demo(out: Path, work: Work, *, steps: int | None) -> list[Path]:
    """Go the whole way into the folder `out`, and give back what was made; what is there already is kept.

    steps: of the training; None is what a few minutes allow.

    Raises:
        UserError: `out` holds something else, or a stage failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    for names, folder in ((TRAIN, "photos/train"), (HELD_OUT, "photos/held-out")):
        _copy_photographs(names, out / folder)
    made = make_all(stages(out, steps), out, out / "runs", work, _told)

    from . import page
    from .measure import measure

    bank = NoiseBank.open(made["noise bank"].at)
    store, held_out = (build_store.open_samples(made[name].at) for name in ("degrade", "test"))
    started = time.monotonic()
    rows, text, measured = measure(out, held_out)
    _say("evaluate", text, time.monotonic() - started, new=measured)
    started = time.monotonic()
    _, text, written = page.write(out, bank, store, held_out, rows)
    _say("report", text, time.monotonic() - started, new=written)
    if not measured and not written and not any(each.changed for each in made.values()):
        say("all is done already")
    return [out / name for name in MADE]

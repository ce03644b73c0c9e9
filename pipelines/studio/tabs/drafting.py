"""What the tab Recipes does, without a page: some samples of a recipe with what was drawn and measured, their spectra,
the recipe as a file, and its store.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ....degrade import build_store
from ....degrade.config import compose, composed_values, to_yaml
from ....degrade.errors import UserError
from ....degrade.images import sources
from ....degrade.images.listing import IndexConfig
from ....degrade.images.pixels import U8
from ....degrade.images.rows import Rows
from ....degrade.quality.preview import describe
from ....degrade.recipes.importing.import_basicsr import import_options
from ....degrade.recipes.store_config import StoreConfig, store_preset
from ....degrade.storage.local import write_atomic
from ....degrade.storage.location import Place
from ....noisebank.bank import NoiseBank
from ....noisebank.statistics import noise_statistics
from ...executors import runner
from ...stages.base import Artifact, Given, Work
from ...stages.store import Store

MOST_SAMPLES = 8


@dataclass(frozen=True)
class Member:
    """An LR image of a sample: what was drawn for it, a line a step, and what was measured of it."""

    name: str
    pixels: U8
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """A sample: HR, its members, and in which order of the group it is not."""

    source: str
    hr: U8
    members: tuple[Member, ...]
    disorder: tuple[str, ...]


@dataclass(frozen=True)
class Folder:
    """Photographs that samples are drawn of, looked at once."""

    folder: Place
    rows: Rows


def look_at(folder: Path, at: Path) -> Folder:
    """The usable photographs of a folder; the index is kept at `at`. Raises UserError where there is none."""
    rows = sources.index([folder], at, IndexConfig(role="hr"), runner(1))
    if not sources.usable(rows):
        raise UserError(f"none of the images of {folder} can be used")
    return Folder(folder, rows)


def drawn(config: StoreConfig, folder: Folder, count: int, bank: Path | None) -> list[Sample]:
    """The first samples of a store of so many; raises UserError where there can be none."""
    opened = NoiseBank.open(bank) if bank is not None and config.recipe.wants_bank else None
    plan = build_store.plan(compose(config, num_samples=count), folder.rows, opened)
    return [_sample(plan.config.members, row, rendered) for row, rendered in build_store.preview(plan)]


def _sample(members: Sequence[str], row: dict[str, Any], rendered: Any) -> Sample:
    found: list[Member] = []
    for name, image in zip(members, rendered.lr, strict=True):
        lines = list(describe(row[name]))
        if row["condition"]:
            lines.append("z " + ", ".join(f"{value:.2f}" for value in row["condition"]))
        if row["measured"]:
            told = row["measured"][name]
            lines.append(f"measured: detail {told['detail']:.1f}, noise {told['noise']:.1f}")
        found.append(Member(name, image, tuple(lines)))
    return Sample(Path(row["source"]).name, rendered.hr, tuple(found), tuple(row["disorder"] or ()))


def spectra(samples: Sequence[Sample]) -> tuple[list[float], dict[str, list[float]]]:
    """The power of each member over frequency, in decibels, the mean over samples; HR's is of its middle, of as many
    pixels. Gives frequencies in cycles per pixel, and powers by member.
    """
    images: dict[str, list[U8]] = {}
    for each in samples:
        for member in each.members:
            images.setdefault(member.name, []).append(member.pixels)
    side = min(image.shape[0] for group in images.values() for image in group)
    images["hr"] = [_middle(each.hr, side) for each in samples]
    found: dict[str, list[float]] = {}
    frequency: list[float] = []
    for name, group in images.items():
        told = noise_statistics(np.stack([_middle(image, side) for image in group]))
        frequency = told.frequency.tolist()
        found[name] = (10 * np.log10(np.maximum(told.power, 1e-3))).round(2).tolist()
    return frequency, found


def _middle(image: U8, side: int) -> U8:
    y, x = ((length - side) // 2 for length in image.shape[:2])
    return image[y : y + side, x : x + side]


def imported(path: Path) -> tuple[StoreConfig, list[str]]:
    """A config of another trainer's options file, or of a config of ours, and what there is to know of it.

    Raises:
        UserError: it is neither.
    """
    values = composed_values(path, ())
    if "recipe" in values and "kind" in values["recipe"]:
        whole = {"num_samples": 1000, "hr_size_px": 256} | values
        try:
            return StoreConfig.model_validate(whole), []
        except ValueError as error:
            raise UserError(f"{path}: {' '.join(str(error).split())[:300]}") from None
    found = import_options(path)
    return found.config, [f"{name}: {reason}" for name, reason in found.changes.items()]


def preset(name: str) -> StoreConfig:
    """A preset with as many samples as a first store has."""
    return compose(store_preset(name), num_samples=1000)


def saved(config: StoreConfig, folder: Place | None, name: str, out: Path) -> tuple[Path, str]:
    """The recipe as a file, OUT/recipes/NAME.yaml, and the command that builds its store."""
    path = out / "recipes" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, to_yaml(config).encode())
    words = ["rwsr", "degrade", "build", "--config", str(path), "--source", str(folder or "PHOTOGRAPHS")]
    return path, shlex.join([*words, "--out", f"{name}.zarr"])


def built(config: StoreConfig, folder: Path, bank: Path | None, at: Path) -> Artifact:
    """The store, by the very stage that the command runs; raises UserError."""
    stage = Store.of(config, source=(folder,), bank=bank)
    stage.check({})
    return stage.run(at, Given({}), Work(workers=1))

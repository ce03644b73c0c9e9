"""What the tab Stores does, without a page: a store held open, its manifest as a table, samples with their steps made
again, and what was drawn beside what its recipe draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....degrade import build_store
from ....degrade.images.pixels import U8
from ....degrade.ops.step import from_rows
from ....degrade.pairs.recipe import RealPairs
from ....degrade.progress import progress
from ....degrade.quality.preview import describe
from ....degrade.quality.render_again import render_again, row_of
from ....degrade.recipes.base import Chance
from ....degrade.recipes.store_config import StoreConfig
from ....degrade.storage.location import Place
from ....degrade.storage.shards.inspect import problems
from ....degrade.storage.shards.reader import ShardReader
from ....noisebank.bank import NoiseBank
from ...executors import runner

_MOST_ROWS = 5000  # of a manifest, spread evenly, that are listed
_LAW = 3000  # samples that are drawn of a recipe to say what it draws
_BARS = 24
_STRONGER = 8


@dataclass(frozen=True)
class Shown:
    """A sample: HR and its members, each with its steps."""

    number: int
    source: str
    images: tuple[tuple[str, U8, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Again:
    """A sample made again: whether it equals what is stored, and how far it is from that, made stronger."""

    equal: bool
    differences: tuple[tuple[str, U8], ...]


@dataclass(frozen=True)
class Histogram:
    """A parameter: the middles of its bars, and the share of the values of the store, and of the recipe, in each."""

    name: str
    at: list[float]
    store: list[float]
    law: list[float]


class Samples:
    """A finished store. rows: of its table, of which each has the sample's number."""

    def __init__(self, at: Place) -> None:
        self.at, self.store = at, build_store.open_samples(at)
        self.config = StoreConfig.model_validate(self.store.provenance.values)
        self.members: tuple[str, ...] = tuple(self.store.attributes["members"])
        self.total = self.store.layout.num_samples
        self.numbers = np.unique(np.linspace(0, self.total - 1, min(self.total, _MOST_ROWS)).round().astype(int))
        self.rows: list[dict[str, Any]] = []
        self._values: dict[str, list[float]] = {}

    @property
    def lines(self) -> list[str]:
        """What it is."""
        kind = f"{self.total:,} {self.config.kind} of {self.config.hr_size_px} px, recipe {self.config.recipe.kind}"
        listed = f"{len(self.numbers):,} of them, spread evenly, are listed" if len(self.numbers) < self.total else ""
        return [each for each in (kind, listed) if each]

    def read(self) -> None:
        """Read the manifest into a table: where each sample is of, and each number that was drawn for each member."""
        wanted = set(self.numbers.tolist())
        hr_px = self.config.hr_size_px
        with progress("manifest", self.store.layout.num_shards) as advance:
            for shard in range(self.store.layout.num_shards):
                first = shard * self.store.layout.samples_per_shard
                table = self.store.manifest_of(shard)
                chosen = [i for i in range(table.num_rows) if first + i in wanted]
                for row in table.take(chosen).to_pylist():
                    self.rows.append(self._listed(row, hr_px))
                advance(1, "")

    def _listed(self, row: dict[str, Any], hr_px: int) -> dict[str, Any]:
        found: dict[str, Any] = {name: row[name] for name in ("sample", "source", "x", "y", "size", "draw")}
        found["steps"] = sum(len(row[name] or ()) for name in self.members)
        for i, value in enumerate(row["condition"] or ()):
            found[f"z{i}"] = round(value, 4)
        if row["disorder"] is not None:
            found["disorder"] = ", ".join(row["disorder"])
        for name in ("shift_x", "shift_y", "similarity"):
            if name in row:
                found[name] = row[name]
        for member, numbers in _numbers(row, self.members, hr_px).items():
            for parameter, values in numbers.items():
                self._values.setdefault(parameter, []).extend(values)
                for i, value in enumerate(values):
                    again = "" if i == 0 else f" {i + 1}"
                    found[_column(member, parameter, again, many=len(self.members) > 1)] = round(value, 4)
        return found

    @property
    def columns(self) -> list[str]:
        """Of the table, in the order in which they are met."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def shown(self, number: int) -> Shown:
        """A sample with its images; raises UserError."""
        row = row_of(self.store, number)
        hr, lr = (ShardReader(self.store, name).read([number])[0] for name in ("hr", "lr"))
        images: list[tuple[str, U8, tuple[str, ...]]] = [("HR", hr, describe(row["hr"] or []))]
        for name, pixels in zip(self.members, lr, strict=True):
            lines = list(describe(row[name] or []))
            if row["measured"]:
                told = row["measured"][name]
                lines.append(f"measured: detail {told['detail']:.1f}, noise {told['noise']:.1f}")
            images.append((name, pixels, tuple(lines)))
        return Shown(number, f"{row['source']} at {row['x']}, {row['y']}", tuple(images))

    def again(self, number: int) -> Again:
        """A sample made again of its photograph; raises UserError where that is no longer there."""
        rendered, equal = render_again(self.store, number, (), None, open_bank=NoiseBank.open)
        hr, lr = (ShardReader(self.store, name).read([number])[0] for name in ("hr", "lr"))
        pairs = [("HR", rendered.hr, hr), *zip(self.members, rendered.lr, lr, strict=True)]
        return Again(equal, tuple((name, _difference(a, b)) for name, a, b in pairs))

    def problems(self) -> list[str]:
        """What is not as it was committed; reads every byte."""
        return problems(self.at, runner(1))

    def histograms(self) -> list[Histogram]:
        """Every number that was drawn, as shares, beside what the recipe draws of other seeds; none of real pairs."""
        law = self._law()
        found: list[Histogram] = []
        for name, values in sorted(self._values.items()):
            drawn, wanted = np.array(values), np.array(law.get(name, []))
            both = np.concatenate([drawn, wanted])
            low, high = float(both.min()), float(both.max())
            edges = np.linspace(low, high if high > low else low + 1, _BARS + 1)
            shares = [_shares(each, edges) for each in (drawn, wanted)]
            found.append(Histogram(name, ((edges[:-1] + edges[1:]) / 2).round(4).tolist(), *shares))
        return found

    def _law(self) -> dict[str, list[float]]:
        """Every number that the recipe draws for some samples that no store has."""
        config, found = self.config, dict[str, list[float]]()
        if isinstance(config.recipe, RealPairs):
            return found
        seed = config.seed + 1_000_003
        for number in range(_LAW):
            drawn = config.recipe.draw(config.hr_size_px, Chance(seed, (f"law {number}", number, 0)), None)
            for member in _drawn_members(self.members):
                for step in drawn.members.get(member, ()):
                    for name, value in step.parameters(config.hr_size_px).items():
                        found.setdefault(name, []).append(value)
        return found


def _drawn_members(members: Sequence[str]) -> list[str]:
    """Those whose levels are drawn: of a group the clean one has none, and the worst has the ends of the ranges."""
    return [each for each in members if each not in ("clean", "worst")]


def _numbers(row: Mapping[str, Any], members: Sequence[str], hr_px: int) -> dict[str, dict[str, list[float]]]:
    """By member and parameter every number that was drawn, in the order of the steps."""
    found: dict[str, dict[str, list[float]]] = {}
    for member in _drawn_members(members):
        for step in from_rows(row[member] or []):
            for name, value in step.parameters(hr_px).items():
                found.setdefault(member, {}).setdefault(name, []).append(value)
    return found


def _column(member: str, parameter: str, again: str, *, many: bool) -> str:
    return f"{member}: {parameter}{again}" if many else f"{parameter}{again}"


def _shares(values: Any, edges: Any) -> list[float]:
    if not len(values):
        return []
    counts, _ = np.histogram(values, edges)
    return (counts / len(values)).round(5).tolist()


def _difference(a: U8, b: U8) -> U8:
    """How far two images are apart, eight times as strong, on mid-gray."""
    return np.clip(128 + _STRONGER * (a.astype(np.int16) - b.astype(np.int16)), 0, 255).astype(np.uint8)

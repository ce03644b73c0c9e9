"""From pairs of files to a store of pairs: share the samples out, cut HR and LR at one place, measure their shift."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from ..build_store import ROOTS, Shares, grow_here, layout_of, shares, spans
from ..errors import UserError
from ..images.pixels import U8
from ..images.read import read_source
from ..manifest import manifest_schema
from ..recipes.store_config import PAIRS, StoreConfig
from ..seeds import stream
from ..storage.location import Place, place, write
from ..storage.provenance import canonical, provenance, sha256_of
from ..storage.shards.layout import Layout
from ..storage.shards.missing import render_missing
from ..storage.shards.store import Store
from ..storage.shards.writer import begin, building, check_here, write_shard
from ..tasks import Run, serial
from .alignment import Shift, shift_between
from .listing import Pair
from .recipe import RealPairs

_PLAN = pa.schema(
    [
        ("first", pa.int64()),
        ("stop", pa.int64()),
        *((name, pa.string()) for name in ("root", "path", "sha256", "lr_root", "lr_path", "lr_sha256")),
    ]
)
_LR_SIDE = 96  # of the samples by default


def pairs_preset(scale: int) -> StoreConfig:
    """A store of 10,000 real pairs of a scale."""
    return StoreConfig(recipe=RealPairs(scale=scale), hr_size_px=max(192, _LR_SIDE * scale), num_samples=10_000)


@dataclass(frozen=True)
class PairPlan:
    """Which pairs serve a config, in which order, and how the store lies on the disk."""

    config: StoreConfig
    pairs: tuple[Pair, ...]
    counts: tuple[Shares, ...]
    layout: Layout
    num_too_small: int

    @property
    def inputs_sha256(self) -> str:
        """The identity of what goes in: content and names of the files."""
        return sha256_of(f"{row.sha256} {row.path}" for pair in self.pairs for row in pair)


def _recipe(config: StoreConfig) -> RealPairs:
    if not isinstance(config.recipe, RealPairs):
        raise UserError(f"recipe {config.recipe.kind} degrades HR; build it with `rwsr degrade build`")
    return config.recipe


def plan_pairs(config: StoreConfig, pairs: Sequence[Pair]) -> PairPlan:
    """Share the samples out among the pairs that are large enough: equally or by area, to within one.

    Raises:
        UserError: no pair is as large as a sample, or the config is of something else.
    """
    scale = _recipe(config).scale
    least = config.lr_size_px
    sizes = [((pair.hr.height, pair.hr.width), (pair.lr.height, pair.lr.width)) for pair in pairs]
    large = [pair for pair, of in zip(pairs, sizes, strict=True) if min(_common(*of, scale)) >= least]
    if not large:
        raise UserError(
            f"none of {len(pairs)} pairs has an LR of at least {least} px on its shorter side; lower hr_size_px "
            "(--hr-size)"
        )
    counts = shares(config, [pair.lr.width * pair.lr.height for pair in large])
    return PairPlan(config, tuple(large), counts, layout_of(config), len(pairs) - len(large))


def _common(hr: tuple[int, ...], lr: tuple[int, ...], scale: int) -> tuple[int, int]:
    """Height and width, in LR pixels, of what both show, of (height, width, ...) of each."""
    return min(lr[0], hr[0] // scale), min(lr[1], hr[1] // scale)


def _planned(planned: PairPlan) -> Iterator[pa.Table]:
    for part in spans(planned.counts):
        rows = [
            {
                "first": first,
                "stop": stop,
                "root": planned.pairs[i].hr.root,
                "path": planned.pairs[i].hr.path,
                "sha256": planned.pairs[i].hr.sha256,
                "lr_root": planned.pairs[i].lr.root,
                "lr_path": planned.pairs[i].lr.path,
                "lr_sha256": planned.pairs[i].lr.sha256,
            }
            for i, first, stop in part
        ]
        yield pa.Table.from_pylist(rows, schema=_PLAN)


# ---------------------------------------------------------------------------------------------------- one sample


@dataclass(frozen=True)
class Cut:
    """Where a sample lies: in HR, in LR, each in its own pixels; and how far they lie apart there."""

    y: int
    x: int
    lr_y: int
    lr_x: int
    shift: Shift


def _place_of(config: StoreConfig, hr: U8, lr: U8, sample: int, identity: Sequence[str]) -> Cut:
    """Drawn from the stream of (seed, HR, LR, sample)."""
    recipe, size = _recipe(config), config.lr_size_px
    scale = recipe.scale
    sides = _common(hr.shape, lr.shape, scale)
    rng = stream(config.seed, "pair", *identity, sample)
    y, x = (int(rng.integers(0, side - size + 1)) for side in sides)
    around = [_window(at, size, side, recipe.window_px) for at, side in zip((y, x), sides, strict=True)]
    lr_part = lr[around[0], around[1]]
    hr_part = hr[_times(around[0], scale), _times(around[1], scale)]
    shift = shift_between(hr_part, lr_part)
    places = [at * scale for at in (y, x)]
    if recipe.align == "shift" and shift.y is not None and shift.x is not None:
        moved = [at + round(by) for at, by in zip(places, (shift.y, shift.x), strict=True)]
        places = [min(max(at, 0), side - size * scale) for at, side in zip(moved, hr.shape[:2], strict=True)]
    return Cut(places[0], places[1], y, x, shift)


def _window(at: int, size: int, side: int, wanted: int) -> slice:
    """What is looked at around a crop: `wanted` pixels, where there are as many."""
    length = min(max(wanted, size), side)
    first = min(max(at + size // 2 - length // 2, 0), side - length)
    return slice(first, first + length)


def _times(part: slice, scale: int) -> slice:
    return slice(part.start * scale, part.stop * scale)


def cut_out(hr: U8, lr: U8, row: Mapping[str, Any], lr_size_px: int) -> tuple[U8, U8]:
    """HR and LR of a sample [H, W, 3], by its row of the manifest."""
    size, y, x = row["size"], row["y"], row["x"]
    lr_y, lr_x = row["lr_y"], row["lr_x"]
    return hr[y : y + size, x : x + size], lr[lr_y : lr_y + lr_size_px, lr_x : lr_x + lr_size_px]


def _row(sample: int, row: Mapping[str, Any], config: StoreConfig, cut: Cut) -> dict[str, Any]:
    """The manifest's row of a sample."""
    shift = cut.shift
    return {
        "sample": sample,
        "source": row["path"],
        "source_sha256": row["sha256"],
        "draw": 0,
        "y": cut.y,
        "x": cut.x,
        "size": config.hr_size_px,
        "condition": None,
        "disorder": None,
        "hr": [],
        "lr": [],
        "measured": None,
        "lr_source": row["lr_path"],
        "lr_sha256": row["lr_sha256"],
        "lr_y": cut.lr_y,
        "lr_x": cut.lr_x,
        "shift_y": shift.y,
        "shift_x": shift.x,
        "similarity": shift.similarity,
    }


def _render_shard(shard: int, store: Store, config: StoreConfig) -> None:
    check_here(store)
    samples = store.layout.rows(shard)
    blocks = {a.name: np.empty((len(samples), *a.sample_shape), dtype=np.uint8) for a in store.layout.arrays}
    rows: list[dict[str, Any]] = []
    for planned in store.plan_of(shard).to_pylist():
        wanted = range(max(planned["first"], samples.start), min(planned["stop"], samples.stop))
        if not wanted:
            continue
        hr = read_source(place(planned["root"]), planned["path"], planned["sha256"])
        lr = read_source(place(planned["lr_root"]), planned["lr_path"], planned["lr_sha256"])
        for sample in wanted:
            cut = _place_of(config, hr, lr, sample, (planned["sha256"], planned["lr_sha256"]))
            row = _row(sample, planned, config, cut)
            i = len(rows)
            blocks["hr"][i], blocks["lr"][i, 0] = cut_out(hr, lr, row, config.lr_size_px)
            rows.append(row)
    write_shard(store, shard, blocks, pa.Table.from_pylist(rows, schema=manifest_schema(config.recipe)))


def build_pairs(out: Place, planned: PairPlan, run: Run = serial) -> tuple[Store, int]:
    """Cut the store `out` of a plan; gives back the store and how many samples this run cut.

    Interrupted, the same call goes on with the shards that are missing; finished, it does nothing.

    Raises:
        UserError: a file changed, or `out` holds something else.
    """
    config = planned.config
    where = {"roots": sorted({row.root for pair in planned.pairs for row in pair}), "bank": None}
    attributes = {"members": list(config.members), "scale": config.recipe.scale, "bank": None}
    with building(out) as still_ours:
        made = provenance(PAIRS, config, planned.inputs_sha256)
        grow_here(out, planned.layout, made, attributes)
        store = begin(out, planned.layout, made, attributes=attributes)
        write(out / ROOTS, canonical(where).encode())
        task = partial(_render_shard, store=store, config=config)
        rows = partial(_planned, planned)
        cut = render_missing(store, task, run, still_ours, title="cut pairs", schema=_PLAN, plan=rows)
    return store, cut

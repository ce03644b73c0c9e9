"""From pairs of files to a store of pairs: share the samples out, cut HR and LR at one place, measure their shift."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from ..errors import UserError
from ..fill_store import Made, Shares, fill, fill_shard, layout_of, served, shares, spans
from ..images.pixels import U8
from ..images.read import read_source
from ..recipes.store_config import StoreConfig
from ..seeds import stream
from ..storage.location import Place, place
from ..storage.provenance import Json, sha256_of
from ..storage.shards.commits import Commit
from ..storage.shards.layout import Layout
from ..storage.shards.store import Store
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
    """Which pairs serve a config, in which order, and how the store lies on the disk; too_small: the LR that do not."""

    schema: ClassVar[pa.Schema] = _PLAN

    config: StoreConfig
    pairs: tuple[Pair, ...]
    counts: tuple[Shares, ...]
    layout: Layout
    too_small: tuple[str, ...]

    @property
    def inputs_sha256(self) -> str:
        """The identity of what goes in: content and names of the files."""
        return sha256_of(f"{row.sha256} {row.path}" for pair in self.pairs for row in pair)

    @property
    def roots(self) -> list[str]:
        """Where the files lie on this machine."""
        return sorted({row.root for pair in self.pairs for row in pair})

    def tables(self) -> Iterator[pa.Table]:
        """The pairs in order, some thousand at a time, and the samples from `first` to before `stop` of each."""
        for numbers, firsts, stops in spans(self.counts):
            rows = [
                {
                    "first": first,
                    "stop": stop,
                    "root": self.pairs[i].hr.root,
                    "path": self.pairs[i].hr.path,
                    "sha256": self.pairs[i].hr.sha256,
                    "lr_root": self.pairs[i].lr.root,
                    "lr_path": self.pairs[i].lr.path,
                    "lr_sha256": self.pairs[i].lr.sha256,
                }
                for i, first, stop in zip(numbers, firsts.tolist(), stops.tolist(), strict=True)
            ]
            yield pa.Table.from_pylist(rows, schema=_PLAN)


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
    fits = [min(_common(*of, scale)) >= least for of in sizes]
    large = [pair for pair, its in zip(pairs, fits, strict=True) if its]
    if not pairs:
        raise UserError(
            f"no pair is left for scale {scale} (the lines above say why); are HR and LR exchanged, or as large as "
            f"each other? name another --scale (LR as large as HR is 1, with --name-scale {scale} where names say it)"
        )
    if not large:
        raise UserError(
            f"none of {len(pairs)} pairs has an LR of at least {least} px on its shorter side; lower hr_size_px "
            "(--hr-size)"
        )
    counts = shares(config, [pair.lr.width * pair.lr.height for pair in large])
    small = tuple(pair.lr.path for pair, its in zip(pairs, fits, strict=True) if not its)
    return PairPlan(config, tuple(large), counts, layout_of(config), small)


def _common(hr: tuple[int, ...], lr: tuple[int, ...], scale: int) -> tuple[int, int]:
    """Height and width, in LR pixels, of what both show, of (height, width, ...) of each."""
    return min(lr[0], hr[0] // scale), min(lr[1], hr[1] // scale)


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
    lr_at = [int(rng.integers(0, side - size + 1)) for side in sides]
    around = [_window(at, size, side, recipe.window_px) for at, side in zip(lr_at, sides, strict=True)]
    lr_part = lr[around[0], around[1]]
    hr_part = hr[_times(around[0], scale), _times(around[1], scale)]
    shift = shift_between(hr_part, lr_part)
    hr_at = [at * scale for at in lr_at]
    if recipe.align == "shift" and shift.y is not None and shift.x is not None:
        by = round(shift.y), round(shift.x)
        lr_at = [_where_hr_is(*each, size, scale) for each in zip(lr_at, sides, hr.shape, by, strict=False)]
        moved = [at * scale + off for at, off in zip(lr_at, by, strict=True)]
        hr_at = [min(max(at, 0), side - size * scale) for at, side in zip(moved, hr.shape, strict=False)]
    return Cut(hr_at[0], hr_at[1], lr_at[0], lr_at[1], shift)


def _where_hr_is(at: int, side: int, hr_side: int, by: int, size: int, scale: int) -> int:
    """The place of an LR crop, moved away from a border so far that HR, moved by so many pixels, has it too."""
    first = -(by // scale) if by < 0 else 0
    last = min(side - size, (hr_side - by) // scale - size)
    return min(max(at, first), last) if first <= last else at


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


def _row(sample: int, row: Mapping[str, Any], config: StoreConfig, cut: Cut) -> Json:
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


def _cut_shard(store: Store, config: StoreConfig, shard: int) -> Commit:
    def made(rows: Iterable[Json], samples: range) -> Iterator[Made]:
        for planned in rows:
            wanted = served(planned, samples)
            if not wanted:
                continue
            hr = read_source(place(planned["root"]), planned["path"], planned["sha256"])
            lr = read_source(place(planned["lr_root"]), planned["lr_path"], planned["lr_sha256"])
            for sample in wanted:
                cut = _place_of(config, hr, lr, sample, (planned["sha256"], planned["lr_sha256"]))
                row = _row(sample, planned, config, cut)
                its_hr, its_lr = cut_out(hr, lr, row, config.lr_size_px)
                yield row, its_hr, its_lr[None]

    return fill_shard(store, config, shard, made)


def build_pairs(out: Place, planned: PairPlan, run: Run = serial) -> tuple[Store, int]:
    """Cut the store `out` of a plan; gives back the store and how many samples this run cut.

    Interrupted, the same call goes on with the shards that are missing; finished, it does nothing.

    Raises:
        UserError: a file changed, or `out` holds something else.
    """
    return fill(out, planned, _cut_shard, run, title="cut pairs")

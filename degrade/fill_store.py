"""What every builder of samples does: share them out, lay them in shards, begin a store or grow one, and fill it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import pyarrow as pa

from . import seeds
from .errors import StoreError
from .images.pixels import I64, U8
from .manifest import manifest_schema
from .ops.step import NoiseSource
from .progress import say
from .recipes.store_config import StoreConfig
from .storage.location import Place, absolute, write
from .storage.provenance import Json, Provenance, canonical, provenance
from .storage.shards.commits import Commit
from .storage.shards.grow import grow
from .storage.shards.layout import MOST_SHARDS, ArraySpec, Layout, samples_per_shard
from .storage.shards.missing import render_missing
from .storage.shards.parts import ROWS_AT_ONCE
from .storage.shards.store import Store, open_unfinished
from .storage.shards.writer import begin, building, check_here, shard_writer
from .tasks import Run

ROOTS = "sources.json"  # where the images and the bank lie on this machine; no part of the store's digest

_PLAN_ROWS = 16384

Shares = I64  # of one part of a store: how many samples each source serves
Made = tuple[Json, U8, U8]  # of one sample: its row of the manifest, HR [H, W, 3], LR [members, h, w, 3]


class Bank(NoiseSource, Protocol):
    """A noise bank in a folder, which another process opens anew."""

    @property
    def store(self) -> Store: ...

    @classmethod
    def open(cls, path: Place) -> Self: ...


class Planned(Protocol):
    """Which sources serve a config, and how the store lies on the disk.

    inputs_sha256: the identity of what goes in. roots: where that lies here. schema: of `tables`.
    """

    schema: ClassVar[pa.Schema]

    @property
    def config(self) -> StoreConfig: ...

    @property
    def layout(self) -> Layout: ...

    @property
    def inputs_sha256(self) -> str: ...

    @property
    def roots(self) -> list[str]: ...

    def tables(self) -> Iterator[pa.Table]:
        """The sources in order, some thousand at a time, and the samples from `first` to before `stop` of each."""
        ...


def shares(config: StoreConfig, areas: "Sequence[int] | Shares") -> tuple[Shares, ...]:
    """How many samples each source serves, by its area, of each part of the store; what is left after whole shares goes
    to some that are drawn.
    """
    return tuple(_shares_of(config, areas, number, len(part)) for number, part in enumerate(config.parts))


def _shares_of(config: StoreConfig, areas: "Sequence[int] | Shares", number: int, num_samples: int) -> Shares:
    drawn = seeds.stream(config.seed, "shares", *([number] if number else [])).permutation(len(areas))
    if config.weigh == "image":
        share, rest = divmod(num_samples, len(areas))
        whole = np.full(len(areas), share, dtype=np.int64)
    else:
        sizes = np.array(areas, dtype=np.float64)
        whole = np.floor(num_samples * sizes / sizes.sum()).astype(np.int64)
        rest = num_samples - int(whole.sum())
    whole[drawn[:rest]] += 1
    return whole


def spans(counts: Sequence[Shares]) -> Iterator[tuple[range, Shares, Shares]]:
    """(sources, the first sample of each, the one after its last), some thousand at a time, in the order of the
    samples.
    """
    first = 0
    for part in counts:
        for start in range(0, len(part), _PLAN_ROWS):
            some = part[start : start + _PLAN_ROWS]
            stops = first + np.cumsum(some)
            yield range(start, start + len(some)), stops - some, stops
            first = int(stops[-1])


def layout_of(config: StoreConfig) -> Layout:
    """How the samples of a config lie in a store; one that has grown keeps the shards that it began with."""
    first = config.parts[0].stop
    hr = ArraySpec("hr", (config.hr_size_px, config.hr_size_px, 3))
    lr = ArraySpec("lr", (len(config.members), config.lr_size_px, config.lr_size_px, 3))
    per_shard = samples_per_shard(hr.sample_bytes, int(config.shard_mib * 2**20), first)
    return Layout(config.num_samples, per_shard, (hr, lr))


def served(row: Mapping[str, Any], samples: range) -> range:
    """Which of some samples a source serves, by its row of the plan."""
    return range(max(row["first"], samples.start), min(row["stop"], samples.stop))


# ---------------------------------------------------------------------------------------------------- filling


def as_grown(out: Place, config: StoreConfig) -> StoreConfig:
    """The config that a store at `out` is built by: where one of fewer samples is there, one that has grown from it."""
    known = _known(out, config.kind)
    if known is None or config.grown_from:
        return config
    if known.model_copy(update={"num_samples": config.num_samples, "grown_from": ()}) != config:
        return config
    if known.num_samples >= config.num_samples:
        return known if known.num_samples == config.num_samples else config
    return config.model_copy(update={"grown_from": (*known.grown_from, known.num_samples)})


def _known(out: Place, kind: str) -> StoreConfig | None:
    """The config of the store that is there, if it is one of such."""
    try:
        return StoreConfig.model_validate(open_unfinished(out, kind).provenance.values)
    except (StoreError, ValueError):
        return None  # whoever builds there says what is wrong


def _grow_here(out: Place, layout: Layout, made: Provenance, attributes: Mapping[str, Any]) -> None:
    """Make room in a finished store of fewer samples, where that is what is to be built upon; raises StoreError."""
    known = _known(out, made.kind)
    if known is None:
        return
    wanted = StoreConfig.model_validate(made.config)
    if wanted.grown_from and as_grown(out, wanted.model_copy(update={"grown_from": ()})) == wanted != known:
        grow(out, layout, made, attributes, schema=manifest_schema(wanted.recipe))


def fill_shard(
    store: Store, config: StoreConfig, shard: int, make: Callable[[Iterable[Json], range], Iterable[Made]]
) -> Commit:
    """Make the samples of a shard, and write it; gives back its mark.

    make: of the rows of the plan and the samples, each in its order.
    """
    check_here(store)
    schema, samples = manifest_schema(config.recipe), store.layout.rows(shard)
    rows: list[Json] = []
    with shard_writer(store, shard) as writer:
        for row, hr, lr in make(store.plan_of(shard).to_pylist(), samples):
            writer.add(hr=hr, lr=lr)
            rows.append(row)
            if len(rows) == ROWS_AT_ONCE or row["sample"] == samples[-1]:
                writer.add_rows(pa.Table.from_pylist(rows, schema=schema))
                rows = []
    return writer.commit


def fill(
    out: Place,
    planned: Planned,
    fill_one: Callable[[Store, StoreConfig, int], Commit],
    run: Run,
    *,
    bank: Bank | None = None,
    title: str,
) -> tuple[Store, int]:
    """Begin the store `out`, go on with it, or grow it, until it is whole; gives back how many samples were made.

    fill_one: makes a shard, in any process. bank: that it draws from.

    Raises:
        UserError: a source changed, or `out` holds something else.
    """
    config, layout = planned.config, planned.layout
    where = {"roots": planned.roots, "bank": None if bank is None else str(absolute(bank.store.path))}
    attributes = {
        "members": list(config.members),
        "scale": config.recipe.scale,
        "bank": None if bank is None else bank.digest,
    }
    with building(out) as still_ours:
        made = provenance(config.kind, config, planned.inputs_sha256, also=config.recipe.packages)
        _grow_here(out, layout, made, attributes)
        store = begin(out, layout, made, attributes=attributes)
        if layout.num_shards > MOST_SHARDS:
            began = f"{config.parts[0].stop} samples has shards of {layout.samples_per_shard}, and keeps them"
            say(f"note: a store that began with {began}: {layout.num_shards} files of each array in one folder")
        write(out / ROOTS, canonical(where).encode())
        task = partial(fill_one, store, config)
        schema, plan = planned.schema, planned.tables
        return store, render_missing(store, task, run, still_ours, title=title, schema=schema, plan=plan)

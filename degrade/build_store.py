"""From a folder to a store of groups or pairs: index, share the samples out, draw and render each shard."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa

from . import seeds
from .errors import StoreError, UserError
from .images import sources
from .images.listing import SourceRow
from .images.read import read_source
from .manifest import manifest_schema, to_row
from .ops.step import NoiseSource
from .recipes.store_config import GROUPS, PAIRS, StoreConfig
from .samples import Draw, Rendered, Source, check_bank, check_bank_named, holds, make
from .storage.location import Place, absolute, place, write
from .storage.provenance import Provenance, canonical, provenance, sha256_of
from .storage.shards.grow import grow
from .storage.shards.layout import ArraySpec, Layout, samples_per_shard
from .storage.shards.missing import render_missing
from .storage.shards.store import Store, kind_of, open_store, open_unfinished
from .storage.shards.writer import begin, building, check_here, write_shard
from .tasks import Run, serial

ROOTS = "sources.json"  # where the images and the bank lie on this machine; no part of the store's digest

_PLAN_ROWS = 4096
_PLAN = pa.schema(
    [
        ("first", pa.int64()),
        ("stop", pa.int64()),
        ("root", pa.string()),
        ("path", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("clean", pa.bool_()),
    ]
)


Shares = tuple[int, ...]  # of one part of a store: how many samples each source serves


class Bank(NoiseSource, Protocol):
    """A noise bank in a folder, which another process opens anew."""

    @property
    def store(self) -> Store: ...

    @classmethod
    def open(cls, path: Place) -> Self: ...


@dataclass(frozen=True)
class Plan:
    """Which sources serve a config, in which order, and how the store lies on the disk."""

    config: StoreConfig
    rows: tuple[SourceRow, ...]
    counts: tuple[Shares, ...]
    layout: Layout
    num_too_small: int
    bank: Bank | None
    clean: frozenset[str] = frozenset()

    @property
    def inputs_sha256(self) -> str:
        """The identity of what goes in: the sources, which of them are clean, and the bank."""
        clean = [f"clean {sha256}" for sha256 in sorted(self.clean)]
        return sha256_of([sources.sources_sha256(self.rows), *([self.bank.digest] if self.bank else []), *clean])


def plan(
    config: StoreConfig, rows: Sequence[SourceRow], bank: Bank | None = None, *, clean: Collection[str] = ()
) -> Plan:
    """Share the samples out among the usable sources that are large enough: equally or by area, to within one.

    clean: the hashes of those sources whose HR needs no cleaning up.

    Raises:
        UserError: no source is as large as a crop, or bank or clean sources do not fit the recipe.
    """
    check_bank_named(config, bank is not None)
    if config.recipe.wants_bank:
        check_bank(config, bank)
    of_clean = _of_clean(config) if clean else config
    good = sources.usable(rows)
    large = [row for row in good if holds(of_clean if row.sha256 in clean else config, row.width, row.height)]
    if not large:
        raise UserError(
            f"none of {len(good)} usable images is at least {config.crop_size_px} px on its shorter side; "
            "lower hr_size_px (--hr-size), set pad_small=true, or name larger images"
        )
    counts = shares(config, [row.width * row.height for row in large])
    kept = frozenset(row.sha256 for row in large) & frozenset(clean)
    return Plan(config, tuple(large), counts, layout_of(config), len(good) - len(large), bank, kept)


def _of_clean(config: StoreConfig) -> StoreConfig:
    """The same for clean sources; raises UserError where the recipe makes no difference."""
    recipe = config.recipe.of_clean()
    if recipe is None:
        raise UserError(f"recipe {config.recipe.kind} cleans no source up, so clean ones are like any other: --source")
    return config.model_copy(update={"recipe": recipe})


def shares(config: StoreConfig, areas: Sequence[int]) -> tuple[Shares, ...]:
    """How many samples each source serves, by its area, of each part of the store; what is left after whole shares goes
    to some that are drawn.
    """
    return tuple(_shares_of(config, areas, number, len(part)) for number, part in enumerate(config.parts))


def _shares_of(config: StoreConfig, areas: Sequence[int], number: int, num_samples: int) -> Shares:
    drawn = seeds.stream(config.seed, "shares", *([number] if number else [])).permutation(len(areas))
    if config.weigh == "image":
        share, rest = divmod(num_samples, len(areas))
        whole = np.full(len(areas), share)
    else:
        sizes = np.array(areas, dtype=np.float64)
        whole = np.floor(num_samples * sizes / sizes.sum()).astype(np.int64)
        rest = num_samples - int(whole.sum())
    whole[drawn[:rest]] += 1
    return tuple(whole.tolist())


def spans(counts: Sequence[Shares]) -> Iterator[list[tuple[int, int, int]]]:
    """(source, its first sample, the one after its last), some thousand at a time, in the order of the samples."""
    first = 0
    for part in counts:
        stops = (first + np.cumsum(part)).tolist()
        for start in range(0, len(part), _PLAN_ROWS):
            numbers = range(start, min(start + _PLAN_ROWS, len(part)))
            yield [(i, stops[i] - part[i], stops[i]) for i in numbers]
        first = stops[-1]


def layout_of(config: StoreConfig) -> Layout:
    """How the samples of a config lie in a store."""
    hr = ArraySpec("hr", (config.hr_size_px, config.hr_size_px, 3))
    lr = ArraySpec("lr", (len(config.members), config.lr_size_px, config.lr_size_px, 3))
    return Layout(config.num_samples, samples_per_shard(hr.sample_bytes, int(config.shard_mib * 2**20)), (hr, lr))


def planned_rows(planned: Plan) -> Iterator[pa.Table]:
    """The sources in order, some thousand at a time, and the samples from `first` to before `stop` that each serves."""
    for part in spans(planned.counts):
        rows = [
            {
                "first": first,
                "stop": stop,
                "root": planned.rows[i].root,
                "path": planned.rows[i].path,
                "sha256": planned.rows[i].sha256,
                "width": planned.rows[i].width,
                "height": planned.rows[i].height,
                "clean": planned.rows[i].sha256 in planned.clean,
            }
            for i, first, stop in part
        ]
        yield pa.Table.from_pylist(rows, schema=_PLAN)


def _samples(
    rows: Iterable[dict[str, Any]], samples: range, config: StoreConfig, bank: NoiseSource | None
) -> Iterator[tuple[dict[str, Any], Draw, Rendered]]:
    """(row of the manifest, draw, images) of each sample, by the rows of the plan; each source is decoded once."""
    for row in rows:
        wanted = range(max(row["first"], samples.start), min(row["stop"], samples.stop))
        if not wanted:
            continue
        pixels = read_source(place(row["root"]), row["path"], row["sha256"])
        source = Source(row["sha256"], row["width"], row["height"])
        its_config = _of_clean(config) if row["clean"] else config
        for sample in wanted:
            drawn, rendered = make(its_config, source, pixels, sample, bank=bank)
            yield to_row(sample, row["path"], source, drawn, rendered), drawn, rendered


def preview(planned: Plan) -> Iterator[tuple[dict[str, Any], Rendered]]:
    """Every sample of a plan, made now: its row of the manifest, and its images."""
    for part in planned_rows(planned):
        everything = range(planned.config.num_samples)
        for row, _, rendered in _samples(part.to_pylist(), everything, planned.config, planned.bank):
            yield row, rendered


def _render_shard(shard: int, store: Store, config: StoreConfig, open_bank: Callable[[], NoiseSource] | None) -> None:
    check_here(store)
    bank = open_bank() if open_bank else None
    samples = store.layout.rows(shard)
    blocks = {a.name: np.empty((len(samples), *a.sample_shape), dtype=np.uint8) for a in store.layout.arrays}
    rows: list[dict[str, Any]] = []
    for i, (row, _, rendered) in enumerate(_samples(store.plan_of(shard).to_pylist(), samples, config, bank)):
        blocks["hr"][i], blocks["lr"][i] = rendered.hr, rendered.lr
        rows.append(row)
    write_shard(store, shard, blocks, pa.Table.from_pylist(rows, schema=manifest_schema(config.recipe)))


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


def grow_here(out: Place, layout: Layout, made: Provenance, attributes: Mapping[str, Any]) -> None:
    """Make room in a finished store of fewer samples, where that is what is to be built upon; raises StoreError."""
    known = _known(out, made.kind)
    if known is None:
        return
    wanted = StoreConfig.model_validate(made.config)
    if wanted.grown_from and as_grown(out, wanted.model_copy(update={"grown_from": ()})) == wanted != known:
        grow(out, layout, made, attributes, schema=manifest_schema(wanted.recipe))


def build(out: Place, planned: Plan, run: Run = serial) -> tuple[Store, int]:
    """Render the store `out` of a plan; gives back the store and how many samples this run rendered.

    Interrupted, the same call goes on with the shards that are missing; finished, it does nothing.

    Raises:
        UserError: a source changed, or `out` holds something else.
    """
    config, bank_path = planned.config, absolute(planned.bank.store.path) if planned.bank else None
    where = {"roots": sorted({row.root for row in planned.rows}), "bank": str(bank_path) if bank_path else None}
    attributes = {
        "members": list(config.members),
        "scale": config.recipe.scale,
        "bank": planned.bank.digest if planned.bank else None,
    }
    open_bank = partial(type(planned.bank).open, bank_path) if planned.bank and bank_path else None
    title = "render groups" if config.kind == GROUPS else "render pairs"
    with building(out) as still_ours:
        made = provenance(config.kind, config, planned.inputs_sha256, also=config.recipe.packages)
        grow_here(out, planned.layout, made, attributes)
        store = begin(out, planned.layout, made, attributes=attributes)
        write(out / ROOTS, canonical(where).encode())
        task = partial(_render_shard, store=store, config=config, open_bank=open_bank)
        rows = partial(planned_rows, planned)
        rendered = render_missing(store, task, run, still_ours, title=title, schema=_PLAN, plan=rows)
    return store, rendered


def open_samples(path: Place) -> Store:
    """A finished store of groups or pairs; raises StoreError as `open_store`."""
    kind = kind_of(path)
    return open_store(path, kind if kind in (GROUPS, PAIRS) else GROUPS)

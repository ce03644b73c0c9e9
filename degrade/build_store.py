"""From a folder to a store of groups or pairs: index, share the samples out, draw and render each shard."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import pyarrow as pa

from .errors import UserError
from .fill_store import Bank, Made, Shares, fill, fill_shard, layout_of, served, shares, spans
from .images import sources
from .images.read import read_source
from .images.rows import Rows, SourceRow
from .manifest import to_row
from .ops.step import NoiseSource
from .recipes.store_config import GROUPS, PAIRS, StoreConfig
from .samples import Draw, Rendered, Source, check_bank, check_bank_named, holds, make
from .storage.location import Place, absolute, place
from .storage.provenance import Json, sha256_of
from .storage.shards.commits import Commit
from .storage.shards.layout import Layout
from .storage.shards.store import Store, kind_of, open_store
from .tasks import Run, serial

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
_OF_SOURCE = ("root", "path", "sha256", "width", "height")


@dataclass(frozen=True)
class Plan:
    """Which sources serve a config, in which order, and how they lie on the disk; too_small: those that do not."""

    schema: ClassVar[pa.Schema] = _PLAN

    config: StoreConfig
    rows: Rows
    counts: tuple[Shares, ...]
    layout: Layout
    too_small: Rows
    bank: Bank | None
    clean: frozenset[str] = frozenset()

    @property
    def inputs_sha256(self) -> str:
        """The identity of what goes in: the sources, which of them are clean, and the bank."""
        clean = [f"clean {sha256}" for sha256 in sorted(self.clean)]
        return sha256_of([sources.sources_sha256(self.rows), *([self.bank.digest] if self.bank else []), *clean])

    @property
    def roots(self) -> list[str]:
        """Where the sources lie on this machine."""
        return sorted(self.rows.table["root"].unique().to_pylist())

    def tables(self) -> Iterator[pa.Table]:
        """The sources in order, some thousand at a time, and the samples from `first` to before `stop` of each."""
        for sources_, first, stop in spans(self.counts):
            of = self.rows[sources_.start : sources_.stop].table.combine_chunks()
            clean = [sha256 in self.clean for sha256 in of["sha256"].to_pylist()]
            columns = [pa.array(first), pa.array(stop), *(of[name] for name in _OF_SOURCE), pa.array(clean, pa.bool_())]
            yield pa.Table.from_arrays(columns, schema=_PLAN)


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
    good, clean = sources.usable(rows), frozenset(clean)
    its_config = (of_clean if row.sha256 in clean else config for row in good)
    fits = np.fromiter(map(holds, its_config, good.numbers("width"), good.numbers("height")), bool, len(good))
    large = good.where(fits)
    if not large:
        raise UserError(
            f"none of {len(good)} usable images is at least {config.crop_size_px} px on its shorter side; "
            "lower hr_size_px (--hr-size; of a training in its --recipe), set pad_small=true, or name larger images"
        )
    counts = shares(config, large.numbers("width") * large.numbers("height"))
    kept = frozenset(row.sha256 for row in large if row.sha256 in clean) if clean else clean
    return Plan(config, large, counts, layout_of(config), good.where(~fits), bank, kept)


def _of_clean(config: StoreConfig) -> StoreConfig:
    """The same for clean sources; raises UserError where the recipe makes no difference."""
    recipe = config.recipe.of_clean()
    if recipe is None:
        raise UserError(f"recipe {config.recipe.kind} cleans no source up, so clean ones are like any other: --source")
    return config.model_copy(update={"recipe": recipe})


def _samples(
    rows: Iterable[Json], samples: range, config: StoreConfig, bank: NoiseSource | None
) -> Iterator[tuple[Json, Draw, Rendered]]:
    """(row of the manifest, draw, images) of each sample, by the rows of the plan; each source is decoded once."""
    for row in rows:
        wanted = served(row, samples)
        if not wanted:
            continue
        pixels = read_source(place(row["root"]), row["path"], row["sha256"])
        source = Source(row["sha256"], row["width"], row["height"])
        its_config = _of_clean(config) if row["clean"] else config
        for sample in wanted:
            drawn, rendered = make(its_config, source, pixels, sample, bank=bank)
            yield to_row(sample, row["path"], source, drawn, rendered), drawn, rendered


def preview(planned: Plan) -> Iterator[tuple[Json, Rendered]]:
    """Every sample of a plan, made now: its row of the manifest, and its images."""
    for part in planned.tables():
        everything = range(planned.config.num_samples)
        for row, _, rendered in _samples(part.to_pylist(), everything, planned.config, planned.bank):
            yield row, rendered


def _render_shard(store: Store, config: StoreConfig, shard: int, open_bank: Callable[[], NoiseSource] | None) -> Commit:
    bank = open_bank() if open_bank else None

    def made(rows: Iterable[Json], samples: range) -> Iterator[Made]:
        for row, _, rendered in _samples(rows, samples, config, bank):
            yield row, rendered.hr, rendered.lr

    return fill_shard(store, config, shard, made)


def build(out: Place, planned: Plan, run: Run = serial) -> tuple[Store, int]:
    """Render the store `out` of a plan; gives back the store and how many samples this run rendered.

    Interrupted, the same call goes on with the shards that are missing; finished, it does nothing.

    Raises:
        UserError: a source changed, or `out` holds something else.
    """
    bank = planned.bank
    open_bank = None if bank is None else partial(type(bank).open, absolute(bank.store.path))
    title = "render groups" if planned.config.kind == GROUPS else "render pairs"
    return fill(out, planned, partial(_render_shard, open_bank=open_bank), run, bank=bank, title=title)


def open_samples(path: Place) -> Store:
    """A finished store of groups or pairs; raises StoreError as `open_store`."""
    kind = kind_of(path)
    return open_store(path, kind if kind in (GROUPS, PAIRS) else GROUPS)

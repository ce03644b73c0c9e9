"""From a folder to a store of contrast/anchor groups: index, plan every sample, render the shards."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..degrade import seeds
from ..degrade.disk import write_atomic
from ..degrade.errors import StoreError, UserError
from ..degrade.groups import ROLES, GroupsConfig, sample_group
from ..degrade.image import U8, read_source
from ..degrade.provenance import canonical, provenance, sha256_of
from ..degrade.reader import ShardReader
from ..degrade.shards import ArraySpec, Commit, Layout, Store, begin, samples_per_shard, write_shard
from ..degrade.steps import STEP_TYPE, apply, from_rows, to_rows
from . import sources
from .build_shards import render_missing
from .executors import Executor
from .sources import SourceRow

KIND = "group-store"
_ROOTS = "sources.json"  # where the images lie on this machine; no part of the store's digest

MANIFEST = pa.schema(
    [
        ("sample", pa.int64()),
        ("source", pa.string()),
        ("source_sha256", pa.string()),
        ("y", pa.int32()),
        ("x", pa.int32()),
        ("hr_size", pa.int32()),
        *((role.value, pa.list_(STEP_TYPE)) for role in ROLES),
    ]
)


@dataclass(frozen=True)
class Plan:
    """Which sources serve a config, in which order, and how the store lies on the disk."""

    config: GroupsConfig
    rows: tuple[SourceRow, ...]
    counts: tuple[int, ...]
    layout: Layout
    num_too_small: int

    @property
    def sources_sha256(self) -> str:
        """The identity of what goes in: the content of the sources, not their names."""
        return sha256_of(row.sha256 for row in self.rows)


@dataclass(frozen=True)
class Sample:
    """One rendered group: HR [H, W, 3] and LR [5, h, w, 3], uint8 RGB."""

    hr: U8
    lr: U8


def plan(config: GroupsConfig, rows: Sequence[SourceRow]) -> Plan:
    """Share the samples out among the usable sources that are large enough: equally, to within one.

    Raises:
        UserError: no source is as large as an HR crop.
    """
    good = sources.usable(rows)
    large = [row for row in good if min(row.width, row.height) >= config.hr_size_px]
    if not large:
        raise UserError(
            f"none of {len(good)} usable images is at least {config.hr_size_px} px on its shorter side; "
            "lower --hr-size, or name larger images"
        )
    share, rest = divmod(config.num_samples, len(large))
    lucky = seeds.stream(config.seed, "shares").permutation(len(large))[:rest].tolist()
    counts = tuple(share + (i in set(lucky)) for i in range(len(large)))
    hr = ArraySpec("hr", (config.hr_size_px, config.hr_size_px, 3))
    lr = ArraySpec("lr", (len(ROLES), config.lr_size_px, config.lr_size_px, 3))
    per_shard = samples_per_shard(hr.sample_bytes, int(config.shard_mib * 2**20))
    return Plan(config, tuple(large), counts, Layout(config.num_samples, per_shard, (hr, lr)), len(good) - len(large))


def _manifest_row(sample: int, source: SourceRow, config: GroupsConfig) -> dict[str, Any]:
    rng = seeds.stream(config.seed, "box", source.sha256, sample)
    group = sample_group(config.recipe, config.hr_size_px, seed=config.seed, source_sha256=source.sha256, sample=sample)
    return {
        "sample": sample,
        "source": source.path,
        "source_sha256": source.sha256,
        "y": int(rng.integers(0, source.height - config.hr_size_px + 1)),
        "x": int(rng.integers(0, source.width - config.hr_size_px + 1)),
        "hr_size": config.hr_size_px,
    } | {role.value: to_rows(group[role]) for role in ROLES}


def manifest(planned: Plan) -> Iterator[pa.Table]:
    """The rows of each shard, with every drawn parameter of every member. Touches no pixel."""
    samples = (row for row, count in zip(planned.rows, planned.counts, strict=True) for _ in range(count))
    for shard in range(planned.layout.num_shards):
        rows = [_manifest_row(i, next(samples), planned.config) for i in planned.layout.rows(shard)]
        yield pa.Table.from_pylist(rows, schema=MANIFEST)


def render_sample(row: dict[str, Any], pixels: U8) -> Sample:
    """The group of one manifest row, from the pixels of its source. Pure."""
    size = row["hr_size"]
    hr = np.ascontiguousarray(pixels[row["y"] : row["y"] + size, row["x"] : row["x"] + size])
    return Sample(hr, np.stack([apply(hr, from_rows(row[role.value])) for role in ROLES]))


def _render_shard(shard: int, store: Store, roots: dict[str, str]) -> Commit:
    rows = store.manifest_of(shard).to_pylist()
    blocks = {a.name: np.empty((len(rows), *a.sample_shape), dtype=np.uint8) for a in store.layout.arrays}
    pixels, of = np.empty(0, dtype=np.uint8), ""
    for i, row in enumerate(rows):
        if row["source_sha256"] != of:
            of = row["source_sha256"]
            pixels = read_source(Path(roots[of]), row["source"], of)
        sample = render_sample(row, pixels)
        blocks["hr"][i], blocks["lr"][i] = sample.hr, sample.lr
    return write_shard(store, shard, blocks)


def build(out: Path, planned: Plan, executor: Executor) -> tuple[Store, int]:
    """Render the store `out` of a plan; gives back the store and how many samples this run rendered.

    Interrupted, the same call goes on with the shards that are missing; finished, it does nothing.

    Raises:
        UserError: a source changed, or `out` holds something else.
    """
    store = begin(
        out,
        planned.layout,
        provenance(KIND, planned.config, planned.sources_sha256),
        schema=MANIFEST,
        manifest=manifest(planned),
        attributes={"members": list(ROLES), "scale": planned.config.recipe.scale},
    )
    roots = {row.sha256: row.root for row in planned.rows}
    write_atomic(out / _ROOTS, canonical({"roots": sorted(set(roots.values()))}).encode())
    rendered = render_missing(store, partial(_render_shard, store=store, roots=roots), executor, title="render groups")
    return store, rendered


def _recorded_roots(store: Store) -> list[Path]:
    try:
        return [Path(root) for root in json.loads((store.path / _ROOTS).read_text())["roots"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise StoreError(f"{store.path / _ROOTS} is missing or damaged; name the sources with --source") from None


def _find_source(store: Store, row: dict[str, Any], folders: Sequence[Path]) -> U8:
    for folder in folders:
        if (folder / row["source"]).is_file():
            return read_source(folder, row["source"], row["source_sha256"])
    names = ", ".join(str(folder) for folder in folders)
    raise StoreError(f"{row['source']} is not below {names}; name the folder of the sources with --source")


def render_again(store: Store, sample: int, folders: Sequence[Path]) -> tuple[Sample, bool]:
    """Render one sample from its manifest row, and say whether it equals what the store holds.

    folders: where the sources lie; empty means where they lay when the store was built.

    Raises:
        UserError: no such sample, or its source is missing or changed.
    """
    if not 0 <= sample < store.layout.num_samples:
        raise UserError(f"sample {sample} is not in 0..{store.layout.num_samples - 1}")
    if not folders:
        folders = _recorded_roots(store)
    shard, offset = divmod(sample, store.layout.samples_per_shard)
    row = store.manifest_of(shard).slice(offset, 1).to_pylist()[0]
    rendered = render_sample(row, _find_source(store, row, folders))
    stored = {name: ShardReader(store, name).read([sample])[0] for name in ("hr", "lr")}
    same = np.array_equal(rendered.hr, stored["hr"]) and np.array_equal(rendered.lr, stored["lr"])
    return rendered, same

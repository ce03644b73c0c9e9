"""From a scan to a noise bank: take the rule, harvest the tiles that it accepts, cut them, list what they came from.

Beside BANK lie `BANK.scan/`, when the build made the scan itself, and `BANK.distilled.parquet`: the auxiliary images
with at least one tile in the bank, which are what NGDC trains on beside the target set.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..degrade.errors import StoreError, UserError
from ..degrade.images import sources
from ..degrade.images.read import read_source
from ..degrade.images.rows import SourceRow
from ..degrade.storage import tables
from ..degrade.storage.location import Place, place
from ..degrade.storage.provenance import provenance, sha256_of
from ..degrade.storage.shards.commits import Commit
from ..degrade.storage.shards.missing import render_missing
from ..degrade.storage.shards.store import Store
from ..degrade.storage.shards.writer import begin, building, check_here, shard_writer
from ..degrade.tasks import Run, serial
from . import bank
from .bank import BankConfig, NoiseBank, SetSummary
from .cati import AnyRule, BoxRule, Cati, CatiRule, accepts, cati, is_constant, left_out
from .set_scan import SetScan
from .tiles import TileGrid

DISTILLED_KIND = "distilled-list"
DISTILLED = pa.schema(
    [
        ("set", pa.string()),
        ("root", pa.string()),
        ("path", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("num_patches", pa.int64()),
    ]
)

_PLAN_ROWS = 16384
_PLAN = pa.schema(
    [("first", pa.int64()), ("stop", pa.int64()), ("root", pa.string()), ("path", pa.string()), *bank.PATCHES]
)

_At = tuple[str, str]


@dataclass(frozen=True)
class _Harvest:
    """What a build is about to cut: the size that yielded, the interval, every patch, and where their images lie."""

    grid: TileGrid
    interval: Cati | None
    patches: pa.Table
    sets: tuple[SetSummary, ...]
    at: dict[str, _At]
    distilled: pa.Table


def _without(tiles: pa.Table, shared: set[str]) -> pa.Table:
    """The tiles of images that no earlier set has."""
    hashes = tiles["source_sha256"].cast(pa.string())
    return tiles.filter(~np.isin(np.asarray(hashes), sorted(shared)))


def _check_boxes(patches: pa.Table, rows: Sequence[SourceRow], where: Place) -> None:
    """Raises StoreError unless every box lies in an image of the index."""
    sizes = {row.sha256: (row.height, row.width) for row in rows}
    sides = np.array([sizes.get(sha, (-1, -1)) for sha in patches["source_sha256"].to_pylist()]).reshape(-1, 2)
    corners = np.column_stack([np.asarray(patches[name]) for name in ("y", "x")])
    wrong = ((corners < 0) | (corners + np.asarray(patches["size"])[:, None] > sides)).any(axis=1)
    if wrong.any():
        source = patches["source"][int(wrong.argmax())].as_py()
        raise StoreError(f"{where} names a tile that is not in {source}; scan the images again")


def _distilled(name: str, rows: Sequence[SourceRow], counts: dict[str, int]) -> list[dict[str, object]]:
    return [
        {
            "set": name,
            "root": row.root,
            "path": row.path,
            "sha256": row.sha256,
            "width": row.width,
            "height": row.height,
            "num_patches": counts[row.sha256],
        }
        for row in rows
        if counts.get(row.sha256)
    ]


def _harvest_at(grid: TileGrid, scans: Sequence[SetScan], rule: AnyRule, target: pa.Table) -> _Harvest | None:
    """Everything that a rule takes of one tile size; None when the target set yields nothing."""
    interval = cati(target, rule) if isinstance(rule, CatiRule) else None
    if (isinstance(rule, CatiRule) and interval is None) or not accepts(target, rule, interval).any():
        return None
    parts: list[pa.Table] = []
    sets: list[SetSummary] = []
    at: dict[str, _At] = {}
    distilled: list[dict[str, object]] = []
    for each in scans:
        rows = sources.usable(each.rows())
        shared = {row.sha256 for row in rows} & at.keys()
        tiles = target if each is scans[0] else each.read_tiles(grid)
        if shared:
            tiles = _without(tiles, shared)
        part = bank.harvest(tiles, rule, interval, set_name=each.name)
        _check_boxes(part, rows, each.tiles)
        at = {row.sha256: (row.root, row.path) for row in rows} | at
        counts = {entry["values"]: entry["counts"] for entry in part["source_sha256"].value_counts().to_pylist()}
        parts.append(part)
        if each is not scans[0]:
            distilled += _distilled(each.name, rows, counts)
        sets.append(
            SetSummary(
                name=each.name,
                num_images=len(rows),
                num_shared=len(shared),
                num_contributing=len(counts),
                num_tiles=tiles.num_rows,
                num_left_out=int(left_out(tiles, rule).sum()),
                num_taken=part.num_rows,
                num_constant=int(is_constant(part).sum()),
            )
        )
    listed = pa.Table.from_pylist(distilled, schema=DISTILLED)
    return _Harvest(grid, interval, bank.numbered(parts), tuple(sets), at, listed)


def _nothing(grid: TileGrid, rule: AnyRule, target: pa.Table) -> str:
    """Why a tile size yields nothing, with the nearest figure."""
    if target.num_rows == 0:
        return f"no image is as large as a tile of {grid.size} px"
    if isinstance(rule, CatiRule):
        return f"every tile of {grid.size} px is constant, clipped, or not brighter than {rule.min_mean:g}"
    if isinstance(rule, BoxRule):
        (low, high), (dark, light) = rule.variance, rule.mean
        return f"no tile of {grid.size} px has a variance of {low:g} to {high:g} and a mean of {dark:g} to {light:g}"
    least = np.asarray(target["variance"]).min()
    wanted = f"variance < {rule.max_var:g} and mean > {rule.min_mean:g}"
    return f"no tile of {grid.size} px has {wanted} (the least variance is {least:.2f})"


def _harvest(scans: Sequence[SetScan], config: BankConfig) -> tuple[_Harvest, list[str]]:
    """What the first size that yields anything yields, and why the sizes before it did not.

    Raises:
        UserError: none of them does.
    """
    reasons: list[str] = []
    for grid in config.grids():
        target = scans[0].read_tiles(grid)
        found = _harvest_at(grid, scans, config.rule, target)
        if found is not None:
            return found, reasons
        reasons.append(_nothing(grid, config.rule, target))
    raise UserError(
        f"{'; '.join(reasons)}; look at `rwsr noisebank yield`, use a smaller --size, a --fallback-size or another rule"
    )


def _planned(found: _Harvest) -> Iterator[pa.Table]:
    """The patches, some thousand at a time, each with the place of its image."""
    for start in range(0, found.patches.num_rows, _PLAN_ROWS):
        part = found.patches.slice(start, _PLAN_ROWS)
        first = np.asarray(part["patch"])
        at = [found.at[sha] for sha in part["source_sha256"].to_pylist()]
        columns = [first, first + 1, [root for root, _ in at], [path for _, path in at]]
        yield pa.Table.from_arrays(
            [*map(pa.array, columns), *(column.combine_chunks() for column in part.columns)], schema=_PLAN
        )


def _cut_shard(shard: int, store: Store) -> Commit:
    """Decode each image that has patches in the shard once, and cut them."""
    check_here(store)
    plan = store.plan_of(shard)
    size = store.layout.array("patches").sample_shape[0]
    with shard_writer(store, shard) as writer:
        for (root, path, sha), of_image in groupby(plan.to_pylist(), key=_image_of):
            pixels = read_source(place(root), path, sha)
            for row in of_image:
                writer.add(patches=bank.cut(pixels, row["y"], row["x"], size))
        writer.add_rows(plan.select(bank.PATCHES.names).replace_schema_metadata(None).combine_chunks())
    return writer.commit


def _image_of(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["root"], row["path"], row["source_sha256"]


def inputs_sha256(scans: Sequence[SetScan]) -> str:
    """The identity of what a bank is made from: the images of every set, in order."""
    return sha256_of(each.provenance().inputs_sha256 for each in scans)


def distilled_path(out: Place) -> Place:
    """Where the distilled list of a bank lies."""
    return out.with_name(f"{out.name}.distilled.parquet")


def read_distilled(path: Place) -> list[SourceRow]:
    """The images of a distilled list; raises StoreError when the file is missing or something else."""
    table, _ = tables.read(path, DISTILLED_KIND)
    tables.check_schema(path, DISTILLED_KIND, DISTILLED)
    for row in table.to_pylist():
        if Path(row["path"]).is_absolute() or ".." in Path(row["path"]).parts:
            raise StoreError(f"{path} names {row['path']!r}, outside of {row['root']}; build its bank again")
    return [
        SourceRow(root=row["root"], path=row["path"], sha256=row["sha256"], width=row["width"], height=row["height"])
        for row in table.to_pylist()
    ]


def build(out: Place, scans: Sequence[SetScan], config: BankConfig, run: Run = serial) -> tuple[NoiseBank, int]:
    """Harvest the tiles that the rule accepts of the scanned sets, the target first, into the bank `out`; gives back
    the bank and how many patches were cut now.

    A finished bank is left as it is. Only images that contribute are decoded.

    Raises:
        UserError: the target yields nothing at any size, the scan lacks a grid, a source changed since the scan, or
            `out` holds something else.
    """
    found, reasons = _harvest(scans, config)
    layout = bank.layout(found.patches.num_rows, found.grid.size)
    made = provenance(bank.KIND, config, inputs_sha256(scans))
    attributes = {
        "cati": found.interval.model_dump() if found.interval else None,
        "grid": found.grid.model_dump(),
        "sizes_without_yield": reasons,
        "sets": [each.model_dump() for each in found.sets],
    }
    with building(out) as still_ours:
        store = begin(out, layout, made, attributes=attributes)
        task, rows = partial(_cut_shard, store=store), partial(_planned, found)
        num_cut = render_missing(store, task, run, still_ours, title="harvest patches", schema=_PLAN, plan=rows)
    if len(scans) > 1:
        tables.write(distilled_path(out), found.distilled, provenance(DISTILLED_KIND, config, made.inputs_sha256))
    return NoiseBank.open(out), num_cut

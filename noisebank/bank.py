"""A noise bank: a store of RGB patches cut where a CATI says that there is nothing but noise.

On disk it is a store as in degrade/README.md with one array, `patches` [N, size, size, 3]; its manifest is
the table of patches (`PATCHES`). noisebank/README.md has an example.
"""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from ..degrade.image import U8
from ..degrade.reader import ShardReader
from ..degrade.shards import ArraySpec, Layout, Store, open_store, samples_per_shard
from . import tiles
from .cati import Cati, CatiRule, inside

KIND = "noise-bank"
SHARD_BYTES = 32 * 2**20

PATCHES = pa.schema(
    [
        ("patch", pa.int64()),
        ("source", pa.string()),
        ("source_sha256", pa.string()),
        ("y", pa.int32()),
        ("x", pa.int32()),
        ("size", pa.int32()),
        ("mean", pa.float64()),
        ("variance", pa.float64()),
        ("set", pa.string()),
    ]
)


class BankConfig(BaseModel):
    """What makes a noise bank out of a folder: which tiles are measured, and which are taken."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    grid: tiles.TileGrid = tiles.TileGrid()
    rule: CatiRule = CatiRule()


@dataclass(frozen=True)
class NoiseBank:
    """A finished bank: its patches by number, the table of where each was cut, and its CATI."""

    store: Store
    patches: ShardReader
    table: pa.Table
    cati: Cati

    @staticmethod
    def open(path: Path) -> "NoiseBank":
        """The bank in a folder; raises StoreError when it is missing, unfinished or damaged."""
        store = open_store(path, KIND)
        cati = Cati.model_validate(store.attributes["cati"])
        return NoiseBank(store, ShardReader(store, "patches"), store.manifest(), cati)


def layout(num_patches: int, size: int) -> Layout:
    """How a bank of that many patches lies on the disk."""
    spec = ArraySpec("patches", (size, size, 3))
    return Layout(num_patches, samples_per_shard(spec.sample_bytes, SHARD_BYTES), (spec,))


def harvest(tile_table: pa.Table, interval: Cati, rule: CatiRule, *, set_name: str) -> pa.Table:
    """The rows of `PATCHES` for the tiles inside the interval, by source content, then raster order."""
    taken = tile_table.filter(pa.array(inside(tile_table, interval, rule))).sort_by(
        [("source_sha256", "ascending"), ("source", "ascending"), ("y", "ascending"), ("x", "ascending")]
    )
    columns = {name: taken[name] for name in taken.column_names}
    columns["patch"] = pa.array(range(taken.num_rows), pa.int64())
    columns["set"] = pa.array([set_name] * taken.num_rows, pa.string())
    return pa.Table.from_arrays([columns[name] for name in PATCHES.names], schema=PATCHES)


def cut(pixels: U8, y: int, x: int, size: int) -> U8:
    """The patch [size, size, 3] at that corner."""
    return pixels[y : y + size, x : x + size]

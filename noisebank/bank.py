"""A noise bank: a store of RGB patches cut where a rule says that there is nothing but noise.

On disk it is a store as in degrade/README.md with one array, `patches` [N, size, size, 3]; its manifest is
the table of patches (`PATCHES`). noisebank/README.md has an example.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
import pyarrow as pa
from pydantic import Field, ValidationError

from ..degrade.errors import StoreError, UserError
from ..degrade.family import Frozen
from ..degrade.images.pixels import F32, U8, to_float
from ..degrade.storage.location import Place
from ..degrade.storage.shards.layout import ArraySpec, Layout, samples_per_shard
from ..degrade.storage.shards.reader import ShardReader
from ..degrade.storage.shards.store import Store, open_store
from ..degrade.storage.shards.verify import digest
from .cati import AnyRule, Cati, CatiRule, Rule, accepts
from .statistics import estimated_sigma
from .tiles import STATISTICS, TileGrid

KIND = "noise-bank"
_ESTIMATED = 64  # patches whose noise is estimated
SHARD_BYTES = 4 * 2**20  # what a worker holds while it cuts
TARGET = "target"

PATCHES = pa.schema(
    [
        ("patch", pa.int64()),
        ("set", pa.string()),
        ("source", pa.string()),
        ("source_sha256", pa.string()),
        ("y", pa.int32()),
        ("x", pa.int32()),
        ("size", pa.int32()),
        *STATISTICS,
    ]
)


class BankConfig(Frozen):
    """What makes a noise bank out of folders: which tiles are measured, and which are taken."""

    grid: TileGrid = TileGrid()
    """Of the tiles that are measured."""
    fallback_sizes: tuple[Annotated[int, Field(ge=8, le=4096)], ...] = ()
    """Tried in order where the target set yields nothing at grid.size; the stride shrinks with them."""
    rule: Rule = CatiRule()
    """Which tiles are taken."""

    def grids(self) -> tuple[TileGrid, ...]:
        """The grid, and those that it falls back to."""
        return (self.grid, *(self.grid.resized(size) for size in self.fallback_sizes))


class SetSummary(Frozen):
    """What a set gave to a bank: all counts are of tiles, but for the images."""

    name: str
    """Of the set."""
    num_images: int
    """That were usable."""
    num_shared: int
    """Images left out since an earlier set has them."""
    num_contributing: int
    """Images with a tile in the bank."""
    num_tiles: int
    """That were measured."""
    num_left_out: int
    """Constant and clipped tiles that the rule did not look at."""
    num_taken: int
    """That are in the bank."""
    num_constant: int
    """Constant tiles taken."""


@dataclass(frozen=True)
class NoisePatch:
    """A drawn piece of noise: [s, s, 3] float32, where 1 is white, of mean 0 in each channel; and where it was cut.

    patch: its number in the bank. y, x: the corner within the patch, in pixels. source_y, source_x: within the source.
    """

    noise: F32
    patch: int
    y: int
    x: int
    set: str
    source: str
    source_sha256: str
    source_y: int
    source_x: int


@dataclass(frozen=True)
class NoiseBank:
    """A finished bank: its patches by number, the table of where each was cut, and how they were chosen."""

    store: Store
    patches: ShardReader
    table: pa.Table
    rule: AnyRule
    cati: Cati | None
    sets: tuple[SetSummary, ...]
    digest: str

    @staticmethod
    def open(path: Place) -> "NoiseBank":
        """The bank in a folder; raises StoreError when it is missing, unfinished or damaged."""
        store = open_store(path, KIND)
        try:
            return NoiseBank._of(store)
        except (ValidationError, KeyError, TypeError) as error:
            raise StoreError(
                f"{path} is no bank that this rwsr reads ({type(error).__name__}); build it again"
            ) from None

    @staticmethod
    def _of(store: Store) -> "NoiseBank":
        return NoiseBank(
            store=store,
            patches=ShardReader(store, "patches"),
            table=store.manifest(),
            rule=BankConfig.model_validate(store.provenance.values).rule,
            cati=Cati.model_validate(found) if (found := store.attributes["cati"]) is not None else None,
            sets=tuple(SetSummary.model_validate(each) for each in store.attributes["sets"]),
            digest=digest(store),
        )

    @property
    def size_px(self) -> int:
        """Side of a patch."""
        return self.store.layout.array("patches").sample_shape[0]

    @property
    def num_patches(self) -> int:
        """How many patches there are to draw from."""
        return len(self.patches)

    @cached_property
    def sigma(self) -> float:
        """The median of what scikit-image estimates as the noise of some patches, spread evenly, in gray levels."""
        count = self.num_patches
        some = np.unique(np.linspace(0, count - 1, min(count, _ESTIMATED)).round().astype(int)).tolist()
        return float(np.median(estimated_sigma(self.patches.read(some))))

    def crop(self, patch: int, y: int, x: int, height: int, width: int) -> F32:
        """[height, width, 3] float32, where 1 is white: a piece of a patch, less its own mean in each channel.

        The published loader subtracts the mean of the crop, not of the patch; so does this.

        Raises:
            UserError: the piece reaches over the patch's edge, or there is no such patch.
        """
        if not 0 <= patch < len(self.patches):
            raise UserError(f"{self.store.path} has no patch {patch}; it has {len(self.patches)}, numbered from 0")
        if not (0 <= y <= self.size_px - height and 0 <= x <= self.size_px - width):
            raise UserError(
                f"{self.store.path} has patches of {self.size_px} px, which hold no {width}x{height} at {x}, {y}; "
                "use smaller LR crops, or a bank of a larger --size"
            )
        piece = to_float(self.patches.read([patch])[0][y : y + height, x : x + width])
        return piece - piece.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)

    def draw(self, rng: np.random.Generator, size_px: int) -> NoisePatch:
        """A square of noise from a place drawn uniformly, first the patch, then the corner (RWSR-EDL Eq. 11, n_i).

        Raises:
            UserError: size_px is not from 1 to the side of the patches.
        """
        if not 1 <= size_px <= self.size_px:
            raise UserError(
                f"size_px = {size_px} is not from 1 to {self.size_px}, the side of the patches of {self.store.path}; "
                "use smaller LR crops, or a bank of a larger --size"
            )
        patch = int(rng.integers(len(self.patches)))
        y, x = (int(corner) for corner in rng.integers(self.size_px - size_px + 1, size=2))
        row = self.table.slice(patch, 1).to_pylist()[0]
        return NoisePatch(
            noise=self.crop(patch, y, x, size_px, size_px),
            patch=patch,
            y=y,
            x=x,
            set=row["set"],
            source=row["source"],
            source_sha256=row["source_sha256"],
            source_y=row["y"] + y,
            source_x=row["x"] + x,
        )


def layout(num_patches: int, size: int) -> Layout:
    """How a bank of that many patches lies on the disk."""
    spec = ArraySpec("patches", (size, size, 3))
    return Layout(num_patches, samples_per_shard(spec.sample_bytes, SHARD_BYTES, num_patches), (spec,))


def harvest(tiles: pa.Table, rule: AnyRule, interval: Cati | None, *, set_name: str) -> pa.Table:
    """The rows of `PATCHES`, not yet numbered, for the tiles that a rule accepts: by source content, then raster order.

    tiles: of one size.
    """
    taken = tiles.filter(pa.array(accepts(tiles, rule, interval)))
    columns = {name: taken[name] for name in taken.column_names}
    columns["patch"] = pa.array([0] * taken.num_rows, pa.int64())
    columns["set"] = pa.array([set_name] * taken.num_rows, pa.string())
    rows = pa.Table.from_arrays([columns[field.name].cast(field.type) for field in PATCHES], schema=PATCHES)
    return rows.sort_by([("source_sha256", "ascending"), ("y", "ascending"), ("x", "ascending")])


def numbered(parts: Sequence[pa.Table]) -> pa.Table:
    """The tables of `harvest` one after the other, with their patches' numbers."""
    rows = pa.concat_tables(parts)
    return rows.set_column(0, PATCHES.field("patch"), pa.array(range(rows.num_rows), pa.int64()))


def cut(pixels: U8, y: int, x: int, size: int) -> U8:
    """The patch [size, size, 3] at that corner."""
    return pixels[y : y + size, x : x + size]

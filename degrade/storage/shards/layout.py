"""How the samples of a store lie in its arrays and shards."""

import math
from dataclasses import dataclass

from ...errors import StoreError
from . import checksum

_ROWS_PER_GROUP = 8192
_ROWS_PER_MANIFEST = 2**20  # whose footer takes 30 MiB of memory
MOST_SHARDS = 8192  # of a store: no folder of it has more files, whatever lists it is done soon
_SAMPLES_AT_FIRST = 1024
SEPARATORS = (".", "/")


@dataclass(frozen=True)
class ArraySpec:
    """One uint8 array of a store: its name and the shape of one sample."""

    name: str
    sample_shape: tuple[int, ...]

    @property
    def sample_bytes(self) -> int:
        return math.prod(self.sample_shape)

    @property
    def stored_bytes(self) -> int:
        """Of one chunk: the sample and its crc32c."""
        return self.sample_bytes + checksum.BYTES


@dataclass(frozen=True)
class Layout:
    """How many samples a store holds, in which arrays, and how many go into a shard.

    separator: in the names of shards; with / each lies in a folder of its own, as those of format 6 do.
    """

    num_samples: int
    samples_per_shard: int
    arrays: tuple[ArraySpec, ...]
    separator: str = "."

    @property
    def num_shards(self) -> int:
        return math.ceil(self.num_samples / self.samples_per_shard)

    @property
    def shards_per_row_group(self) -> int:
        """Of the manifest: some thousand rows."""
        return max(1, _ROWS_PER_GROUP // self.samples_per_shard)

    @property
    def shards_per_manifest(self) -> int:
        """A million rows are in a file, so that no more than its footer is held; format 6 has one file."""
        return self.num_shards if self.separator == "/" else max(1, _ROWS_PER_MANIFEST // self.samples_per_shard)

    @property
    def manifests(self) -> list[str]:
        """The names of the files of the manifest, in the order of their rows."""
        count = math.ceil(self.num_shards / self.shards_per_manifest)
        return ["manifest.parquet"] if count == 1 else [f"manifest-{number:04d}.parquet" for number in range(count)]

    def rows(self, shard: int) -> range:
        """The samples of a shard."""
        start = shard * self.samples_per_shard
        return range(start, min(start + self.samples_per_shard, self.num_samples))

    def shard_name(self, spec: ArraySpec, shard: int) -> str:
        """The path of a shard of an array inside the store."""
        return f"{spec.name}/" + self.separator.join(["c", str(shard), *("0" for _ in spec.sample_shape)])

    def array(self, name: str) -> ArraySpec:
        """The array of that name; raises StoreError when there is none."""
        for spec in self.arrays:
            if spec.name == name:
                return spec
        raise StoreError(f"there is no array {name}; known here: {', '.join(spec.name for spec in self.arrays)}")


def samples_per_shard(sample_bytes: int, shard_bytes: int, num_samples: int) -> int:
    """The power of two whose shard of samples is nearest below `shard_bytes`, at most 1024, at least 1; more where the
    store would have more than 8,192 shards: ten million groups of 256 px have 4,883 of 500 MB.
    """
    count = min(_SAMPLES_AT_FIRST, 1 << max(0, (shard_bytes // max(1, sample_bytes)).bit_length() - 1))
    while count * MOST_SHARDS < num_samples:
        count *= 2
    return count

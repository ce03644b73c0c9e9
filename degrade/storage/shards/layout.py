"""How the samples of a store lie in its arrays and shards."""

import math
from dataclasses import dataclass

from ...errors import StoreError
from . import checksum

_ROWS_PER_GROUP = 8192


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

    def shard_name(self, shard: int) -> str:
        """The path of a shard inside the store."""
        return "/".join([self.name, "c", str(shard), *("0" for _ in self.sample_shape)])


@dataclass(frozen=True)
class Layout:
    """How many samples a store holds, in which arrays, and how many go into a shard."""

    num_samples: int
    samples_per_shard: int
    arrays: tuple[ArraySpec, ...]

    @property
    def num_shards(self) -> int:
        return math.ceil(self.num_samples / self.samples_per_shard)

    @property
    def shards_per_row_group(self) -> int:
        """Of the manifest: some thousand rows, so that its footer stays small however many shards there are."""
        return max(1, _ROWS_PER_GROUP // self.samples_per_shard)

    def rows(self, shard: int) -> range:
        """The samples of a shard."""
        start = shard * self.samples_per_shard
        return range(start, min(start + self.samples_per_shard, self.num_samples))

    def array(self, name: str) -> ArraySpec:
        """The array of that name; raises StoreError when there is none."""
        for spec in self.arrays:
            if spec.name == name:
                return spec
        raise StoreError(f"there is no array {name}; known here: {', '.join(spec.name for spec in self.arrays)}")


def samples_per_shard(sample_bytes: int, shard_bytes: int) -> int:
    """The power of two whose shard of samples is nearest below `shard_bytes`, at most 1024, at least 1."""
    return 1 << min(10, max(0, (shard_bytes // max(1, sample_bytes)).bit_length() - 1))

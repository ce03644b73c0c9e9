"""Training batches from groups (or pairs, groups of one), or from LR images alone; a batch is a pure function of (data,
seed, step)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...degrade.errors import UserError
from ...degrade.images.pixels import I64, U8
from ...degrade.manifest import conditions_of, in_use
from ...degrade.seeds import stream
from ...degrade.storage.shards.reader import ShardReader
from ...degrade.storage.shards.store import Store
from ...noisebank.bank import NoiseBank
from ..engine.distributed import Ranks
from .crops import Turn, drawn_crop, drawn_place, drawn_turn
from .epochs import Epochs

F32 = npt.NDArray[np.float32]


class Samples(NamedTuple):
    """hr, N of [H, W, 3], and lr, N of [members, h, w, 3]; condition [N, C]: what a network is given of each, C often
    0; own_noise: of those whose LR was photographed, so that none of a bank is added.
    """

    hr: U8 | Sequence[U8]
    lr: U8 | Sequence[U8]
    condition: F32
    own_noise: Sequence[bool] = ()


class GroupSource(Protocol):
    """Where groups come from: a store, or rendered when they are asked for.

    name: for messages. scale: HR pixels an LR pixel. lr_size_px: side of the LR. members: LR images of a group, one in
    a pair. sharpened: whether LR is made of sharpened HR. conditions: numbers that say how a pair is degraded.
    in_use: the numbers of the groups; none where there is no end of them.
    """

    name: str
    scale: int
    lr_size_px: int
    members: int
    sharpened: bool
    conditions: int

    @property
    def in_use(self) -> "Sequence[int] | I64 | None":
        """The numbers of the groups, or none."""
        ...

    def read(self, samples: list[int]) -> Samples:
        """Those groups."""
        ...


def check_scale(groups: GroupSource, scale: int) -> None:
    """Raises UserError where the groups are not for a network of that scale."""
    if groups.scale != scale:
        raise UserError(
            f"{groups.name} is for scale {groups.scale}, the network for {scale}; set network.scale, or name another "
            "store"
        )


class StoredGroups:
    """The pairs of a store, or its groups whose measured order holds."""

    def __init__(self, store: Store) -> None:
        self._hr, self._lr = ShardReader(store, "hr"), ShardReader(store, "lr")
        self.name = str(store.path)
        self.scale = int(store.attributes["scale"])
        self.members, self.lr_size_px = store.layout.array("lr").sample_shape[:2]
        recipe = store.provenance.values["recipe"]
        self.sharpened, self._photographed = recipe.get("usm") is not None, recipe["kind"] == "real-pairs"
        self.in_use = in_use(store)
        self._told = conditions_of(store)
        self.conditions = self._told.shape[1]

    def read(self, samples: list[int]) -> Samples:
        own_noise = [self._photographed] * len(samples)
        return Samples(self._hr.read(samples), self._lr.read(samples), self._told[samples], own_noise)


def _levels(images: Sequence[U8]) -> Tensor:
    """[..., H, W, 3] each -> [B, ..., 3, H, W] uint8: a quarter of the bytes of numbers, on their way to a device."""
    return torch.from_numpy(np.stack(images)).movedim(-1, -3)


def _on(device: torch.device, image: Tensor) -> Tensor:
    """Levels as float32 in [0, 1], on a device; without waiting for it."""
    moved = image.to(device, non_blocking=True)
    return moved.float() / 255 if moved.dtype == torch.uint8 else moved


@dataclass(frozen=True)
class GroupBatch:
    """hr [B, 3, H, W] and lr [B, members, 3, h, w], float32 in [0, 1], or uint8 until it is on its device; condition
    [B, C]; keys [B], int64: of what a network draws for each sample in this step; photographs [B, 3, h, w]: of a camera
    whose HR nobody has, where a method learns from such.
    """

    hr: Tensor
    lr: Tensor
    condition: Tensor
    keys: Tensor
    photographs: Tensor | None = None

    def _each(self) -> tuple[Tensor, ...]:
        each = self.hr, self.lr, self.condition, self.keys
        return each if self.photographs is None else (*each, self.photographs)

    def to(self, device: torch.device) -> "GroupBatch":
        moved = None if self.photographs is None else _on(device, self.photographs)
        return GroupBatch(_on(device, self.hr), _on(device, self.lr), _on(device, self.condition), self.keys, moved)

    def parts(self, count: int) -> "list[GroupBatch]":
        return [GroupBatch(*part) for part in zip(*(each.chunk(count) for each in self._each()), strict=True)]

    def pin_memory(self) -> "GroupBatch":
        return GroupBatch(*(each.pin_memory() for each in self._each()))


def _keys(seed: int, step: int, samples: Sequence[int]) -> Tensor:
    return torch.tensor([int(stream(seed, "drawn", step, each).integers(2**62)) for each in samples])


class GroupBatches(Dataset[GroupBatch]):
    """Batch number `step` of a training: which groups, which crop and flip of each, all from keyed streams.

    Every epoch is a new permutation of the groups, where there is an end of them; a crop is lr_patch_px of each LR and
    the same place of HR, half of them mirrored; use_rot90: also half of them upside down, and half with the axes
    swapped. noise: a bank of which new noise is added to each LR crop in each step (RWSR-EDL Eq. 11), but to those of
    photographed LR, which have their camera's. photographs: of which each sample gets a crop of lr_patch_px in each
    step, drawn as often as an image holds whole ones. Of several processes each gets its own part of the same batch.
    """

    def __init__(
        self,
        source: GroupSource,
        *,
        batch_size: int,
        lr_patch_px: int,
        seed: int,
        use_rot90: bool = False,
        noise: NoiseBank | None = None,
        photographs: "LrSource | None" = None,
        ranks: Ranks | None = None,
    ) -> None:
        self._source, self._ranks, self._use_rot90, self._noise = source, ranks or Ranks(), use_rot90, noise
        self._photographs = None if photographs is None else LrCrops(photographs, lr_patch_px, use_rot90=use_rot90)
        self._batch, self._patch, self._seed = batch_size, lr_patch_px, seed
        self.patch_px, self.has_noise = lr_patch_px, noise is not None
        self._epochs = None if source.in_use is None else Epochs(source.in_use, seed, "epoch")
        if self._epochs is not None and batch_size > len(self._epochs):
            raise UserError(
                f"loop.batch_size = {batch_size} is more than the {len(self._epochs)} samples in use of {source.name}; "
                "lower it"
            )
        if lr_patch_px > source.lr_size_px:
            raise UserError(
                f"loop.lr_patch_px = {lr_patch_px} is larger than the LR of {source.name}; "
                f"use {source.lr_size_px} at most"
            )
        if noise is not None and lr_patch_px > noise.size_px:
            raise UserError(
                f"loop.lr_patch_px = {lr_patch_px} is larger than the patches of {noise.store.path}; use "
                f"{noise.size_px} at most, or a bank of a larger --size"
            )

    def samples(self, step: int) -> list[int]:
        """Of this process, in the order of the whole batch."""
        if self._epochs is None:
            whole = np.arange(step * self._batch, (step + 1) * self._batch)
        else:
            whole = self._epochs.batch(step, self._batch)
        share = self._batch // self._ranks.count
        return whole[self._ranks.rank * share : (self._ranks.rank + 1) * share].tolist()

    def _crop(self, hr: U8, lr: U8, rng: np.random.Generator) -> tuple[U8, U8]:
        hr, lr = drawn_crop(hr, lr, self._patch, rng)
        turn = drawn_turn(rng, use_rot90=self._use_rot90)
        return turn.of(hr), turn.of(lr)

    def __getitem__(self, step: int) -> GroupBatch:
        samples = self.samples(step)
        found = self._source.read(samples)
        pairs = [
            self._crop(hr, lr, stream(self._seed, "augment", step, sample))
            for sample, hr, lr in zip(samples, found.hr, found.lr, strict=True)
        ]
        lr = _levels([lr for _, lr in pairs])
        if self._noise is not None:
            own = torch.tensor(found.own_noise or [False] * len(samples))[:, None, None, None, None]
            lr = (_on(lr.device, lr) + self.noise(step, samples).masked_fill(own, 0)).clamp(0, 1)
        return GroupBatch(
            hr=_levels([hr for hr, _ in pairs]),
            lr=lr,
            condition=torch.from_numpy(found.condition),
            keys=self.keys(step, samples),
            photographs=self.photographs(step, samples),
        )

    def photographs(self, step: int, samples: list[int]) -> Tensor | None:
        """Crops of photographs for each sample, [B, 3, h, w] uint8, where there are any."""
        crops = self._photographs
        if crops is None:
            return None
        return _levels([crops.drawn(stream(self._seed, "photograph", step, sample)) for sample in samples])

    def keys(self, step: int, samples: list[int]) -> Tensor:
        """Of what a network draws for each sample, [B]."""
        return _keys(self._seed, step, samples)

    def place_and_turn(self, step: int, sample: int, lr_px: int) -> tuple[int, int, Turn]:
        """Top and left of the crop of an LR of that side, and how it is turned."""
        rng = stream(self._seed, "augment", step, sample)
        return *drawn_place(lr_px, self._patch, rng), drawn_turn(rng, use_rot90=self._use_rot90)

    def noise(self, step: int, samples: list[int]) -> Tensor:
        """New noise for each sample, [B, 1, 3, h, w]; as published it is neither mirrored nor turned."""
        bank = self._noise
        assert bank is not None
        noise = [bank.draw(stream(self._seed, "noise", step, sample), self._patch).noise for sample in samples]
        return torch.from_numpy(np.stack(noise)).movedim(-1, 1)[:, None]


class LrSource(Protocol):
    """LR images without HR. name: for messages. sizes_px: width and height of each."""

    name: str
    sizes_px: list[tuple[int, int]]

    def read(self, number: int) -> U8:
        """An image, [h, w, 3]."""
        ...


@dataclass(frozen=True)
class LrBatch:
    """lr [B, 3, h, w], float32 in [0, 1], or uint8 until it is on its device; keys [B], int64: of what a network draws
    for each crop in this step.
    """

    lr: Tensor
    keys: Tensor

    def to(self, device: torch.device) -> "LrBatch":
        return LrBatch(_on(device, self.lr), self.keys)

    def parts(self, count: int) -> "list[LrBatch]":
        return [LrBatch(*part) for part in zip(self.lr.chunk(count), self.keys.chunk(count), strict=True)]

    def pin_memory(self) -> "LrBatch":
        return LrBatch(self.lr.pin_memory(), self.keys)


class LrCrops:
    """Crops of LR images, mirrored or turned as those of groups are. counts: how many whole ones each image holds."""

    def __init__(self, source: LrSource, lr_patch_px: int, *, use_rot90: bool) -> None:
        """Raises UserError where an image is smaller than a patch."""
        self._source, self._patch, self._use_rot90 = source, lr_patch_px, use_rot90
        small = [size for size in source.sizes_px if min(size) < lr_patch_px]
        if small:
            raise UserError(
                f"{source.name} has images of {small[0][0]}x{small[0][1]} px, smaller than loop.lr_patch_px = "
                f"{lr_patch_px}; lower it"
            )
        self.counts = [(width // lr_patch_px) * (height // lr_patch_px) for width, height in source.sizes_px]
        self._stops = np.cumsum(self.counts)

    def of(self, number: int, rng: np.random.Generator) -> U8:
        """Of an image, anywhere."""
        image, p = self._source.read(number), self._patch
        y, x = (int(rng.integers(0, side - p + 1)) for side in image.shape[:2])
        return drawn_turn(rng, use_rot90=self._use_rot90).of(image[y : y + p, x : x + p])

    def drawn(self, rng: np.random.Generator) -> U8:
        """Of any image, drawn as often as it holds whole crops."""
        number = int(np.searchsorted(self._stops, rng.integers(self._stops[-1]), side="right"))
        return self.of(number, rng)


class LrBatches(Dataset[LrBatch]):
    """Batch number `step` of a training on LR alone: crops of images, all from keyed streams.

    An image is met as often as it holds whole patches, so that a large one counts for more; each time another crop of
    it, mirrored or turned as those of groups are.
    """

    def __init__(
        self,
        source: LrSource,
        *,
        batch_size: int,
        lr_patch_px: int,
        seed: int,
        use_rot90: bool = False,
        ranks: Ranks | None = None,
    ) -> None:
        """Raises UserError where an image is smaller than a patch."""
        self._ranks, self._batch, self._seed = ranks or Ranks(), batch_size, seed
        self._crops = LrCrops(source, lr_patch_px, use_rot90=use_rot90)
        counts = self._crops.counts
        items = np.repeat(np.arange(len(counts)), counts)
        self._epochs = Epochs(np.tile(items, -(-batch_size // max(1, len(items)))), seed, "epoch")

    def __getitem__(self, step: int) -> LrBatch:
        numbers = self._epochs.batch(step, self._batch).tolist()
        share = self._batch // self._ranks.count
        first = self._ranks.rank * share
        places = range(first, first + share)
        crops = [self._crops.of(numbers[place], stream(self._seed, "augment", step, place)) for place in places]
        return LrBatch(_levels(crops), _keys(self._seed, step, places))

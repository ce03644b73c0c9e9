"""Several stores in one training: how often each is drawn, what is met again when, whose LR gets a bank's noise."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from rwsr.degrade.errors import UserError
from rwsr.degrade.storage.shards.store import Store
from rwsr.train.data.batches import GroupBatches, Samples
from rwsr.train.data.mixed import MixedGroups
from rwsr.train.data.of_training import stored

from ...builders import tiny_bank, tiny_store
from ...commands import rwsr
from ...degrade.pairs.trees import TREES

CPU = torch.device("cpu")


class _Numbered:
    """Samples that say whose they are and which: HR is filled with the store's number, LR with the sample's."""

    def __init__(self, number: int, count: int, **different: object) -> None:
        self.name, self.scale, self.lr_size_px, self.members = f"store {number}", 2, 8 + number, 1
        self.sharpened, self.conditions, self.in_use = False, 0, list(range(count))
        self._number = number
        for name, value in different.items():
            setattr(self, name, value)

    def read(self, samples: list[int]) -> Samples:
        side = self.lr_size_px
        hr = np.full((len(samples), 2 * side, 2 * side, 3), self._number, dtype=np.uint8)
        lr = np.stack([np.full((1, side, side, 3), sample, dtype=np.uint8) for sample in samples])
        return Samples(hr, lr, np.zeros((len(samples), 0), dtype=np.float32))


def _met(mixed: MixedGroups, samples: range) -> list[tuple[int, int]]:
    found = mixed.read(list(samples))
    return [(int(hr.flat[0]), int(lr.flat[0])) for hr, lr in zip(found.hr, found.lr, strict=True)]


@pytest.mark.parametrize("weight", ["nan", "inf", "0", "-1"])
def test_a_weight_that_is_none_is_wrong_usage(weight: str, tmp_path: Path) -> None:
    told = rwsr("train", "sr", "--store", tmp_path, "--out", tmp_path / "run", "--weight", weight, code=2)
    assert "--weight" in told and "Traceback" not in told


def test_stores_are_drawn_by_their_weights_and_none_of_them_twice_before_all() -> None:
    mixed = MixedGroups([_Numbered(0, 7), _Numbered(1, 30)], [3, 1], seed=0)
    met = _met(mixed, range(2000))
    assert Counter(store for store, _ in met) == {0: 1500, 1: 500}
    of_each = [[sample for store, sample in met if store == k] for k in range(2)]
    for samples, count in zip(of_each, (7, 30), strict=True):
        for first in range(0, len(samples) - count, count):
            assert sorted(samples[first : first + count]) == list(range(count))
    assert of_each[0][:7] != of_each[0][7:14] and of_each[0][:21] != sorted(of_each[0][:21])
    assert _met(mixed, range(700, 730)) == met[700:730]
    other = MixedGroups([_Numbered(0, 7), _Numbered(1, 30)], [3, 1], seed=1)
    assert _met(other, range(50)) != met[:50]


def test_without_weights_every_sample_counts_the_same() -> None:
    met = _met(MixedGroups([_Numbered(0, 10), _Numbered(1, 30)], None, seed=0), range(1000))
    assert Counter(store for store, _ in met) == {0: 250, 1: 750}


def test_a_store_of_next_to_no_weight_is_drawn_all_the_same() -> None:
    parts = [_Numbered(0, 10), _Numbered(1, 10), _Numbered(2, 10)]
    met = _met(MixedGroups(parts, [1e-6, 1, 1e-6], seed=0), range(1000))
    assert Counter(store for store, _ in met) == {0: 1, 1: 998, 2: 1}


def test_crops_of_stores_of_several_sizes_are_one_batch() -> None:
    mixed = MixedGroups([_Numbered(0, 10), _Numbered(4, 10)], None, seed=0)
    batch = GroupBatches(mixed, batch_size=6, lr_patch_px=8, seed=0)[3]
    assert batch.hr.shape == (6, 3, 16, 16) and batch.lr.shape == (6, 1, 3, 8, 8)
    with pytest.raises(UserError, match="lr_patch_px = 9 is larger than the LR of store 0 and store 4; use 8 at most"):
        GroupBatches(mixed, batch_size=6, lr_patch_px=9, seed=0)


def test_what_does_not_go_together_is_told() -> None:
    with pytest.raises(UserError, match="store 0 has scale 2, store 1 4; a training takes stores of one kind"):
        MixedGroups([_Numbered(0, 3), _Numbered(1, 3, scale=4)], None, seed=0)
    with pytest.raises(UserError, match=r"weights = \[1\] are not one above 0 for each of 2 stores"):
        MixedGroups([_Numbered(0, 3), _Numbered(1, 3)], [1], seed=0)
    with pytest.raises(UserError, match="store 1 has no sample in use"):
        MixedGroups([_Numbered(0, 3), _Numbered(1, 3, in_use=[])], None, seed=0)


@pytest.fixture
def real(tmp_path: Path) -> Path:
    TREES["drealsr"][0](tmp_path / "set")
    rwsr("pairs", "build", "--source", tmp_path / "set", "--out", tmp_path / "real.zarr", "--samples", 6,
         "--hr-size", 64)  # fmt: skip
    return tmp_path / "real.zarr"


def test_noise_of_a_bank_goes_to_what_was_not_photographed(real: Path, photos: Path, tmp_path: Path) -> None:
    """RWSR-EDL's training on real pairs and DIV2K: the camera's noise is in the LR of the first."""
    bank = tiny_bank(photos, tmp_path / "bank.zarr")
    made: Store = tiny_store(photos, tmp_path / "made.zarr", "rwsr-edl-noisefree")
    data = stored([real, made.path], bank.store.path, weights=[1, 1])
    plain = stored([real, made.path], weights=[1, 1])
    assert data.identity == plain.identity != stored([real, made.path], weights=[1, 2]).identity
    changed = [False, False]
    for step in range(4):
        with_noise = GroupBatches(data.groups, batch_size=8, lr_patch_px=16, seed=0, noise=data.noise)[step].to(CPU)
        without = GroupBatches(plain.groups, batch_size=8, lr_patch_px=16, seed=0)[step].to(CPU)
        photographed = plain.groups.read(list(range(step * 8, step * 8 + 8))).own_noise
        for i, own in enumerate(photographed):
            changed[own] |= not torch.equal(with_noise.lr[i], without.lr[i])
    assert changed == [True, False]
    with pytest.raises(UserError, match="LR of real pairs has its camera's noise"):
        stored(real, bank.store.path)


@pytest.mark.slow
def test_a_mixed_training_by_the_command(real: Path, photos: Path, tmp_path: Path) -> None:
    """It goes on where it was; with other weights it is another training."""
    made = tiny_store(photos, tmp_path / "made.zarr", "bicubic")
    command = ["train", "mm-realsr", "--preset", "real-esrnet", "--store", real, "--store", made.path,
               "--out", tmp_path / "run", "--steps", 3, "--set", "losses.sharpen_target=false",
               "--set", "network={num_feat: 4, num_block: 1, num_grow_ch: 4}", "--set", "loop.batch_size=2",
               "--set", "loop.lr_patch_px=16"]  # fmt: skip
    told = rwsr(*command, "--weight", 3, "--weight", 1)
    assert "is met" in told or "are met" in told
    assert "the training was done already" in rwsr(*command, "--weight", 3, "--weight", 1)
    assert "is of other data" in rwsr(*command, "--weight", 1, "--weight", 1, code=1)
    assert "1 weights are for 2 stores" in rwsr(*command, "--weight", 1, code=1)

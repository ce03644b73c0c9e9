"""Data sets of a store: the same samples for any worker, cut and turned alike, new in each epoch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler

from rwsr.degrade.errors import StoreError, UserError
from rwsr.degrade.storage.shards.reader import ShardReader
from rwsr.degrade.storage.shards.store import open_store
from rwsr.train.data.datasets import GroupDataset, PairDataset

from ...builders import tiny_store


@pytest.fixture
def groups(photos: Path, tmp_path: Path) -> Path:
    """Twelve groups of 64-pixel crops."""
    return tiny_store(photos, tmp_path / "groups.zarr", "mm-realsr").path


@pytest.mark.slow
def test_without_crops_and_turns_an_item_is_what_the_store_holds(groups: Path) -> None:
    """Channels first, in [0, 1], in the order of the members."""
    dataset = GroupDataset(groups, augment=False)
    assert len(dataset) == 12 and dataset.members == ("base", "blurrier", "noisier", "clean", "worst")
    item = dataset[7]
    stored = ShardReader(open_store(groups, "group-store"), "lr").read([7])[0]
    assert item["hr"].shape == (3, 64, 64) and item["sample"] == 7
    assert np.array_equal((item["lr"] * 255).round().byte().permute(0, 2, 3, 1).numpy(), stored)


def test_lr_and_hr_are_cut_and_turned_alike(photos: Path, tmp_path: Path) -> None:
    """On bicubic pairs: LR is near the HR made smaller, for every turn, and not otherwise."""
    dataset = PairDataset(tiny_store(photos, tmp_path / "pairs.zarr", "bicubic").path, lr_patch_px=8)
    turns = set()
    for epoch in range(6):
        dataset.set_epoch(epoch)
        for item in (dataset[i] for i in range(12)):
            small = torch.nn.functional.avg_pool2d(item["hr"], 4)
            assert (small - item["lr"]).abs().mean() < 0.05
            turns.add(item["hr"].numpy().tobytes())
    assert len(turns) > 60


def _epoch(dataset: GroupDataset, epoch: int, **options: object) -> list[torch.Tensor]:
    dataset.set_epoch(epoch)
    return [batch["lr"] for batch in DataLoader(dataset, batch_size=5, **options)]  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_workers_change_nothing(groups: Path, method: str) -> None:
    """Two worker processes give the batches of none; and a new epoch reaches workers that live on."""
    dataset = GroupDataset(groups, lr_patch_px=8)
    alone = [_epoch(dataset, epoch) for epoch in (0, 1)]
    loader = DataLoader(dataset, batch_size=5, num_workers=2, multiprocessing_context=method, persistent_workers=True)
    for epoch, expected in enumerate(alone):
        dataset.set_epoch(epoch)
        assert all(torch.equal(a["lr"], b) for a, b in zip(loader, expected, strict=True))
    assert not torch.equal(alone[0][0], alone[1][0])


@pytest.mark.slow
def test_ranks_share_the_samples(groups: Path) -> None:
    """A DistributedSampler gives each of three ranks its own third."""
    dataset = GroupDataset(groups)
    seen = [
        {int(s) for batch in DataLoader(dataset, sampler=DistributedSampler(dataset, 3, rank)) for s in batch["sample"]}
        for rank in range(3)
    ]
    assert set.union(*seen) == set(range(12)) and sum(len(s) for s in seen) == 12


def test_flagged_groups_are_left_out_unless_asked_for(photos: Path, tmp_path: Path) -> None:
    """Stores that flag disorder give what is in order; `disordered` gives all."""
    path = tiny_store(photos, tmp_path / "g.zarr", "mm-realsr", "recipe.order_check=flag", "seed=3").path
    names = open_store(path, "group-store").manifest(columns=["disorder"])["disorder"].to_pylist()
    ordered = [sample for sample, found in enumerate(names) if not found]
    assert 0 < len(ordered) < 12
    dataset = GroupDataset(path)
    assert [dataset[i]["sample"] for i in range(len(dataset))] == ordered
    assert len(GroupDataset(path, disordered=True)) == 12


def test_cugans_condition_comes_with_its_pair(photos: Path, tmp_path: Path) -> None:
    """z of each sample; other pairs have none."""
    path = tiny_store(photos, tmp_path / "c.zarr", "cugan").path
    z = PairDataset(path)[4]["condition"]
    expected = open_store(path, "pair-store").manifest(columns=["condition"])["condition"][4].as_py()
    assert z.tolist() == pytest.approx(expected, abs=1e-6) and len(z) == 2
    assert PairDataset(tiny_store(photos, tmp_path / "b.zarr", "bicubic").path)[0]["condition"].numel() == 0


@pytest.mark.slow
def test_a_wrong_store_or_patch_is_one_line(groups: Path) -> None:
    """Pairs of a store of groups, and a patch larger than the LR."""
    with pytest.raises(StoreError, match="is a group-store, not a pair-store"):
        PairDataset(groups)
    with pytest.raises(UserError, match="lr_patch_px = 17 is not from 1 to 16"):
        GroupDataset(groups, lr_patch_px=17)

"""A training is a function of its config and store: stopped anywhere, it ends where an uninterrupted one ends."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from rwsr.degrade.errors import StoreError, UserError
from rwsr.degrade.shards import Store
from rwsr.pipelines import build_store, sources
from rwsr.pipelines.config import compose
from rwsr.pipelines.executors import Executor
from rwsr.pipelines.presets import mm_realsr
from rwsr.train import mmrealsr
from rwsr.train.checkpoint import read_model, steps_saved
from rwsr.train.data import GroupBatches
from rwsr.train.loop import built
from rwsr.train.mmrealsr import MMRealSR, TrainConfig, load, stage_1_losses, tiny

CPU = torch.device("cpu")
CONFIG: TrainConfig = compose(
    tiny(),
    sets=["loop.steps=7", "loop.groups=2", "loop.lr_patch_px=12", "loop.log_every=2", "loop.checkpoint_every=4"],
    network={"feats": 4, "blocks": 1, "growth": 4, "udem": {"feats": [4], "blocks": [1], "downscales": [2]}},
)


@pytest.fixture
def store(photos: Path, tmp_path: Path) -> Store:
    """Twelve small groups."""
    rows = sources.index([photos], tmp_path / "index.parquet", sources.IndexConfig(), Executor(1))
    config = compose(mm_realsr(), hr_size_px=64, num_samples=12)
    return build_store.build(tmp_path / "groups.zarr", build_store.plan(config, rows), Executor(1))[0]


def _nothing(steps: int, terms: dict[str, float]) -> None:
    pass


class Stop(Exception):
    """Stands for whatever ends a process."""


def _stop_after(limit: int) -> Callable[[int, dict[str, float]], None]:
    done = 0

    def on_step(steps: int, terms: dict[str, float]) -> None:
        nonlocal done
        done += steps
        if done >= limit and terms:
            raise Stop

    return on_step


@pytest.mark.parametrize("limit", [2, 4, 6])
def test_stopped_and_resumed_equals_uninterrupted(store: Store, tmp_path: Path, limit: int) -> None:
    """Before, at and after a checkpoint: the same weights and the same log, to the last bit."""
    mmrealsr.train(tmp_path / "whole", store, CONFIG, CPU, _nothing)
    with pytest.raises(Stop):
        mmrealsr.train(tmp_path / "broken", store, CONFIG, CPU, _stop_after(limit))
    assert mmrealsr.train(tmp_path / "broken", store, CONFIG, CPU, _nothing)
    for name in ("model.safetensors", "train.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()


def test_a_checkpoint_is_used(store: Store, tmp_path: Path) -> None:
    """Stopped after six steps of which four were saved, only three are done again."""
    with pytest.raises(Stop):
        mmrealsr.train(tmp_path / "run", store, CONFIG, CPU, _stop_after(6))
    assert steps_saved(tmp_path / "run") == [4]
    seen: list[int] = []
    mmrealsr.train(tmp_path / "run", store, CONFIG, CPU, lambda steps, terms: seen.append(steps))
    assert seen == [4, 1, 1, 1]


def test_a_finished_training_is_left_as_it_is(store: Store, tmp_path: Path) -> None:
    """The second call says that there was nothing to do."""
    assert mmrealsr.train(tmp_path / "run", store, CONFIG, CPU, _nothing)
    assert not mmrealsr.train(tmp_path / "run", store, CONFIG, CPU, _nothing)


def test_another_config_is_refused(store: Store, tmp_path: Path) -> None:
    """A run folder holds one training."""
    mmrealsr.train(tmp_path / "run", store, CONFIG, CPU, _nothing)
    with pytest.raises(StoreError, match="another config"):
        mmrealsr.train(tmp_path / "run", store, compose(CONFIG, sets=["loop.seed=1"]), CPU, _nothing)


def test_the_log_has_every_term(store: Store, tmp_path: Path) -> None:
    """Each named loss at every logged step, the last one included."""
    mmrealsr.train(tmp_path / "run", store, CONFIG, CPU, _nothing)
    rows = pq.read_table(tmp_path / "run/train.parquet").to_pylist()
    assert {row["name"] for row in rows} == {"pixel", "rank_blur", "rank_noise", "anchor"}
    assert sorted({row["step"] for row in rows}) == [2, 4, 6, 7]
    assert all(np.isfinite(row["value"]) for row in rows)


def test_torchs_global_generator_is_left_alone(store: Store, tmp_path: Path) -> None:
    """Training neither reads nor moves the generator that belongs to the caller."""
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    mmrealsr.train(tmp_path / "run", store, CONFIG, CPU, _nothing)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_batch_is_a_function_of_its_step(store: Store) -> None:
    """The same step is the same batch; an epoch shows every group once; the next one in another order."""
    batches = GroupBatches(store, groups=3, lr_patch_px=16, seed=0)  # whole LR: no crop, flips only
    assert torch.equal(batches[5].lr, batches[5].lr)
    epochs = []
    for epoch in range(2):
        groups = [g for step in range(4) for g in batches[epoch * 4 + step].hr]
        epochs.append([round(float(g.double().sum()), 6) for g in groups])
    assert sorted(epochs[0]) == sorted(epochs[1]) and len(set(epochs[0])) == 12 and epochs[0] != epochs[1]


def test_crops_of_hr_and_lr_stay_aligned(store: Store) -> None:
    """CLEAN is the bilinear shrink of HR, so their crops must agree inside the border."""
    batch = GroupBatches(store, groups=4, lr_patch_px=8, seed=1)[0]
    shrunk = torch.nn.functional.interpolate(batch.hr, scale_factor=0.25, mode="bilinear")
    assert (shrunk - batch.lr[:, 3]).abs().max() < 1.5 / 255


@pytest.mark.parametrize(
    ("change", "says"), [("loop.groups=13", "lower it"), ("loop.lr_patch_px=17", "use 16 at most")]
)
def test_a_store_that_is_too_small_is_named(store: Store, tmp_path: Path, change: str, says: str) -> None:
    """A batch larger than the store, or a patch larger than its LR."""
    with pytest.raises(UserError, match=says):
        mmrealsr.train(tmp_path / "run", store, compose(CONFIG, sets=[change]), CPU, _nothing)


def test_every_loss_reaches_the_udem(store: Store) -> None:
    """Scores are not detached in the first stage: the pixel loss alone moves the UDEM."""
    plain = compose(CONFIG, sets=["network.start_as_enlarger=false"]).network
    net = built(lambda: MMRealSR(plain), 0)
    batch = GroupBatches(store, groups=2, lr_patch_px=12, seed=0)[0]
    terms = stage_1_losses(net, batch, CONFIG.losses)
    terms["pixel"].backward()
    assert sum(float(p.grad.abs().sum()) for p in net.de_net.parameters() if p.grad is not None) > 0


def test_a_model_file_loads_alone(store: Store, tmp_path: Path) -> None:
    """The folder and the file give the same network; its config travels inside."""
    mmrealsr.train(tmp_path / "run", store, CONFIG, CPU, _nothing)
    file = tmp_path / "run/model.safetensors"
    lr = torch.rand(1, 3, 8, 8)
    assert torch.equal(load(tmp_path / "run", CPU)(lr), load(file, CPU)(lr))
    assert TrainConfig.model_validate(read_model(file).config) == CONFIG


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    """Missing, junk and foreign files each get a line."""
    junk, foreign = tmp_path / "junk.safetensors", tmp_path / "foreign.safetensors"
    junk.write_bytes(b"junk")
    save_file({"a": torch.zeros(1)}, foreign)
    for path, says in ((tmp_path / "no", "does not exist"), (junk, "not a whole"), (foreign, "carries no rwsr")):
        with pytest.raises(StoreError, match=says):
            load(path, CPU)

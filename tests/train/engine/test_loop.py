"""A training is a function of its config and store: stopped anywhere, it ends where an uninterrupted one ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from rwsr.degrade.config import compose, to_yaml
from rwsr.degrade.errors import StoreError, UserError
from rwsr.degrade.recipes.store_config import store_preset
from rwsr.degrade.storage.shards.store import Store
from rwsr.degrade.storage.shards.verify import digest
from rwsr.eval.images.sets import of_store
from rwsr.eval.images.tensors import to_tensor
from rwsr.train.compose import compose_training
from rwsr.train.data.batches import GroupBatches, StoredGroups
from rwsr.train.data.of_training import Data, live, stored
from rwsr.train.engine import run as runs
from rwsr.train.engine.distributed import Ranks
from rwsr.train.engine.loop import built
from rwsr.train.files.open import open_run
from rwsr.train.methods.base import Given
from rwsr.train.methods.mm_realsr import METHOD, TrainConfig, build, generator_terms
from rwsr.train.networks.mm_realsr import MMRealSR
from rwsr.train.notes import notes_on
from rwsr.train.runs.bound import bound, unbound
from rwsr.train.runs.checkpoint import steps_saved
from rwsr.train.runs.model_file import read_model
from rwsr.train.train import train_run

from ...builders import tiny_store
from ...commands import Stop, stop_after

CPU = torch.device("cpu")
CONFIG: TrainConfig = compose(
    compose_training("mm-realsr-small"),
    sets=["loop.steps=7", "loop.batch_size=2", "loop.lr_patch_px=12", "loop.log_every=2", "loop.checkpoint_every=4"]
    + ["loop.warmup_steps=0"],
    network={
        "num_feat": 4,
        "num_block": 1,
        "num_grow_ch": 4,
        "udem": {"num_feat": [4], "num_block": [1], "downscales": [2]},
    },
)


OnStep = Callable[[int, dict[str, float]], None]


def _make(config: TrainConfig, groups: StoredGroups, start: dict[str, torch.Tensor] | None) -> object:
    return build(config, Given(groups, start))


def _train(run: Path, store: Store, config: TrainConfig, device: torch.device, on_step: OnStep, **told: Any) -> bool:
    make = partial(_make, config)
    return runs.train(run, StoredGroups(store), digest(store), config, config.loop, make, device, on_step, **told)


def _train_on(run: Path, data: Data) -> None:
    """Five steps of seven."""
    make = partial(_make, CONFIG)
    runs.train(run, data.groups, data.identity, CONFIG, CONFIG.loop, make, CPU, stop_after(5))


def _nothing(steps: int, terms: dict[str, float]) -> None:
    pass


@pytest.mark.slow
@pytest.mark.parametrize("limit", [2, 4, 6])
def test_stopped_and_resumed_equals_uninterrupted(store: Store, tmp_path: Path, limit: int) -> None:
    """Before, at and after a checkpoint: the same weights and the same log, to the last bit."""
    _train(tmp_path / "whole", store, CONFIG, CPU, _nothing)
    with pytest.raises(Stop):
        _train(tmp_path / "broken", store, CONFIG, CPU, stop_after(limit))
    assert _train(tmp_path / "broken", store, CONFIG, CPU, _nothing)
    for name in ("model.safetensors", "train.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()


@pytest.mark.slow
def test_a_checkpoint_is_used(store: Store, tmp_path: Path) -> None:
    """Stopped after six steps of which four were saved, only three are done again."""
    with pytest.raises(Stop):
        _train(tmp_path / "run", store, CONFIG, CPU, stop_after(6))
    assert steps_saved(tmp_path / "run") == [4]
    seen: list[int] = []
    _train(tmp_path / "run", store, CONFIG, CPU, lambda steps, terms: seen.append(steps))
    assert seen == [4, 1, 1, 1]


@pytest.mark.slow
def test_a_finished_training_is_left_as_it_is(store: Store, tmp_path: Path) -> None:
    """The second call says that there was nothing to do."""
    assert _train(tmp_path / "run", store, CONFIG, CPU, _nothing)
    assert not _train(tmp_path / "run", store, CONFIG, CPU, _nothing)


@pytest.mark.slow
def test_another_config_is_refused(store: Store, tmp_path: Path) -> None:
    """A run folder holds one training."""
    _train(tmp_path / "run", store, CONFIG, CPU, _nothing)
    with pytest.raises(StoreError, match="another config"):
        _train(tmp_path / "run", store, compose(CONFIG, sets=["loop.seed=1"]), CPU, _nothing)


def test_keys_that_came_since_a_run_was_begun_have_their_defaults(store: Store, tmp_path: Path) -> None:
    """A run of before such a key goes on; under another value of it than the default it is another training."""
    with pytest.raises(Stop):
        _train(tmp_path / "run", store, CONFIG, CPU, stop_after(5))
    path = tmp_path / "run/run.json"
    about = unbound(path)
    del about["config"]["network"]["condition"], about["config"]["loop"]["betas"]
    path.write_bytes(bound(about))
    other = compose(CONFIG, sets=["network.condition=linear"])
    with pytest.raises(StoreError, match='network.condition was "mlp", now "linear"'):
        _train(tmp_path / "run", store, other, CPU, _nothing)
    assert _train(tmp_path / "run", store, CONFIG, CPU, _nothing)
    assert unbound(path).get("changes") is None


@pytest.mark.slow
def test_the_log_has_every_term(store: Store, tmp_path: Path) -> None:
    """Each named loss at every logged step, the last one included."""
    _train(tmp_path / "run", store, CONFIG, CPU, _nothing)
    rows = pq.read_table(tmp_path / "run/train.parquet").to_pylist()
    assert {row["name"] for row in rows} == {"pixel", "rank_blur", "rank_noise", "anchor", "grad_norm/generator"}
    assert sorted({row["step"] for row in rows}) == [2, 4, 6, 7]
    assert all(np.isfinite(row["value"]) for row in rows)


@pytest.mark.slow
def test_torchs_global_generator_is_left_alone(store: Store, tmp_path: Path) -> None:
    """Training neither reads nor moves the generator that belongs to the caller."""
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    _train(tmp_path / "run", store, CONFIG, CPU, _nothing)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.slow
def test_a_batch_is_a_function_of_its_step(store: Store) -> None:
    """The same step is the same batch; an epoch shows every group once; the next one in another order."""
    batches = GroupBatches(StoredGroups(store), batch_size=3, lr_patch_px=16, seed=0)  # whole LR: no crop, flips only
    assert torch.equal(batches[5].lr, batches[5].lr)
    epochs = []
    for epoch in range(2):
        groups = [g for step in range(4) for g in batches[epoch * 4 + step].hr]
        epochs.append([round(float(g.double().sum()), 6) for g in groups])
    assert sorted(epochs[0]) == sorted(epochs[1]) and len(set(epochs[0])) == 12 and epochs[0] != epochs[1]


@pytest.mark.slow
def test_a_batch_travels_as_levels_and_arrives_as_numbers(store: Store) -> None:
    """A quarter of the bytes; the same numbers, to the bit, as when they are made first."""
    batch = GroupBatches(StoredGroups(store), batch_size=2, lr_patch_px=8, seed=1)[0]
    arrived = batch.to(CPU)
    for sent, found in ((batch.hr, arrived.hr), (batch.lr, arrived.lr)):
        assert sent.dtype == torch.uint8 and found.dtype == torch.float32
        assert torch.equal(found, to_tensor(sent.movedim(-3, -1).numpy()))
    assert [part.hr.dtype for part in batch.parts(2)] == [torch.uint8] * 2


def test_crops_of_hr_and_lr_stay_aligned(store: Store) -> None:
    """CLEAN is the bilinear shrink of HR, so their crops must agree inside the border."""
    batch = GroupBatches(StoredGroups(store), batch_size=4, lr_patch_px=8, seed=1)[0].to(CPU)
    shrunk = torch.nn.functional.interpolate(batch.hr, scale_factor=0.25, mode="bilinear")
    assert (shrunk - batch.lr[:, 3]).abs().max() < 1.5 / 255


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "says"), [("loop.batch_size=13", "lower it"), ("loop.lr_patch_px=17", "use 16 at most")]
)
def test_a_store_that_is_too_small_is_named(store: Store, tmp_path: Path, change: str, says: str) -> None:
    """A batch larger than the store, or a patch larger than its LR."""
    with pytest.raises(UserError, match=says):
        _train(tmp_path / "run", store, compose(CONFIG, sets=[change]), CPU, _nothing)


@pytest.mark.slow
def test_every_loss_reaches_the_udem(store: Store) -> None:
    """Scores are not detached in the first stage: the pixel loss alone moves the UDEM."""
    plain = compose(CONFIG, sets=["network.init_as_nearest=false"]).network
    net = built(lambda: MMRealSR(plain), 0)
    batch = GroupBatches(StoredGroups(store), batch_size=2, lr_patch_px=12, seed=0)[0].to(CPU)
    terms = generator_terms(net, batch, CONFIG, {})
    terms["pixel"].backward()
    assert sum(float(p.grad.abs().sum()) for p in net.de_net.parameters() if p.grad is not None) > 0


@pytest.mark.slow
def test_a_model_file_loads_alone(store: Store, tmp_path: Path) -> None:
    """The folder and the file give the same network; its config travels inside."""
    _train(tmp_path / "run", store, CONFIG, CPU, _nothing)
    file = tmp_path / "run/model.safetensors"
    lr = torch.rand(1, 3, 8, 8)
    assert torch.equal(open_run(tmp_path / "run", CPU).net(lr), open_run(file, CPU).net(lr))
    assert TrainConfig.model_validate(read_model(file).config) == CONFIG


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    """Missing, junk and foreign files each get a line."""
    junk, foreign = tmp_path / "junk.safetensors", tmp_path / "foreign.safetensors"
    junk.write_bytes(b"junk")
    save_file({"a": torch.zeros(1)}, foreign)
    for path, says in (
        (tmp_path / "no", "does not exist"),
        (junk, "not what a training wrote"),
        (foreign, "carries no rwsr"),
    ):
        with pytest.raises(StoreError, match=says):
            open_run(path, CPU)


NORMS = ("grad_norm/generator", "grad_norm/discriminator")
STAGE_2: TrainConfig = compose(
    compose_training("mm-realsr-small-gan"),
    sets=["loop.steps=7", "loop.batch_size=2", "loop.lr_patch_px=12", "loop.log_every=3", "loop.checkpoint_every=2"]
    + ["loop.warmup_steps=0", "needs_start=false", "freeze_udem=false"],
    network={
        "num_feat": 4,
        "num_block": 1,
        "num_grow_ch": 4,
        "udem": {"num_feat": [4], "num_block": [1], "downscales": [2]},
    },
    losses={"perceptual": {"weight": 0}, "gan": {"num_feat": 4}},
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        [],
        ["loop.accum_steps=2", "loop.schedule={kind: cosine}", "loop.warmup_steps=3"],
        ["loop.precision=bf16", "loop.channels_last=true", "loop.num_workers=1"],
    ],
)
def test_two_networks_stopped_and_resumed_are_the_same(store: Store, tmp_path: Path, changes: list[str]) -> None:
    """Generator and discriminator, with every switch, stopped between a log and a checkpoint."""
    config = compose(STAGE_2, sets=changes)
    _train(tmp_path / "whole", store, config, CPU, _nothing)
    with pytest.raises(Stop):
        _train(tmp_path / "broken", store, config, CPU, stop_after(5))
    assert _train(tmp_path / "broken", store, config, CPU, _nothing)
    for name in ("model.safetensors", "train.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()
    names = {row["name"] for row in pq.read_table(tmp_path / "whole/train.parquet").to_pylist()}
    assert names == {"pixel", "gan", "real", "fake", *NORMS}


@pytest.fixture
def pairs(photos: Path, tmp_path: Path) -> Store:
    """Six pairs of HR 128 and its bicubic LR."""
    return tiny_store(photos, tmp_path / "pairs.zarr", "bicubic", num_samples=6, hr_size_px=128)


ESRGAN: TrainConfig = compose(
    compose_training("esrgan"),
    sets=["needs_start=false", "loop.steps=5", "loop.batch_size=2", "loop.log_every=2", "loop.checkpoint_every=2"],
    network={"num_feat": 4, "num_block": 1, "num_grow_ch": 4},
    losses={"perceptual": {"weight": 0}, "gan": {"num_feat": 4}},
)


@pytest.mark.slow
def test_esrgan_is_trained_on_pairs(pairs: Store, tmp_path: Path) -> None:
    """With a relativistic discriminator whose batch statistics are part of the checkpoint."""
    _train(tmp_path / "whole", pairs, ESRGAN, CPU, _nothing)
    with pytest.raises(Stop):
        _train(tmp_path / "broken", pairs, ESRGAN, CPU, stop_after(3))
    assert _train(tmp_path / "broken", pairs, ESRGAN, CPU, _nothing)
    for name in ("model.safetensors", "train.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()
    assert set(pq.read_table(tmp_path / "whole/train.parquet")["name"].to_pylist()) == {
        "pixel",
        "gan",
        "real",
        "fake",
        *NORMS,
    }


@pytest.mark.slow
def test_samples_that_do_not_fit_are_refused(pairs: Store, store: Store, photos: Path, tmp_path: Path) -> None:
    """Modulation wants groups; where LR or targets are not sharpened as published, a line says so."""
    with pytest.raises(UserError, match="pairs.zarr holds pairs; modulation is learned from groups"):
        _train(tmp_path / "a", pairs, CONFIG, CPU, _nothing)
    sharp = tiny_store(photos, tmp_path / "sharp.zarr", "real-esrgan", num_samples=4)
    assert "the targets are not sharpened" in notes_on(METHOD, ESRGAN, stored(sharp.path))[1]
    assert len(notes_on(METHOD, compose_training("real-esrnet"), stored(sharp.path))) == 1
    assert "--preset real-esrgan" in notes_on(METHOD, compose_training("real-esrgan"), stored(pairs.path))[1]
    assert "--preset mm-realsr-stage-1" in notes_on(METHOD, compose_training("mm-realsr-code"), stored(store.path))[1]
    assert (
        len(notes_on(METHOD, compose_training("mm-realsr-code-gan"), stored(store.path)))
        == 1
        == len(notes_on(METHOD, CONFIG, stored(store.path)))
    )


@pytest.mark.slow
def test_a_training_that_is_refused_takes_no_folder(pairs: Store, store: Store, tmp_path: Path) -> None:
    """Wrong samples, patch or batch are told before anything is written; the mended command then runs."""
    run = tmp_path / "run"
    for data, config in ((pairs, CONFIG), (store, compose(CONFIG, loop={"lr_patch_px": 17}))):
        with pytest.raises(UserError):
            _train(run, data, config, CPU, _nothing)
        assert not run.exists()
    with pytest.raises(UserError, match="loop.batch_size = 20 is more than the 12"):
        _train(run, store, compose(CONFIG, loop={"batch_size": 20}), CPU, _nothing)
    assert _train(run, store, CONFIG, CPU, _nothing)
    with pytest.raises(StoreError, match=r"another config \(loop.seed was 0, now 8\)"):
        _train(run, store, compose(CONFIG, loop={"seed": 8}), CPU, _nothing)
    with pytest.raises(UserError, match="groups.zarr is for scale 4, the network for 2; set network.scale"):
        config = compose(CONFIG, network={"scale": 2})
        train_run(tmp_path / "b", stored(store.path), METHOD, config, val=of_store(pairs))
    (run / "model.safetensors").unlink()
    with pytest.raises(StoreError, match="run is not trained to its end; run the command that began it again"):
        open_run(run, CPU)


@pytest.mark.slow
def test_parts_of_a_batch_give_the_step_of_the_whole(store: Store, tmp_path: Path) -> None:
    """Two micro-batches of one group against one of two: the same losses, to rounding."""
    _train(tmp_path / "whole", store, STAGE_2, CPU, _nothing)
    _train(tmp_path / "parts", store, compose(STAGE_2, sets=["loop.accum_steps=2"]), CPU, _nothing)
    _assert_near(tmp_path / "whole", tmp_path / "parts")


def _assert_near(a: Path, b: Path) -> None:
    first, second = (pq.read_table(run / "train.parquet") for run in (a, b))
    assert first["name"].to_pylist() == second["name"].to_pylist() and first.num_rows > 0
    of_gradients = np.array([name.startswith("grad_norm/") for name in first["name"].to_pylist()])
    apart = np.abs(np.asarray(first["value"]) / np.asarray(second["value"]) - 1)
    assert (apart < np.where(of_gradients, 1e-2, 1e-4)).all()
    weights = [read_model(run / "model.safetensors").weights for run in (a, b)]
    assert all(torch.allclose(value, weights[1][name], atol=1e-4) for name, value in weights[0].items())


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one(store: Store, tmp_path: Path) -> None:
    """By torchrun, over gloo, each with half of every batch; and stopped and started again they still do."""
    settings = ["--set", "loop.batch_size=4", "--set", "loop.lr_patch_px=12", "--set", "loop.log_every=2"]
    settings += ["--set", "loop.checkpoint_every=3", "--steps", "6"]
    command = [
        "-m",
        "rwsr",
        "train",
        "mm-realsr",
        "--store",
        str(store.path),
        "--preset",
        "mm-realsr-small",
    ]
    python = Path(sys.executable)
    one = [str(python), *command, *settings, "--out", str(tmp_path / "one")]
    torchrun = [str(python), "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(one, check=True, capture_output=True, timeout=300)
    both = [*torchrun, *command, *settings, "--out", str(tmp_path / "two")]
    subprocess.run(both, check=True, capture_output=True, timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"})
    _assert_near(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_ctrl_c_saves_and_the_same_command_goes_on(store: Store, tmp_path: Path) -> None:
    """SIGINT in the middle, by the real command: the step under way is finished and saved, exit 1 with a line."""
    command = [sys.executable, "-m", "rwsr", "train", "mm-realsr", "--store", str(store.path)]
    command += [
        "--preset",
        "mm-realsr-small",
        "--set",
        "loop.batch_size=2",
        "--set",
        "loop.lr_patch_px=12",
        "--steps",
        "60",
    ]
    subprocess.run([*command, "--out", str(tmp_path / "whole")], check=True, capture_output=True, timeout=300)
    script = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    script += f"sys.argv = {['rwsr', *command[3:], '--out', str(tmp_path / 'run')]!r}\n"
    script += "from rwsr.pipelines.cli.main import main\nmain()"
    running = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "run/run.json").exists():
        time.sleep(0.02)
    time.sleep(0.6)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=120)
    if running.returncode != 0:  # it may have been done already
        assert running.returncode == 1 and "which are saved; the same command goes on from there" in said
        assert steps_saved(tmp_path / "run")
    subprocess.run([*command, "--out", str(tmp_path / "run")], check=True, capture_output=True, timeout=300)
    for name in ("model.safetensors", "train.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("spawned", [False, True])
def test_a_stop_of_the_whole_job_saves_though_the_loaders_get_it_too(
    store: Store, tmp_path: Path, spawned: bool
) -> None:
    """A terminal's Ctrl-C and a scheduler's SIGTERM reach every process of the job."""
    run = tmp_path / "run"
    arguments = ["train", "mm-realsr", "--store", str(store.path), "--out", str(run), "--preset", "mm-realsr-small"]
    arguments += ["--steps", "100000", "--set", "loop.batch_size=1", "--set", "loop.lr_patch_px=12"]
    arguments += ["--set", "loop.num_workers=2", "--set", "loop.checkpoint_every=5"]
    script = "import multiprocessing, sys\nfrom rwsr.pipelines.cli.main import main\nif __name__ == '__main__':\n"
    script += f"    multiprocessing.set_start_method({'spawn' if spawned else 'fork'!r})\n"
    script += f"    sys.argv[1:] = {arguments!r}\n    main()\n"
    (tmp_path / "job.py").write_text(script)
    job = [sys.executable, str(tmp_path / "job.py")]
    running = subprocess.Popen(job, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (run / "checkpoints").exists() or not steps_saved(run):
        assert running.poll() is None
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGTERM)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 1 and "Traceback" not in said
    assert "which are saved; the same command goes on from there" in said


@pytest.mark.slow
def test_a_later_stage_starts_from_an_earlier_one(store: Store, tmp_path: Path) -> None:
    """From its averaged weights; the UDEM stays as it was; another network is refused."""
    _train(tmp_path / "one", store, CONFIG, CPU, _nothing)
    config = compose(STAGE_2, network=CONFIG.network.model_dump())
    assert _train(tmp_path / "two", store, config, CPU, _nothing, start_from=tmp_path / "one")
    before, after = (read_model(tmp_path / run / "model.safetensors").weights for run in ("one", "two"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and not any(name.startswith("de_net") for name in changed)
    other = compose(config, network={"num_feat": 8})
    with pytest.raises(UserError, match="--start-from is of another network"):
        _train(tmp_path / "x", store, other, CPU, _nothing, start_from=tmp_path / "one")


@pytest.mark.slow
def test_validation_is_in_the_log(store: Store, tmp_path: Path) -> None:
    """Of the averaged weights, at its steps and at the end; it changes nothing in the training."""
    _train(tmp_path / "plain", store, CONFIG, CPU, _nothing)
    config = compose(CONFIG, sets=["loop.validate_every=3"])
    seen: list[float] = []

    def validate(net: torch.nn.Module, _: Ranks) -> dict[str, list[float]]:
        assert not net.training
        seen.append(float(next(net.parameters()).detach().sum()))
        return {"figure": [seen[-1]]}

    _train(tmp_path / "run", store, config, CPU, _nothing, validate=validate)
    rows = pq.read_table(tmp_path / "run/train.parquet").to_pylist()
    assert [(row["step"], row["value"]) for row in rows if row["name"] == "val/figure"] == list(
        zip((3, 6, 7), seen, strict=True)
    )
    weights = [read_model(tmp_path / run / "model.safetensors").weights for run in ("plain", "run")]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


@pytest.mark.slow
def test_groups_rendered_meanwhile_are_fresh_and_a_function_of_their_number(photos: Path, tmp_path: Path) -> None:
    """Whatever the threads and loaders, and stopped and resumed: the same losses; no group is met twice."""
    recipe = compose(store_preset("mm-realsr"), hr_size_px=64)
    (tmp_path / "recipe.yaml").write_text(to_yaml(recipe))
    data = live([photos], tmp_path / "recipe.yaml", tmp_path, preset="mm-realsr")
    assert data.groups.in_use is None
    first, again = data.groups.read([7, 0, 40_000]), data.groups.read([40_000, 7])
    assert np.array_equal(first.lr[[2, 0]], again.lr) and np.array_equal(first.hr[[2, 0]], again.hr)
    batches = GroupBatches(data.groups, batch_size=3, lr_patch_px=16, seed=0)
    groups = [round(float(group.double().sum()), 6) for step in range(8) for group in batches[step].lr]
    assert len(set(groups)) == 24
    assert train_run(tmp_path / "whole", data, METHOD, CONFIG)
    with pytest.raises(Stop):
        _train_on(tmp_path / "broken", data)
    assert train_run(tmp_path / "broken", data, METHOD, CONFIG)
    assert train_run(tmp_path / "loaders", data, METHOD, compose(CONFIG, sets=["loop.num_workers=1"]))
    logs = [(tmp_path / run / "train.parquet").read_bytes() for run in ("whole", "broken", "loaders")]
    assert logs[0] == logs[1] == logs[2]


@pytest.mark.slow
def test_groups_without_an_order_are_given_up_for_another_source(photos: Path, tmp_path: Path) -> None:
    """A flat photograph has none: it is never met. Of flat ones alone there is an error."""
    flat, recipe = tmp_path / "flat", tmp_path / "recipe.yaml"
    flat.mkdir()
    Image.fromarray(np.full((90, 90, 3), 255, np.uint8)).save(flat / "flat.png")
    recipe.write_text(to_yaml(compose(store_preset("mm-realsr"), hr_size_px=64, sets=["recipe.max_draws=2"])))
    data = live([photos, flat], recipe, tmp_path, preset="mm-realsr")
    assert all(group.std() > 0 for group in data.groups.read(list(range(12))).hr)
    alone = live([flat], recipe, tmp_path / "b", preset="mm-realsr")
    with pytest.raises(UserError, match="gave no group in order, the last flat.png"):
        alone.groups.read([0])


@pytest.mark.slow
def test_how_often_a_sample_is_met_is_said(store: Store, photos: Path, tmp_path: Path) -> None:
    """Of a store always; with a way out where it is often. Of sources never: they are fresh."""
    assert "each of the 12 samples of" in notes_on(METHOD, CONFIG, stored(store.path))[0]
    often = notes_on(METHOD, compose_training("mm-realsr-small"), stored(store.path))[0]
    assert "is met 1,000.0 times; --source renders fresh ones" in often
    (tmp_path / "recipe.yaml").write_text(to_yaml(compose(store_preset("mm-realsr"), hr_size_px=64)))
    assert notes_on(METHOD, CONFIG, live([photos], tmp_path / "recipe.yaml", tmp_path, preset="mm-realsr")) == []


def test_a_batch_that_cannot_be_shared_out_is_told() -> None:
    with pytest.raises(UserError, match="batch_size = 5 is not a multiple of accum_steps = 2"):
        compose(CONFIG, sets=["loop.batch_size=5", "loop.accum_steps=2"])

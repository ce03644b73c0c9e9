"""A training that diverges says so and keeps what was whole; damage to what a run holds is told, mended or named."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from rwsr.degrade.config import compose
from rwsr.degrade.errors import BusyError, StoreError, UserError
from rwsr.degrade.seeds import stream
from rwsr.degrade.storage import local
from rwsr.degrade.storage.shards.store import Store
from rwsr.eval.metrics.lpips_dists import lpips
from rwsr.train.engine.distributed import Ranks
from rwsr.train.engine.finite import Finite
from rwsr.train.runs import checkpoint
from rwsr.train.runs.checkpoint import read_log, steps_saved
from rwsr.train.runs.model_file import config_of, read_model, write_model

from ...commands import Stop, rwsr, stop_after
from .test_loop import CONFIG, CPU, _nothing, _train

LONGER = compose(CONFIG, sets=["loop.checkpoint_every=2", "loop.log_every=3"])


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines that a person is told."""
    lines: list[str] = []
    monkeypatch.setattr(checkpoint._log, "warning", lambda text, *of: lines.append(text % of))
    return lines


# ------------------------------------------------------------------------------------------------ divergence


@pytest.mark.slow
def test_a_training_that_diverges_stops_with_step_and_term(store: Store, tmp_path: Path) -> None:
    """A hundred million times the learning rate: no model is left, and the message says what to change."""
    config = compose(CONFIG, sets=["loop.learning_rate=1e30"])
    with pytest.raises(UserError, match=r"is no number at step \d: .* lower loop.learning_rate, set loop.clip"):
        _train(tmp_path / "run", store, config, CPU, _nothing)
    assert not (tmp_path / "run/model.safetensors").exists()


def test_the_first_step_that_is_no_number_is_named_however_late_it_is_looked_at() -> None:
    """Looked at on the device in each step, on the host once."""
    finite = Finite(CPU, fp16=False)
    for step in range(1, 9):
        bad = torch.tensor(float("nan" if step in (3, 4) else 1))
        finite.look(step, {"pixel": torch.tensor(1.0), "gan": bad, "grad_norm/generator": bad if step > 3 else bad * 0})
    with pytest.raises(UserError, match="gan is no number at step 3.*the checkpoint of step 2 is kept"):
        finite.check(Ranks(), kept=2)


def test_fp16_may_leave_out_steps_but_not_for_ever() -> None:
    """The scaler skips steps whose gradient overflows while it looks for its scale; a loss is always a number."""
    finite = Finite(CPU, fp16=True)
    norm = torch.tensor(float("inf"))
    for step in range(1, 32):
        finite.look(step, {"grad_norm/generator": norm})
    finite.check(Ranks(), kept=0)
    finite.look(32, {"grad_norm/generator": norm})
    with pytest.raises(UserError, match="the gradient of generator is no number at step 32.*bf16"):
        finite.check(Ranks(), kept=0)


@pytest.mark.slow
def test_a_checkpoint_is_never_of_weights_that_are_no_numbers(store: Store, tmp_path: Path) -> None:
    """The loss is looked at before each checkpoint: the last one kept is from before the first that was no number."""
    steps = 0

    def poison(done: int, _: dict[str, float]) -> None:
        nonlocal steps
        steps += done

    config = compose(CONFIG, sets=["loop.checkpoint_every=1", "loop.log_every=7", "loop.learning_rate=1e12"])
    with pytest.raises(UserError, match="is no number at step"):
        _train(tmp_path / "run", store, config, CPU, poison)
    for step in steps_saved(tmp_path / "run"):
        folder = tmp_path / f"run/checkpoints/step-{step:08d}"
        for name in ("generator", "ema"):
            found = load_file(folder / f"{name}.safetensors").values()
            weights = torch.cat([v.flatten().double() for v in found])
            assert bool(torch.isfinite(weights).all())


@pytest.mark.slow
def test_gradients_are_clipped_and_their_norm_is_logged(store: Store, tmp_path: Path) -> None:
    """The logged norm is that before clipping; a clip below it changes the weights, one far above it does not."""
    norms, models = {}, {}
    for clip in ("null", "1e9", "1e-9"):
        run = tmp_path / clip
        _train(run, store, compose(CONFIG, sets=[f"loop.clip={clip}"]), CPU, _nothing)
        rows = pq.read_table(run / "train.parquet").to_pylist()
        norms[clip] = [row["value"] for row in rows if row["name"] == "grad_norm/generator"]
        models[clip] = read_model(run / "model.safetensors").weights
    assert len(norms["null"]) == 4 and all(value > 1e-4 for value in norms["null"])
    same = {clip: all(torch.equal(v, models["null"][k]) for k, v in models[clip].items()) for clip in models}
    assert same == {"null": True, "1e9": True, "1e-9": False}


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_lpips_is_the_same_under_autocast(published: Path, precision: torch.dtype) -> None:
    """Its features reach 256, whose square is beyond fp16: they are squared in fp32."""
    net = lpips("squeeze")
    rng = stream(0, "lpips")
    a, b = (torch.from_numpy(rng.uniform(-1, 1, (1, 3, 64, 64))).float() for _ in range(2))
    with torch.autocast("cpu", precision):
        assert torch.equal(net(a, b), lpips("squeeze")(a, b))
        under = net(a, b)
    assert torch.allclose(under, net(a, b), atol=1e-6)


# ---------------------------------------------------------------------------------------------------- damage


def _stopped(run: Path, of: Store, limit: int = 5) -> None:
    with pytest.raises(Stop):
        _train(run, of, LONGER, CPU, stop_after(limit))


def _flip(file: Path, at: float = 0.5) -> None:
    data = bytearray(file.read_bytes())
    data[int(at * (len(data) - 1))] ^= 4
    file.write_bytes(data)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["generator.safetensors", "ema.safetensors", "state.pt", "sums.json"])
@pytest.mark.parametrize("damage", [_flip, _empty, Path.unlink])
def test_the_older_checkpoint_is_taken_where_the_newest_is_damaged(
    store: Store,
    tmp_path: Path,
    said: list[str],
    name: str,
    damage: Callable[[Path], None],
) -> None:
    """With a line; the end is that of an uninterrupted training."""
    _train(tmp_path / "whole", store, LONGER, CPU, _nothing)
    _stopped(tmp_path / "run", store)
    assert steps_saved(tmp_path / "run") == [2, 4]
    damage(tmp_path / "run/checkpoints/step-00000004" / name)
    seen: list[int] = []
    _train(tmp_path / "run", store, LONGER, CPU, lambda steps, _: seen.append(steps))
    assert seen[0] == 2 and len(said) == 1 and "checkpoint of step 4" in said[0]
    for file in ("model.safetensors", "train.parquet"):
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


@pytest.mark.slow
def test_where_no_checkpoint_is_whole_nothing_is_trained_in_silence(
    store: Store, tmp_path: Path, said: list[str]
) -> None:
    """Neither from the start: somebody may have a copy."""
    _stopped(tmp_path / "run", store)
    for step in (2, 4):
        _flip(tmp_path / f"run/checkpoints/step-{step:08d}/generator.safetensors")
    with pytest.raises(StoreError, match="none of the checkpoints"):
        _train(tmp_path / "run", store, LONGER, CPU, _nothing)


@pytest.mark.slow
def test_a_stray_folder_is_no_checkpoint(store: Store, tmp_path: Path) -> None:
    """Eight letters are no step."""
    _stopped(tmp_path / "run", store)
    (tmp_path / "run/checkpoints/step-abcdefgh").mkdir()
    assert _train(tmp_path / "run", store, LONGER, CPU, _nothing)


@pytest.mark.slow
def test_a_part_of_the_log_that_is_gone_is_named(store: Store, tmp_path: Path, said: list[str]) -> None:
    """The training ends all the same: the model does not hang on it."""
    _stopped(tmp_path / "run", store)
    (tmp_path / "run/log/step-00000004.parquet").unlink()
    _train(tmp_path / "run", store, LONGER, CPU, _nothing)
    assert len(said) == 1 and "step-00000004.parquet cannot be read" in said[0]


@pytest.mark.slow
@pytest.mark.parametrize("damage", [_flip, _empty, lambda file: _flip(file, 0.01)])
def test_a_damaged_model_is_not_a_finished_training(
    store: Store,
    tmp_path: Path,
    damage: Callable[[Path], None],
) -> None:
    """Not counted as done, and not restored with; the same command makes it again of the last checkpoint, and where
    that is gone too says what to remove.
    """
    said = r"model.safetensors (is not what a training wrote|carries no)"
    _train(tmp_path / "run", store, CONFIG, CPU, _nothing)
    before = (tmp_path / "run/model.safetensors").read_bytes()
    damage(tmp_path / "run/model.safetensors")
    with pytest.raises(StoreError, match=said):
        read_model(tmp_path / "run/model.safetensors")
    steps: list[int] = []
    assert _train(tmp_path / "run", store, CONFIG, CPU, lambda done, _: steps.append(done))
    assert (tmp_path / "run/model.safetensors").read_bytes() == before and steps == [7]
    damage(tmp_path / "run/model.safetensors")
    shutil.rmtree(tmp_path / "run/checkpoints")
    with pytest.raises(StoreError, match=said):
        _train(tmp_path / "run", store, CONFIG, CPU, _nothing)
    (tmp_path / "run/model.safetensors").unlink()
    assert _train(tmp_path / "run", store, CONFIG, CPU, _nothing)
    assert (tmp_path / "run/model.safetensors").read_bytes() == before


def test_no_flipped_bit_of_a_model_is_read(tmp_path: Path) -> None:
    """In the weights, their names and shapes, or the config: each is told. Bits that change nothing may pass."""
    weights = {"a.weight": torch.arange(24.0).reshape(2, 3, 4), "b": torch.tensor(7)}
    path = tmp_path / "model.safetensors"
    write_model(path, weights, {"method": "x", "network": {"num_feat": 4}}, 5)
    whole, right = path.read_bytes(), read_model(path)
    rng = stream(0, "flips")
    for _ in range(400):
        data = bytearray(whole)
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        try:
            found = read_model(path)
        except StoreError:
            continue
        assert (found.config, found.step) == (right.config, right.step)
        assert all(torch.equal(found.weights[name], value) for name, value in weights.items())
    path.write_bytes(whole)
    assert config_of(path) == right.config


@pytest.mark.slow
def test_a_changed_log_is_not_drawn(store: Store, tmp_path: Path) -> None:
    """train.parquet is bound by the model beside it."""
    _train(tmp_path / "run", store, CONFIG, CPU, _nothing)
    assert read_log(tmp_path / "run").num_rows > 0
    _flip(tmp_path / "run/train.parquet")
    with pytest.raises(StoreError, match="train.parquet is not what a training wrote"):
        read_log(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"config": {}, "data_sha256": 1, "x": 2}', b"\xff"])
def test_a_damaged_identity_is_one_line(store: Store, tmp_path: Path, data: bytes) -> None:
    """run.json emptied, or of other JSON."""
    _stopped(tmp_path / "run", store)
    (tmp_path / "run/run.json").write_bytes(data)
    with pytest.raises(StoreError, match="run.json is"):
        _train(tmp_path / "run", store, LONGER, CPU, _nothing)


@pytest.mark.slow
def test_a_finished_run_holds_its_artefacts_and_its_last_state(store: Store, tmp_path: Path) -> None:
    """Killed just before the last clean-up, the next call does it."""
    _stopped(tmp_path / "run", store)
    kept = shutil.copytree(tmp_path / "run/checkpoints", tmp_path / "kept")
    _train(tmp_path / "run", store, LONGER, CPU, _nothing)
    files = {"model.safetensors", "run.json", "train.parquet", "checkpoints", "log"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == files
    shutil.copytree(kept, tmp_path / "run/checkpoints", dirs_exist_ok=True)
    assert len(steps_saved(tmp_path / "run")) > 1
    assert not _train(tmp_path / "run", store, LONGER, CPU, _nothing)
    assert steps_saved(tmp_path / "run") == [LONGER.loop.steps]


@pytest.mark.slow
def test_two_trainings_do_not_share_a_folder(store: Store, tmp_path: Path) -> None:
    """The second is refused while the first lives."""

    def second(steps: int, _: dict[str, float]) -> None:
        with pytest.raises(BusyError, match="in use by another process"):
            _train(tmp_path / "run", store, CONFIG, CPU, _nothing)

    assert _train(tmp_path / "run", store, CONFIG, CPU, second)


@pytest.mark.slow
def test_a_training_that_does_not_begin_leaves_no_folder(store: Store, tmp_path: Path) -> None:
    """A batch larger than the store is told before anything is there."""
    with pytest.raises(UserError, match="lower it"):
        _train(tmp_path / "run", store, compose(CONFIG, sets=["loop.batch_size=13"]), CPU, _nothing)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_full_disk_is_told_as_that(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever part of a checkpoint does not fit; with room, the same call goes on to the same end."""
    _train(tmp_path / "whole", store, LONGER, CPU, _nothing)
    full = [4]
    write = local._write

    def no_room(file: Path, data: bytes) -> None:
        full[0] -= 1
        if full[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        write(file, data)

    monkeypatch.setattr(local, "_write", no_room)
    with pytest.raises(OSError, match="No space left on device"):
        _train(tmp_path / "run", store, LONGER, CPU, _nothing)
    _train(tmp_path / "run", store, LONGER, CPU, _nothing)
    assert (tmp_path / "run/model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()


# ---------------------------------------------------------------------------------------------------- stages


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["mm-realsr-small-gan", "cugan-small"])
def test_a_second_stage_is_refused_without_a_first_however_it_is_named(
    store: Store, tmp_path: Path, preset: str
) -> None:
    """By its preset, or by a config that `train show` printed."""
    method = "mm-realsr" if "mm" in preset else "cugan"
    command, pairs = ("train", method, "--out", tmp_path / "run"), tmp_path / "pairs.zarr"
    photos = next(path for path in (tmp_path / "photos",) if path.exists())
    rwsr("degrade", "build", "--preset", "cugan", "--source", photos, "--out", pairs, "--samples", 9, "--hr-size", 64)
    data = ("--store", tmp_path / "groups.zarr" if "mm" in preset else pairs)
    (tmp_path / "s2.yaml").write_text(rwsr("train", "show", preset))
    less = ("--set", "losses.perceptual.weight=0", "--set", "loop.lr_patch_px=16")
    gan = ("--set", "losses.gan=0") if preset == "cugan-small" else ()
    for told in (("--preset", preset), ("--config", tmp_path / "s2.yaml")):
        said = rwsr(*command, *data, *told, *less, *gan, code=1)
        assert said == "this training goes on from a run of the stage before; name it with --start-from"


@pytest.mark.parametrize(
    ("preset", "key"), [("hr-aware", "restorer.method=nonsense"), ("hr-aware-pretrain", "far_model=abc")]
)
def test_where_the_weights_came_from_is_no_key_of_a_config(preset: str, key: str) -> None:
    """It is noted by the training."""
    assert "is not a config key" in rwsr("train", "show", preset, "--set", key, code=1)

"""Several processes that train one model, over gloo: every method, stops at different steps, folders of their own.

Each test starts two processes, which import what they need and run one function of this file.
"""

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as several
from torch import nn

from rwsr.degrade.config import compose
from rwsr.degrade.errors import UserError
from rwsr.train.compose import compose_training, method_of
from rwsr.train.data.batches import LrBatch
from rwsr.train.data.of_training import stored
from rwsr.train.engine import distributed
from rwsr.train.engine.distributed import Ranks, average, buckets
from rwsr.train.engine.gradients import Gradients
from rwsr.train.engine.loop import Interrupted, fit
from rwsr.train.engine.training import LoopConfig, Training
from rwsr.train.runs.checkpoint import read_log
from rwsr.train.runs.model_file import read_model
from rwsr.train.runs.moments import model_file, steps_saved
from rwsr.train.train import train_run

from ...builders import tiny_store
from ...loopback import free_port

CPU = torch.device("cpu")
SMALL = ("loop.batch_size=4", "loop.log_every=1", "loop.checkpoint_every=3")
RUNS: dict[str, tuple[str, tuple[str, ...]]] = {  # by preset: the store, and keys that make it small
    "mm-realsr-small": ("mm-realsr", ("loop.lr_patch_px=12",)),
    "cunet-small": ("cugan", ("loop.lr_patch_px=32",)),
    "rwsr-edl-small": (
        "bicubic",
        ("loop.lr_patch_px=16", "losses.gan.weight=0", "losses.perceptual.weight=0", "network.num_block=1"),
    ),
    "hr-aware-pretrain-small": (
        "bicubic",
        ("loop.lr_patch_px=24", "losses.lpips=0", "network.far=null", "network.controller=null"),
    ),
    "psnr": ("bicubic", ("loop.lr_patch_px=16", "network={arch: compact, num_feat: 8, num_conv: 2}")),
}


def _together(function: Callable[..., None], *told: object) -> None:
    ports = [free_port() for _ in range(len(RUNS) + 2)]
    several.spawn(_one, (ports, function, told), nprocs=2, join=True)  # pyright: ignore


def _meet_at(port: int) -> None:
    os.environ["MASTER_PORT"] = str(port)


def _one(rank: int, ports: list[int], function: Callable[..., None], told: tuple[object, ...]) -> None:
    """Each group of processes meets at a port of its own."""
    torch.set_num_threads(1)
    os.environ.update({"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1"})
    distributed._PATIENCE = timedelta(seconds=60)  # noqa: SLF001
    function(rank, ports, *told)


def _train_each(_: int, ports: list[int], out: Path, stores: dict[str, Path]) -> None:
    for port, (preset, (store, sets)) in zip(ports, RUNS.items(), strict=False):
        _meet_at(port)
        config: Any = compose(compose_training(preset, steps=4, seed=0), sets=[*SMALL, *sets])
        train_run(out / preset, stored(stores[store]), method_of(preset), config)


@pytest.mark.slow
def test_two_processes_train_as_one_by_every_method(photos: Path, tmp_path: Path) -> None:
    """Losses and weights, but for the order of sums; networks without batch normalisation."""
    of = {name for name, _ in RUNS.values()}
    stores = {name: tiny_store(photos, tmp_path / f"{name}.zarr", name, hr_size_px=96).path for name in of}
    _train_each(0, list(range(len(RUNS))), tmp_path / "one", stores)
    _together(_train_each, tmp_path / "two", stores)
    for preset in RUNS:
        one, two = (read_log(tmp_path / name / preset).to_pylist() for name in ("one", "two"))
        assert [(row["step"], row["name"]) for row in one] == [(row["step"], row["name"]) for row in two]
        for a, b in zip(one, two, strict=True):
            assert a["value"] == pytest.approx(b["value"], rel=2e-3, abs=1e-6), (preset, a)
        first, second = (read_model(model_file(tmp_path / name / preset)).weights for name in ("one", "two"))
        for name, value in first.items():
            torch.testing.assert_close(value, second[name], rtol=5e-3, atol=1e-4)


class _Ones(torch.utils.data.Dataset[LrBatch]):
    def __getitem__(self, _: int) -> LrBatch:
        return LrBatch(torch.ones(1, 3, 4, 4), torch.zeros(1, dtype=torch.int64))


def _fit_until(rank: int, ports: list[int], run: Path, asked_at: tuple[int, int], seeds: tuple[int, int]) -> None:
    _meet_at(ports[0])
    torch.manual_seed(seeds[rank])
    net = nn.Conv2d(3, 300, 3)
    done = 0

    def on_step(steps: int, _: dict[str, float]) -> None:
        nonlocal done
        done += steps
        if steps and done == asked_at[rank]:
            os.kill(os.getpid(), signal.SIGINT)

    method = Training({"generator": net}, lambda _, batch, __: {"l1": net(batch.lr).abs().mean()})
    config = LoopConfig(steps=40, batch_size=2, checkpoint_every=100, log_every=1)
    told = {"device": CPU, "whole_config": {"loop": {"steps": 40}}, "on_step": on_step, "spawn": False}
    try:
        fit(run, method, lambda _: _Ones(), config, **told)  # type: ignore[arg-type]
    except Interrupted as error:
        weights = [torch.zeros_like(net.weight) for _ in range(2)]
        (run / f"stopped-{rank}").write_text(str(error.step))
        _meet_at(ports[1])
        dist.init_process_group("gloo", timeout=timedelta(seconds=60))
        dist.all_gather(weights, net.weight.detach())
        assert torch.equal(*weights)
        dist.destroy_process_group()


@pytest.mark.parametrize("asked_at", [(3, 4), (5, 2), (4, 10_000)])
@pytest.mark.slow
def test_a_stop_that_one_sees_earlier_is_one_stop(asked_at: tuple[int, int], tmp_path: Path) -> None:
    """Or that one alone sees: both end at one step, it is saved, and the weights that began apart are the leader's."""
    (tmp_path / "run").mkdir()
    _together(_fit_until, tmp_path / "run", asked_at, (1, 2))
    said = {(tmp_path / f"run/stopped-{rank}").read_text() for rank in range(2)}
    assert len(said) == 1 and steps_saved(tmp_path / "run") == [int(said.pop())]
    assert steps_saved(tmp_path / "run")[0] in range(min(asked_at), min(asked_at) + 3)


def _fit_apart(rank: int, ports: list[int], out: Path) -> None:
    try:
        _fit_until(rank, ports, out / f"disk-{rank}", (10_000, 10_000), (0, 0))
    except UserError as error:
        (out / f"said-{rank}").write_text(str(error))


@pytest.mark.slow
def test_folders_that_are_not_shared_are_told(tmp_path: Path) -> None:
    """The second process sees no checkpoint where the first one does."""
    for rank in range(2):
        (tmp_path / f"disk-{rank}").mkdir()
    net = nn.Conv2d(3, 300, 3)
    method = Training({"generator": net}, lambda _, batch, __: {"l1": net(batch.lr).abs().mean()})
    config = LoopConfig(steps=2, batch_size=1)
    told = {"device": CPU, "whole_config": {}, "on_step": lambda *_: None, "spawn": False}
    fit(tmp_path / "disk-0", method, lambda _: _Ones(), config, **told)  # type: ignore[arg-type]
    _together(_fit_apart, tmp_path)
    for rank in range(2):
        said = (tmp_path / f"said-{rank}").read_text()
        assert "is not the same for all processes (2, 0); name a folder that all of them share" in said


def test_buckets_hold_all_and_take_no_time_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "_BUCKET_BYTES", 100)
    tensors = [torch.zeros(number % 7 + 1) for number in range(100)] + [torch.zeros(3, dtype=torch.float64)]
    found = list(buckets(tensors))
    assert sorted(map(id, (each for bucket in found for each in bucket))) == sorted(map(id, tensors))
    assert all(len({each.dtype for each in bucket}) == 1 for bucket in found)
    assert all(sum(each.numel() * 4 for each in bucket) < 100 + 7 * 4 for bucket in found)
    average(tensors, Ranks())  # alone it is nothing


def test_gradients_are_sent_while_others_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last layers' first, in one order, each once; of two micro-batches in the second alone, and what no loss hangs
    on is left out.
    """
    events: list[str] = []

    class Work:
        def wait(self) -> None:
            events.append("wait")

    def all_reduce(flat: torch.Tensor, *, async_op: bool) -> Work:
        assert async_op
        events.append(f"send {len(flat)}")
        flat *= 2  # the other process has the same
        return Work()

    monkeypatch.setattr(dist, "all_reduce", all_reduce)
    monkeypatch.setattr(distributed, "_BUCKET_BYTES", 1)
    layers = [nn.Linear(number, number + 1, bias=False) for number in (2, 3, 4)]
    unused = nn.Linear(9, 9, bias=False)
    trained = [layers[0].weight, unused.weight, layers[1].weight, layers[2].weight]
    alone = Gradients(trained, Ranks())
    gradients = Gradients(trained, Ranks(0, 2))
    for layer in layers:
        layer.weight.register_post_accumulate_grad_hook(lambda value: events.append(f"gradient {value.numel()}"))
    x = torch.rand(5, 2)

    def loss() -> torch.Tensor:
        return nn.Sequential(*layers)(x).sum()

    loss().backward()
    assert events == ["gradient 20", "gradient 12", "gradient 6"]
    expected = [2 * layer.weight.grad for layer in layers if layer.weight.grad is not None]
    for _ in range(2):
        del events[:]
        with gradients.averaged():
            loss().backward()
        assert [event for event in events if event != "wait"] == [
            "send 20", "gradient 20", "send 12", "gradient 12", "gradient 6", "send 6",
        ]  # fmt: skip
        assert events[-3:] == ["wait"] * 3 and unused.weight.grad is None
        assert all(torch.equal(layer.weight.grad, each) for layer, each in zip(layers, expected, strict=True))  # type: ignore[arg-type]
        expected = [each * 1.5 for each in expected]
    with alone.averaged():
        loss().backward()

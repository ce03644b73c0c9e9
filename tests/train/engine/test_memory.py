"""What a step takes is known before it is made: against counts by hand, against another count, and in words."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rwsr.degrade.config import compose
from rwsr.degrade.errors import UserError
from rwsr.degrade.storage.shards.store import Store
from rwsr.train.compose import compose_training, method_of
from rwsr.train.data.batches import GroupBatch, LrBatch
from rwsr.train.data.imagined import ImaginedGroups
from rwsr.train.data.of_training import stored
from rwsr.train.engine import memory, run
from rwsr.train.engine.distributed import Ranks
from rwsr.train.engine.memory import GIB, Cost, cost_of, room
from rwsr.train.engine.trained import Trained
from rwsr.train.engine.training import LoopConfig, Training
from rwsr.train.methods.base import Given
from rwsr.train.train import train_run

SMALL = ("loop.batch_size=4", "loop.lr_patch_px=12")


def _batch(count: int, px: int) -> LrBatch:
    return LrBatch(torch.empty(count, 3, px, px), torch.zeros(count, dtype=torch.int64))


def test_two_convs_are_counted_by_hand() -> None:
    """Kept for backward: the image, what goes into the second conv, and the signs of the loss; each once."""

    def make() -> Training[LrBatch]:
        net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1))

        def terms(_: str, batch: LrBatch, __: dict[str, Tensor]) -> dict[str, Tensor]:
            return {"l1": net(batch.lr).abs().mean()}

        return Training({"generator": net}, terms)

    found = cost_of(make, _batch(2, 16), LoopConfig(batch_size=2, lr_patch_px=16))
    pixels, weights = 2 * 16 * 16, 3 * 8 * 9 + 8 + 8 * 3 * 9 + 3
    assert found.saved == 4 * pixels * (3 + 8 + 3)
    assert 4 * 5 * weights <= found.fixed <= 4 * 5 * weights + 64  # beside them Adam counts its steps
    assert found.flop == 2 * pixels * 9 * 3 * 8 * (2 + 3)  # twice forward; to weights twice, to an image once


@pytest.mark.parametrize(
    ("preset", "gigabytes", "tflop"),
    [("cunet", 0.4, 0.36), ("esrgan-psnr", 3.8, 1.76), ("mm-realsr-code", 68.7, 31.8)],
)
@pytest.mark.slow
def test_published_presets_are_as_counted_before(preset: str, gigabytes: float, tflop: float) -> None:
    """By an audit's own count of the same networks, at their published size and batch."""
    config, count = method_of(preset).presets[preset].config, 2
    groups = ImaginedGroups(config)
    batch = groups.batch(count, config.loop.lr_patch_px)

    def make() -> Training[GroupBatch]:
        start = config.network.build().state_dict() if config.needs_start else None
        return method_of(preset).build(config, Given(groups, start))

    found, times = cost_of(make, batch, config.loop), config.loop.batch_size / count
    assert found.saved * times / 1e9 == pytest.approx(gigabytes, rel=0.02, abs=0.05)
    assert found.flop * times / 1e12 == pytest.approx(tflop, rel=0.01)


def test_what_does_not_fit_is_told_with_the_parts_that_do() -> None:
    cost, loop = Cost(GIB, 60 * GIB, 0), LoopConfig(batch_size=24)
    assert room(cost, loop, Ranks(), 79 * GIB, 80 * GIB, "cuda:0") is None
    note = room(cost, loop, Ranks(), 20 * GIB, 80 * GIB, "cuda:0")
    assert note == "note: a step takes about 67.1 GiB, and cuda:0 has 20.0 of 80.0 GiB free"
    with pytest.raises(UserError, match=r"about 67.1 GiB, and cuda:0 has 24.0 GiB; set loop.accum_steps=3: the same"):
        room(cost, loop, Ranks(), 24 * GIB, 24 * GIB, "cuda:0")
    assert room(cost, loop, Ranks(1, 4), 24 * GIB, 24 * GIB, "cuda:0") is None
    with pytest.raises(UserError, match=r"one sample alone takes 3.8 GiB; lower loop.lr_patch_px"):
        room(cost, loop, Ranks(), 2 * GIB, 2 * GIB, "cuda:0")


def test_a_training_that_cannot_fit_ends_before_its_folder_is_taken(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a device that says that it is CUDA, and has 2 MiB."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2 * 2**20, 2 * 2**20))
    config = compose(compose_training("mm-realsr-small"), sets=SMALL)
    method, data = method_of("mm-realsr-small"), stored(store.path)
    with pytest.raises(UserError, match="one sample alone takes .* GiB; lower loop.lr_patch_px"):
        run.train(
            tmp_path / "run",
            data.groups,
            data.identity,
            config,
            config.loop,
            lambda groups, start: method.build(config, Given(groups, start)),
            torch.device("cuda"),
            _nothing,
        )
    assert not (tmp_path / "run").exists() or not (tmp_path / "run/run.json").exists()


def test_what_cannot_be_counted_is_said_and_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of others do what tensors without numbers cannot follow."""
    said: list[str] = []
    monkeypatch.setattr(run, "say", said.append)

    def strange() -> Cost:
        raise NotImplementedError

    run._say_what_it_takes(strange, LoopConfig(), torch.device("cuda", 0))  # noqa: SLF001
    assert said == ["note: what a step takes of cuda:0 could not be counted (NotImplementedError)"]


def _nothing(_: int, __: dict[str, float]) -> None:
    pass


def test_a_device_that_has_none_left_is_told_in_words(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    step: Callable[..., None] = full
    monkeypatch.setattr(Trained, "step", step)
    config = compose(compose_training("mm-realsr-small"), sets=SMALL)
    with pytest.raises(UserError, match=r"no memory left for a step; set loop.accum_steps=2 \(or more\)"):
        train_run(tmp_path / "run", stored(store.path), method_of("mm-realsr-small"), config)
    in_parts = LoopConfig(batch_size=2, accum_steps=2)
    assert "lower loop.lr_patch_px" in str(memory.out_of_memory(in_parts, Ranks()))

"""What a step takes is known before it is made: against counts by hand, against another count, and in words."""

import copy
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
from rwsr.train.data.imagined import ImaginedGroups, imagined_lr
from rwsr.train.data.of_training import stored
from rwsr.train.engine import memory, run
from rwsr.train.engine.distributed import Ranks
from rwsr.train.engine.memory import GIB, Cost, cost_of, room, without_numbers
from rwsr.train.engine.recomputed import blocks_of, recompute
from rwsr.train.engine.trained import Trained
from rwsr.train.engine.training import LoopConfig, Training
from rwsr.train.methods import METHODS
from rwsr.train.methods.base import Given
from rwsr.train.runs.identity import check_identity, write_identity
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
    [("cunet-fp32", 0.4, 0.36), ("esrgan-psnr-fp32", 3.8, 1.76), ("mm-realsr-code-fp32", 68.7, 31.8)],
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


def _stage(**loop: object) -> tuple[Callable[[], Training[GroupBatch]], GroupBatch, LoopConfig]:
    """Stage 1 of MM-RealSR with six blocks."""
    name = "mm-realsr-code-fp32"
    config = compose(compose_training(name), sets=["network.num_block=6", "loop.batch_size=2", "loop.lr_patch_px=24"])
    groups = ImaginedGroups(config)

    def make() -> Training[GroupBatch]:
        return method_of(name).build(config, Given(groups))

    return make, groups.batch(2, 24), config.loop.model_copy(update=loop)


def test_half_the_bits_are_about_half_the_bytes() -> None:
    fp32, bf16 = (cost_of(*_stage(precision=name)) for name in ("fp32", "bf16"))
    assert 0.45 < bf16.saved / fp32.saved < 0.65 and bf16.fixed == fp32.fixed and bf16.flop == fp32.flop


def test_what_is_computed_again_is_not_kept() -> None:
    """Of six blocks: what each is given, and the inside of one; and their forward pass once more."""
    plain, less = (cost_of(*_stage(checkpointing=on)) for on in (False, True))
    assert less.saved < 0.5 * plain.saved and 1.15 < less.flop / plain.flop < 4 / 3


def test_what_is_computed_again_is_the_same() -> None:
    """Terms, gradients and average, but for the order of sums; copies compute by their own weights."""
    found: list[dict[str, Tensor]] = []
    for on in (False, True):
        make, shape, config = _stage(checkpointing=on, batch_size=2)
        generator = torch.Generator().manual_seed(1)
        batch = GroupBatch(
            torch.rand(shape.hr.shape, generator=generator),
            torch.rand(shape.lr.shape, generator=generator),
            shape.condition,
            shape.keys,
        )
        method = make()
        trained = Trained(method, config, torch.device("cpu"))
        for step in range(2):
            terms, norms = trained.step(step, batch, method.losses, Ranks())
        found.append(terms | norms | trained.ema)
        net = trained.nets["generator"]
        assert all(("forward" in vars(block)) == on for block in blocks_of(net)) and len(blocks_of(net)) == 6
        other = copy.deepcopy(net)
        for each in blocks_of(other):
            assert not on or each.forward.__self__ is each
    assert found[0].keys() == found[1].keys()
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name], rtol=1e-4, atol=1e-6, msg=name)
    with pytest.raises(UserError, match="Conv2d has no row of 3 equal blocks; leave loop.checkpointing out"):
        recompute(nn.Conv2d(3, 3, 3))


def test_networks_that_are_there_already_are_counted_alike() -> None:
    """As a fine-tuning has them; they keep their numbers and their place."""
    config = LoopConfig(batch_size=2, lr_patch_px=16)

    def of(net: nn.Module) -> Training[LrBatch]:
        return Training({"generator": net}, lambda _, batch, __: {"l1": net(batch.lr).abs().mean()})

    def fresh() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 3, 3))

    there = fresh()
    before = {name: value.clone() for name, value in there.state_dict().items()}
    assert cost_of(lambda: of(without_numbers(there)), imagined_lr(2, 16), config) == cost_of(
        lambda: of(fresh()), imagined_lr(2, 16), config
    )
    assert all(torch.equal(value, before[name]) for name, value in there.state_dict().items())


def test_a_device_without_bf16_is_told_of_the_preset_that_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(run, "say", said.append)
    config = compose_training("mm-realsr-code").loop
    assert config.precision == "bf16" and config.channels_last
    run._check_precision(config, torch.device("cpu"))  # noqa: SLF001
    assert said == [
        "note: loop.precision=bf16 is for GPUs, and most CPUs are slow in it; set loop.precision=fp32 (published "
        "presets: NAME-fp32) to be faster here"
    ]
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "GeForce GTX 1080")
    with pytest.raises(
        UserError,
        match="GTX 1080 has no bf16; set loop.precision=fp32 .*NAME-fp32., or set loop.precision=fp16",
    ):
        run._check_precision(config, torch.device("cuda", 0))  # noqa: SLF001
    run._check_precision(compose_training("mm-realsr-code-fp32").loop, torch.device("cuda", 0))  # noqa: SLF001


def test_each_published_preset_is_there_in_fp32_and_differs_in_nothing_else() -> None:
    fast = {"precision": "bf16", "channels_last": True}
    for method in METHODS:
        for name, preset in method.presets.items():
            if name.endswith("-fp32"):
                quick = method.presets[name.removesuffix("-fp32")]
                assert preset.config.loop.precision == "fp32" and quick.data == preset.data
                loop = preset.config.loop.model_copy(update=fast)
                assert quick.config == preset.config.model_copy(update={"loop": loop})
            else:
                published = f"{name}-fp32" in method.presets
                assert published != ("-small" in name) and (preset.config.loop.precision == "bf16") == published


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


def test_a_run_of_before_says_in_which_precision_it_goes_on(tmp_path: Path) -> None:
    """Where that alone is other than it was."""
    now = compose_training("esrgan-psnr").model_dump(mode="json")
    write_identity(tmp_path, compose_training("esrgan-psnr-fp32").model_dump(mode="json"), "data")
    mend = r"--set loop.precision=fp32 --set loop.channels_last=false goes on with it \(published presets: NAME-fp32\)"
    with pytest.raises(UserError, match=mend):
        check_identity(tmp_path, now, "data")
    with pytest.raises(UserError, match="use another --out, or remove"):
        check_identity(tmp_path, now | {"needs_start": True}, "data")

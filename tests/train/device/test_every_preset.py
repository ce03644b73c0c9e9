"""Every preset at its published size on a device that is only pretended: no mixed devices, no hidden waiting.

Forward, backward, each optimiser's step and the average, by the engine's own code; then what the networks restore.
"""

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from rwsr.eval.metrics import backbones, lpips_dists, weights
from rwsr.train.compose import method_of
from rwsr.train.data.batches import LrBatch
from rwsr.train.data.imagined import ImaginedGroups
from rwsr.train.engine.distributed import Ranks
from rwsr.train.engine.memory import Keys
from rwsr.train.engine.trained import Trained
from rwsr.train.engine.training import Training
from rwsr.train.losses import far_encoders, perceptual
from rwsr.train.losses.far_encoders import established
from rwsr.train.methods import METHODS, hr_aware, hr_aware_pretrain
from rwsr.train.methods.base import Given, TrainingConfig
from rwsr.train.methods.hr_aware import Restoring
from rwsr.train.networks.lr_reconstruction import LrReconstruction
from rwsr.train.networks.mm_realsr import MMRealSR, MMRealSRConfig
from rwsr.train.networks.published.srresnet import SrResNetConfig

from .pretended import Watch, pretended

BATCH = 2
OF_OTHERS = {"swinir-psnr", "swinir-gan"}  # spandrel's class reads numbers while it is built, which is refused here
ALL = [
    name
    for method in METHODS
    for name in method.presets
    if not name.endswith("-fp32") and name not in OF_OTHERS  # the former are the same networks
]
QUICK = {"mm-realsr-small-gan", "cugan-small", "rwsr-edl-small", "hr-aware-pretrain-small", "lway-pretrain-small"}


@pytest.fixture(autouse=True)
def _published_weights_are_pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    def as_made(net: nn.Module, _: object) -> nn.Module:
        return net.requires_grad_(False).eval()

    for module in (lpips_dists, perceptual, far_encoders):
        monkeypatch.setattr(module, "published", as_made)
    monkeypatch.setattr(far_encoders, "clip_rn50", lambda: as_made(backbones.ClipRn50(), None))
    monkeypatch.setattr(weights, "load", lambda _: defaultdict(lambda: torch.zeros(1)))


def _small_batch(config: TrainingConfig, **loop: object) -> Any:
    told = {"batch_size": BATCH, "accum_steps": 1} | loop
    return config.model_copy(update={"loop": config.loop.model_copy(update=told)})


def _training(name: str, config: Any, on: torch.device) -> tuple[Training[Any], Any]:
    """The training of a preset, and a batch of it on the device."""
    px = config.loop.lr_patch_px
    if name in hr_aware.FINE_TUNING:
        return _fine_tuning(config, on), LrBatch(torch.rand(BATCH, 3, px, px).to(on), Keys(range(BATCH)))  # type: ignore[arg-type]
    if config.method == "dasr":
        config = config.model_copy(update={"weighted": False})  # else it takes a run of another training
    groups = ImaginedGroups(config)
    start = config.network.build().state_dict() if config.needs_start else None
    method = method_of(name).build(config, Given(groups, start, extractor=_extractor(config.network)))
    made = groups.batch(BATCH, px).to(on)
    return method, replace(made, keys=Keys(range(BATCH)))  # type: ignore[arg-type]


def _extractor(network: Any) -> dict[str, torch.Tensor] | None:
    """What LWay looks through, where it stays as it is."""
    if not getattr(network, "frozen_extractor", False):
        return None
    return SrResNetConfig(num_feat=network.num_feat, num_block=network.degradation_blocks).build().state_dict()


def _fine_tuning(config: Any, on: torch.device) -> Training[LrBatch]:
    """Of an RRDB of two blocks, through the networks of a pretraining, all on the device already, as the command has
    them.
    """
    model = Restoring(_frozen(MMRealSR(MMRealSRConfig(modulated=False, num_block=2)), on), 4)
    if config.objective == "self-training":
        return hr_aware.fine_tuning(config, model, None, None)
    of = hr_aware_pretrain.PRESETS["lway-pretrain" if config.far is None else "hr-aware-pretrain"].config.network
    encoder = None if of.far is None else established(of.far).to(on)
    net = LrReconstruction(of, 0 if encoder is None else encoder.channels)
    return hr_aware.fine_tuning(config, model, _frozen(net, on), encoder)


def _frozen(net: nn.Module, on: torch.device) -> nn.Module:
    return net.to(on).eval().requires_grad_(False)


def _stepped(name: str, config: Any, on: torch.device) -> tuple[Trained, Watch, Any]:
    """After two steps, the second one watched."""
    with Watch(on):
        method, batch = _training(name, config, on)
        trained = Trained(method, config.loop, on)
        trained.step(0, batch, method.losses, Ranks())
    with Watch(on) as watch:
        trained.step(1, batch, method.losses, Ranks())
    return trained, watch, batch


PRESETS = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in (*ALL, *hr_aware.FINE_TUNING)
]


@pytest.mark.parametrize("name", PRESETS)
def test_a_step_mixes_no_devices_and_waits_for_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever reads a number is refused by torch itself."""
    config = _small_batch(_config(name), channels_last=True)
    with pretended() as on:
        trained, watch, batch = _stepped(name, config, on)
        assert watch.copies == {}, "each of these makes the host wait for the device"
        assert all(value.device == on for value in trained.ema.values())
        net = trained.nets[trained.first]
        if name in hr_aware.FINE_TUNING or config.method in ("mm-realsr", "sr", "rwsr-edl"):
            with Watch(on), torch.no_grad():
                lr = batch.lr if name in hr_aware.FINE_TUNING else batch.lr[:, 0]
                made = net(lr)
                scale = 4 if name in hr_aware.FINE_TUNING else config.network.scale
                assert made.device == on and made.shape[2] == scale * lr.shape[2]


def _config(name: str) -> Any:
    return hr_aware.FINE_TUNING[name].config if name in hr_aware.FINE_TUNING else method_of(name).presets[name].config


@pytest.mark.parametrize("name", ["mm-realsr-small-gan", "cugan-small", "rwsr-edl-small", "hr-aware-pretrain-small"])
def test_compiling_reaches_every_network_that_a_step_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the networks, and of those that losses look through: at least one part of each runs compiled, none beside."""
    ran: set[int] = set()

    def compile_(net: nn.Module) -> None:
        def call(*told: Any, **named: Any) -> Any:
            ran.add(id(net))
            return net._call_impl(*told, **named)  # noqa: SLF001

        net._compiled_call_impl = call  # type: ignore[assignment]  # noqa: SLF001

    monkeypatch.setattr(nn.Module, "compile", compile_)
    with pretended() as on:
        config = _small_batch(_config(name), compile=True)
        method, batch = _training(name, config, on)
        trained = Trained(method, config.loop, on)
        trained.step(0, batch, method.losses, Ranks())
    for net in (*trained.nets.values(), *method.fixed):
        assert ran & {id(part) for part in net.modules()}, type(net).__name__


def test_layers_are_in_bf16_where_a_preset_says_so() -> None:
    """So that what mixes the two types is met above."""
    with pretended() as on:
        net = nn.Conv2d(3, 3, 3).to(on)
        with torch.autocast(on.type, torch.bfloat16):
            made = net(torch.rand(1, 3, 8, 8).to(on))
            assert made.dtype == torch.bfloat16 and made.sum().dtype == torch.float32


def test_what_mixes_devices_is_found() -> None:
    """The watch itself: a convolution, which torch's fake mode lets pass, a copy, and a number that is read."""
    with pretended() as on:
        net = nn.Conv2d(3, 3, 3)
        with pytest.raises(RuntimeError, match="mixes"), Watch(on):
            net(torch.rand(1, 3, 8, 8).to(on))
        with Watch(on) as watch:
            torch.rand(3).to(on)
        assert sum(watch.copies.values()) == 1
        with pytest.raises(Exception, match="_local_scalar_dense"), Watch(on):
            torch.rand(3).to(on).sum().item()
        assert "aten::_to_copy" in watch.ops

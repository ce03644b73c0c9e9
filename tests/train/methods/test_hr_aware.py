"""HR-aware trained: the terms by hand, what is frozen stays, pretrained, fine-tuned, chosen, resumed, opened again."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from torch import Tensor, nn

from rwsr.degrade.config import compose
from rwsr.degrade.errors import StoreError, UserError
from rwsr.degrade.images.listing import IndexConfig
from rwsr.degrade.images.pixels import U8
from rwsr.degrade.images.sources import index
from rwsr.eval.images.restoring import bicubic, smaller
from rwsr.eval.metrics.lpips_dists import Lpips
from rwsr.pipelines.executors import runner
from rwsr.train import fine_tune
from rwsr.train.compose import compose_fine_tuning, compose_training
from rwsr.train.data.batches import GroupBatch, LrBatch, LrBatches
from rwsr.train.data.lr_images import LrImages
from rwsr.train.engine.distributed import Ranks
from rwsr.train.engine.training import Choice, Training
from rwsr.train.files.open import open_restorer
from rwsr.train.losses.far import Strength, controller
from rwsr.train.losses.far_encoders import Established, FarConfig, established
from rwsr.train.losses.reconstruction import detail
from rwsr.train.methods import hr_aware as stages
from rwsr.train.methods import hr_aware_pretrain
from rwsr.train.methods.hr_aware import FineTuneConfig, Restoring
from rwsr.train.methods.hr_aware_losses import Looks
from rwsr.train.methods.hr_aware_pretrain import PretrainConfig
from rwsr.train.methods.hr_aware_validation import reconstructing
from rwsr.train.networks.keyed_noise import Normal, of_name
from rwsr.train.networks.lr_reconstruction import LrReconstruction, ReconstructionConfig, open_reconstruction
from rwsr.train.networks.mm_realsr import MMRealSR, MMRealSRConfig
from rwsr.train.networks.published.compact import Compact, CompactConfig
from rwsr.train.runs.model_file import write_model

from ...commands import Stop, flags, make_spandrel_importable, rwsr, stop_after
from ...conftest import scene

CPU = torch.device("cpu")
KEYS = torch.tensor([3, 4])
SIZES = {"num_feat": 4, "code": 6, "degradation_blocks": 1, "image_blocks": 1}
PRETRAIN: PretrainConfig = compose(
    compose_training("hr-aware-pretrain-small"),
    sets=["loop.steps=4", "loop.batch_size=2", "loop.log_every=2", "loop.checkpoint_every=2", "loop.warmup_steps=0"],
    network=SIZES | {"controller": {"hqi": "squeeze"}, "far": {"net": "sr", "stride": 1}},
)
FINE_TUNE = [
    "loop.batch_size=2",
    "loop.lr_patch_px=16",
    "loop.log_every=1",
    "loop.checkpoint_every=2",
    "losses.lpips=0",
]


def _seeded(net: nn.Module, seed: int = 1) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in net.parameters():
            value.copy_(0.1 * torch.randn(value.shape, generator=generator))
    return net


def _looks() -> Looks:
    """Seeded LPIPS, and an encoder of two channels."""
    rec, hqi = Lpips("squeeze"), Lpips("squeeze")
    _seeded(rec, 1)
    _seeded(hqi, 2)
    conv = nn.Conv2d(3, 2, 3)
    return Looks(rec, hqi, Established(conv, conv, 2))


def _reconstruction() -> LrReconstruction:
    torch.manual_seed(0)
    net = LrReconstruction(PRETRAIN.network, 2)
    assert net.far is not None
    for from_nothing in (net.far.mean, net.far.greatest, net.reconstructor.conv_last):
        nn.init.normal_(from_nothing.weight)
    return net


def _hash(nets: list[nn.Module]) -> str:
    states = [value for net in nets for value in net.state_dict().values()]
    return sha256(b"".join(value.detach().numpy().tobytes() for value in states)).hexdigest()


# --------------------------------------------------------------------------------------------------- equations


def test_the_pretraining_loss_is_equation_5() -> None:
    """L1 + LPIPS of X against R(s E_deg(X), E_img(Y)), s = n + 1 - HQI(X, Y), and lambda FAR(Y)."""
    net, looks = _reconstruction(), _looks()
    lr, hr = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 64, 64)
    config = PRETRAIN.model_copy(update={"far": stages.FarWeight(weight=0.3)})
    found = hr_aware_pretrain.pretraining_terms(
        net, GroupBatch(hr, lr[:, None], torch.zeros(2, 0), KEYS), config, looks
    )
    assert looks.rec is not None and looks.hqi is not None and looks.encoder is not None and net.far is not None
    x, normal = bicubic(lr, 4), Normal(KEYS)
    strength = looks.hqi(2 * x - 1, 2 * hr - 1).clamp(0, 1)
    s = controller(strength, 6, 0.2, normal)
    again = net.reconstructor(net.image(hr), net.degradation(x) * s, normal)
    wanted = {
        "l1": (again - x).abs().mean(),
        "lpips": looks.rec(2 * again - 1, 2 * x - 1).mean(),
        "far": 0.3 * net.far(net.image(hr), looks.encoder(hr)).mean(),
        "strength": strength.mean(),
        "clamped": torch.tensor(0.0),
    }
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {name: value.item() for name, value in wanted.items()}, rel=1e-4
    )
    assert not found["strength"].requires_grad


@pytest.mark.parametrize("strength", ["hqi", "1-hqi"])
def test_the_fine_tuning_loss_is_equation_6(strength: str) -> None:
    """The same of LR and of what the model makes of it, s = n + HQI, weighted by LR's detail."""
    net, looks = _reconstruction(), _looks()
    torch.manual_seed(3)
    model, lr = CompactConfig(num_feat=4, num_conv=2, scale=4).build(), torch.rand(2, 3, 16, 16)
    config: FineTuneConfig = compose(
        compose_fine_tuning("hr-aware-small"), sets=["far.weight=0.3", f"strength={strength}"]
    )
    found = stages.fine_tuning_terms(Restoring(model, 4), net, LrBatch(lr, KEYS), config, looks)
    assert looks.rec is not None and looks.hqi is not None and looks.encoder is not None and net.far is not None
    sr, x = model(lr), bicubic(lr, 4)
    hqi = (1 - looks.hqi(2 * x - 1, 2 * sr - 1)).clamp(0, 1)
    normal = Normal(KEYS)
    s = controller(hqi if strength == "hqi" else 1 - hqi, 6, 0.2, normal)
    again = net.reconstructor(net.image(sr), net.degradation(x) * s, normal)
    weight = detail(lr, (64, 64))
    assert found["l1"].item() == pytest.approx((weight * (again - x).abs()).mean().item(), rel=1e-4)
    far = 0.3 * net.far(net.image(sr), looks.encoder(sr)).mean()
    assert found["far"].item() == pytest.approx(far.item(), rel=1e-4)
    assert found["hqi"].item() == pytest.approx(hqi.mean().item(), rel=1e-4)
    plain = stages.fine_tuning_terms(
        Restoring(model, 4), net, LrBatch(lr, KEYS), config.model_copy(update={"detail": False}), looks
    )
    assert plain["l1"] > found["l1"]


@pytest.mark.parametrize(("strength", "factor"), [("hqi", 1), ("1-hqi", 0)])
def test_figure_7_draws_s_as_fine_tuning_or_pretraining_does(strength: Strength, factor: int) -> None:
    """Around HQI of that HR, 1 where HR is LR enlarged; or around 1 - HQI, and nothing of s but noise is left."""
    net, looks = _reconstruction(), _looks()
    lr = torch.rand(1, 3, 16, 16)
    x = bicubic(lr, 4)
    found, wanted = reconstructing(net, looks.hqi)(lr, x, "a.png", strength)
    normal = of_name("a.png")
    s = controller(torch.tensor([float(factor)]), 6, 0.2, normal)
    again = net.reconstructor(net.image(x), net.degradation(x) * s, normal)
    assert torch.equal(wanted, x) and again.std() > 0.01
    torch.testing.assert_close(found, again.clamp(0, 1))


def test_self_training_asks_for_lr_again() -> None:
    """Of LR made smaller; the controller and FAR have no part in it."""
    torch.manual_seed(0)
    model, lr, looks = CompactConfig(num_feat=4, num_conv=2, scale=4).build(), torch.rand(2, 3, 16, 16), _looks()
    config: FineTuneConfig = compose(compose_fine_tuning("self-training-small"), sets=["losses.lpips=0"])
    found = stages.self_training_terms(Restoring(model, 4), LrBatch(lr, KEYS), config, looks)
    assert found.keys() == {"l1"}
    assert found["l1"].item() == pytest.approx((model(smaller(lr, 4)) - lr).abs().mean().item(), rel=1e-5)


def test_pretraining_reaches_all_but_the_encoder() -> None:
    """E_deg, E_img, R, T_a and T_m get gradients (Eq. 5); the established encoder and LPIPS get none."""
    net, looks = _reconstruction(), _looks()
    batch = GroupBatch(torch.rand(2, 3, 64, 64), torch.rand(2, 1, 3, 16, 16), torch.zeros(2, 0), KEYS)
    torch.stack(list(hr_aware_pretrain.pretraining_terms(net, batch, PRETRAIN, looks).values())).sum().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in net.parameters())
    assert all(value.grad is None for each in looks.modules for value in each.parameters())


# ------------------------------------------------------------------------------------------------ LR batches


class _Images:
    """An `LrSource` of made images."""

    def __init__(self, *sizes: tuple[int, int]) -> None:
        self.name, self.sizes_px = "the images", list(sizes)

    def read(self, number: int) -> U8:
        width, height = self.sizes_px[number]
        return (
            np.full((height, width, 3), 10 * number, dtype=np.uint8) + np.arange(width, dtype=np.uint8)[None, :, None]
        )


def test_crops_of_lr_are_a_function_of_the_step() -> None:
    """Twice the same; other steps and seeds other crops; of several processes each has its part of the same batch."""
    source = _Images((40, 30), (33, 64))
    batches = LrBatches(source, batch_size=4, lr_patch_px=16, seed=1, use_rot90=True)
    assert torch.equal(batches[3].lr, LrBatches(source, batch_size=4, lr_patch_px=16, seed=1, use_rot90=True)[3].lr)
    assert not torch.equal(batches[3].lr, batches[4].lr)
    assert not torch.equal(batches[3].lr, LrBatches(source, batch_size=4, lr_patch_px=16, seed=2, use_rot90=True)[3].lr)
    parts = [
        LrBatches(source, batch_size=4, lr_patch_px=16, seed=1, use_rot90=True, ranks=Ranks(n, 2))[3].lr for n in (0, 1)
    ]
    assert torch.equal(torch.cat(parts), batches[3].lr)


def test_large_images_are_met_more_often() -> None:
    """As often as they hold whole patches, in each epoch; few images are enough for any batch."""
    batches = LrBatches(_Images((16, 16), (64, 32)), batch_size=3, lr_patch_px=16, seed=0)
    seen = torch.cat([batches[step].lr for step in range(3)])
    assert sorted((seen[:, 0, 0].amin(dim=1) * 255 >= 9.5).tolist()) == [False] + 8 * [True]
    assert LrBatches(_Images((16, 16)), batch_size=5, lr_patch_px=16, seed=0)[0].lr.shape == (5, 3, 16, 16)
    with pytest.raises(UserError, match=r"has images of 15x40 px, smaller than loop.lr_patch_px = 16; lower it"):
        LrBatches(_Images((15, 40)), batch_size=1, lr_patch_px=16, seed=0)


# -------------------------------------------------------------------------------------------------- trainings


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small SR model of ours, as a run has it."""
    network = {"num_feat": 4, "num_block": 1, "num_grow_ch": 4, "modulated": False}
    torch.manual_seed(0)
    net = MMRealSR(MMRealSRConfig.model_validate(network))
    (tmp_path / "model").mkdir()
    config = {"method": "mm-realsr", "network": MMRealSRConfig.model_validate(network).model_dump(mode="json")}
    write_model(tmp_path / "model/model.safetensors", dict(net.state_dict()), config, 1)
    return tmp_path / "model"


@pytest.fixture
def lr_images(tmp_path: Path) -> Path:
    """Three LR images, one of them too small."""
    (tmp_path / "LR").mkdir()
    for number, size in enumerate(((40, 48), (36, 40), (12, 60))):
        Image.fromarray(scene(number, *size)).save(tmp_path / f"LR/{number}.png")
    return tmp_path / "LR"


PRETRAINED = (
    ["network.num_feat=4", "network.code=6", "network.degradation_blocks=1", "network.image_blocks=1"]
    + ["loop.steps=4", "loop.batch_size=2", "loop.log_every=2", "loop.checkpoint_every=2"]
    + ["losses.lpips=0", "network.controller=null"]  # as much as goes without published weights
)
OF_SR = ["network.far.net=sr", "network.far.stride=1"]


@pytest.fixture
def pairs(photos: Path, tmp_path: Path) -> Path:
    """Six pairs of the second-order degradation."""
    told = ["--source", photos, "--preset", "real-esrgan-nousm", "--set", "hr_size_px=96", "--set", "num_samples=6"]
    rwsr("degrade", "build", "--out", tmp_path / "pairs.zarr", *told)
    return tmp_path / "pairs.zarr"


@pytest.fixture
def reconstruction(pairs: Path, model: Path, tmp_path: Path) -> Path:
    """A reconstruction network, barely trained, whose FAR looks through the model."""
    told = ["--store", pairs, "--preset", "hr-aware-pretrain-small", "--far-model", model]
    rwsr("train", "hr-aware-pretrain", "--out", tmp_path / "reconstruction", *told, *flags("--set", PRETRAINED + OF_SR))
    return tmp_path / "reconstruction"


def _fine_tuned(out: object, lr_images: object, model: object, *more: object, code: int = 0) -> str:
    told = ["--model", model, "--lr-images", lr_images, "--out", out, *flags("--set", FINE_TUNE)]
    return rwsr("train", "hr-aware", *told, *more, code=code)


def _log(run: Path) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in pq.read_table(run / "train.parquet").to_pylist():
        found.setdefault(row["name"], []).append(row["value"])
    assert {"grad_norm/generator", "grad_norm/reconstruction"} & found.keys()
    return {name: values for name, values in found.items() if not name.startswith("grad_norm/")}


@pytest.mark.slow
def test_from_pairs_to_an_adapted_model(reconstruction: Path, model: Path, lr_images: Path, tmp_path: Path) -> None:
    """Pretrained, fine-tuned, restored with and exported: the model has changed, the reconstruction has not."""
    assert {"l1", "far"} == _log(reconstruction).keys()
    net, _ = open_reconstruction(reconstruction, CPU)
    assert net.far is not None and net.far.mean.weight.shape == (4, 4)
    before = (reconstruction / "model.safetensors").read_bytes()
    refused = rwsr("restore", lr_images, "--model", reconstruction, "--out", tmp_path / "SR", code=1)
    assert "reconstructs LR (hr-aware-pretrain) and restores nothing; name a model that does" in refused
    told = ["--reconstruction", reconstruction, "--far-model", model, "--preset", "hr-aware-small", "--steps", 3]
    said = _fine_tuned(tmp_path / "adapted", lr_images, model, *told)
    assert "2.png: 60x12 is smaller than loop.lr_patch_px = 16" in said and "fine-tuned on 2 LR images" in said
    assert (reconstruction / "model.safetensors").read_bytes() == before
    assert _log(tmp_path / "adapted").keys() == {"l1", "far"}
    was, now = open_restorer(model, CPU), open_restorer(tmp_path / "adapted", CPU)
    assert now.scale == was.scale == 4 and type(now.net) is type(was.net) and now.checkpoint != was.checkpoint
    lr = torch.rand(1, 3, 20, 24)
    with torch.inference_mode():
        assert not torch.equal(was.net(lr), now.net(lr))
    rwsr("restore", lr_images, "--model", tmp_path / "adapted", "--out", tmp_path / "SR")
    assert len(list((tmp_path / "SR").iterdir())) == 3
    rwsr("export", tmp_path / "adapted", "--out", tmp_path / "adapted.pth")
    with torch.inference_mode():
        assert torch.equal(open_restorer(tmp_path / "adapted.pth", CPU).net(lr), now.net(lr))
    assert "was done already" in _fine_tuned(tmp_path / "adapted", lr_images, model, *told)
    rwsr("train", "interpolate", model, tmp_path / "adapted", "--alpha", 0.5, "--out", tmp_path / "between")
    nets = [open_restorer(each, CPU).net for each in (model, tmp_path / "adapted", tmp_path / "between")]
    a, b, between = (next(iter(net.parameters())) for net in nets)
    assert torch.allclose(between, (a + b) / 2)


@pytest.mark.slow
def test_what_is_frozen_stays(model: Path, lr_images: Path, reconstruction: Path, tmp_path: Path) -> None:
    """Not a bit of E_deg, E_img, R, FAR, its encoder or LPIPS changes while the model does."""
    net, _ = open_reconstruction(reconstruction, CPU)
    config: FineTuneConfig = compose(
        compose_fine_tuning("hr-aware-small"), sets=[*FINE_TUNE[:-1], "loop.steps=4", "far.share=0.5"]
    )
    restorer, looks = open_restorer(model, CPU), _looks()
    looks = replace(looks, hqi=None, encoder=established(FarConfig(net="sr", stride=1), open_restorer(model, CPU).net))
    method = stages.through(config, Restoring(restorer.net, 4), net, looks)
    frozen, trained = _hash(list(method.fixed)), _hash([restorer.net])
    assert len(method.fixed) == 3
    _fit(tmp_path / "run", lr_images, config, method)
    assert _hash(list(method.fixed)) == frozen and _hash([restorer.net]) != trained


def test_a_udem_keeps_its_scores(lr_images: Path, tmp_path: Path) -> None:
    """Of a modulated model everything else is fine-tuned, as in its second stage."""
    torch.manual_seed(0)
    net = MMRealSR(MMRealSRConfig(num_feat=4, num_block=1, num_grow_ch=4))
    config: FineTuneConfig = compose(compose_fine_tuning("self-training-small"), sets=[*FINE_TUNE, "loop.steps=2"])
    before = {name: value.clone() for name, value in net.state_dict().items()}
    _fit(tmp_path / "run", lr_images, config, stages.fine_tuning(config, Restoring(net, 4), None, None))
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and not any(name.startswith("de_net.") for name in changed)
    assert {"conv_first.weight", "dd_embed.0.weight"} <= changed


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["lway-small", "self-training-small"])
def test_models_of_others_are_fine_tuned(
    preset: str, foreign: Path, pairs: Path, lr_images: Path, tmp_path: Path
) -> None:
    """A published file comes out as a run that opens as the same network; LWay and self-training have no FAR."""
    told: list[object] = ["--preset", preset, "--steps", 2]
    if preset == "lway-small":
        out = tmp_path / "reconstruction"
        small = [each for each in PRETRAINED if "image_blocks" not in each]
        named = ["--store", pairs, "--preset", "lway-pretrain-small"]
        rwsr("train", "hr-aware-pretrain", "--out", out, *named, *flags("--set", small))
        assert open_reconstruction(out, CPU)[0].reconstructor.conv_first.in_channels == 3
        told += ["--reconstruction", out]
    _fine_tuned(tmp_path / "run", lr_images, foreign, *told)
    assert _log(tmp_path / "run").keys() == {"l1"}
    found = open_restorer(tmp_path / "run", CPU)
    assert isinstance(found.net, Compact) and found.scale == 4 and found.config is None


@pytest.mark.slow
def test_what_spandrel_loads_is_fine_tuned(lr_images: Path, tmp_path: Path) -> None:
    """A network that only spandrel knows, and its weights as a run of ours."""
    make_spandrel_importable()
    from spandrel.architectures.SAFMN.__arch.safmn import SAFMN

    torch.manual_seed(0)
    net = SAFMN(dim=8, n_blocks=2, upscaling_factor=4)
    torch.save({"params": net.state_dict()}, tmp_path / "safmn.pth")
    told = [tmp_path / "run", lr_images, tmp_path / "safmn.pth", "--preset", "self-training-small", "--steps", 2]
    with pytest.MonkeyPatch.context() as patch:  # sides that its windows do not divide are filled up
        patch.setattr("rwsr.train.networks.spandrel_arch.take_any_size", lambda *_: None)
        refused = _fine_tuned(*told, code=1)
    assert "the model cannot restore 4x4 px (" in refused and "); raise loop.lr_patch_px" in refused
    _fine_tuned(*told)
    found, lr = open_restorer(tmp_path / "run", CPU), torch.rand(1, 3, 16, 20)
    assert found.scale == 4 and isinstance(found.net, SAFMN)
    with torch.inference_mode():
        assert found.net(lr).shape == (1, 3, 64, 80)


def _step_of(run: Path) -> int:
    with safe_open(run / "model.safetensors", framework="pt") as file:
        return json.loads((file.metadata() or {})["rwsr"])["step"]


def _fit(
    out: Path,
    folder: Path,
    config: FineTuneConfig,
    method: Training[LrBatch],
    on_step: Callable[..., None] = lambda steps, terms: None,
) -> None:
    rows = index([folder], out.with_name("i.parquet"), IndexConfig(min_side_px=1), runner(1))
    images = LrImages([row for row in rows if row.height > 20])
    fine_tune.train_on(
        out,
        "",
        config,
        config.loop,
        lambda: method,
        lambda ranks: LrBatches(images, batch_size=2, lr_patch_px=16, seed=0, ranks=ranks),
        CPU,
        on_step,
    )


@pytest.mark.parametrize(
    ("values", "better", "patience", "kept", "length"),
    [
        ([5, 4, 6, 7, 3, 1], "lower", None, 6, 6),
        ([5, 4, 6, 7, 3, 1], "lower", 2, 2, 4),
        ([5, 4, 6, 3, 3, 3], "lower", 2, 4, 6),
        ([5, 4, 6, 7, 3, 1], "higher", None, 4, 6),
        ([5, 5, 5, 1, 1, 1], "lower", 2, 1, 3),
    ],
)
def test_the_best_average_is_kept_and_patience_ends(
    values: list[float],
    better: Literal["lower", "higher"],
    patience: int | None,
    kept: int,
    length: int,
    foreign: Path,
    lr_images: Path,
    tmp_path: Path,
) -> None:
    """By a made figure at each step: its model is the average of the best step, and the log ends with the training."""
    sets = [*FINE_TUNE, "loop.steps=6", "loop.validate_every=1", "loop.learning_rate=0.05", "loop.ema_decay=0"]
    config: FineTuneConfig = compose(compose_fine_tuning("self-training-small"), sets=sets)
    restorer, figures, seen = open_restorer(foreign, CPU), iter(values), list[Tensor]()

    def validate(net: nn.Module, _: Ranks) -> dict[str, list[float]]:
        seen.append(next(net.parameters()).detach().clone())
        return {"niqe": [next(figures)]}

    method = stages.fine_tuning(config, Restoring(restorer.net, 4), None, None)
    method = replace(method, validate=validate, choice=Choice("niqe", better, patience))
    _fit(tmp_path / "run", lr_images, config, method)
    assert _step_of(tmp_path / "run") == kept and _log(tmp_path / "run")["val/niqe"] == values[:length]
    assert torch.equal(next(open_restorer(tmp_path / "run", CPU).net.parameters()), seen[kept - 1])


def test_a_figure_that_is_no_number_cannot_choose(foreign: Path, published: Path, tmp_path: Path) -> None:
    """It is told at the first measurement: SR of 80x96 px holds no two blocks that NIQE looks at."""
    (tmp_path / "LR").mkdir()
    Image.fromarray(scene(1, 20, 24)).save(tmp_path / "LR/small.png")
    told = [
        "--preset",
        "self-training-small",
        "--steps",
        2,
        *flags("--set", ["loop.validate_every=1", "selection.by=niqe"]),
    ]
    said = _fine_tuned(tmp_path / "run", tmp_path / "LR", foreign, *told, code=1)
    assert "niqe has no value for any of the images (too small or flat), so it cannot choose" in said


@pytest.mark.slow
def test_far_chooses_without_ground_truth(reconstruction: Path, model: Path, lr_images: Path, tmp_path: Path) -> None:
    """By the command: the step of the least FAR in the log is the one that is kept, and said."""
    told = ["--reconstruction", reconstruction, "--far-model", model, "--preset", "hr-aware-small", "--steps", 6]
    chosen = ["selection.by=far", "loop.validate_every=1", "loop.learning_rate=0.05", "loop.ema_decay=0"]
    said = _fine_tuned(tmp_path / "run", lr_images, model, *told, *flags("--set", chosen))
    values, step = _log(tmp_path / "run")["val/far"], _step_of(tmp_path / "run")
    assert len(values) == 6 and values[step - 1] == min(values)
    assert f"fine-tuned on 2 LR images; kept step {step}, the best by far" in said


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1, 3, 5])
def test_stopped_and_resumed_is_the_same(limit: int, foreign: Path, lr_images: Path, tmp_path: Path) -> None:
    """With all noise, FAR and two micro-batches; the best, which was the first, is in the checkpoints too."""
    sets = [*FINE_TUNE[:-1], "loop.steps=6", "loop.validate_every=1", "loop.learning_rate=0.01", "loop.accum_steps=2"]
    config: FineTuneConfig = compose(compose_fine_tuning("hr-aware-small"), sets=sets)

    def run(out: Path, on_step: Callable[..., None]) -> None:
        restorer, net, first = open_restorer(foreign, CPU), _reconstruction(), open_restorer(foreign, CPU).net
        for modulation in net.reconstructor.modulations:
            nn.init.constant_(modulation.noise, 0.3)
        net.eval().requires_grad_(False)

        def validate(now: nn.Module, _: Ranks) -> dict[str, list[float]]:
            moved = next(now.parameters()) - next(first.parameters())
            return {"far": [moved.square().sum().item()]}  # is least at the first step

        method = stages.through(config, Restoring(restorer.net, 4), net, _looks())
        _fit(out, lr_images, config, replace(method, validate=validate, choice=Choice("far", "lower")), on_step)

    run(tmp_path / "whole", lambda steps, terms: None)
    assert _step_of(tmp_path / "whole") == 1
    with pytest.raises(Stop):
        run(tmp_path / "broken", stop_after(limit))
    run(tmp_path / "broken", lambda steps, terms: None)
    for name in ("model.safetensors", "train.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.slow
def test_what_does_not_fit_is_one_line(
    reconstruction: Path, model: Path, foreign: Path, pairs: Path, lr_images: Path, tmp_path: Path
) -> None:
    """Each names the option or the key and the mend."""
    out, named = tmp_path / "run", ["--reconstruction", reconstruction]

    def said(*told: object, of: Path = model) -> str:
        return _fine_tuned(out, lr_images, of, "--steps", 1, *told, code=1)

    assert "name the --reconstruction network; `rwsr train hr-aware-pretrain` makes one" in said()
    assert "self-training has no reconstruction network; drop" in said("--preset", "self-training-small", *named)
    assert "is of mm-realsr, not of a reconstruction" in said("--reconstruction", model)
    assert "name it with --far-model" in said(*named)
    assert f"is not the model that FAR of {reconstruction} was trained with" in said(*named, "--far-model", foreign)
    assert "no LR image holds a patch of loop.lr_patch_px = 64" in said(
        *named, "--preset", "lway", "--set", "loop.lr_patch_px=64"
    )
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    for other, why in (("mine", "holds what is no run ('notes.txt')"), ("mine/notes.txt", "is a file; name a folder")):
        said_of = _fine_tuned(tmp_path / other, lr_images, model, *named, code=1)
        assert f"{tmp_path / other} {why}" in said_of
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    for folder, px in (("hr", 128), ("lr", 40)):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (px, px)).save(tmp_path / folder / "a.png")
    held_out = ["--val-hr", tmp_path / "hr", "--val-lr", tmp_path / "lr", "--far-model", model]
    assert "HR is 128x128 and LR 40x40, not 4 times less" in said(*named, *held_out) and not (out / "log").exists()
    far = ["--far-model", model, "--set"]
    assert "selection.by = sharpness is no figure; known here: far, psnr-y" in said(
        *named, *far, "selection.by=sharpness"
    )
    assert "selection.by = psnr-y needs HR; name --val-hr" in said(*named, *far, "selection.by=psnr-y")
    assert "selection.by = far measures FAR, which is left out here; choose niqe" in said(
        *named, "--preset", "lway-small", "--set", "selection.by=far"
    )
    torch.save({"params": CompactConfig(num_feat=4, num_conv=2, scale=2).build().state_dict()}, tmp_path / "two.pth")
    assert "the reconstruction network is for scale 4, the model for 2" in said(
        *named, *far[:-1], of=tmp_path / "two.pth"
    )
    assert "loop.lr_patch_px = 18 is not a multiple of the model's scale, 4" in said(
        "--preset", "self-training-small", "--set", "loop.lr_patch_px=18"
    )
    assert not out.exists() or not (out / "run.json").exists()
    alone = rwsr(
        "train", "hr-aware", "--model", model, "--lr-images", lr_images, "--out", out, "--val-hr", model, code=2
    )
    assert "name a --val-store, or both of --val-hr and --val-lr" in alone
    assert "both 0; give one a weight" in said("--preset", "lway", "--set", "losses.l1=0")
    assert "self-training has no FAR, detail and strength" in said("--preset", "self-training", "--set", "detail=true")
    assert "--far-model is for FAR, which is left out here" in said("--preset", "lway", *named, "--far-model", model)
    assert "strength = 1-hqi is of the controller" in said(*named, *far, "strength=1-hqi")
    groups = tmp_path / "groups.zarr"
    told = ["--preset", "mm-realsr", "--set", "hr_size_px=64", "--set", "num_samples=4"]
    rwsr("degrade", "build", "--source", tmp_path / "photos", "--out", groups, *told)
    held = ["--out", tmp_path / "other", "--preset", "lway-pretrain-small", *flags("--set", ["losses.lpips=0"])]
    refused = rwsr("train", "hr-aware-pretrain", "--store", groups, *held, code=1)
    assert "holds groups; the reconstruction learns from pairs" in refused
    refused = rwsr("train", "hr-aware-pretrain", "--store", pairs, *held, "--far-model", model, code=1)
    assert "--far-model is for FAR, which this training has not; drop it" in refused


def test_a_reconstruction_that_is_none_is_named(tmp_path: Path) -> None:
    """Weights of another size under a right config."""
    config = {"method": "hr-aware-pretrain", "network": ReconstructionConfig().model_dump(mode="json")}
    write_model(tmp_path / "model.safetensors", {"w": torch.zeros(1)}, config, 1)
    with pytest.raises(StoreError, match="does not hold a reconstruction network"):
        open_reconstruction(tmp_path / "model.safetensors", CPU)


@pytest.mark.slow
def test_with_the_true_weights(pairs: Path, foreign: Path, lr_images: Path, published: Path, tmp_path: Path) -> None:
    """The small presets as they are but for their sizes: SqueezeNet as LPIPS, HQI and FAR; HR chooses the best."""
    sizes = [each for each in PRETRAINED if each.startswith(("network.f", "network.code", "network.d", "network.i"))]
    out = tmp_path / "reconstruction"
    loop = ["loop.batch_size=2", "loop.steps=2", "loop.log_every=1"]
    told = ["--store", pairs, "--preset", "hr-aware-pretrain-small", "--val-store", pairs]
    rwsr("train", "hr-aware-pretrain", "--out", out, *told, *flags("--set", [*sizes, *loop]))
    assert _log(out).keys() == {"l1", "lpips", "far", "strength", "clamped", "val/reconstruction-psnr"}
    keys = ["loop.batch_size=1", "loop.lr_patch_px=24", "loop.log_every=1", "loop.validate_every=1"]
    named = ["--model", foreign, "--lr-images", lr_images, "--reconstruction", out, "--preset", "hr-aware-small"]
    held = ["--val-store", pairs, "--steps", 2, *flags("--set", [*keys, "selection.by=lpips-squeeze"])]
    rwsr("train", "hr-aware", "--out", tmp_path / "run", *named, *held)
    log = _log(tmp_path / "run")
    assert {"l1", "lpips", "far", "hqi", "val/psnr-y", "val/lpips-squeeze"} <= log.keys()
    assert all(np.isfinite(value) for values in log.values() for value in values)
    again = _log(_again(tmp_path, named, held))
    assert again == log
    small = ["--model", foreign, "--lr-images", lr_images, "--out", tmp_path / "other", "--preset"]
    assert "LPIPS (squeeze) cannot look at 16x16 px (" in rwsr(
        "train", "hr-aware", *small, "self-training-small", "--set", "loop.lr_patch_px=16", code=1
    )
    assert "lpips-alex cannot be measured here (alexnet" in rwsr(
        "train", "hr-aware", "--out", tmp_path / "other", *named, *held, "--set", "selection.by=lpips-alex", code=1
    )


def _again(tmp_path: Path, named: list[Any], held: list[Any]) -> Path:
    rwsr("train", "hr-aware", "--out", tmp_path / "again", *named, *held)
    return tmp_path / "again"


@pytest.mark.slow
def test_two_processes_choose_as_one(reconstruction: Path, model: Path, lr_images: Path, tmp_path: Path) -> None:
    """By torchrun, over gloo, each with half of every batch: the same losses, figures, end and choice."""
    keys = ["selection.by=far", "selection.patience=2", "loop.validate_every=1", "loop.learning_rate=0.01"]
    told = ["--model", model, "--lr-images", lr_images, "--reconstruction", reconstruction, "--far-model", model]
    told += ["--preset", "hr-aware-small", "--steps", 6, *flags("--set", FINE_TUNE), *flags("--set", keys)]
    rwsr("train", "hr-aware", "--out", tmp_path / "one", *told)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "rwsr", "train", "hr-aware", "--out", str(tmp_path / "two")]
    threads = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *map(str, told)], check=True, capture_output=True, timeout=300, env=threads)
    one, two = _log(tmp_path / "one"), _log(tmp_path / "two")
    assert {name: len(values) for name, values in one.items()} == {name: len(values) for name, values in two.items()}
    assert all(values == pytest.approx(two[name], rel=1e-3) for name, values in one.items())
    assert _step_of(tmp_path / "one") == _step_of(tmp_path / "two")

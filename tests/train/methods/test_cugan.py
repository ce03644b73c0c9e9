"""CUGAN: its networks' published sizes, what is told and who learns from what; trained, resumed, interpolated, used."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from rwsr.degrade.config import compose, to_yaml
from rwsr.degrade.errors import StoreError, UserError
from rwsr.degrade.recipes.store_config import store_preset
from rwsr.degrade.storage.shards.store import Store
from rwsr.degrade.storage.shards.verify import digest
from rwsr.eval.protocols import interpolation
from rwsr.train.compose import compose_training
from rwsr.train.data.batches import GroupBatch, GroupBatches, StoredGroups
from rwsr.train.data.of_training import live, stored
from rwsr.train.engine import run as runs
from rwsr.train.files.open import open_run
from rwsr.train.interpolate import interpolate
from rwsr.train.methods import cugan
from rwsr.train.methods.base import Given
from rwsr.train.methods.cugan import CuganConfig, CuganLosses, discriminator_terms, generator_terms
from rwsr.train.networks.cunet import CUnet, CUnetConfig
from rwsr.train.networks.discriminators import ConditionedDiscriminator, FeatureModulation
from rwsr.train.runs.model_file import read_model
from rwsr.train.train import train_run

from ...builders import tiny_store
from ...commands import Stop, rwsr, stop_after

CPU = torch.device("cpu")
TINY = {"num_feat": [4, 6, 8], "num_block": 1}
STAGE_1: CuganConfig = compose(
    compose_training("cunet-small"),
    sets=["loop.steps=7", "loop.batch_size=2", "loop.lr_patch_px=16", "loop.log_every=2", "loop.checkpoint_every=3"],
    network=TINY,
)
STAGE_2: CuganConfig = compose(
    compose_training("cugan-small"),
    sets=["loop.steps=5", "loop.batch_size=2", "loop.log_every=2", "loop.checkpoint_every=2", "discriminator_feats=4"]
    + ["needs_start=false"],
    network=TINY,
    losses={"perceptual": {"weight": 0}},
)


@pytest.fixture
def pairs(photos: Path, tmp_path: Path) -> Store:
    """Ten pairs of 48 px, each with its z."""
    return tiny_store(photos, tmp_path / "pairs.zarr", "cugan", num_samples=10, hr_size_px=48)


def _nothing(steps: int, terms: dict[str, float]) -> None:
    pass


def _train(run: Path, store: Store, config: CuganConfig, on_step: Callable[..., None] = _nothing, **told: Path) -> bool:
    def make(groups: StoredGroups, start: dict[str, torch.Tensor] | None) -> object:
        return cugan.build(config, Given(groups, start))

    return runs.train(run, StoredGroups(store), digest(store), config, config.loop, make, CPU, on_step, **told)


def _count(net: torch.nn.Module, within: str = "") -> int:
    return sum(value.numel() for name, value in net.named_parameters() if within in name)


# ------------------------------------------------------------------------------------------------------ networks


def test_sizes_are_those_of_the_released_code() -> None:
    """6,534,476 parameters, 5,961 of them told z; 6,528,515 without; a discriminator of 13,731,401 and 17,280."""
    assert (_count(CUnet(CUnetConfig())), _count(CUnet(CUnetConfig()), ".fc.")) == (6_534_476, 5_961)
    assert _count(CUnet(CUnetConfig(conditioned=False))) == 6_528_515
    judge = ConditionedDiscriminator()
    assert (_count(judge), _count(judge, "modulations")) == (13_731_401 + 17_280, 17_280)


@pytest.mark.parametrize(("widths", "blocks"), [([64], 6), ([64, 128], 3), ([64, 128, 256], 2)])
def test_figure_7_has_twelve_blocks_on_any_number_of_scales(widths: list[int], blocks: int) -> None:
    """CUGAN-1, -2 and -3; each is known again by its shapes, and gives an image of any size back at z = 0."""
    config = CUnetConfig.model_validate({"num_feat": widths, "num_block": blocks})
    net = CUnet(config)
    assert sum(name.endswith("conv1.weight") for name in net.state_dict()) == 12
    assert CUnetConfig.detect({name: tuple(value.shape) for name, value in net.state_dict().items()}) == config
    image = torch.rand(1, 3, 13, 10)
    assert torch.equal(net(image, torch.zeros(1, 2)), image)


def test_figure_8_has_a_discriminator_that_is_told_nothing() -> None:
    judge, image = ConditionedDiscriminator(4, modulated=False).eval(), torch.rand(2, 3, 32, 32)
    assert torch.equal(judge(image, torch.zeros(2, 2)), judge(image, torch.ones(2, 2)))
    told = ConditionedDiscriminator(4).eval()
    assert not torch.equal(told(image, torch.zeros(2, 2)), told(image, torch.ones(2, 2)))
    assert _count(ConditionedDiscriminator(modulated=False)) == 13_731_401
    ugan = compose_training("ugan")
    assert isinstance(ugan, CuganConfig) and not ugan.discriminator_modulated


def test_z_of_zero_changes_nothing_at_the_start() -> None:
    """Exactly, at any size; with zero_keeps for ever, since no weight of z = 0 can move."""
    torch.manual_seed(0)
    image = torch.rand(2, 3, 37, 22)
    net = CUnet(CUnetConfig())
    assert torch.equal(net(image, torch.zeros(2, 2)), image)
    assert not torch.equal(net(image, torch.ones(2, 2)), image)
    keeps = CUnet(CUnetConfig(num_feat=(4, 6, 8), num_block=1, identity_at_zero=True))
    optimizer = torch.optim.Adam(keeps.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (keeps(image, torch.rand(2, 2)) - 1).square().mean().backward()
        optimizer.step()
    assert torch.equal(keeps(image, torch.zeros(2, 2)), image)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (16, 18), (30, 33)])
def test_any_size_keeps_its_border(size: tuple[int, int]) -> None:
    """The same pixels come out of an image that was continued to a multiple of 4 by hand."""
    torch.manual_seed(0)
    net = CUnet(CUnetConfig(num_feat=(4, 6, 8), num_block=1)).eval()
    image, z = torch.rand(1, 3, *size), torch.rand(1, 2)
    height, width = (-(-side // 4) * 4 for side in size)
    rows = [min(i, size[0] - 1) for i in range(height)]
    columns = [min(i, size[1] - 1) for i in range(width)]
    whole = net(image[:, :, rows][:, :, :, columns], z)
    assert torch.equal(net(image, z), whole[:, :, : size[0], : size[1]])


def test_a_modulated_feature_by_hand() -> None:
    """x * alpha(z) + beta(z), the identity at z = 0 to begin with."""
    torch.manual_seed(0)
    layer, x, z = FeatureModulation(3), torch.rand(2, 3, 4, 5), torch.rand(2, 2)
    assert torch.equal(layer(x, torch.zeros(2, 2)), x)
    alpha = z @ layer.alpha.weight.T + layer.alpha.bias
    beta = z @ layer.beta.weight.T + layer.beta.bias
    assert torch.allclose(layer(x, z), x * alpha[:, :, None, None] + beta[:, :, None, None])


# -------------------------------------------------------------------------------------------------------- losses


def _batch() -> GroupBatch:
    generator = torch.Generator().manual_seed(0)
    return GroupBatch(
        torch.rand(2, 3, 32, 32, generator=generator),
        torch.rand(2, 1, 3, 32, 32, generator=generator),
        torch.rand(2, 2, generator=generator),
        torch.arange(2),
    )


def test_losses_by_hand_and_who_learns_from_them() -> None:
    """Both networks see the same z; the discriminator's terms do not reach the generator."""
    torch.manual_seed(0)
    net, judge, batch = CUnet(STAGE_2.network), ConditionedDiscriminator(4), _batch()
    config = STAGE_2.model_copy(update={"losses": CuganLosses(pixel=0.01, gan=0.005)})
    shared: dict[str, torch.Tensor] = {}
    terms = generator_terms(net, batch, config, shared, judge=judge)
    sr = net(batch.lr[:, 0], batch.condition)
    assert terms["pixel"].item() == pytest.approx(0.01 * ((sr - batch.hr) ** 2).mean().item(), rel=1e-5)
    logits = judge(sr, batch.condition)
    expected = 0.005 * torch.log1p(torch.exp(-logits)).mean()
    assert terms["gan"].item() == pytest.approx(expected.item(), rel=1e-4)
    terms["gan"].backward()
    assert all(value.grad is not None and value.grad.any() for name, value in net.named_parameters() if ".fc." in name)
    net.zero_grad(), judge.zero_grad()
    found = discriminator_terms(judge, shared)
    real = torch.log1p(torch.exp(-judge(batch.hr, batch.condition))).mean()
    assert found["real"].item() == pytest.approx(real.item(), rel=1e-4)
    sum(found.values(), torch.zeros(())).backward()
    assert all(value.grad is None for value in net.parameters()) and judge.linear2.weight.grad is not None
    assert all(each.alpha.weight.grad.any() for each in judge.modulations)  # type: ignore[union-attr]


def test_presets_have_the_papers_numbers() -> None:
    first, second = compose_training("cunet"), compose_training("cugan")
    for each in (first, second):
        loop = each.loop
        assert (loop.batch_size, loop.lr_patch_px, loop.learning_rate, loop.betas) == (16, 64, 5e-4, (0.9, 0.999))
        assert loop.use_rot90 and each.network == CUnetConfig()
    assert (first.losses.pixel, first.losses.perceptual.weight, first.losses.gan) == (1, 0, 0)
    assert (second.losses.pixel, second.losses.perceptual.weight, second.losses.gan) == (0.01, 1, 0.005)
    assert second.losses.perceptual.layers == (0, 0, 0, 0, 1)
    assert not compose_training("unet").network.conditioned and compose_training("ugan").losses == second.losses
    with pytest.raises(ValueError, match="less than the discriminator takes; use 32"):
        compose(second, loop={"lr_patch_px": 16})


# ---------------------------------------------------------------------------------------------------------- data


def test_a_batch_carries_the_z_of_its_pairs(pairs: Store) -> None:
    """Those that the manifest gives: blur over 4, noise over 50; turned crops are the same crops of HR and LR."""
    rows = pairs.manifest(columns=["condition"])["condition"].to_pylist()
    groups = StoredGroups(pairs)
    assert groups.conditions == 2 and np.allclose(groups.read([3, 7]).condition, [rows[3], rows[7]])
    batches = GroupBatches(groups, batch_size=5, lr_patch_px=48, seed=0, use_rot90=True)
    seen: set[int] = set()
    whole = groups.read(list(range(10)))
    for step in range(8):
        batch = batches[step].to(CPU)
        for hr, lr, z in zip(batch.hr, batch.lr, batch.condition, strict=True):
            found = [
                (sample, turn, flip)
                for sample in range(10)
                for turn in range(4)
                for flip in range(2)
                if np.array_equal(_as_pixels(hr), _turned(whole.hr[sample], turn, flip))
            ]
            (sample, turn, flip) = found[0]
            assert np.array_equal(_as_pixels(lr[0]), _turned(whole.lr[sample, 0], turn, flip))
            assert np.allclose(z, whole.condition[sample])
            seen.add(turn * 2 + flip)
    assert len(seen) == 8  # every one of the eight ways


def _as_pixels(image: torch.Tensor) -> np.ndarray:
    return (image.movedim(0, -1) * 255).round().byte().numpy()


def _turned(pixels: np.ndarray, turn: int, flip: int) -> np.ndarray:
    return np.rot90(pixels[:, ::-1] if flip else pixels, turn)


def test_pairs_rendered_meanwhile_have_their_z(photos: Path, tmp_path: Path) -> None:
    """Each its own; and one degradation for all where the recipe names it."""
    recipe = compose(store_preset("cugan"), hr_size_px=48, num_samples=10)
    (tmp_path / "recipe.yaml").write_text(to_yaml(recipe))
    found = live([photos], tmp_path / "recipe.yaml", tmp_path, preset="cugan").groups.read(list(range(12)))
    assert found.condition.shape == (12, 2) and len(np.unique(found.condition, axis=0)) > 8
    assert found.hr.shape == (12, 48, 48, 3) == found.lr[:, 0].shape
    (tmp_path / "only.yaml").write_text(to_yaml(compose(recipe, sets=["recipe.fixed_level=[2,30]"])))
    only = live([photos], tmp_path / "only.yaml", tmp_path, preset=None).groups.read([0, 5])
    assert np.allclose(only.condition, [[0.5, 0.6]] * 2)
    with pytest.raises(UserError, match="has no degradation of its own; name one with --recipe"):
        live([photos], None, tmp_path, preset=None)
    with pytest.raises(UserError, match="is not within 0 and noise_max = 50"):
        compose(recipe, sets=["recipe.fixed_level=[2,60]"])


def test_samples_without_z_are_refused(photos: Path, tmp_path: Path) -> None:
    other = tiny_store(photos, tmp_path / "other.zarr", "real-esrgan", num_samples=3)
    with pytest.raises(UserError, match="other.zarr says nothing of the degradation of its pairs"):
        _train(tmp_path / "run", other, STAGE_1)


# ------------------------------------------------------------------------------------------------------ trainings


@pytest.mark.slow
@pytest.mark.parametrize("config", [STAGE_1, STAGE_2])
def test_stopped_and_resumed_is_the_same(pairs: Store, tmp_path: Path, config: CuganConfig) -> None:
    """Both stages, between a log and a checkpoint; the discriminator's batch statistics are kept too."""
    _train(tmp_path / "whole", pairs, config)
    with pytest.raises(Stop):
        _train(tmp_path / "broken", pairs, config, stop_after(4))
    assert _train(tmp_path / "broken", pairs, config)
    for name in ("model.safetensors", "train.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()


@pytest.mark.slow
def test_it_learns_to_denoise(photos: Path, tmp_path: Path) -> None:
    """A few hundred steps on noisy pairs: nearer to HR than the degraded image is, when told the truth."""
    level = "recipe.fixed_level=[0,50]"
    noisy = tiny_store(photos, tmp_path / "noisy.zarr", "cugan", level, num_samples=32, hr_size_px=48)
    settings = [
        "loop.steps=150",
        "loop.batch_size=8",
        "loop.lr_patch_px=32",
        "loop.warmup_steps=0",
        "loop.ema_decay=0.9",
    ]
    config = compose(compose_training("cunet-small"), sets=settings, network={"num_feat": [16, 16, 16], "num_block": 1})
    assert train_run(tmp_path / "run", stored(noisy.path), cugan.METHOD, config)
    net, groups = open_run(tmp_path / "run", CPU).net, StoredGroups(noisy)
    batch = GroupBatches(groups, batch_size=16, lr_patch_px=48, seed=5)[0].to(CPU)
    with torch.inference_mode():
        sr = net(batch.lr[:, 0], batch.condition)
    before, after = ((each - batch.hr).square().mean().item() for each in (batch.lr[:, 0], sr))
    assert after < 0.5 * before


@pytest.mark.slow
def test_interpolation_is_of_all_weights(pairs: Store, tmp_path: Path) -> None:
    """Each weight, those told z too, a mean of two; the ends are the two models."""
    _train(tmp_path / "mse", pairs, compose(STAGE_1, loop={"lr_patch_px": 32}))
    _train(tmp_path / "gan", pairs, STAGE_2, start_from=tmp_path / "mse")
    interpolate(tmp_path / "gan", tmp_path / "mse", 0.25, tmp_path / "between")
    gan, mse, between = (
        read_model(tmp_path / name / "model.safetensors").weights for name in ("gan", "mse", "between")
    )
    assert any(".fc." in name for name in between)
    for name, value in between.items():
        assert torch.allclose(value, 0.75 * gan[name] + 0.25 * mse[name], atol=1e-7)
    image, z = torch.rand(1, 3, 20, 20), torch.rand(1, 2)
    assert torch.allclose(
        open_run(tmp_path / "between", CPU).net(image, z),
        interpolation.between(open_run(tmp_path / "gan", CPU).net, open_run(tmp_path / "mse", CPU).net)(0.25)(image, z),
    )
    with pytest.raises(UserError, match="is not empty; name a new folder"):
        interpolate(tmp_path / "gan", tmp_path / "mse", 0.75, tmp_path / "between")
    _train(tmp_path / "wide", pairs, compose(STAGE_1, network={"num_feat": [4, 6, 10]}))
    with pytest.raises(UserError, match="not of one network"):
        interpolate(tmp_path / "gan", tmp_path / "wide", 0.5, tmp_path / "no")
    with pytest.raises(UserError, match="--start-from is of another network"):
        _train(tmp_path / "no", pairs, STAGE_2, start_from=tmp_path / "wide")
    with pytest.raises(StoreError, match="does not exist"):
        interpolate(tmp_path / "gone", tmp_path / "wide", 0.5, tmp_path / "no")


# ------------------------------------------------------------------------------------------------------------ use


@pytest.mark.slow
def test_the_commands_take_a_cugan_run(pairs: Store, photos: Path, tmp_path: Path) -> None:
    """Trained, measured meanwhile and afterwards, swept, restored under a condition, and drawn."""
    few = ["--preset", "cunet-small", "--steps", 2]
    few += ["--set", "loop.batch_size=2", "--set", "network.num_feat=[4,6,8]", "--set", "network.num_block=1"]
    run, out = tmp_path / "run", tmp_path / "m.parquet"
    rwsr("train", "cugan", "--store", pairs.path, "--val-store", pairs.path, "--out", run, *few)
    names = set(pq.read_table(run / "train.parquet")["name"].to_pylist())
    assert names == {"pixel", "grad_norm/generator", "val/psnr-y", "val/ssim-y"}
    said = rwsr("eval", "restoration", "--store", pairs.path, "--model", run, "--out", out)
    assert "run: psnr-y" in said
    grid = ("--grid", 2, "--by", "psnr-y", "--metric", "psnr-y")
    said = rwsr("eval", "modulation", "--store", pairs.path, "--model", run, *grid, "--out", out)
    assert "run: the pair that is best by psnr-y is 0." in said
    rwsr("eval", "steering", "--images", photos, "--model", run, "--steps", 2, "--out", out)
    said = rwsr(
        "eval",
        "interpolation",
        "--model",
        run,
        "--model",
        f"b={run}",
        "--store",
        pairs.path,
        "--steps",
        2,
        "--out",
        out,
    )
    assert "psnr-y along alpha: Spearman 0.000, largest step 0.000 of all" in said
    rwsr("report", "--metrics", out, "--run", run, "--out", tmp_path / "m.html")
    (tmp_path / "one").mkdir()
    Image.fromarray(np.full((21, 30, 3), 90, dtype=np.uint8)).save(tmp_path / "one/a.png")
    alone, told = tmp_path / "alone", ("--set", "network.conditioned=false")
    rwsr("train", "cugan", "--store", pairs.path, "--out", alone, *few, *told)
    said = rwsr("eval", "cugan", "--images", tmp_path / "one", "--model", run, "--model", alone, "--out", out)
    assert "run, r2 sigma0: psnr-rgb" in said and re.search("run: (at most|better by at least) psnr-rgb", said)
    rwsr("report", "--metrics", out, "--out", tmp_path / "m.html")
    assert "distance in psnr-rgb" in (tmp_path / "m.html").read_text()
    restore = ("restore", tmp_path / "one/a.png", "--model", run, "--out", tmp_path / "restored")
    assert "(blur 0.25, noise 0.30)" in rwsr(*restore, "--condition", 0.25, 0.30)
    with Image.open(tmp_path / "restored/a.png") as image:
        assert image.size == (30, 21)
    assert "needs a condition; name --condition BLUR NOISE" in rwsr(*restore, code=1)
    assert "takes no scores; name --condition instead" in rwsr(*restore, "--noise", 0.3, code=1)
    assert "is no number from 0 to 1" in rwsr(*restore, "--condition", 0.25, 30, code=2)
    lq = shutil.copytree(photos, tmp_path / "lq")
    said = rwsr("eval", "restoration", "--hr", photos, "--lr", lq, "--scale", 1, "--model", run, "--out", out, code=1)
    assert "which is not known of a.png" in said
    assert "has no UDEM" in rwsr("eval", "udem-curves", "--images", photos, "--model", run, "--out", out, code=1)
    assert "goes on from a run of the stage before" in rwsr(
        "train", "cugan", "--store", pairs.path, "--out", tmp_path / "s2", "--preset", "cugan", code=1
    )


@pytest.mark.slow
def test_onnx_is_told_the_condition(tmp_path: Path) -> None:
    """At sizes that are no multiples of 4."""
    import onnxruntime

    from rwsr.train.export import to_onnx
    from rwsr.train.runs.model_file import write_model

    torch.manual_seed(0)
    config = CuganConfig(network=CUnetConfig(num_feat=(4, 6, 8), num_block=1))
    net = CUnet(config.network).eval()
    (tmp_path / "run").mkdir()
    write_model(tmp_path / "run/model.safetensors", net.state_dict(), config.model_dump(mode="json"), 1)
    to_onnx(tmp_path / "run", tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    for size in ((1, 3, 24, 20), (3, 3, 17, 41)):
        image, z = torch.rand(size), torch.rand(size[0], 2)
        with torch.inference_mode():
            expected = net(image, z).numpy()
        found = session.run(["sr"], {"lr": image.numpy(), "scores": z.numpy()})[0]
        assert np.abs(found - expected).max() < 1e-4

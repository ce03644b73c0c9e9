"""CResMD, AdaFM, CFSNet, Dynamic-Net, and a network behind bicubic: sizes, what is told, what each stage trains."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.pixels import encode_png
from rwsr.degrade.recipes.base import Chance
from rwsr.degrade.recipes.cugan import BlurNoise
from rwsr.eval.images.imresize import cubic, taps
from rwsr.train.data.batches import GroupBatch
from rwsr.train.methods.baselines.fasrgan import FasrganLosses, discriminator_terms, generator_terms
from rwsr.train.networks.base import NetworkConfig
from rwsr.train.networks.baselines.adafm import AdaFMConfig
from rwsr.train.networks.baselines.cfsnet import CFSNet, CFSNetConfig
from rwsr.train.networks.baselines.cresmd import CResMDConfig
from rwsr.train.networks.baselines.dynamic_net import DynamicNetConfig
from rwsr.train.networks.baselines.fasrgan import FineGrainedDiscriminator
from rwsr.train.networks.baselines.two_levels import TwoLevels
from rwsr.train.runs.model_file import read_model

from ...builders import tiny_store
from ...commands import rwsr

TINY: dict[str, NetworkConfig] = {
    "cresmd": CResMDConfig(num_feat=4, num_block=2),
    "adafm": AdaFMConfig(num_feat=4, num_block=2, filter_size=3),
    "cfsnet": CFSNetConfig(num_feat=4, num_block=2),
    "dynamic-net": DynamicNetConfig(num_feat=4, num_block=2),
}
TWO = {name: config for name, config in TINY.items() if name != "cresmd"}


def _net(config: NetworkConfig) -> torch.nn.Module:
    """With weights of which every one shows."""
    torch.manual_seed(0)
    net = config.build().eval()
    with torch.no_grad():
        for value in net.parameters():
            value.copy_(0.2 * torch.randn(value.shape))
    return net


def _count(net: torch.nn.Module) -> int:
    return sum(value.numel() for value in net.parameters())


def test_sizes_are_those_of_the_released_code() -> None:
    """And the tuned parts those that the authors' stage 2 trains."""
    assert _count(CResMDConfig().build()) == 2_557_708
    assert _count(CResMDConfig(conditioned=False).build()) == 2_551_555
    for config, whole, tuned in (
        (AdaFMConfig(), 1_411_011, 4_224),
        (AdaFMConfig(filter_size=5), 1_461_699, 54_912),
        (CFSNetConfig(), 1_733_248, 991_232),
    ):
        net = config.build()
        assert isinstance(net, TwoLevels) and _count(net) == whole
        assert sum(value.numel() for name, value in net.named_parameters() if net.is_tuned(name)) == tuned


@pytest.mark.parametrize("name", TINY)
def test_any_size_is_restored_and_z_is_each_images_own(name: str) -> None:
    net = _net(TINY[name])
    images, z = torch.rand(2, 3, 13, 9), torch.tensor([[0.0, 0.4], [0.0, 0.9]])
    both = net(images, z)
    assert both.shape == images.shape
    for i in range(2):
        torch.testing.assert_close(both[i : i + 1], net(images[i : i + 1], z[i : i + 1]), rtol=1e-3, atol=1e-4)
    assert not torch.equal(net(images, z), net(images, z.flip(0)))
    assert net(torch.rand(1, 3, 1, 2), z[:1]).shape == (1, 3, 1, 2)


def test_cresmd_gives_the_image_back_at_zero_to_begin_with() -> None:
    image = torch.rand(1, 3, 16, 18)
    assert torch.equal(CResMDConfig().build()(image, torch.zeros(1, 2)), image)


@pytest.mark.parametrize("name", TWO)
def test_at_the_start_nothing_tuned_counts_and_between_all_does(name: str) -> None:
    """The levels are exactly 0 and 1 of the coefficient."""
    config = TWO[name]
    net, image = _net(config), torch.rand(1, 3, 16, 16)
    assert isinstance(net, TwoLevels)
    ends = torch.tensor([config.start, config.end])  # type: ignore[attr-defined]
    assert net.coefficient(ends).tolist() == [0.0, 1.0]
    before = [net(image, z[None]) for z in (ends[0], (ends[0] + ends[1]) / 2, ends[1])]
    with torch.no_grad():
        for part, value in net.named_parameters():
            if net.is_tuned(part):
                value.mul_(1.5)
    after = [net(image, z[None]) for z in (ends[0], (ends[0] + ends[1]) / 2, ends[1])]
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1]) and not torch.allclose(before[2], after[2])


def test_a_tuned_filter_by_hand() -> None:
    """x + c (g * x + b), of each channel its own filter: with 1 px a factor and a constant."""
    net = _net(AdaFMConfig(num_feat=4, num_block=1))
    seen: list[torch.Tensor] = []
    net.conv_body.register_forward_hook(lambda _, __, out: seen.append(out))
    net.upconv.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    net.conv_first.register_forward_hook(lambda _, __, out: seen.append(out))
    net.between(torch.rand(1, 3, 8, 8), torch.tensor([0.25]))
    first, body, given = seen
    factor = 1 + 0.25 * net.tuned_last.weight.flatten()
    expected = first + body * factor[:, None, None] + 0.25 * net.tuned_last.bias[:, None, None]
    torch.testing.assert_close(given, expected)
    assert torch.equal(net.coefficient(torch.tensor([[0.3, 0.3]])), torch.zeros(1))  # blur is not on the line


def test_cfsnets_shares_grow_with_the_coefficient() -> None:
    net = _net(CFSNetConfig(num_feat=4, num_block=2))
    assert isinstance(net, CFSNet)
    shares = net.shares(torch.tensor([0.0, 0.5, 1.0]))
    assert not shares[0].any()
    torch.testing.assert_close(2 * shares[1], shares[2])


def test_light_levels_are_of_beta_of_a_half_and_one() -> None:
    """P(level <= x) = sqrt(x), by Kolmogorov and Smirnov; uniform ones are not."""
    found: dict[str, np.ndarray] = {}
    for levels in ("light", "uniform"):
        recipe = BlurNoise.model_validate({"levels": levels, "noise_step": 0.01, "single_prob": 0})
        drawn = [recipe.draw(96, Chance(0, (i,)), None).condition[1] for i in range(3000)]
        found[levels] = np.array(drawn)
    assert kstest(found["light"], lambda x: np.sqrt(np.clip(x, 0, 1))).pvalue > 0.01
    assert kstest(found["uniform"], lambda x: np.sqrt(np.clip(x, 0, 1))).pvalue < 1e-6
    assert abs(found["light"].mean() - 1 / 3) < 0.02


def _fixed(photos: Path, out: Path, sigma: float) -> Path:
    tiny_store(photos, out, "cugan", f"recipe.fixed_level=[0,{sigma:g}]", num_samples=4, hr_size_px=48)
    return out


@pytest.mark.parametrize("name", TWO)
def test_each_stage_trains_its_own_parts_on_its_own_level(name: str, photos: Path, tmp_path: Path) -> None:
    """By the command: stage 1 leaves the tuned parts, stage 2 all others, to the bit; then an image is restored."""
    start = TWO[name].start[1] * 50  # type: ignore[attr-defined]
    stores = [_fixed(photos, tmp_path / f"{sigma:g}.zarr", sigma) for sigma in (start, 50)]
    sizes = [f"network.{key}={value}" for key, value in TWO[name].model_dump().items() if key.startswith("num_")]
    sizes += ["loop.batch_size=2", "loop.lr_patch_px=16", "loop.ema_decay=0", "loop.warmup_steps=0"]
    sets = [part for each in sizes for part in ("--set", each)]
    main, tuned = tmp_path / "main", tmp_path / "tuned"
    common = ("train", name, *sets, "--steps", 2)
    said = rwsr(*common, "--store", stores[1], "--out", main, "--preset", f"{name}-small", code=1)
    assert f"recipe.fixed_level=[0,{start:g}]" in said
    rwsr(*common, "--store", stores[0], "--out", main, "--preset", f"{name}-small")
    second = (*common, "--store", stores[1], "--out", tuned, "--preset", f"{name}-tuned-small")
    assert "--start-from" in rwsr(*second, code=1)
    rwsr(*second, "--start-from", main)
    a, b = (read_model(run / "model.safetensors").weights for run in (main, tuned))
    net = TWO[name].build()
    assert isinstance(net, TwoLevels)
    moved = {part for part, value in b.items() if not torch.equal(value, a[part])}
    assert moved and all(net.is_tuned(part) for part in moved)
    out = tmp_path / "out"
    rwsr("restore", photos / "a.png", "--model", tuned, "--condition", 0, 0.5, "--out", out)
    assert decode((out / "a.png").read_bytes()).pixels.shape == decode((photos / "a.png").read_bytes()).pixels.shape


def test_cresmd_is_trained_and_measured(photos: Path, tmp_path: Path) -> None:
    tiny_store(photos, tmp_path / "pairs.zarr", "cresmd", num_samples=4, hr_size_px=48)
    sizes = ["network.num_feat=4", "network.num_block=2", "loop.batch_size=2", "loop.lr_patch_px=16"]
    sets = [part for each in sizes for part in ("--set", each)]
    run, metrics = tmp_path / "run", tmp_path / "m.parquet"
    rwsr(
        "train",
        "cresmd",
        "--store",
        tmp_path / "pairs.zarr",
        "--out",
        run,
        "--preset",
        "cresmd-small",
        *sets,
        "--steps",
        2,
    )
    told = rwsr("eval", "restoration", "--store", tmp_path / "pairs.zarr", "--model", run, "--metric", "psnr-rgb",
                "--out", metrics)  # fmt: skip
    assert "run: psnr-rgb" in told
    tiny_store(photos, tmp_path / "x4.zarr", "bicubic", num_samples=4, hr_size_px=64)
    wrong = ("train", "cresmd", "--store", tmp_path / "x4.zarr", "--out", tmp_path / "no")
    assert "says nothing of the degradation of its pairs" in rwsr(*wrong, code=1)


def test_a_run_of_scale_1_enlarges_behind_bicubic(photos: Path, tmp_path: Path) -> None:
    """What comes out is the run's own restoration of the image that MATLAB's bicubic made larger, in 8 bits."""
    tiny_store(photos, tmp_path / "pairs.zarr", "cresmd", num_samples=4, hr_size_px=48)
    sizes = ["network.num_feat=4", "network.num_block=2", "loop.batch_size=2", "loop.lr_patch_px=16"]
    sets = [part for each in sizes for part in ("--set", each)]
    run, x2 = tmp_path / "run", tmp_path / "x2"
    rwsr(
        "train",
        "cresmd",
        "--store",
        tmp_path / "pairs.zarr",
        "--out",
        run,
        "--preset",
        "cresmd-small",
        *sets,
        "--steps",
        2,
    )
    rwsr("train", "enlarge", run, "--scale", 2, "--out", x2)
    condition = ("--condition", 0.5, 0.25, "--tile", 0)
    rwsr("restore", photos / "a.png", "--model", x2, *condition, "--out", tmp_path / "once")
    image = decode((photos / "a.png").read_bytes()).pixels.astype(float)
    for axis in (0, 1):
        at, weights = taps(image.shape[axis], 2 * image.shape[axis], cubic)
        image = np.moveaxis((np.moveaxis(image, axis, -1)[..., at] * weights).sum(-1), -1, axis)
    (tmp_path / "large.png").write_bytes(encode_png(np.rint(image.clip(0, 255)).astype(np.uint8)))
    rwsr("restore", tmp_path / "large.png", "--model", run, *condition, "--out", tmp_path / "twice")
    once, twice = (
        decode((tmp_path / name).read_bytes()).pixels.astype(int) for name in ("once/a.png", "twice/large.png")
    )
    assert np.abs(once - twice).max() <= 1 and (once != twice).mean() < 5e-3
    assert "enlarges 2 times by itself" in rwsr("train", "enlarge", x2, "--out", tmp_path / "x4", code=1)
    rwsr("train", "enlarge", run, "--scale", 2, "--out", x2)  # the same once more
    assert "is not empty" in rwsr("train", "enlarge", run, "--scale", 3, "--out", x2, code=1)


def _unet_batch() -> GroupBatch:
    generator = torch.Generator().manual_seed(0)
    hr, lr = torch.rand(2, 3, 32, 32, generator=generator), torch.rand(2, 1, 3, 8, 8, generator=generator)
    return GroupBatch(hr, lr, torch.empty(2, 0), torch.arange(2))


def test_fasrgans_pixels_count_by_how_much_they_look_made_up() -> None:
    """Its terms by hand; its map and its score see every pixel; who learns from what."""
    torch.manual_seed(0)
    judge = FineGrainedDiscriminator(32, 4)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 48, 3, padding=1), torch.nn.PixelShuffle(4))
    batch, weights, shared = _unet_batch(), FasrganLosses(), {}
    state = {name: value.clone() for name, value in judge.state_dict().items()}
    terms = generator_terms(net, batch, weights, shared, judge, None)
    judge.load_state_dict(state)
    sr = net(batch.lr[:, 0])
    fake, seen = judge(sr)
    real, real_seen = judge(batch.hr)
    attended = ((sr - batch.hr).abs() * (1 - torch.sigmoid(seen))).mean()
    assert terms["attention"].item() == pytest.approx(0.05 * attended.item(), rel=1e-5)
    cross = torch.nn.functional.binary_cross_entropy_with_logits
    whole = cross(real - fake.mean(), torch.zeros(2, 1)) + cross(fake - real.mean(), torch.ones(2, 1))
    assert terms["gan"].item() == pytest.approx(0.005 * whole.item() / 2, rel=1e-4)
    pixels = cross(real_seen, torch.zeros_like(seen)) + cross(seen, torch.ones_like(seen))
    assert terms["map_gan"].item() == pytest.approx(0.005 * pixels.item() / 2, rel=1e-4)
    net.zero_grad(), judge.zero_grad()
    sum(discriminator_terms(judge, shared).values()).backward()
    assert all(value.grad is None for value in net.parameters())
    assert judge.conv_map.weight.grad is not None and judge.conv_map.weight.grad.any()
    assert FineGrainedDiscriminator(32, 4, published_eps=False).down[0][1].eps == 1e-5 and judge.down[0][1].eps == 4


def test_fasrgan_is_trained_to_the_same_weights_again(photos: Path, tmp_path: Path, published: Path) -> None:
    tiny_store(photos, tmp_path / "pairs.zarr", "bicubic", num_samples=4, hr_size_px=96)
    keys = ("loop.batch_size=2", "network.num_feat=4", "network.num_block=1", "network.num_grow_ch=4")
    sets = [part for each in (*keys, "discriminator_feats=2", "loop.lr_patch_px=24") for part in ("--set", each)]
    start = ("train", "fasrgan", "--store", tmp_path / "pairs.zarr", "--preset", "fasrgan-small", *sets)
    rwsr(*start, "--out", tmp_path / "run", "--steps", 2)
    rwsr(*start, "--out", tmp_path / "whole", "--steps", 2)
    a, b = (read_model(tmp_path / name / "model.safetensors").weights for name in ("run", "whole"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    odd = (*start, "--out", tmp_path / "odd", "--set", "loop.lr_patch_px=25")
    assert "takes multiples of 8 px" in rwsr(*odd, code=1)
    whole = ("train", "fasrgan", "--store", tmp_path / "pairs.zarr", "--out", tmp_path / "no")
    assert "goes on from a run" in rwsr(*whole, code=1)


@pytest.mark.parametrize("method", ["sr", "mm-realsr"])
@pytest.mark.parametrize("arch", ["adafm", "cfsnet", "cresmd", "cunet", "dynamic-net", "zssr"])
def test_what_is_told_more_than_lr_is_not_trained_as_any_architecture(arch: str, method: str, tmp_path: Path) -> None:
    sets = ("--set", f"network={{arch: {arch}}}")
    assert "has a command of its own" in rwsr(
        "train", method, "--store", tmp_path, "--out", tmp_path / "run", *sets, code=1
    )

"""Trainings that learn of photographs without HR: learned downscaling, FSSR, DASR, CinCGAN; and pairs made by them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional

from rwsr.degrade.errors import UserError
from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.pixels import encode_png
from rwsr.train.data.batches import GroupBatch, GroupBatches, LrCrops
from rwsr.train.data.imagined import ImaginedGroups
from rwsr.train.losses.frequencies import Split, haar, mean_around
from rwsr.train.methods.baselines import cincgan, dasr, downscaling, fssr
from rwsr.train.networks.baselines.cincgan import CinCgan, CinCganConfig, Translator
from rwsr.train.networks.baselines.dasr import BandDiscriminator
from rwsr.train.networks.baselines.downscaling import (
    DownscalingConfig,
    FieldDiscriminator,
    bicubic_lr,
    downscaled,
    nearness,
)
from rwsr.train.networks.discriminators import PatchDiscriminator
from rwsr.train.networks.published.edsr import EdsrConfig
from rwsr.train.runs.model_file import read_model

from ...builders import tiny_store
from ...commands import flags, rwsr

TINY_DOWN = (
    "loop.batch_size=2",
    "loop.lr_patch_px=24",
    "network.num_feat=4",
    "network.num_block=1",
    "judge.num_feat=2",
)
TINY_RRDB = ("loop.batch_size=2", "network.num_feat=4", "network.num_block=1", "network.num_grow_ch=4")
TINY_EDSR = ("network.arch=edsr", "network.num_feat=4", "network.num_block=1")


def _count(net: torch.nn.Module) -> int:
    return sum(value.numel() for value in net.parameters())


def test_sizes_are_those_of_the_released_codes() -> None:
    """FSSR's and DASR's networks; CinCGAN's as the five codes have them; EDSR's baseline."""
    assert _count(DownscalingConfig().build()) == 594_380
    assert _count(DownscalingConfig(strided=True).build()) == 668_238
    assert _count(DownscalingConfig(strided=True, scale=2).build()) == 631_309
    assert _count(FieldDiscriminator(Split())) == 1_030_273
    assert _count(FieldDiscriminator(Split(), instance_norm=True)) == 1_029_505
    assert _count(FieldDiscriminator(Split(kind="haar"), instance_norm=True)) == 1_039_105
    assert _count(BandDiscriminator(Split(kind="haar"))) == 668_737
    assert _count(Translator()) == 609_731 and _count(Translator(smaller=4)) == 667_075
    assert _count(PatchDiscriminator(strided=False)) == 2_765_633
    assert _count(EdsrConfig().build()) == 1_517_571
    assert _count(EdsrConfig(num_feat=256, num_block=32, res_scale=0.1).build()) == 43_089_923
    assert BandDiscriminator(Split(kind="haar"))(torch.rand(1, 3, 128, 128)).shape == (1, 1, 14, 14)
    assert PatchDiscriminator(4, strided=False)(torch.rand(1, 3, 32, 32)).shape == (1, 1, 27, 27)


def test_bands_are_means_and_differences_to_the_border() -> None:
    """The mean against a loop over what lies inside; Haar's bands by hand, of odd sides; flat images give halves."""
    image = torch.rand(1, 3, 9, 12, dtype=torch.float64)
    for y, x in ((0, 0), (0, 11), (4, 5), (8, 3)):
        inside = image[0, 1, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
        assert mean_around(image, 5)[0, 1, y, x].item() == pytest.approx(inside.mean().item(), rel=1e-12)
    block = torch.tensor([[1.0, 2.0], [4.0, 8.0]])[None, None]
    assert [band.item() for band in haar(block)] == [7.5, -4.5, -2.5, 1.5]
    assert haar(image)[0].shape == (1, 3, 5, 6)
    flat = torch.full((1, 3, 10, 10), 0.7)
    for split in (Split(), Split(side=9), Split(kind="haar")):
        assert split.high(flat).shape[1] == split.channels
        torch.testing.assert_close(split.high(flat), torch.full_like(split.high(flat), 0.5))
        torch.testing.assert_close(split.low(flat), torch.full_like(split.low(flat), 0.7))
    with pytest.raises(ValueError, match="is even"):
        Split(side=4)


def test_nearness_is_the_mean_of_what_sees_a_pixel() -> None:
    """DASR's map, against scipy: the mean of 17x17 probabilities, of those that there are; HR sized, in 0..1."""
    torch.manual_seed(0)
    judge = FieldDiscriminator(Split(), 4, instance_norm=True).eval()
    lr = torch.rand(1, 3, 24, 31)
    seen = judge(lr).sigmoid()[0, 0].detach().double().numpy()
    total, count = (ndimage.uniform_filter(each, 17, mode="constant") for each in (seen, np.ones_like(seen)))
    wanted = functional.interpolate(torch.from_numpy(total / count)[None, None], scale_factor=4, mode="bilinear")
    torch.testing.assert_close(nearness(judge, lr, 4).double(), wanted, atol=1e-6, rtol=0)


def test_downscaling_in_pieces_is_downscaling_at_once(astronaut: np.ndarray) -> None:
    """At full size of blocks, where tiles meet, and in corners; of both kinds of network."""
    torch.manual_seed(0)
    hr = np.ascontiguousarray(np.tile(astronaut, (2, 2, 1))[:620, :588])
    for config in (DownscalingConfig(num_feat=4), DownscalingConfig(num_feat=4, strided=True)):
        net = config.build().eval()
        whole = torch.from_numpy(hr).movedim(-1, 0)[None].float() / 255
        with torch.no_grad():
            wanted = (net(whole) * 255).round()[0].movedim(0, -1).numpy()
        assert np.abs(downscaled(net, hr).astype(int) - wanted).max() <= 1
        assert (downscaled(net, hr) != wanted).mean() < 1e-3


def _batch(photographs: bool = True) -> GroupBatch:
    torch.manual_seed(1)
    hr = torch.rand(2, 3, 64, 64)
    lr = bicubic_lr(hr, 4)[:, None]
    return GroupBatch(hr, lr, torch.empty(2, 0), torch.arange(2), torch.rand(2, 3, 16, 16) if photographs else None)


def test_downscaling_keeps_the_low_band_and_is_judged_by_the_high_one() -> None:
    """Its terms by hand; crops of the sources are where their keys say; who learns from what."""
    torch.manual_seed(0)
    config = downscaling.LearnedDownscalingConfig(
        network=DownscalingConfig(num_feat=4, num_block=1), losses=downscaling.DownscalingLosses(lpips=0)
    )
    net, judge = config.network.build(), FieldDiscriminator(Split(), 2)
    batch, shared = _batch(photographs=False), {}
    terms = downscaling.generator_terms(net, batch, config, shared, judge, None)
    lr = net(batch.hr)
    color = (mean_around(lr, 5) - mean_around(batch.lr[:, 0], 5)).abs().mean()
    assert terms["color"].item() == pytest.approx(color.item(), rel=1e-4)
    assert set(terms) == {"color", "gan"} and not shared["sr"].requires_grad
    crops = downscaling.crops_of(batch.hr, 16, batch.keys)
    assert torch.equal(shared["real"], crops) and crops.shape == (2, 3, 16, 16)
    places = [
        (y, x) for y in range(49) for x in range(49) if torch.equal(batch.hr[1, :, y : y + 16, x : x + 16], crops[1])
    ]
    assert len(places) == 1
    of_camera = config.model_copy(update={"like": "photographs"})
    told = _batch()
    downscaling.generator_terms(net, told, of_camera, shared, judge, None)
    assert torch.equal(shared["real"], told.photographs)  # type: ignore[arg-type]


def test_dasrs_pixels_count_by_nearness_and_photographs_by_the_adversary() -> None:
    """By hand: the weighted error of pairs alone; LR that is near counts more; the judge sees photographs enlarged."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 48, 3, padding=1), torch.nn.PixelShuffle(4))
    camera = FieldDiscriminator(Split(), 2, instance_norm=True).eval().requires_grad_(False)
    judge, batch, shared = BandDiscriminator(Split(kind="haar"), 4), _batch(), {}
    config = dasr.DasrConfig(losses=dasr.DasrLosses(lpips=0))
    terms = dasr.generator_terms(net, batch, config, shared, judge, camera, None)
    near = nearness(camera, batch.lr[:, 0], 4)
    sr = net(batch.lr[:, 0])
    assert terms["pixel"].item() == pytest.approx((near * (sr - batch.hr).abs()).mean().item(), rel=1e-5)
    assert not terms["near"].requires_grad and 0 < terms["near"] < 1
    alike = dasr.generator_terms(net, batch, config, shared, judge, None, None)
    assert alike["pixel"].item() == pytest.approx((sr - batch.hr).abs().mean().item(), rel=1e-5) and "near" not in alike
    assert torch.equal(shared["sr"], net(batch.photographs).detach()) and torch.equal(shared["real"], batch.hr)
    groups = ImaginedGroups(config)
    with pytest.raises(UserError, match="name the --downscaling"):
        dasr.build(config, downscaling.Given(groups))


def test_fssrs_pixels_are_compared_in_the_low_band_and_judged_in_the_high_one() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 48, 3, padding=1), torch.nn.PixelShuffle(4))
    weights = fssr.FssrLosses()
    batch, shared = _batch(photographs=False), {}
    terms = fssr.generator_terms(net, batch, weights, shared, None, PatchDiscriminator(2))
    sr = net(batch.lr[:, 0])
    low = (mean_around(sr, 9) - mean_around(batch.hr, 9)).abs().mean()
    assert terms["color"].item() == pytest.approx(0.01 * low.item(), rel=1e-4)
    torch.testing.assert_close(shared["real"], (batch.hr - mean_around(batch.hr, 9)) / 2 + 0.5)
    torch.testing.assert_close(shared["sr"], ((sr - mean_around(sr, 9)) / 2 + 0.5).detach())


def test_cincgan_goes_round_in_both_cycles() -> None:
    """Terms by hand; the first stage leaves the enlarging alone; the second trains all of it."""
    torch.manual_seed(0)
    network = CinCganConfig(num_feat=4, num_block=1, edsr_feat=4, edsr_block=1, edsr_range=1)
    judges = PatchDiscriminator(2, strided=False).eval(), PatchDiscriminator(2).eval()
    net, batch, shared = network.build(), _batch(), {}
    config = cincgan.CinCganTraining(network=network, outer=cincgan.CycleLosses(smooth=2))
    terms = cincgan.generator_terms(net, batch, config, shared, *judges)
    photographs, clean = batch.photographs, batch.lr[:, 0]
    cleaned = net.clean(photographs)
    assert terms["cycle"].item() == pytest.approx(
        10 * (net.to_lr(cleaned) - photographs).square().mean().item(), rel=1e-4
    )
    assert terms["identity"].item() == pytest.approx(5 * (net.clean(clean) - clean).abs().mean().item(), rel=1e-4)
    back = (net.hr_to_lr(net.sr(cleaned)) - photographs).square().mean()
    assert terms["cycle_hr"].item() == pytest.approx(10 * back.item(), rel=1e-4)
    assert terms["gan"].item() == pytest.approx((judges[0](cleaned) - 1).square().mean().item(), rel=1e-4)
    assert torch.equal(shared["real"], clean) and torch.equal(shared["real_hr"], batch.hr)
    torch.testing.assert_close(net(photographs), net.sr(cleaned))
    start, groups = network.build().state_dict(), ImaginedGroups(config)
    for outer, free in ((None, {"clean", "to_lr"}), (config.outer, {"clean", "to_lr", "sr", "hr_to_lr"})):
        told = config.model_copy(update={"outer": outer})
        trained = cincgan.build(told, cincgan.Given(groups, start)).networks["generator"]
        assert {name.partition(".")[0] for name, value in trained.named_parameters() if value.requires_grad} == free
    enlarging = {name.removeprefix("sr."): value for name, value in start.items() if name.startswith("sr.")}
    with pytest.raises(UserError, match="cleans nothing yet"):
        cincgan.build(config, cincgan.Given(groups, enlarging))
    first = config.model_copy(update={"outer": None})
    begun = cincgan.build(first, cincgan.Given(groups, enlarging)).networks["generator"]
    assert isinstance(begun, CinCgan) and torch.equal(begun.sr.conv_last.weight, enlarging["conv_last.weight"])


class _Two:
    """A photograph of one place and one of nine."""

    name, sizes_px = "two photographs", [(16, 16), (48, 48)]

    def read(self, number: int) -> np.ndarray:
        side = self.sizes_px[number][0]
        return np.full((side, side, 3), number, np.uint8)


def test_photographs_come_as_often_as_they_hold_crops_and_the_same_each_time() -> None:
    crops = LrCrops(_Two(), 16, use_rot90=False)
    drawn = [crops.drawn(np.random.default_rng(seed)).max() for seed in range(2000)]
    assert np.mean(drawn) == pytest.approx(0.9, abs=0.02)
    with pytest.raises(UserError, match="smaller than loop.lr_patch_px = 17"):
        LrCrops(_Two(), 17, use_rot90=False)

    class Source(ImaginedGroups):
        def __init__(self) -> None:
            self.scale, self.members, self.conditions, self.in_use = 4, 1, 0, None  # type: ignore[assignment]

        def read(self, samples: list[int]) -> object:  # type: ignore[override]
            hr = np.zeros((len(samples), 64, 64, 3), np.uint8)
            lr = np.zeros((len(samples), 1, 16, 16, 3), np.uint8)
            return type(
                "S", (), {"hr": hr, "lr": lr, "condition": np.zeros((len(samples), 0), np.float32), "own_noise": ()}
            )

    told = {"batch_size": 4, "lr_patch_px": 16, "seed": 3}
    with_, without = (GroupBatches(Source(), **told, photographs=each) for each in (_Two(), None))  # type: ignore[arg-type]
    a, b = with_[7], with_[7]
    assert a.photographs is not None and b.photographs is not None and without[7].photographs is None
    assert torch.equal(a.photographs, b.photographs) and a.photographs.shape == (4, 3, 16, 16)
    halves = a.parts(2)
    assert torch.equal(torch.cat([each.photographs for each in halves]), a.photographs)  # type: ignore[misc]
    on = a.to(torch.device("cpu")).photographs
    assert on is not None and on.dtype == torch.float32 and on.max() <= 1


def test_fssr_from_photographs_to_a_model(photos: Path, tmp_path: Path, published: Path) -> None:
    """The way a newcomer goes: downscaling, pairs, training, restoring; the same bytes again; what fits nothing."""
    (tmp_path / "r.yaml").write_text("hr_size_px: 96\n")
    start = ("train", "downscaling", "--source", photos, "--recipe", tmp_path / "r.yaml", *flags("--set", TINY_DOWN))
    rwsr(*start, "--preset", "fssr-downscaling-small", "--steps", 2, "--out", tmp_path / "camera")
    rwsr("pairs", "make", photos, "--by", tmp_path / "camera", "--clean-up", 2, "--out", tmp_path / "pairs")
    made = sorted(path.name for path in (tmp_path / "pairs" / "LR").iterdir())
    assert len(made) == 4
    for name in made:
        hr, lr = (decode((tmp_path / "pairs" / side / name).read_bytes()).pixels for side in ("HR", "LR"))
        assert hr.shape[0] == 4 * lr.shape[0] and hr.shape[1] == 4 * lr.shape[1]
    before = {name: (tmp_path / "pairs" / "LR" / name).read_bytes() for name in made}
    (tmp_path / "pairs" / "LR" / made[0]).unlink()
    rwsr("pairs", "make", photos, "--by", tmp_path / "camera", "--clean-up", 2, "--out", tmp_path / "pairs")
    assert {name: (tmp_path / "pairs" / "LR" / name).read_bytes() for name in made} == before
    (photos / "b.png").rename(tmp_path / "b.png")
    rwsr("pairs", "make", photos, "--by", tmp_path / "camera", "--clean-up", 2, "--out", tmp_path / "pairs")
    assert {path.name for path in (tmp_path / "pairs/HR").iterdir()} == {name for name in made if name[0] != "b"}
    (tmp_path / "b.png").rename(photos / "b.png")
    within = ("pairs", "make", photos, "--by", tmp_path / "camera", "--out", photos / "pairs")
    assert "lies in" in rwsr(*within, code=1)
    other = ("pairs", "make", photos, "--by", tmp_path / "camera", "--out", tmp_path / "pairs")
    assert "holds pairs of another run or --clean-up" in rwsr(*other, code=1)
    store = tmp_path / "pairs.zarr"
    rwsr("pairs", "build", "--hr", tmp_path / "pairs/HR", "--lr", tmp_path / "pairs/LR", "--out", store, "--samples", 4,
         "--hr-size", 64, "--scale", 4)  # fmt: skip
    sets = flags("--set", [*TINY_RRDB, "losses.gan.num_feat=2", "loop.lr_patch_px=16"])
    fit = ("train", "fssr", "--store", store, "--preset", "fssr-small", "--steps", 2, *sets)
    rwsr(*fit, "--out", tmp_path / "run")
    rwsr(*fit, "--out", tmp_path / "again")
    a, b = (read_model(tmp_path / name / "model.safetensors").weights for name in ("run", "again"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    rwsr("restore", photos / "b.png", "--model", tmp_path / "run", "--out", tmp_path / "sr")
    said = rwsr("restore", photos / "b.png", "--model", tmp_path / "camera", "--out", tmp_path / "no", code=1)
    assert "makes LR of HR (downscaling) and restores nothing" in said
    assert "no learned downscaling" in rwsr(
        "pairs", "make", photos, "--by", tmp_path / "run", "--out", tmp_path / "x", code=1
    )
    odd = (*start, "--preset", "fssr-downscaling-small", "--photographs", photos, "--out", tmp_path / "odd")
    assert "learns of no photographs" in rwsr(*odd, code=1)
    val = (
        *start,
        "--preset",
        "fssr-downscaling-small",
        "--val-hr",
        photos,
        "--val-lr",
        photos,
        "--out",
        tmp_path / "v",
    )
    assert "nothing to measure" in rwsr(*val, code=1)
    small = (*start, "--preset", "fssr-downscaling-small", "--set", "loop.lr_patch_px=16", "--out", tmp_path / "s")
    assert "it takes 24 or more" in rwsr(*small, code=1)


def test_dasr_and_cincgan_learn_of_photographs(photos: Path, tmp_path: Path, published: Path) -> None:
    """Named, they go in; unnamed they are asked for; other photographs are another training; a checkpoint goes on."""
    (tmp_path / "r.yaml").write_text("hr_size_px: 96\n")
    other = tmp_path / "other"
    other.mkdir()
    image = decode((photos / "a.png").read_bytes()).pixels
    (other / "z.png").write_bytes(encode_png(np.ascontiguousarray(image[::-1])))
    live = ("--source", photos, "--recipe", tmp_path / "r.yaml")
    down = ("train", "downscaling", *live, "--preset", "dasr-downscaling-small", *flags("--set", TINY_DOWN))
    assert "takes photographs, which LR should look like" in rwsr(*down, "--out", tmp_path / "no", code=1)
    rwsr(*down, "--photographs", photos, "--steps", 2, "--out", tmp_path / "camera")
    said = rwsr(*down, "--photographs", other, "--steps", 2, "--out", tmp_path / "camera", code=1)
    assert "is of other data" in said
    (other / "broken.png").write_bytes((other / "z.png").read_bytes()[:90])
    rwsr(*down, "--photographs", other, "--steps", 1, "--out", tmp_path / "left-out", code=3)
    store = tiny_store(photos, tmp_path / "pairs.zarr", "bicubic", num_samples=4, hr_size_px=96).path
    sets = flags("--set", [*TINY_RRDB, "judge_feat=2", "loop.lr_patch_px=16"])
    fit = ("train", "dasr", "--store", store, "--preset", "dasr-small", "--photographs", photos, *sets, "--steps", 2)
    assert "name the --downscaling" in rwsr(*fit, "--out", tmp_path / "no", code=1)
    rwsr(*fit, "--downscaling", tmp_path / "camera", "--out", tmp_path / "dasr")
    wrong = rwsr(*fit, "--downscaling", tmp_path / "dasr", "--out", tmp_path / "no", code=1)
    assert "no learned downscaling" in wrong
    rwsr(*fit, "--set", "weighted=false", "--out", tmp_path / "alike")
    a, b = (read_model(tmp_path / name / "model.safetensors").weights for name in ("dasr", "alike"))
    assert not torch.equal(a["conv_last.weight"], b["conv_last.weight"])
    edsr = flags("--set", [*TINY_EDSR, "loop.batch_size=2", "loop.lr_patch_px=16"])
    rwsr("train", "sr", "--store", store, "--preset", "psnr-fp32", "--steps", 2, *edsr, "--out", tmp_path / "edsr")
    small = ("num_feat=4", "num_block=1", "edsr_feat=4", "edsr_block=1", "edsr_range=255")
    keys = [*(f"network.{each}" for each in small), "judge_feat=2", "loop.batch_size=2", "loop.lr_patch_px=16"]
    cycle = ("train", "cincgan", "--store", store, "--photographs", photos, *flags("--set", keys), "--steps", 2)
    rwsr(*cycle, "--preset", "cincgan-inner-small", "--start-from", tmp_path / "edsr", "--out", tmp_path / "inner")
    rwsr(*cycle, "--preset", "cincgan-small", "--start-from", tmp_path / "inner", "--out", tmp_path / "cincgan")
    before, inner = (read_model(tmp_path / name / "model.safetensors").weights for name in ("edsr", "inner"))
    assert all(torch.equal(value, inner[f"sr.{name}"]) for name, value in before.items())
    rwsr("restore", photos / "b.png", "--model", tmp_path / "cincgan", "--out", tmp_path / "sr")
    assert decode((tmp_path / "sr/b.png").read_bytes()).pixels.shape == (640, 640, 3)


def test_files_of_edsr_are_known_by_both_names(photos: Path, tmp_path: Path) -> None:
    """The official ones carry constants and their upsampler twice; those of one scale are told from another's."""
    torch.manual_seed(0)
    for scale, steps in ((2, (0,)), (3, (0,)), (4, (0, 2))):
        net = EdsrConfig(scale=scale, num_feat=8, num_block=2).build().eval()  # type: ignore[arg-type]
        old = {"sub_mean.weight": torch.eye(3)[..., None, None], "add_mean.bias": torch.zeros(3)}
        for name, value in net.state_dict().items():
            for new, official in (
                ("conv_first", "head.0"), ("conv_after_body", "body.2"),
                ("conv_last", "tail.1"), ("upsample", "tail.0"),
            ):  # fmt: skip
                name = name.replace(f"{new}.", f"{official}.") if name.startswith(f"{new}.") else name
            name = name.replace(".conv1.", ".body.0.").replace(".conv2.", ".body.2.")
            old[name] = value
        old |= {f"upsampler.{step}.weight": old[f"tail.0.{step}.weight"] for step in steps}
        torch.save(old, tmp_path / f"x{scale}.pt")
        rwsr(
            "restore",
            photos / "b.png",
            "--model",
            tmp_path / f"x{scale}.pt",
            "--out",
            tmp_path / f"sr{scale}",
            "--tile",
            0,
        )
        pixels = torch.from_numpy(decode((photos / "b.png").read_bytes()).pixels).movedim(-1, 0)[None] / 255
        with torch.no_grad():
            wanted = (net(pixels).clamp(0, 1) * 255).round()[0].movedim(0, -1).numpy()
        found = decode((tmp_path / f"sr{scale}/b.png").read_bytes()).pixels
        assert np.abs(found.astype(int) - wanted).max() <= 1

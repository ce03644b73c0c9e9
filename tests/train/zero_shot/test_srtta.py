"""SRTTA: what befell an image, which numbers stay, what adapts; and the pool of kernels that Impressionism takes."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from rwsr.degrade.build_store import open_samples
from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.pixels import encode_png
from rwsr.degrade.images.rows import SourceRow
from rwsr.degrade.manifest import conditions_of
from rwsr.degrade.ops.optics.estimated_kernel import EstimatedKernel
from rwsr.degrade.ops.render import render_all
from rwsr.degrade.recipes.base import Chance
from rwsr.degrade.recipes.corruptions import Corruptions
from rwsr.eval.images.tensors import to_tensor
from rwsr.train.networks.baselines.corruption_classifier import ClassifierConfig
from rwsr.train.networks.mm_realsr import MMRealSRConfig
from rwsr.train.networks.published.edsr import EdsrConfig
from rwsr.train.runs.model_file import read_model
from rwsr.train.zero_shot import kernel_pool
from rwsr.train.zero_shot.kernelgan import KernelGanConfig
from rwsr.train.zero_shot.resampling import by_kernel, centred
from rwsr.train.zero_shot.srtta import Srtta, SrttaConfig, adapted, charbonnier, features, fisher

from ...builders import tiny_store
from ...commands import flags, rwsr

EDSR = EdsrConfig(scale=2, num_feat=4, num_block=2)
KERNEL = np.outer(np.hanning(9)[1:-1], np.hanning(9)[1:-1])


def _srtta(**keys: object) -> Srtta:
    torch.manual_seed(0)
    told = {"scale": 2, "inner": EDSR, "classifier": None, "kinds": ("noise",), "steps": 3, "batch_size": 2} | keys
    return SrttaConfig.model_validate(told).build().eval()


def test_the_classifiers_size_is_that_of_the_released_code() -> None:
    net = ClassifierConfig().build()
    assert sum(value.numel() for value in net.parameters()) == 25_685_547
    assert net(torch.rand(2, 3, 40, 56)).shape == (2, 3)


def test_the_body_adapts_and_what_matters_for_clean_images_stays() -> None:
    """Half of each tensor of the body keeps its numbers, by the largest squared gradients; no other tensor changes."""
    net = _srtta(learning_rate=1e-3)
    clean = [torch.rand(1, 3, 20, 24), torch.rand(1, 3, 18, 18)]
    net.keep(clean)
    info = fisher(net.net, clean)
    lr = torch.rand(1, 3, 24, 30)
    learned = net.learned(lr)
    assert isinstance(learned, torch.nn.Module)
    before = dict(net.net.named_parameters())
    inside = adapted(net.net)
    assert set(inside) == {name for name in before if name.startswith(("body.", "conv_after_body."))}
    for name, value in learned.named_parameters():
        moved = (value != before[name]).flatten()
        if name not in inside:
            assert not moved.any()
            continue
        stays = info[name].flatten().topk(value.numel() // 2).indices
        assert not moved[stays].any() and moved.any()
    again = net.learned(lr)
    assert isinstance(again, torch.nn.Module)
    assert all(torch.equal(a, b) for a, b in zip(learned.parameters(), again.parameters(), strict=True))
    assert all(torch.equal(value, before[name]) for name, value in net.net.named_parameters())


def test_fishers_information_is_the_mean_of_squared_gradients_of_each_image() -> None:
    """By hand, of one tensor, of two images: SR against the mean of the eight turned ones, in gray levels."""
    net, clean = _srtta().net, [torch.rand(1, 3, 12, 14), torch.rand(1, 3, 12, 12)]
    found: list[torch.Tensor] = []
    for lr in clean:
        ways = []
        for turns in range(4):
            for mirrored in (False, True):
                image = torch.rot90(lr, turns, (2, 3))
                image = image.flip(-1) if mirrored else image
                with torch.no_grad():
                    sr = net(image)
                ways.append(torch.rot90(sr.flip(-1) if mirrored else sr, -turns, (2, 3)))
        value = net.get_parameter("body.0.conv1.weight").requires_grad_()
        loss = ((255 * (net(lr) - torch.stack(ways).mean(0))) ** 2 + 1e-3).sqrt().mean()
        found.append(torch.autograd.grad(loss, value)[0] ** 2)
    torch.testing.assert_close(
        fisher(net, clean)["body.0.conv1.weight"],
        sum(found) / 2,
        rtol=1e-3,
        atol=0,  # type: ignore[arg-type]
    )


def test_features_are_what_enters_the_last_conv() -> None:
    net, lr = _srtta().net, torch.rand(1, 3, 10, 10)
    seen = features(net, lr)
    sr = torch.nn.functional.conv2d(seen, net.conv_last.weight, net.conv_last.bias, padding=1) / 255
    mean = torch.tensor([0.4488, 0.4371, 0.4040])[:, None, None]
    torch.testing.assert_close(net(lr), sr + mean)
    assert charbonnier(seen, seen).item() == pytest.approx(1e-3**0.5)


def test_nothing_adapts_where_nothing_befell(photos: Path, tmp_path: Path) -> None:
    """A classifier that says so; a config that says nothing, or both; a network that has no body."""
    net = _srtta(classifier=ClassifierConfig(width=2, num_block=(1, 1, 1, 1)), kinds=())
    assert net.classifier is not None
    with torch.no_grad():
        for bias, kinds in ((-100.0, ()), (100.0, ("blur", "noise", "jpeg"))):
            net.classifier.classifier.bias.fill_(bias)
            assert net.befell(torch.rand(1, 3, 40, 40)) == kinds
        net.classifier.classifier.bias.fill_(-100.0)
    lr = torch.rand(1, 3, 24, 30)
    assert net.learned(lr) is net.net and torch.equal(net(lr), net.net(lr))
    for wrong in ({"kinds": ()}, {"classifier": ClassifierConfig()}):
        with pytest.raises(ValueError, match="one of the two"):
            _srtta(**wrong)
    with pytest.raises(ValueError, match="has no body of blocks"):
        _srtta(inner={"arch": "compact", "scale": 2, "num_conv": 4})


def test_srtta_by_the_command(photos: Path, tmp_path: Path) -> None:
    """From trainings to a restored image, the same bytes twice, whole and in tiles; what is lacking is said."""
    bicubic = tiny_store(photos, tmp_path / "b.zarr", "bicubic", "recipe.scale=2", num_samples=4, hr_size_px=64).path
    corrupted = tiny_store(photos, tmp_path / "c.zarr", "corruptions", num_samples=8, hr_size_px=96).path
    edsr = flags("--set", [f"network.{key}" for key in ("arch=edsr", "scale=2", "num_feat=4", "num_block=1")])
    small = ("--set", "loop.batch_size=2", "--set", "loop.lr_patch_px=24", "--steps", 2)
    rwsr("train", "sr", "--store", bicubic, "--preset", "psnr-fp32", *edsr, *small, "--out", tmp_path / "edsr")
    tiny = flags("--set", ["network.width=2", "network.num_block=[1,1,1,1]"])
    learn = ("train", "corruption-classifier", "--preset", "corruption-classifier-small", *tiny, *small)
    rwsr(*learn, "--store", corrupted, "--out", tmp_path / "classifier")
    assert "does not say what befell its LR" in rwsr(*learn, "--store", bicubic, "--out", tmp_path / "n", code=1)
    lr = tmp_path / "clean.png"
    lr.write_bytes(encode_png(np.ascontiguousarray(decode((photos / "a.png").read_bytes()).pixels[:64, :64])))
    make = ("train", "srtta", "--preset", "srtta-small", "--set", "steps=2", "--set", "batch_size=2")
    given = ("--model", tmp_path / "edsr", "--classifier", tmp_path / "classifier")
    rwsr(*make, *given, "--clean", lr, "--out", tmp_path / "run")
    kept = {
        name: value for name, value in read_model(tmp_path / "run/model.safetensors").weights.items() if "kept." in name
    }
    assert kept and all(value.sum() == value.numel() // 2 for value in kept.values())
    for name in ("once", "twice"):
        rwsr("restore", lr, "--model", tmp_path / "run", "--out", tmp_path / name)
    assert (tmp_path / "once/clean.png").read_bytes() == (tmp_path / "twice/clean.png").read_bytes()
    assert "name --clean" in rwsr(*make, *given, "--out", tmp_path / "no", code=1)
    other = ("--model", tmp_path / "classifier", "--classifier", tmp_path / "classifier", "--clean", lr)
    assert "says what befell LR" in rwsr(*make, *other, "--out", tmp_path / "no", code=1)
    wrong = ("--model", tmp_path / "edsr", "--classifier", tmp_path / "edsr", "--clean", lr)
    assert "no classifier of corruptions" in rwsr(*make, *wrong, "--out", tmp_path / "no", code=1)
    odd = (*given, "--clean", lr, "--out", tmp_path / "no")
    assert rwsr(*make, *odd, "--set", "steps=-4", code=1).startswith("steps: ")
    assert "inner_steps: " in rwsr(*make, *odd, "--set", "inner_steps=1", code=1)
    (tmp_path / "bad.png").write_bytes(lr.read_bytes()[:200])
    assert "bad.png: " in rwsr(*make, *given, "--clean", tmp_path / "bad.png", "--out", tmp_path / "no", code=1)
    (tmp_path / "thin.png").write_bytes(encode_png(np.zeros((1, 300, 3), np.uint8)))
    thin = rwsr(*make, *given, "--clean", tmp_path / "thin.png", "--out", tmp_path / "no", code=1)
    assert "thin.png: has less than 16 px" in thin
    assert "has nothing to export" in rwsr("export", tmp_path / "run", "--out", tmp_path / "e.onnx", code=1)
    told = ("--model", tmp_path / "edsr", "--set", "kinds=[noise]", "--clean", lr)
    rwsr(*make, *told, "--out", tmp_path / "told")
    net = MMRealSRConfig(modulated=False, num_feat=4, num_block=1, num_grow_ch=4).build()
    torch.save({"params_ema": net.state_dict()}, tmp_path / "esrgan.pth")  # a published file
    file = ("--model", tmp_path / "esrgan.pth", "--set", "kinds=[noise]", "--clean", lr)
    rwsr(*make, *file, "--out", tmp_path / "of-file")
    before = (tmp_path / "of-file/model.safetensors").stat().st_mtime_ns
    rwsr(*make, *file, "--out", tmp_path / "of-file")  # the same once more
    assert (tmp_path / "of-file/model.safetensors").stat().st_mtime_ns == before
    assert "is not empty" in rwsr(*make, *file[:2], *told[2:], "--set", "seed=1", "--out", tmp_path / "of-file", code=1)
    rwsr("restore", lr, "--model", tmp_path / "of-file", "--out", tmp_path / "by-file")
    assert decode((tmp_path / "by-file/clean.png").read_bytes()).pixels.shape == (256, 256, 3)
    store = open_samples(corrupted)
    assert conditions_of(store).shape == (8, 3) and set(np.unique(conditions_of(store))) <= {0.0, 1.0}


def test_corruptions_say_what_they_are() -> None:
    """Each kind has its steps and its bits; blurs come before the downscaling, noise and JPEG after; all are drawn."""
    met: set[str] = set()
    for number in range(600):
        recipe = Corruptions()
        drawn = recipe.draw(64, Chance(0, ("image", number, 0)), None)
        steps = [step.op for step in drawn.members["lr"]]
        at = steps.index("resize")
        blurs, noises = steps[:at], [each for each in steps[at + 1 :] if each != "jpeg"]
        assert drawn.condition == (float(bool(blurs)), float(bool(noises)), float("jpeg" in steps))
        assert set(blurs) <= {"blur", "lens-blur"} and len(noises) <= 1 and steps[at + 1 :].count("jpeg") <= 1
        met |= {*blurs, *noises, "jpeg" if "jpeg" in steps else ""}
    assert met >= {"blur", "lens-blur", "gaussian", "poisson", "impulse", "speckle", "jpeg"}
    only = Corruptions(kinds=("jpeg",)).draw(64, Chance(0, ("image", 1, 0)), None)
    assert [step.op for step in only.members["lr"]] == ["resize", "jpeg"] and only.condition == (0, 0, 1)


@pytest.mark.parametrize("factor", [2, 4])
def test_an_estimated_kernel_makes_small_as_the_one_that_zssr_learns_with(factor: int, astronaut: np.ndarray) -> None:
    """The same numbers, by another code; a slope stays where MATLAB's bicubic puts it."""
    kernel = centred(KERNEL / KERNEL.sum(), 2)
    step = EstimatedKernel(taps=tuple(kernel.ravel().tolist()), factor=factor)  # type: ignore[arg-type]
    image = astronaut[100:164, 200:280].astype(np.float32) / 255
    made = render_all(image, [(step,)])[0]
    told = torch.from_numpy(np.asarray(centred(KERNEL / KERNEL.sum(), 2) / centred(KERNEL / KERNEL.sum(), 2).sum()))
    whole = to_tensor(astronaut[100:164, 200:280])[None].double()
    if factor == 2:
        wanted = by_kernel(whole, told, 2).clamp(0, 1)[0].movedim(0, -1).numpy()
        np.testing.assert_allclose(made, wanted, atol=1e-6)
    slope = np.repeat(np.linspace(0.2, 0.8, 64, dtype=np.float32)[None, :, None], 64, 0).repeat(3, 2)
    found = render_all(slope, [(step,)])[0][8, 4:-4, 0]
    places = (np.interp(found, slope[0, :, 0], np.arange(64)) - (factor - 1) / 2) / factor
    np.testing.assert_allclose(places, np.arange(4, 4 + len(places)), atol=0.02)
    with pytest.raises(ValueError, match="no square"):
        EstimatedKernel(taps=(0.5, 0.5), factor=2)


def test_a_pool_may_be_large(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many photographs those that are spread evenly; what is written can be built with."""
    rows = [SourceRow(path=f"{n}.png", sha256=f"{n:08}", status="ok", root=str(tmp_path)) for n in range(1500)]
    monkeypatch.setattr(kernel_pool, "read_source", lambda *_: np.zeros((80, 80, 3), np.uint8))
    monkeypatch.setattr(kernel_pool, "estimated", lambda *_: np.outer(np.hanning(19)[1:-1], np.hanning(19)[1:-1]) / 81)
    assert kernel_pool.estimate_kernels(rows, tmp_path / "k", KernelGanConfig()) == 1500
    shown = rwsr("degrade", "preview", "--config", tmp_path / "k/kernels.yaml", "--source", photos, "--hr-size", 64,
                 "--out", tmp_path / "look.png", code=0)  # fmt: skip
    assert "look.png" in shown
    config = yaml.safe_load((tmp_path / "k/kernels.yaml").read_text())
    assert len(config["recipe"]["kernels"]) == 750 and len(config["recipe"]["kernels"][0].split()) == 17 * 17
    config["recipe"]["kernels"][1] = "0.5 x 0.5"
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(config))
    assert "is no list of numbers" in rwsr("degrade", "build", "--config", tmp_path / "wrong.yaml", "--source", photos,
                                           "--out", tmp_path / "no.zarr", code=1)  # fmt: skip


def test_a_pool_of_kernels_becomes_pairs(photos: Path, tmp_path: Path) -> None:
    """Kernels, their sheet and config; again, nothing is estimated anew; an image has one kernel in all samples."""
    small = tmp_path / "small"
    small.mkdir()
    for name, seed in (("a", 0), ("b", 9)):
        image = decode((photos / "a.png").read_bytes()).pixels
        (small / f"{name}.png").write_bytes(encode_png(np.ascontiguousarray(image[seed : seed + 140, :140])))
    told = ("train", "kernels", small, "--out", tmp_path / "k", "--small", *flags("--set", ["num_feat=2", "steps=20"]))
    rwsr(*told)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "k").glob("*.json")}
    assert len(before) == 2 and (tmp_path / "k/kernels.png").exists()
    rwsr(*told)
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "k").glob("*.json")} == before
    config = yaml.safe_load((tmp_path / "k/kernels.yaml").read_text())
    assert len(config["recipe"]["kernels"]) == 2
    for kernel in config["recipe"]["kernels"]:
        assert sum(map(float, kernel.split())) == pytest.approx(1, abs=1e-3)
    rwsr("degrade", "build", "--config", tmp_path / "k/kernels.yaml", "--source", small, "--hr-size", 64,
         "--samples", 6, "--out", tmp_path / "pairs.zarr", "--workers", 1)  # fmt: skip
    rows = open_samples(tmp_path / "pairs.zarr").manifest().to_pylist()
    by_image: dict[str, set[tuple[float, ...]]] = {}
    for row in rows:
        by_image.setdefault(row["source"], set()).add(tuple(row["lr"][0]["taps"]))
    assert len(by_image) == 2 and all(len(kernels) == 1 for kernels in by_image.values())
    rwsr("store", "verify", tmp_path / "pairs.zarr")

"""Any architecture on pairs: three of spandrel's by the command, its losses against their definitions, optimisers."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from scipy.ndimage import correlate1d
from torch import Tensor, nn

from rwsr.degrade.errors import UserError
from rwsr.degrade.seeds import stream
from rwsr.degrade.storage.shards.store import Store
from rwsr.train.compose import compose_training
from rwsr.train.data.batches import GroupBatches, StoredGroups
from rwsr.train.data.of_training import stored
from rwsr.train.engine.distributed import Ranks
from rwsr.train.engine.trained import Trained
from rwsr.train.files.open import open_restorer
from rwsr.train.losses.pixel import by_pixels, focal_frequency_loss, ldl_loss, ms_ssim_loss
from rwsr.train.methods.base import Given
from rwsr.train.methods.sr import METHOD, SrConfig
from rwsr.train.networks.spandrel_arch import SpandrelConfig
from rwsr.train.runs.model_file import read_model
from rwsr.train.runs.moments import model_file
from rwsr.train.train import train_run

from ...builders import tiny_store
from ...commands import Stop, flags, make_spandrel_importable, rwsr, stop_after

CPU = torch.device("cpu")
NETWORK = "network={arch: srvggnetcompact, options: {num_feat: 8, num_conv: 2}}"
SMALL = ("loop.batch_size=2", "loop.lr_patch_px=16", "loop.checkpoint_every=10", "loop.log_every=5")
ARCHS = {
    "srvggnetcompact": ("options.num_feat=8", "options.num_conv=2"),
    "swinir": ("options.upsampler=pixelshuffledirect", "options.embed_dim=12", "options.depths=[1]",
               "options.num_heads=[2]", "options.window_size=8", "options.mlp_ratio=2"),
    "span": ("options.feature_channels=8",),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _spandrel() -> None:
    make_spandrel_importable()


@pytest.fixture
def pairs(photos: Path, tmp_path: Path) -> Store:
    return tiny_store(photos, tmp_path / "pairs.zarr", "bicubic")


def _images(seed: int, side: int = 40, count: int = 2) -> tuple[Tensor, Tensor]:
    rng = stream(seed, "images")
    hr = np.clip(rng.normal(0.5, 0.2, (count, 3, side, side)), 0, 1)
    sr = np.clip(hr + rng.normal(0, 0.1, hr.shape), 0, 1)
    return torch.from_numpy(sr), torch.from_numpy(hr)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHS)
def test_an_architecture_of_spandrel_goes_the_whole_way(arch: str, pairs: Store, photos: Path, tmp_path: Path) -> None:
    """Fifty steps, stopped on the way and resumed to the same bits; restored with, exported, and opened by spandrel."""
    from spandrel import ModelLoader

    keys = [f"network.{key}" for key in (f"arch={arch}", *ARCHS[arch])]
    config = compose_training("psnr", sets=[*SMALL, *keys], steps=50)
    assert train_run(tmp_path / "whole", stored(pairs.path), METHOD, config)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rwsr.train.train.told", lambda *_: _Stopping(23))
        with pytest.raises(Stop):
            train_run(tmp_path / "run", stored(pairs.path), METHOD, config)  # type: ignore[arg-type]
    command = ("train", "sr", "--preset", "psnr", "--store", pairs.path, "--out", tmp_path / "run", "--steps", 50)
    assert "trained 50 steps" in rwsr(*command, *flags("--set", [*SMALL, *keys]))
    for name in ("model.safetensors", "train.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
    rwsr("restore", photos / "b.png", "--model", tmp_path / "run", "--out", tmp_path / "sr")
    told = rwsr("export", tmp_path / "run", "--out", tmp_path / "model.pth")
    assert "note:" not in told
    found = ModelLoader(device="cpu").load_from_file(tmp_path / "model.pth")
    lr = torch.rand(1, 3, 20, 28)
    with torch.inference_mode():
        assert torch.allclose(found(lr), open_restorer(tmp_path / "run", CPU).net(lr).clamp(0, 1), atol=1e-5)
    rwsr("restore", photos / "b.png", "--model", tmp_path / "model.pth", "--out", tmp_path / "again")
    rwsr(*command[:-1], 60, *flags("--set", [*SMALL, *keys]))


class _Stopping:
    """In the place of a training's progress bar: it ends the training after so many steps."""

    def __init__(self, limit: int) -> None:
        self._step = stop_after(limit)

    def __enter__(self) -> object:
        return self._step

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.slow
def test_the_gan_preset_trains_any_of_them(pairs: Store, photos: Path, tmp_path: Path, data: Path) -> None:
    """With every loss whose weights are here, from a run of psnr, by another rate for the discriminator."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RWSR_WEIGHTS", str(data / "weights"))
        small = [
            *SMALL,
            "network.arch=srvggnetcompact",
            "network.options={num_feat: 8, num_conv: 2}",
            "loop.lr_patch_px=16",
        ]
        command = ("train", "sr", "--store", pairs.path, *flags("--set", small), "--steps", 2)
        rwsr(*command, "--preset", "psnr", "--out", tmp_path / "psnr")
        losses = ["losses.perceptual.net=squeezenet", "losses.gan.num_feat=4", "losses.ms_ssim=0.5", "losses.lpips=0.1",
                  "losses.lpips_net=squeeze", "losses.focal_frequency=1", "losses.ldl=1",
                  "loop.learning_rates={discriminator: 1e-5}"]  # fmt: skip
        rwsr(*command, "--preset", "gan", "--out", tmp_path / "gan", "--start-from", tmp_path / "psnr",
             *flags("--set", losses))  # fmt: skip
    names = set(pq.read_table(tmp_path / "gan/train.parquet")["name"].to_pylist())
    assert {"pixel", "perceptual", "gan", "ms_ssim", "lpips", "focal_frequency", "ldl", "real", "fake"} <= names


@pytest.mark.parametrize("kind", ["adamw", "adan", "schedule-free"])
@pytest.mark.slow
def test_an_optimiser_goes_on_where_it_was(kind: str, pairs: Store, tmp_path: Path) -> None:
    """To the same bits; each ends elsewhere than Adam."""
    sets = [*SMALL, NETWORK, "loop.checkpoint_every=3"]
    config = compose_training("psnr", sets=[*sets, f"loop.optimizer={{kind: {kind}}}", "loop.ema_decay=0"], steps=8)
    assert train_run(tmp_path / "whole", stored(pairs.path), METHOD, config)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rwsr.train.train.told", lambda *_: _Stopping(5))
        with pytest.raises(Stop):
            train_run(tmp_path / "run", stored(pairs.path), METHOD, config)  # type: ignore[arg-type]
    assert train_run(tmp_path / "run", stored(pairs.path), METHOD, config)  # type: ignore[arg-type]
    whole, run = (read_model(model_file(tmp_path / name)).weights for name in ("whole", "run"))
    assert all(value.equal(run[name]) for name, value in whole.items())
    adam = compose_training("psnr", sets=[*sets, "loop.ema_decay=0"], steps=8)
    assert train_run(tmp_path / "adam", stored(pairs.path), METHOD, adam)  # type: ignore[arg-type]
    other = read_model(model_file(tmp_path / "adam")).weights
    assert not all(value.equal(other[name]) for name, value in whole.items())


@pytest.mark.slow
def test_what_is_no_architecture_is_told(pairs: Store, tmp_path: Path) -> None:
    train = ("train", "sr", "--store", pairs.path, "--out", tmp_path / "run", "--preset", "psnr", "--set",
             "loop.batch_size=2", "--set", "loop.lr_patch_px=16")  # fmt: skip
    for key, said in (
        ("network.arch=spam", "arch spam is unknown; did you mean span"),
        ("network={arch: span, options: {feature_chanels: 8}}", "did you mean feature_channels?"),
        ("network={arch: dncnn}", "is not scale 4; set network.scale"),
        ("network={arch: swinir, options: {depths: 3}}", "swinir cannot be built of these options"),
        ("network={arch: mm-realsr, modulated: true}", "network.modulated is for `rwsr train mm-realsr`"),
        ("losses.pixel=0", "losses are all 0; give one a weight"),
        ("network={arch: compact, num_features: 8}", "num_features is not a config key; did you mean num_feat?"),
        ("network={arch: compact, options: {num_conv: 2}}", "known here: arch, scale, num_feat, num_conv"),
        ("loop.optimizer.kind=schedulefree", "schedulefree is unknown; did you mean schedule-free?"),
        ("loop.learning_rates={judge: 1e-4}", "loop.learning_rates names judge; this training has generator"),
    ):
        assert said in rwsr(*train, "--set", key, code=1)
        assert not (tmp_path / "run/run.json").exists() or "learning_rates" in key
    with pytest.raises(UserError, match="lama takes no image of 64 px"):
        SpandrelConfig(arch="lama", scale=1).build()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arch", "millions"), [("swinir", 11.90), ("swin2sr", 12.2), ("hat", 20.8), ("drct", 14.1), ("safmn", 0.24)]
)
def test_a_name_alone_is_the_network_of_its_paper(arch: str, millions: float) -> None:
    """The parameters at scale 4 as printed there: the defaults of their classes make another network, or none."""
    net = SpandrelConfig(arch=arch).build()
    assert sum(value.numel() for value in net.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize(
    ("arch", "scale", "options"),
    [
        ("craft", 2, {"depths": [1], "num_heads": [2], "embed_dim": 48}),  # sides are multiples of 16
        ("dat", 2, {"depth": [1], "num_heads": [2], "embed_dim": 48, "split_size": [8, 8]}),  # 16 at least
        ("uformer", 1, {"embed_dim": 4, "depths": [1] * 9}),  # squares of multiples of 128
        ("omnisr", 2, {"num_feat": 8}),
    ],
)
def test_any_network_takes_images_of_any_size_as_spandrel_fills_them_up(
    arch: str, scale: int, options: dict[str, object]
) -> None:
    """What is added is cut away, and the names of its tensors stay."""
    from spandrel import ModelLoader

    net = SpandrelConfig(arch=arch, scale=scale, options=options).build().eval()
    assert not any(name.startswith("net.") for name in net.state_dict())
    theirs = ModelLoader(device="cpu").load_from_state_dict(net.state_dict())
    for sides in ((19, 35), (9, 11)):
        lr = torch.rand(1, 3, *sides)
        with torch.inference_mode():
            made = net(lr)
            assert made.shape == (1, 3, sides[0] * scale, sides[1] * scale)
            np.testing.assert_allclose(made.clamp(0, 1), theirs(lr), atol=1e-5)  # pyright: ignore


# ------------------------------------------------------------------------------------------------------- losses


def test_charbonnier_is_its_formula() -> None:
    sr, hr = _images(0)
    assert by_pixels("charbonnier", sr, hr).item() == pytest.approx(
        float(np.mean(np.sqrt((sr.numpy() - hr.numpy()) ** 2 + 1e-6)))
    )
    assert by_pixels("l2", sr, hr).item() == pytest.approx(float(np.mean((sr.numpy() - hr.numpy()) ** 2)))


def _ms_ssim_by_scipy(a: np.ndarray, b: np.ndarray, scales: int) -> float:
    """Of one channel [H, W], by the definition: windows inside the image, means of 2x2 between the scales."""
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])[:scales]
    weights = weights / weights.sum()

    def mean(image: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(image, taps / taps.sum(), 0), taps / taps.sum(), 1)[5:-5, 5:-5]

    found = 1.0
    for scale in range(scales):
        ma, mb = mean(a), mean(b)
        va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
        contrast = (2 * cov + 0.03**2) / (va + vb + 0.03**2)
        light = (2 * ma * mb + 0.01**2) / (ma**2 + mb**2 + 0.01**2)
        found *= float(np.mean(contrast * light if scale == scales - 1 else contrast)) ** weights[scale]
        h, w = (side // 2 * 2 for side in a.shape)
        a, b = (each[:h, :w].reshape(h // 2, 2, w // 2, 2).mean(axis=(1, 3)) for each in (a, b))
    return found


@pytest.mark.parametrize(("side", "scales"), [(176, 5), (100, 4), (40, 2), (20, 1), (11, 1)])
def test_ms_ssim_is_its_definition(side: int, scales: int) -> None:
    """By scipy, each channel by itself; fewer scales where an image has no room for more."""
    sr, hr = _images(1, side, count=1)
    wanted = np.mean([_ms_ssim_by_scipy(sr[0, c].numpy(), hr[0, c].numpy(), scales) for c in range(3)])
    assert ms_ssim_loss(sr, hr).item() == pytest.approx(1 - wanted, abs=1e-6)
    assert ms_ssim_loss(hr, hr).item() == pytest.approx(0, abs=1e-6)


def test_focal_frequency_is_its_definition() -> None:
    sr, hr = _images(2, 16)
    difference = np.abs(np.fft.fft2(sr.numpy()) - np.fft.fft2(hr.numpy())) / 16
    weight = difference / difference.max(axis=(2, 3), keepdims=True)
    assert focal_frequency_loss(sr, hr).item() == pytest.approx(float(np.mean(weight * difference**2)), rel=1e-4)


def test_ldl_is_its_definition() -> None:
    """By loops; where the averaged weights are farther from HR than SR, nothing is an artifact."""
    sr, hr = _images(3, 12, count=1)
    averaged = hr + 0.08
    s, h, e = (each[0].numpy() for each in (sr, hr, averaged))
    residual, of_average = np.abs(h - s).sum(axis=0), np.abs(h - e).sum(axis=0)
    padded = np.pad(residual, 3, mode="reflect")
    whole, wanted = residual.var(ddof=1) ** 0.2, 0.0
    for y in range(12):
        for x in range(12):
            near = padded[y : y + 7, x : x + 7].var(ddof=1)
            likely = 0 if residual[y, x] < of_average[y, x] else whole * near
            wanted += likely * np.abs(s[:, y, x] - h[:, y, x]).sum()
    assert ldl_loss(sr, hr, averaged).item() == pytest.approx(wanted / (3 * 12 * 12), rel=1e-6)
    assert ldl_loss(sr, hr, hr + 10).item() == 0


def test_every_loss_has_a_gradient() -> None:
    sr, hr = (each.float() for each in _images(4, 32))
    sr.requires_grad_(True)
    for loss in (
        ms_ssim_loss,
        focal_frequency_loss,
        lambda a, b: ldl_loss(a, b, b),
        lambda a, b: by_pixels("l1", a, b),
    ):
        (gradient,) = torch.autograd.grad(loss(sr, hr), sr)
        assert torch.isfinite(gradient).all() and gradient.abs().sum() > 0


def test_the_average_that_ldl_looks_at_is_the_training_s(pairs: Store) -> None:
    config = compose_training("gan", sets=["losses.perceptual.weight=0", "losses.gan.num_feat=4", *SMALL, NETWORK])
    training = METHOD.build(config, Given(StoredGroups(pairs)))  # type: ignore[arg-type]
    trained = Trained(training, config.loop, CPU)
    assert isinstance(training.average, nn.Module)
    trained.ema["body.0.weight"].fill_(0.25)
    batch = GroupBatches(StoredGroups(pairs), batch_size=2, lr_patch_px=16, seed=0)[0].to(CPU)
    trained.step(0, batch, training.losses, Ranks())
    assert training.average.state_dict()["body.0.weight"].eq(0.25).all()


def test_swinirgan_is_the_published_network_by_a_preset(pairs: Store, tmp_path: Path, published: Path) -> None:
    """Its size is the published one; and smaller, its first stage trains."""
    config = compose_training("swinir-gan")
    assert isinstance(config, SrConfig)
    assert sum(value.numel() for value in config.network.build().parameters()) == 11_715_559
    options = "{img_size: 16, upsampler: nearest+conv, embed_dim: 12, depths: [2], num_heads: [2], window_size: 8}"
    sets = flags("--set", [f"network.options={options}", "loop.batch_size=2", "loop.lr_patch_px=16"])
    rwsr("train", "sr", "--store", pairs.path, "--preset", "swinir-psnr-fp32", "--steps", 2, *sets,
         "--out", tmp_path / "run")  # fmt: skip

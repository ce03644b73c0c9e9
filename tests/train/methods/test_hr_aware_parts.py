"""HR-aware fine-tuning's parts by hand: sizes and resolution, the modulated conv, FAR, the controller, L_rec."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from rwsr.degrade.config import compose
from rwsr.degrade.errors import UserError
from rwsr.eval.images.restoring import bicubic, smaller
from rwsr.eval.metrics.lpips_dists import Lpips
from rwsr.train.compose import compose_training
from rwsr.train.losses.far import Divisor, Far, controller, descriptors, gram, parted, quality
from rwsr.train.losses.reconstruction import ReconstructionLossConfig, detail, reconstruction_terms
from rwsr.train.methods.hr_aware_losses import balance
from rwsr.train.networks.keyed_noise import Normal
from rwsr.train.networks.lr_reconstruction import LrReconstruction, ReconstructionConfig
from rwsr.train.networks.published.srresnet import SrResNetConfig
from rwsr.train.networks.reconstructor import DegradationEncoder, ImageEncoder, Modulation, Reconstructor
from rwsr.train.runs.model_file import read_model

from ...builders import tiny_store
from ...commands import flags, rwsr


def _normal() -> Normal:
    return Normal([1, 2])


def _count(net: nn.Module) -> int:
    return sum(value.numel() for value in net.parameters())


def test_sizes_are_those_of_the_modules_that_the_paper_follows() -> None:
    """444,928; 1,183,488 and 3,541,376; 106,625; 797,511, and 762,375 of an image."""
    encoder = DegradationEncoder()
    assert _count(ImageEncoder()) == 444_928
    assert _count(encoder.body) == 1_183_488 and _count(encoder) - _count(encoder.body) == 3_541_376
    assert _count(Modulation(64, 512, demodulate=True)) == 106_625 and _count(Reconstructor()) == 797_511
    assert _count(Reconstructor(entering=3)) == 762_375
    whole = LrReconstruction(ReconstructionConfig(), 512)
    assert _count(whole) == 444_928 + 1_183_488 + 3_541_376 + 797_511 + 2 * 64 * 512
    lway = LrReconstruction(compose_training("lway-pretrain").network)
    assert _count(lway) == 1_183_488 + 3_541_376 + 762_375


def test_shapes_and_the_least_size() -> None:
    """HR features keep their size, R gives an image of it; E_deg says how small an image may be."""
    hr, encoder = torch.rand(2, 3, 24, 30), DegradationEncoder(8, 1, 12)
    code = encoder(hr)
    assert code.shape == (2, 12) and ImageEncoder()(hr).shape == (2, 64, 24, 30)
    assert Reconstructor(8, 12, entering=8)(torch.rand(2, 8, 24, 30), code, _normal()).shape == (2, 3, 24, 30)
    assert encoder(torch.rand(1, 3, 22, 22)).shape == (1, 12)
    with pytest.raises(UserError, match="takes 22 px or more on each side, not 40x21; use larger patches"):
        encoder(torch.rand(1, 3, 21, 40))


def _tiny(**changes: Any) -> LrReconstruction:
    torch.manual_seed(0)
    sizes = {"num_feat": 6, "code": 8, "degradation_blocks": 1, "image_blocks": 1, "far": None} | changes
    return LrReconstruction(ReconstructionConfig.model_validate(sizes))


def test_a_skip_adds_a_conv_of_what_comes_in() -> None:
    """1,731 parameters more at 64 channels; the rest is as without it."""
    assert _count(Reconstructor(skip=True)) == 797_511 + 64 * 3 * 9 + 3
    torch.manual_seed(0)
    net, features, code = Reconstructor(8, 12, entering=8, skip=True), torch.rand(2, 8, 10, 10), torch.randn(2, 12)
    assert net.skip is not None and torch.equal(net(features, code, _normal()), features[:, :3])
    nn.init.normal_(net.conv_last.weight)
    whole, added = net(features, code, _normal()), net.skip(features)
    net.skip = None
    assert torch.allclose(whole, net(features, code, _normal()) + added, atol=1e-5)
    for blocks in (0, 2):
        start, lr, hr = _tiny(skip=True, image_blocks=blocks), torch.rand(2, 3, 8, 8), torch.rand(2, 3, 32, 32)
        assert torch.equal(start(lr, hr, _normal()), hr)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_the_resolution_contract(scale: int) -> None:
    """X is LR enlarged to HR's size, by MATLAB's bicubic; with `lr` it is LR as it is, and R ends antialiased."""
    lr, hr = torch.rand(2, 3, 26, 30), torch.rand(2, 3, 26 * scale, 30 * scale)
    net = _tiny(scale=scale)
    assert net.features(hr).shape == (2, 6, *hr.shape[2:])
    assert net(lr, hr, _normal()).shape == net.wanted(lr).shape == hr.shape
    assert torch.equal(net.wanted(lr), lr if scale == 1 else bicubic(lr, scale))
    native = _tiny(scale=scale, resolution="lr")
    assert torch.equal(native.wanted(lr), lr) and native(lr, hr, _normal()).shape == lr.shape
    assert torch.equal(native.enlarged(lr), net.enlarged(lr))  # what HQI compares is of HR's size either way
    for each, least in ((net, -(-22 // scale)), (native, 22)):
        assert each.config.least_lr_px() == least
        small = torch.rand(1, 3, least, least)
        with torch.inference_mode():
            assert each(small, torch.rand(1, 3, least * scale, least * scale), Normal([1])).shape[0] == 1
        with pytest.raises(UserError, match="takes 22 px or more on each side"):
            each(small[:, :, 1:], torch.rand(1, 3, (least - 1) * scale, least * scale), Normal([1]))


def test_patches_that_are_too_small_are_told_before_the_training() -> None:
    """As one line that names the key and the least size."""
    with pytest.raises(UserError, match=r"loop.lr_patch_px = 21 is too small for the degradation encoder; use 22 or"):
        compose(compose_training("hr-aware-pretrain"), sets=["network.resolution=lr", "loop.lr_patch_px=21"])
    assert (
        compose(compose_training("hr-aware-pretrain"), sets=["loop.lr_patch_px=8", "network.scale=4"]).loop.lr_patch_px
        == 8
    )


def test_smaller_is_pillows_bicubic() -> None:
    """The antialiased bicubic of Pillow, to a level."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32), dtype=np.uint8)
    wanted = np.asarray(Image.fromarray(pixels).resize((8, 6), Image.Resampling.BICUBIC))
    found = smaller(torch.from_numpy(pixels)[None, None].float(), 4)[0, 0].clamp(0, 255)
    assert np.abs(found.numpy() - wanted).max() <= 1


def test_the_code_is_multiplied_by_the_controller() -> None:
    """Eq. 4: with noise of 0 the strength is a factor on E_deg(X); without a strength the code is as it is."""
    net = _tiny(controller={"noise_std": 0.0})
    lr, hr = torch.rand(2, 3, 24, 24), torch.rand(2, 3, 96, 96)
    x, features = net.wanted(lr), net.features(hr)
    code = net.degradation(x)
    strength = torch.tensor([0.25, 1.0])
    found = net.reconstruct(x, features, strength, _normal())
    assert torch.allclose(found, net.reconstructor(features, strength[:, None] * code, _normal()))
    plain = net.reconstruct(x, features, None, _normal())
    assert torch.allclose(plain, net.reconstructor(features, code, _normal()))


@pytest.mark.parametrize("demodulate", [True, False])
def test_the_modulated_conv_by_a_loop(demodulate: bool) -> None:
    """Weights times the style of their input channel, each output channel of unit strength; one image at a time."""
    torch.manual_seed(0)
    net, x, code = Modulation(4, 6, demodulate=demodulate), torch.rand(3, 4, 9, 8), torch.randn(3, 6)
    expected = []
    for image, told in zip(x, code, strict=True):
        weight = net.weight * net.style(told)[None, :, None, None] / 36**0.5
        if demodulate:
            weight = torch.stack([each / (each.square().sum() + 1e-8).sqrt() for each in weight])
        inner = torch.nn.functional.conv2d(image[None], weight, padding=1)
        expected.append(torch.nn.functional.leaky_relu(net.conv(inner), 0.1)[0])
    assert torch.allclose(net(x, code, Normal([1, 2, 3])), torch.stack(expected), atol=1e-6)


def test_noise_is_of_the_sample() -> None:
    """The parts of a batch draw what the whole batch does, each sample its own; s first, then each modulation."""
    whole, parts = Normal([5, 6, 7]), [Normal([5]), Normal([6, 7])]
    for shape in ((4,), (1, 3, 2)):
        like = torch.zeros(())
        drawn = whole(*shape, like=like)
        assert drawn.shape == (3, *shape) and torch.equal(drawn, torch.cat([each(*shape, like=like) for each in parts]))
        assert not torch.equal(drawn[0], drawn[1])
    net = _tiny(controller={})
    for modulation in net.reconstructor.modulations:
        torch.nn.init.constant_(modulation.noise, 0.5)
    lr, hr = torch.rand(3, 3, 24, 24), torch.rand(3, 3, 96, 96)
    x, features, strength = net.wanted(lr), net.features(hr), torch.rand(3)
    found = net.reconstruct(x, features, strength, Normal([5, 6, 7]))
    again = net.reconstruct(x[1:], features[1:], strength[1:], Normal([6, 7]))
    assert torch.allclose(found[1:], again, atol=1e-5)
    assert not torch.allclose(found[1:], net.reconstruct(x[1:], features[1:], strength[1:], Normal([7, 8])), atol=1e-3)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_far_is_of_full_precision_under_autocast(precision: torch.dtype) -> None:
    """Features whose energy fp16 does not hold."""
    torch.manual_seed(0)
    far, ours, theirs = Far(4, 7), 30 * torch.rand(1, 4, 128, 128), 30 * torch.rand(1, 7, 32, 32)
    for carried in (far.mean, far.greatest):
        torch.nn.init.normal_(carried.weight)
    with torch.autocast("cpu", precision):
        found = far(ours, theirs)
    assert found.dtype == torch.float32 and torch.allclose(found, far(ours, theirs))


def test_demodulation_hides_how_strong_a_code_is() -> None:
    """A factor on the whole code all but vanishes in the published form, and counts without demodulation."""
    torch.manual_seed(0)
    x, code = torch.rand(1, 64, 12, 12), torch.randn(1, 512)
    changes = []
    for demodulate in (True, False):
        net = Modulation(64, 512, demodulate=demodulate)
        whole, less = net(x, code, Normal([1])), net(x, 0.6 * code, Normal([1]))
        changes.append(((whole - less).norm() / whole.norm()).item())
    assert changes[0] < 0.12 and changes[1] > 0.2


@pytest.mark.parametrize("divisor", ["energy", "size"])
def test_gram_descriptors_by_hand(divisor: Divisor) -> None:
    """Eq. 10 by numpy, with the diagonal and without; of the same features over more places they are the same."""
    features = torch.randn(2, 5, 4, 6)
    flat = features.flatten(2).double().numpy()
    products = np.stack([each @ each.T for each in flat])
    expected = products / (5 * 24 if divisor == "size" else np.trace(products, axis1=1, axis2=2)[:, None, None])
    assert np.allclose(gram(features, divisor), expected, atol=1e-6)
    mean, greatest = descriptors(features, divisor=divisor)
    assert np.allclose(mean, expected.mean(2), atol=1e-6) and np.allclose(greatest, expected.max(2), atol=1e-6)
    others = np.stack([each[~np.eye(5, dtype=bool)].reshape(5, 4) for each in expected])
    mean, greatest = descriptors(features, diagonal=False, divisor=divisor)
    assert np.allclose(mean, others.mean(2), atol=1e-6) and np.allclose(greatest, others.max(2), atol=1e-6)
    assert torch.allclose(gram(features.repeat(1, 1, 2, 1), divisor), gram(features, divisor), atol=1e-6)
    assert torch.allclose(gram(3 * features, divisor), (9 if divisor == "size" else 1) * gram(features, divisor))
    assert not gram(torch.zeros(1, 2, 3, 3), divisor).any()


def test_far_by_hand() -> None:
    """Eq. 11: two plain norms; 0 where the encoders agree."""
    ours, theirs, far = torch.randn(3, 4, 6, 6), torch.randn(3, 7, 5, 5), Far(4, 7)
    with torch.no_grad():
        for carried in (far.mean, far.greatest):
            assert not carried.weight.any()
            carried.weight.normal_()
    (a, m), (b, n) = descriptors(ours), descriptors(theirs)
    expected = [
        (far.mean.weight @ a[i] - b[i]).square().sum().sqrt()
        + (far.greatest.weight @ m[i] - n[i]).square().sum().sqrt()
        for i in range(3)
    ]
    assert torch.allclose(far(ours, theirs), torch.stack(expected), atol=1e-6)
    same = Far(4, 4)
    with torch.no_grad():
        same.mean.weight.copy_(torch.eye(4))
        same.greatest.weight.copy_(torch.eye(4))
    assert same(ours, ours).abs().max() < 1e-6


def test_fars_gradient_is_a_share_of_the_reconstructions() -> None:
    """Sample by sample, whatever the two weigh; where one of them has none, the other's is left."""
    x = torch.randn(3, 2, 4, requires_grad=True)
    a, b = torch.randn(3, 2, 4), 1000 * torch.randn(3, 2, 4)
    a[1], b[2] = 0, 0
    first, second = parted(x, 0.1)
    ((first * a).sum() + (second * b).sum()).backward()
    assert x.grad is not None
    assert torch.allclose(x.grad[0], a[0] + 0.1 * b[0] * a[0].norm() / b[0].norm(), atol=1e-6)
    assert not x.grad[1].any() and torch.equal(x.grad[2], a[2])


@pytest.mark.parametrize("shape", [(8, 12), (7, 9)])
def test_the_map_of_detail_by_pixels(shape: tuple[int, int]) -> None:
    """Haar's three detail bands by a loop over blocks of luma; 1 where the image has most, 1 everywhere without any."""
    image = torch.rand(2, 3, *shape)
    luma = (0.299 * image[:, 0] + 0.587 * image[:, 1] + 0.114 * image[:, 2]).double().numpy()
    luma = np.pad(luma, ((0, 0), (0, shape[0] % 2), (0, shape[1] % 2)), mode="edge")
    length = np.zeros((2, luma.shape[1] // 2, luma.shape[2] // 2))
    for n, y, x in np.ndindex(length.shape):
        (p, q), (r, s) = luma[n, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
        length[n, y, x] = np.hypot(np.hypot((p - q + r - s) / 2, (p + q - r - s) / 2), (p - q - r + s) / 2)
    low, high = length.min((1, 2), keepdims=True), length.max((1, 2), keepdims=True)
    wanted = (length - low) / (high - low)
    size = (wanted.shape[1], wanted.shape[2])
    assert np.allclose(detail(image, size)[:, 0], wanted, atol=1e-5)
    assert detail(image, (64, 48)).shape == (2, 1, 64, 48)
    assert torch.equal(detail(torch.full((1, 3, 4, 4), 0.5), (4, 4)), torch.ones(1, 1, 4, 4))


def test_the_reconstruction_loss_by_hand() -> None:
    """L1 and LPIPS by their weights; a map of ones changes nothing, one of zeros leaves nothing."""
    torch.manual_seed(0)
    net, (a, b) = Lpips("squeeze"), torch.rand(2, 2, 3, 40, 44)
    config = ReconstructionLossConfig(l1=2, lpips=0.5, net="squeeze")
    plain = reconstruction_terms(a, b, config, net)
    assert plain["l1"].item() == pytest.approx(2 * (a - b).abs().mean().item(), rel=1e-5)
    assert plain["lpips"].item() == pytest.approx(0.5 * net(2 * a - 1, 2 * b - 1).mean().item(), rel=1e-5)
    ones = reconstruction_terms(a, b, config, net, torch.ones(2, 1, 40, 44))
    assert {name: value.item() for name, value in ones.items()} == pytest.approx(
        {name: value.item() for name, value in plain.items()}, rel=1e-5
    )
    half = torch.zeros(2, 1, 40, 44)
    half[0] = 1  # the second image counts nothing
    alone = reconstruction_terms(a[:1], b[:1], config, net)
    found = reconstruction_terms(a, b, config, net, half)
    assert found["lpips"].item() == pytest.approx(alone["lpips"].item() / 2, rel=1e-5)


def test_the_controller_is_noise_around_the_quality() -> None:
    """Eq. 7 and 8: one strength for all channels, normal noise; HQI stays in 0..1 and has no gradient."""
    hr = torch.rand(3, 3, 8, 8, requires_grad=True)
    found = quality(torch.rand(3, 3, 8, 8), hr, lambda a, b: torch.tensor([0.3, 1.4, 0.0]) + 0 * b.mean())
    assert found.tolist() == pytest.approx([0.7, 0, 1]) and not found.requires_grad
    s = controller(torch.tensor([0.2, 0.6]), 200_000, 1.0, Normal([1, 2]))
    assert s.mean(dim=1).tolist() == pytest.approx([0.2, 0.6], abs=0.01) and s.std().item() == pytest.approx(
        1, abs=0.03
    )
    assert [float((row < 0).float().mean()) for row in s] == pytest.approx([0.42, 0.27], abs=0.01)
    assert torch.equal(controller(torch.tensor([0.5]), 3, 0.0, Normal([1])), torch.full((1, 3), 0.5))


def test_lways_extractor_stays_as_it_was_trained(photos: Path, tmp_path: Path, published: Path) -> None:
    """By the command: its trunk goes into E_deg and is not trained; asked for, and refused where it has no use."""
    store = tiny_store(photos, tmp_path / "pairs.zarr", "bicubic", num_samples=4, hr_size_px=128).path
    sets = flags("--set", ["network.num_feat=4", "network.num_block=2", "losses.gan.num_feat=2", "loop.batch_size=2"])
    rwsr(
        "train",
        "sr",
        "--store",
        store,
        "--preset",
        "lway-extractor-small",
        *sets,
        "--steps",
        2,
        "--out",
        tmp_path / "e",
    )
    small = ("num_feat=4", "code=8", "degradation_blocks=2", "image_blocks=0")
    keys = flags("--set", [*(f"network.{each}" for each in small), "loop.batch_size=2"])
    fit = ("train", "hr-aware-pretrain", "--store", store, "--steps", 2, *keys)
    frozen = (*fit, "--preset", "lway-pretrain-frozen-small")
    rwsr(*frozen, "--extractor", tmp_path / "e", "--out", tmp_path / "run")
    trunk, made = (read_model(tmp_path / name / "model.safetensors").weights for name in ("e", "run"))
    for number in range(2):
        for conv in ("conv1.weight", "conv2.bias"):
            assert torch.equal(trunk[f"body.{number}.{conv}"], made[f"degradation.body.{number + 1}.{conv}"])
    assert torch.equal(trunk["conv_first.weight"], made["degradation.body.0.weight"])
    assert "name the --extractor that stays" in rwsr(*frozen, "--out", tmp_path / "no", code=1)
    learned = (*fit, "--preset", "lway-pretrain-small", "--extractor", tmp_path / "e", "--out", tmp_path / "no")
    assert "learns its encoder; drop --extractor" in rwsr(*learned, code=1)
    wide = rwsr(*frozen, "--set", "network.num_feat=8", "--extractor", tmp_path / "e", "--out", tmp_path / "no", code=1)
    assert "is no SRResNet of 2 blocks of 8 features" in wide
    odd = (*frozen, "--set", "network.resolution=hr", "--extractor", tmp_path / "e", "--out", tmp_path / "no")
    assert "set resolution=lr" in rwsr(*odd, code=1)


def test_srresnet_is_sr_of_what_is_added_to_bilinear() -> None:
    """Published size and init; DegAE's names are read; weights of zeros leave torch's bilinear enlarging."""
    net = SrResNetConfig().build()
    assert sum(value.numel() for value in net.parameters()) == 1_517_571
    small = SrResNetConfig(num_feat=4, num_block=8).build()
    groups = {
        (f"recon_trunk{int(name.split('.')[1]) // 2 + 1}.{int(name.split('.')[1]) % 2}.{name.split('.', 2)[2]}"
         if name.startswith("body.") else name.replace("conv_hr", "HRconv")): value
        for name, value in small.state_dict().items()
    }  # fmt: skip
    renamed = SrResNetConfig.renamed(groups)
    assert renamed.keys() == small.state_dict().keys()
    assert all(torch.equal(renamed[name], value) for name, value in small.state_dict().items())
    assert SrResNetConfig.detect({name: tuple(value.shape) for name, value in renamed.items()}) == SrResNetConfig(
        num_feat=4, num_block=8
    )
    with torch.no_grad():
        for value in net.conv_last.parameters():
            value.zero_()
    lr = torch.rand(1, 3, 8, 10)
    torch.testing.assert_close(net(lr), torch.nn.functional.interpolate(lr, scale_factor=4, mode="bilinear"))


def test_fars_share_holds_in_the_parameters_where_it_is_measured_there() -> None:
    """The lengths of both gradients, by autograd alone; none where FAR has none."""
    net = torch.nn.Conv2d(3, 4, 3)
    x = torch.rand(2, 3, 8, 8)
    seen = net(x)
    first, second = seen.square().mean(), 7 * seen.abs().sqrt().sum()
    factor = balance(0.3, first, second, list(net.parameters()))
    lengths = [
        torch.cat(
            [each.flatten() for each in torch.autograd.grad(loss, list(net.parameters()), retain_graph=True)]
        ).norm()
        for loss in (first, factor * second)
    ]
    assert (lengths[1] / lengths[0]).item() == pytest.approx(0.3, rel=1e-4)
    assert balance(0.3, first, 0 * second, list(net.parameters())).item() == 0

"""The networks are the published ones, to the parameter, and a short training starts from a useful place."""

from typing import Literal

import numpy as np
import pytest
import torch

from rwsr.degrade.images.pixels import U8
from rwsr.degrade.ops.unsharp import unsharp_mask
from rwsr.eval.images.tensors import to_tensor
from rwsr.train.data.batches import GroupBatch
from rwsr.train.engine.schedule import Constant, Cosine, Linear, MultiStep, factor_at
from rwsr.train.losses.adversarial import discriminator_terms
from rwsr.train.losses.basic import anchor, pixel, ranking
from rwsr.train.losses.perceptual import ESRGAN, PerceptualLoss
from rwsr.train.losses.usm import sharpened
from rwsr.train.methods.mm_realsr import PRESETS, TrainConfig, generator_terms
from rwsr.train.methods.mm_realsr_losses import LossConfig, conditions
from rwsr.train.networks.discriminators import (
    GanConfig,
    UnetDiscriminator,
    VggDiscriminator,
    discriminator_losses,
    generator_loss,
    relativistic_generator_loss,
)
from rwsr.train.networks.mm_realsr import MMRealSR, MMRealSRConfig, chosen_scores
from rwsr.train.networks.rwsr_edl import EdlNetworkConfig
from rwsr.train.networks.udem import UdemConfig


def _count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def full() -> MMRealSR:
    """The network of the published sizes."""
    return MMRealSR(PRESETS["mm-realsr-code"].config.network)


def test_the_published_sizes_have_the_published_parameters(full: MMRealSR) -> None:
    """26,134,149 in all: the generator's 16,697,987, 23 modulators, the embedding, and the UDEM's 2,351,362."""
    udem, modulators, embedding = _count(full.de_net), _count(full.am_list), _count(full.dd_embed)
    assert (udem, modulators, embedding) == (2_351_362, 23 * 307_968, 1_536)
    assert _count(full) - udem - modulators - embedding == 16_697_987
    assert _count(full) == 26_134_149


@pytest.mark.slow
def test_parameters_have_the_published_names(full: MMRealSR) -> None:
    """What other tools recognise this architecture by."""
    names = set(full.state_dict())
    assert {
        "conv_first.weight",
        "body.22.rdb3.conv5.bias",
        "am_list.0.fc.4.weight",
        "conv_up2.weight",
        "conv_hr.weight",
        "conv_last.weight",
        "de_net.conv_first.1.weight",
        "de_net.body.0.0.conv1.weight",
        "de_net.body.1.6.weight",
        "de_net.fc_degree.1.2.bias",
        "dd_embed.0.weight",
    } <= names


def test_shapes_and_score_range() -> None:
    """SR is four times LR, also where the sides are odd; scores lie strictly between 0 and 1."""
    net = MMRealSR(PRESETS["mm-realsr-small"].config.network)
    lr = torch.rand(2, 3, 13, 17)
    scores = net.score(lr)
    assert net(lr).shape == (2, 3, 52, 68) and scores.shape == (2, 2)
    assert (scores > 0).all() and (scores < 1).all()


def test_it_starts_as_an_enlarger() -> None:
    """With that option the untrained network is nearly nearest-neighbour enlargement; without it is far away."""
    lr = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    nearest = torch.nn.functional.interpolate(lr, scale_factor=4, mode="nearest")
    start, noise = (
        MMRealSR(MMRealSRConfig(num_feat=16, num_block=2, num_grow_ch=8, init_as_nearest=flag))(lr)
        for flag in (True, False)
    )
    assert (start - nearest).abs().mean() < 0.1 < (noise - nearest).abs().mean()


def test_the_branches_of_the_udem_share_nothing() -> None:
    """The gradient of the blur score reaches no weight of the noise branch."""
    net = MMRealSR(PRESETS["mm-realsr-small"].config.network)
    net.score(torch.rand(1, 3, 16, 16))[:, 0].sum().backward()
    for name, weight in net.de_net.named_parameters():
        branch = name.split(".")[1]
        assert weight.grad is not None and bool(weight.grad.any()) == (branch == "0"), name


def test_stages_of_a_udem_must_agree() -> None:
    """Three widths and two depths are no network."""
    with pytest.raises(ValueError):
        MMRealSR(MMRealSRConfig(udem=UdemConfig(num_feat=(8, 8, 8), num_block=(1, 1), downscales=(1, 1))))


def test_anchors_are_conditioned_by_constants() -> None:
    """CLEAN is restored under score 0 and WORST under 1; the others under what the UDEM predicts."""
    scores = torch.full((2, 5, 2), 0.3)
    steered = conditions(scores)
    assert steered[:, 3].eq(0).all() and steered[:, 4].eq(1).all()
    assert steered[:, :3].eq(0.3).all() and scores.eq(0.3).all()


def test_a_chosen_score_replaces_the_predicted_one_only() -> None:
    """Blur given, noise left to the UDEM."""
    net = MMRealSR(PRESETS["mm-realsr-small"].config.network)
    lr = torch.rand(1, 3, 16, 16)
    found = chosen_scores(net, lr, blur=0.25, noise=None)
    assert found[0, 0] == 0.25 and found[0, 1] == net.score(lr)[0, 1]


def test_losses_by_hand() -> None:
    """Each loss on numbers that one can check in the head."""
    mild, strong = torch.tensor([0.2, 0.5]), torch.tensor([0.4, 0.5])
    assert ranking(mild, strong, 0.05).item() == pytest.approx((0 + 0.05) / 2)
    assert anchor(torch.tensor([0.1]), torch.tensor([0.8])).item() == pytest.approx(0.01 + 0.04)
    assert pixel(torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.25)).item() == 0.25


def test_without_modulation_it_is_esrgans_generator() -> None:
    """16,697,987 parameters, and no score anywhere."""
    net = MMRealSR(MMRealSRConfig(modulated=False))
    assert _count(net) == 16_697_987 and not any("de_net" in name for name in net.state_dict())
    assert MMRealSR(MMRealSRConfig(modulated=False, num_feat=4, num_block=1))(torch.rand(1, 3, 8, 9)).shape == (
        1,
        3,
        32,
        36,
    )


@pytest.mark.slow
def test_the_discriminator_is_the_published_one() -> None:
    """4,376,897 parameters, a logit a pixel; the convs in the middle have a spectral norm of one."""
    net = UnetDiscriminator()
    assert _count(net) == 4_376_897
    torch.manual_seed(0)
    small_net = UnetDiscriminator(8)
    for _ in range(300):  # of the power iteration
        logits = small_net(torch.rand(1, 3, 24, 32))
    assert logits.shape == (1, 1, 24, 32)
    small_net.eval()
    weight = small_net.conv2.weight.flatten(1)
    assert torch.linalg.matrix_norm(weight, ord=2).item() == pytest.approx(1, abs=1e-3)
    assert "conv0.weight" in small_net.state_dict() and "conv9.weight" in small_net.state_dict()


@pytest.mark.parametrize("scale", [1, 2])
def test_other_scales_fold_lr(scale: Literal[1, 2]) -> None:
    """Any size gives scale times it; what starts as an enlarger gives each pixel, or the mean of a block, again."""
    sizes = {"num_feat": 8, "num_block": 1, "num_grow_ch": 4, "embed_feats": 8, "modulator_feats": 8}
    config = MMRealSRConfig.model_validate({"scale": scale, "init_as_nearest": True, **sizes})
    net = MMRealSR(config).eval()
    fold = 4 // scale
    assert net.conv_first.in_channels == 3 * fold**2
    with torch.inference_mode():
        assert net(torch.rand(2, 3, 17, 22)).shape == (2, 3, 17 * scale, 22 * scale)
        lr = torch.rand(1, 3, 16, 24)
        net.conv_last.weight[:, 3:] = 0
        blocks = torch.nn.functional.avg_pool2d(lr, fold)
        expected = torch.nn.functional.interpolate(blocks, scale_factor=4, mode="nearest")
        assert torch.allclose(net(lr, torch.zeros(1, 2)), expected, atol=1e-5)


def test_esrgans_discriminator_is_the_published_one() -> None:
    """14,499,401 parameters, a logit an image; nine of the ten convs are normalised."""
    net = VggDiscriminator()
    assert _count(net) == 14_499_401
    assert net(torch.rand(2, 3, 128, 128)).shape == (2, 1)
    assert sum(isinstance(each, torch.nn.BatchNorm2d) for each in net.modules()) == 9
    assert {"conv0_0.bias", "bn4_1.running_mean", "linear2.weight"} <= set(net.state_dict())


def test_relativistic_losses_by_hand() -> None:
    """ESRGAN eq. 1 and 2: each logit less the mean of the others."""
    real, fake = torch.tensor([[2.0], [0.5]]), torch.tensor([[-1.0], [0.25]])

    def sigmoid(value: float) -> float:
        return 1 / (1 + np.exp(-value))

    mean_real, mean_fake = 1.25, -0.375
    as_real = [-np.log(sigmoid(value - mean_fake)) for value in (2.0, 0.5)]
    as_fake = [-np.log(1 - sigmoid(value - mean_real)) for value in (-1.0, 0.25)]
    found = discriminator_losses(real, fake, relativistic=True)
    assert [each.item() for each in found] == pytest.approx([np.mean(as_real) / 2, np.mean(as_fake) / 2], rel=1e-5)
    turned = [-np.log(1 - sigmoid(value - mean_fake)) for value in (2.0, 0.5)]
    fooled = [-np.log(sigmoid(value - mean_real)) for value in (-1.0, 0.25)]
    expected = (np.mean(turned) + np.mean(fooled)) / 2
    assert relativistic_generator_loss(real, fake).item() == pytest.approx(expected, rel=1e-5)


def test_gan_losses_by_hand() -> None:
    """Of a logit of 0 each is log 2; of a large one nothing or the logit."""
    zero, ten = torch.zeros(2, 1, 2, 2), torch.full((2, 1, 2, 2), 10.0)
    assert generator_loss(zero).item() == pytest.approx(np.log(2))
    assert generator_loss(-ten).item() == pytest.approx(10 + np.log1p(np.exp(-10)), abs=1e-4)
    real, fake = discriminator_losses(ten, -ten)
    assert [real.item(), fake.item()] == pytest.approx([np.log1p(np.exp(-10))] * 2, abs=1e-6)


@pytest.mark.slow
def test_the_perceptual_loss_by_hand() -> None:
    """Weighted mean absolute differences of the five layers before their ReLU, of images normalised as ImageNet's."""
    torch.manual_seed(0)
    loss = PerceptualLoss("vgg19")
    sr, hr = torch.rand(2, 1, 3, 32, 32)
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    total, weights = 0.0, iter((0.1, 0.1, 1.0, 1.0, 1.0))
    a, b = (sr - mean) / std, (hr - mean) / std
    for number, layer in enumerate(loss.backbone.features):
        a, b = layer(a), layer(b)
        if number in (2, 7, 16, 25, 34):
            assert isinstance(layer, torch.nn.Conv2d)
            total += next(weights) * (a - b).abs().mean().item()
    assert loss(sr, hr).item() == pytest.approx(total, rel=1e-5)
    last = PerceptualLoss("vgg19", ESRGAN)
    last.load_state_dict(loss.state_dict())
    assert last(sr, hr).item() == pytest.approx((a - b).abs().mean().item(), rel=1e-5)
    assert loss(hr, hr).item() == 0 and not any(p.requires_grad for p in loss.parameters())


def test_targets_are_sharpened_as_stores_are(astronaut: U8) -> None:
    """The mask on a batch is the one on an image, away from where a border is mirrored another way."""
    pixels = astronaut[:200, :180]
    expected = unsharp_mask(pixels.astype(np.float32) / 255, radius=50, weight=0.5, threshold_255=10)
    found = sharpened(to_tensor(pixels)[None])[0].movedim(0, -1).numpy()
    assert np.abs(found - expected)[51:-51, 51:-51].max() < 1e-4
    assert np.abs(found - pixels / 255).max() > 0.05


def _batch(net_scale: int = 4) -> GroupBatch:
    generator = torch.Generator().manual_seed(0)
    return GroupBatch(
        torch.rand(2, 3, 32 * net_scale // 4, 32, generator=generator),
        torch.rand(2, 5, 3, 8, 8, generator=generator),
        torch.zeros(2, 0),
        torch.arange(2),
    )


def _moved(net: torch.nn.Module) -> bool:
    return any(p.grad is not None and bool(p.grad.any()) for p in net.parameters())


def _tiny(stage: int, **changes: object) -> TrainConfig:
    config = PRESETS["mm-realsr-small-gan" if stage == 2 else "mm-realsr-small"].config
    network = config.network.model_copy(update={"init_as_nearest": False})
    return config.model_copy(update={"network": network} | changes)


@pytest.mark.parametrize("detached", [False, True])
def test_who_gets_gradients_in_stage_1(detached: bool) -> None:
    """The pixel loss reaches the UDEM through the scores unless they are detached; ranking and anchors always do."""
    config = _tiny(1, detach_scores=detached)
    for term in ("pixel", "rank_blur", "rank_noise", "anchor"):
        torch.manual_seed(0)
        net = MMRealSR(config.network)
        generator_terms(net, _batch(), config, {})[term].backward()
        assert _moved(net.de_net) == (term != "pixel" or not detached), term
        assert _moved(net.body) == _moved(net.am_list) == (term == "pixel"), term


@pytest.mark.slow
def test_who_gets_gradients_in_stage_2() -> None:
    """Pixel, perceptual and GAN losses reach the generator and never the frozen UDEM; the discriminator's own losses
    reach the discriminator alone."""
    config = _tiny(2)
    torch.manual_seed(0)
    judge, perceptual = UnetDiscriminator(4), PerceptualLoss("squeezenet")
    for term in ("pixel", "perceptual", "gan"):
        net = MMRealSR(config.network)
        net.de_net.requires_grad_(False)
        shared: dict[str, torch.Tensor] = {}
        terms = generator_terms(net, _batch(), config, shared, perceptual=perceptual, judge=judge)
        assert set(terms) == {"pixel", "perceptual", "gan"}
        terms[term].backward()
        assert _moved(net.body) and _moved(net.am_list) and not _moved(net.de_net), term
    judge.zero_grad()
    net.zero_grad()
    sum(discriminator_terms(judge, shared, relativistic=False).values()).backward()
    assert _moved(judge) and not _moved(net)


def test_losses_of_a_group_by_hand() -> None:
    """Every term of a batch, from its scores and its restored images."""
    config = _tiny(1, losses=LossConfig(pixel=2.0, ranking=0.3, margin=0.1, anchor=0.7))
    torch.manual_seed(0)
    net, batch = MMRealSR(config.network), _batch()
    terms = generator_terms(net, batch, config, {})
    scores = torch.stack([net.score(batch.lr[:, member]) for member in range(5)], dim=1)
    blur = 0.3 * (scores[:, 0, 0] - scores[:, 1, 0] + 0.1).clamp(min=0).mean()
    noise = 0.3 * (scores[:, 0, 1] - scores[:, 2, 1] + 0.1).clamp(min=0).mean()
    ends = 0.7 * sum((scores[:, 3, w] ** 2).mean() + ((1 - scores[:, 4, w]) ** 2).mean() for w in (0, 1))
    told = conditions(scores)
    sr = torch.stack([net(batch.lr[:, member], told[:, member]) for member in range(5)], dim=1)
    expected = {"pixel": 2 * (sr - batch.hr[:, None]).abs().mean(), "rank_blur": blur, "rank_noise": noise}
    for name, value in (expected | {"anchor": ends}).items():
        assert terms[name].item() == pytest.approx(torch.as_tensor(value).item(), rel=1e-4), name


def test_presets_have_the_published_numbers() -> None:
    """Code and paper, stage by stage."""
    first, second = PRESETS["mm-realsr-code"].config, PRESETS["mm-realsr-code-gan"].config
    assert (first.loop.steps, first.loop.lr_patch_px, first.loop.learning_rate) == (70_000, 48, 2e-4)
    assert (first.losses.ranking, first.losses.margin, first.losses.anchor) == (0.01, 0.05, 1e-4)
    assert (second.loop.steps, second.loop.lr_patch_px, second.loop.learning_rate) == (590_000, 64, 1e-4)
    assert second.freeze_udem and second.detach_scores and second.losses.sharpen_target
    assert (second.losses.pixel, second.losses.perceptual.weight, second.losses.gan.weight) == (1, 1, 0.1)
    assert (PRESETS["mm-realsr-paper"].config.losses.ranking, PRESETS["mm-realsr-paper-gan"].config.losses.anchor) == (
        0.05,
        0.05,
    )
    assert (PRESETS["mm-realsr-paper"].config.loop.steps, PRESETS["mm-realsr-paper-gan"].config.loop.steps) == (
        1_000_000,
        400_000,
    )
    psnr, gan = PRESETS["esrgan-psnr"].config, PRESETS["esrgan"].config
    assert (psnr.loop.batch_size, psnr.loop.lr_patch_px, psnr.loop.steps) == (16, 32, 1_000_000)
    assert (gan.losses.pixel, gan.losses.perceptual.weight, gan.losses.gan.weight) == (0.01, 1, 0.005)
    assert gan.losses.gan.relativistic and gan.losses.perceptual.layers == (0, 0, 0, 0, 1)
    wants = {name for name, preset in PRESETS.items() if preset.config.needs_start}
    assert wants == {name for name in PRESETS if name.removesuffix("-fp32").endswith("gan")}


def test_a_discriminator_of_fixed_size_gets_that_size() -> None:
    """128 px, or the config is refused with the patch that would do."""
    with pytest.raises(ValueError, match="takes 128 px, not loop.lr_patch_px = 48 times 4; use 32"):
        TrainConfig(losses=LossConfig(gan=GanConfig(discriminator="vgg128")))
    TrainConfig(losses=LossConfig(gan=GanConfig(weight=0, discriminator="vgg128")))


@pytest.mark.parametrize("wrong", [(), (0,), (4, 8)])
def test_stages_of_the_udem_that_do_not_fit_are_refused(wrong: tuple[int, ...]) -> None:
    """Widths of no stage, of nothing, or of another number of stages than its blocks."""
    with pytest.raises(ValueError, match="num_feat"):
        UdemConfig(num_feat=wrong, num_block=(1,) * len(wrong[:1]), downscales=(1,) * len(wrong[:1]))


def test_learning_rates_by_hand() -> None:
    """Rising over the warm-up, halved at steps, falling along a cosine."""
    assert [factor_at(Constant(), step, steps=9, warmup_steps=4) for step in (0, 1, 3, 8)] == [0.25, 0.5, 1, 1]
    halved = MultiStep(milestones=(2, 4))
    falling = Linear(from_share=0.5)
    assert [factor_at(falling, step, steps=8, warmup_steps=0) for step in (0, 4, 5, 7)] == [1, 1, 0.75, 0.25]
    assert [factor_at(halved, step, steps=9, warmup_steps=0) for step in (1, 2, 3, 4)] == [1, 0.5, 0.5, 0.25]
    cosine = [factor_at(Cosine(min_factor=0.2), step, steps=5, warmup_steps=0) for step in range(5)]
    assert cosine == pytest.approx([1, 0.2 + 0.8 * (1 + 0.5**0.5) / 2, 0.6, 0.2 + 0.8 * (1 - 0.5**0.5) / 2, 0.2])


def test_the_papers_own_condition_network_and_upsampler() -> None:
    """Eq. 9 by hand, near the identity to begin with; pixel shuffle, which can start as nearest; known by shapes."""
    sizes = {"num_feat": 8, "num_block": 2, "num_grow_ch": 4, "condition": "linear", "upsampler": "pixelshuffle"}
    config = MMRealSRConfig.model_validate(sizes)
    torch.manual_seed(0)
    net, lr = MMRealSR(config).eval(), torch.rand(2, 3, 10, 12)
    modulate, x, scores = net.am_list[0], torch.rand(2, 8, 4, 5), torch.tensor([[0.2, 0.7], [1.0, 0.0]])
    z = scores @ modulate.fc.weight.T + modulate.fc.bias
    expected = x * z[:, :8, None, None] + z[:, 8:, None, None]
    torch.testing.assert_close(modulate(x, scores), expected)
    assert torch.equal(modulate(x, torch.zeros(2, 2)), x)
    assert net(lr, scores).shape == (2, 3, 40, 48) and not torch.equal(net(lr, scores), net(lr, scores.flip(0)))
    assert sum(value.numel() for value in net.am_list.parameters()) == 2 * (2 * 16 + 16)
    shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    assert MMRealSRConfig.detect(shapes) == config
    nearest = MMRealSR(config.model_copy(update={"init_as_nearest": True, "modulated": False})).eval()
    enlarged = torch.nn.functional.interpolate(lr, scale_factor=4, mode="nearest")
    torch.testing.assert_close(nearest(lr), enlarged, atol=1e-5, rtol=0)


def test_a_network_without_enlarging_keeps_the_size_and_is_known_by_its_tensors() -> None:
    """RWSR-EDL's for CameraSR: no conv enlarges, no pixel is folded; at another scale it is refused."""
    sizes = {"scale": 1, "upsampler": "none", "num_feat": 8, "num_block": 2, "num_grow_ch": 4}
    config = MMRealSRConfig(modulated=False, **sizes)
    net = config.build().eval()
    assert net.conv_first.weight.shape[1] == 3 and not any("conv_up" in name for name in net.state_dict())
    assert net(torch.rand(1, 3, 17, 22)).shape == (1, 3, 17, 22)
    assert MMRealSRConfig.detect({name: tuple(value.shape) for name, value in net.state_dict().items()}) == config
    carried = MMRealSRConfig(modulated=False, init_as_nearest=True, **sizes).build()
    image = torch.rand(1, 3, 12, 12)
    torch.testing.assert_close(carried(image), image, atol=0.05, rtol=0)
    edl = EdlNetworkConfig(branch_feats=4, **sizes).build()
    assert edl(image).shape == image.shape
    for kind in (MMRealSRConfig, EdlNetworkConfig):
        with pytest.raises(ValueError, match="enlarges nothing"):
            kind(upsampler="none")

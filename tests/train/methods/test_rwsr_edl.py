"""RWSR-EDL: published sizes, masks, what each loss reaches; noise of a bank in every step; trained, resumed, used."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rwsr.degrade.config import compose
from rwsr.degrade.errors import UserError
from rwsr.degrade.storage.shards.store import Store
from rwsr.degrade.storage.shards.verify import digest
from rwsr.noisebank.bank import NoiseBank
from rwsr.train.compose import compose_training
from rwsr.train.data.batches import GroupBatch, GroupBatches, StoredGroups
from rwsr.train.engine import run as runs
from rwsr.train.engine.loop import built
from rwsr.train.files.open import open_restorer, open_run
from rwsr.train.losses.adversarial import discriminator_terms
from rwsr.train.methods import mm_realsr as mmrealsr_stages
from rwsr.train.methods import rwsr_edl
from rwsr.train.methods.base import Given
from rwsr.train.methods.rwsr_edl import EdlConfig, EdlLosses, generator_terms
from rwsr.train.networks.discriminators import PatchDiscriminator, VggDiscriminator
from rwsr.train.networks.mm_realsr import MMRealSR
from rwsr.train.networks.rwsr_edl import Branches, Edl, EdlNetworkConfig, parts_of
from rwsr.train.runs.model_file import read_model

from ...builders import tiny_store
from ...commands import Stop, rwsr, stop_after

CPU = torch.device("cpu")
TINY = {"num_feat": 4, "num_block": 1, "num_grow_ch": 4, "branch_feats": 6}
CONFIG: EdlConfig = compose(
    compose_training("rwsr-edl-small"),
    sets=["loop.steps=6", "loop.batch_size=2", "loop.lr_patch_px=16", "loop.log_every=2", "loop.checkpoint_every=2"],
    network=TINY,
    losses={"pixel": 1, "perceptual": {"weight": 0}, "gan": {"num_feat": 4, "weight": 0.1}},
)


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """A noise bank of made patches, all of them quiet, by the command."""
    rng, folder = np.random.default_rng(0), tmp_path / "noisy"
    folder.mkdir()
    for number in range(3):
        noise = rng.normal(128, 6, (128, 128, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    args = ["noisebank", "build", "--target", folder, "--out", tmp_path / "bank.zarr", "--size", 64]
    rwsr(*args, "--quantile", 0.5)
    return tmp_path / "bank.zarr"


@pytest.fixture
def pairs(photos: Path, tmp_path: Path) -> Store:
    """Ten pairs without noise."""
    return tiny_store(photos, tmp_path / "pairs.zarr", "rwsr-edl-noisefree", num_samples=10, hr_size_px=80)


def _nothing(steps: int, terms: dict[str, float]) -> None:
    pass


def _train(run: Path, store: Store, config: EdlConfig, on_step: Callable[..., None] = _nothing, **told: Any) -> bool:
    def make(groups: StoredGroups, start: dict[str, torch.Tensor] | None) -> object:
        return rwsr_edl.build(config, Given(groups, start))

    return runs.train(run, StoredGroups(store), digest(store), config, config.loop, make, CPU, on_step, **told)


def _count(net: torch.nn.Module) -> int:
    return sum(value.numel() for value in net.parameters())


def _tiny(branches: Branches) -> Edl | MMRealSR:
    torch.manual_seed(1)
    return EdlNetworkConfig(**TINY, branches=branches).build()


# ------------------------------------------------------------------------------------------------------ networks


@pytest.mark.slow
@pytest.mark.parametrize(
    ("branches", "parameters"),
    [
        ("masked", 16_729_694),  # Table VI
        ("masked-features", 17_286_473),
        ("dual", 16_697_987 + 6 * 3_523),
        ("single", 16_697_987 + 3 * 3_523),
        ("none", 16_697_987),
    ],
)
def test_sizes_are_the_papers_and_the_codes(branches: Branches, parameters: int) -> None:
    """RRDB and a block of 3,523 for each residual block of each branch."""
    assert _count(EdlNetworkConfig(branches=branches).build()) == parameters


def test_the_patch_discriminator_is_the_published_one() -> None:
    """2,765,633 parameters, 14x14 logits of 128 px, each of a field of 70x70."""
    judge = PatchDiscriminator().eval()
    assert _count(judge) == 2_765_633
    image = torch.rand(1, 3, 128, 128, requires_grad=True)
    logits = judge(image)
    assert logits.shape == (1, 1, 14, 14)
    logits[0, 0, 7, 7].backward()
    assert image.grad is not None
    reached = image.grad[0].abs().sum(0).nonzero()
    assert (reached.amax(0) - reached.amin(0) + 1).tolist() == [70, 70]
    assert judge(torch.rand(1, 3, 24, 24)).shape == (1, 1, 1, 1)


@pytest.mark.parametrize("branches", ["masked", "masked-features"])
def test_masks_sum_to_one(branches: Branches) -> None:
    """The two to 1 everywhere, M_alpha over its channels to 1 at every pixel."""
    net = _tiny(branches)
    assert isinstance(net, Edl)
    for value in net.mask.parameters():
        torch.nn.init.normal_(value, std=0.5)
    alpha, beta = net.masks(torch.rand(2, 3, 12, 10))
    assert torch.equal(alpha + beta, torch.ones_like(alpha)) and alpha.shape[1] == (3 if branches == "masked" else 6)
    assert torch.allclose(alpha.sum(dim=1), torch.ones(2, 12, 10), atol=1e-6) and alpha.std() > 0.01


def test_the_paper_by_hand() -> None:
    """SR is M_a I_x + (1 - M_a) I_y of three residual blocks each on the generator's image."""
    net = _tiny("masked")
    assert isinstance(net, Edl)
    lr = torch.rand(1, 3, 8, 8)
    image = net.generator(lr)

    def refined(branch: torch.nn.Sequential) -> torch.Tensor:
        x = image
        for block in branch:
            x = x + block.conv2(torch.relu(block.conv1(x)))  # type: ignore[operator]
        return x

    alpha = torch.exp(refined(net.mask))
    alpha = alpha / alpha.sum(dim=1, keepdim=True)
    parts = net.parts(lr)
    assert torch.allclose(parts.adversarial, alpha * refined(net.adversarial), atol=1e-6)
    assert torch.allclose(parts.pixel, (1 - alpha) * refined(net.pixel), atol=1e-6)
    assert torch.allclose(net(lr), parts.adversarial + parts.pixel)
    dual, single, none = (_tiny(each) for each in ("dual", "single", "none"))  # type: ignore[arg-type]
    two = parts_of(dual, lr)
    assert torch.equal(two.sr, (two.adversarial + two.pixel) / 2)
    for net in (single, none):
        one = parts_of(net, lr)
        assert one.adversarial is one.pixel is one.sr


# -------------------------------------------------------------------------------------------------------- losses


def _batch(size: int = 8) -> GroupBatch:
    torch.manual_seed(3)
    return GroupBatch(
        torch.rand(2, 3, 4 * size, 4 * size), torch.rand(2, 1, 3, size, size), torch.zeros(2, 0), torch.arange(2)
    )


def _reached(net: Edl, term: torch.Tensor) -> set[str]:
    """The parts of the network that have a gradient."""
    net.zero_grad()
    term.backward(retain_graph=True)
    return {
        name
        for name, part in net.named_children()
        if any(value.grad is not None and value.grad.any() for value in part.parameters())
    }


@pytest.mark.parametrize("branches", ["masked", "masked-features", "dual"])
def test_each_loss_reaches_its_branches_alone(branches: Branches) -> None:
    """Eq. 8: the pixel loss not the adversarial branch, nor the adversarial loss the pixel branch; Eq. 7: all."""
    net, judge = _tiny(branches), PatchDiscriminator(4)
    assert isinstance(net, Edl)
    looked_through = torch.nn.Conv2d(3, 4, 3)

    class Look(torch.nn.Module):
        def forward(self, sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
            return (looked_through(sr) - looked_through(hr)).abs().mean()

    masks = {"mask"} if branches != "dual" else set()
    tails = (lambda *names: {f"{n}_tail" for n in names}) if branches == "masked-features" else lambda *_: set()
    told: dict[str, Any] = {"perceptual": Look(), "judge": judge}
    config = compose(CONFIG, losses={"perceptual": {"weight": 1}})
    terms = generator_terms(net, _batch(), config, {}, **told)
    assert _reached(net, terms["pixel"]) == {"generator", "pixel"} | masks | tails("pixel")
    assert _reached(net, terms["gan"]) == {"generator", "adversarial"} | masks | tails("adversarial")
    everything = {"generator", "adversarial", "pixel"} | masks | tails("adversarial", "pixel")
    assert _reached(net, terms["perceptual"]) == everything
    summed = generator_terms(net, _batch(), compose(config, losses={"exclusive": False}), {}, **told)
    assert all(_reached(net, term) == everything for term in summed.values())


def test_terms_by_hand() -> None:
    """Pixel loss of the pixel branch; the relativistic loss of the adversarial one; the judge sees it, or the sum."""
    net, judge, batch = _tiny("masked"), PatchDiscriminator(4).eval(), _batch()
    shared: dict[str, torch.Tensor] = {}
    terms = generator_terms(net, batch, CONFIG, shared, judge=judge)
    parts = parts_of(net, batch.lr[:, 0])
    assert terms["pixel"].item() == pytest.approx((parts.pixel - batch.hr).abs().mean().item())
    real, fake = judge(batch.hr), judge(parts.adversarial)
    softplus = torch.nn.functional.softplus
    gan = (softplus(real - fake.mean()).mean() + softplus(real.mean() - fake).mean()) / 2
    assert terms["gan"].item() == pytest.approx(0.1 * gan.item(), rel=1e-4)
    assert torch.equal(shared["sr"], parts.adversarial) and not shared["sr"].requires_grad
    found = discriminator_terms(judge, shared, relativistic=True)
    expected = (softplus(fake.mean() - real).mean() + softplus(fake - real.mean()).mean()) / 2
    assert sum(found.values()).item() == pytest.approx(expected.item(), rel=1e-4)  # type: ignore[union-attr]
    generator_terms(net, batch, compose(CONFIG, losses={"discriminator_input": "sum"}), shared, judge=judge)
    assert torch.equal(shared["sr"], parts.sr)


def test_presets_have_the_published_numbers() -> None:
    """NTIRE 2020's and AIM 2019's training files, and Impressionism's."""
    names = ("rwsr-edl", "rwsr-edl-code", "rwsr-edl-aim19", "impressionism")
    paper, published, aim, before = map(compose_training, names)
    assert paper.losses.exclusive and paper.losses.discriminator_input == "branch"
    assert published.losses.discriminator_input == "sum"
    weights = [
        (each.losses.pixel, each.losses.perceptual.weight, each.losses.gan.weight) for each in (paper, aim, before)
    ]
    assert weights == [(0.01, 1, 0.005), (0.1, 1, 0.001), (0.01, 1, 0.005)]
    assert [each.loop.steps for each in (paper, published, aim, before)] == [150_000, 150_000, 350_000, 60_001]
    assert (paper.loop.batch_size, paper.loop.lr_patch_px, paper.loop.learning_rate, paper.loop.seed) == (
        16,
        32,
        1e-4,
        10,
    )
    assert (paper.network.branches, published.network.branches, before.network.branches) == (
        "masked",
        "masked-features",
        "none",
    )
    assert all(each.losses.gan.relativistic for each in (paper, aim, before))
    assert before.losses.gan.discriminator == "vgg128" and paper.losses.gan.discriminator == "patch"
    with pytest.raises(ValueError, match="patch takes 24 px or more, not loop.lr_patch_px = 8 times 2; use 12"):
        EdlConfig(network=EdlNetworkConfig(scale=2), loop=paper.loop.model_copy(update={"lr_patch_px": 8}))
    with pytest.raises(ValueError, match="losses are all 0"):
        compose(CONFIG, losses={"pixel": 0, "gan": {"weight": 0}})
    assert isinstance(EdlLosses().gan.weight, float) and VggDiscriminator is not PatchDiscriminator


# ------------------------------------------------------------------------------------------------------ training


@pytest.mark.slow
def test_noise_is_drawn_anew_in_each_step(pairs: Store, bank: Path) -> None:
    """Mean-free, of the bank, the same for the same step whatever the part of the batch; HR is untouched."""
    noise, source = NoiseBank.open(bank), StoredGroups(pairs)
    plain = GroupBatches(source, batch_size=4, lr_patch_px=16, seed=7)
    noisy = GroupBatches(source, batch_size=4, lr_patch_px=16, seed=7, noise=noise)
    first, clean = noisy[0].to(CPU), plain[0].to(CPU)
    added = first.lr - clean.lr
    inside = (first.lr > 0) & (first.lr < 1)
    assert torch.equal(first.hr, clean.hr) and torch.equal(noisy[0].lr, first.lr)
    assert 3 < 255 * added[inside].std() < 7 and abs(float(added.mean())) < 1e-3
    assert not torch.equal(added, noisy[2].to(CPU).lr - plain[2].to(CPU).lr)
    with pytest.raises(UserError, match=r"loop.lr_patch_px = 18 is larger than the patches of .*; use 16 at most"):
        GroupBatches(source, batch_size=2, lr_patch_px=18, seed=7, noise=_smaller(noise))


def _smaller(bank: NoiseBank) -> NoiseBank:
    class Small(NoiseBank):
        @property
        def size_px(self) -> int:
            return 16

    return Small(**vars(bank))


@pytest.mark.slow
def test_a_stopped_training_ends_the_same(pairs: Store, bank: Path, tmp_path: Path) -> None:
    """With discriminator and noise; another bank is another training."""
    noise = NoiseBank.open(bank)
    _train(tmp_path / "whole", pairs, CONFIG, noise=noise)
    with pytest.raises(Stop):
        _train(tmp_path / "broken", pairs, CONFIG, stop_after(5), noise=noise)
    assert _train(tmp_path / "broken", pairs, CONFIG, noise=noise)
    for name in ("model.safetensors", "train.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()
    with pytest.raises(UserError, match="is of other data"):
        _train(tmp_path / "whole", pairs, CONFIG)


@pytest.mark.slow
def test_it_starts_from_a_psnr_model(pairs: Store, tmp_path: Path) -> None:
    """The main generator gets its weights; branches start afresh."""
    same = {"num_feat": 4, "num_block": 1, "num_grow_ch": 4}
    psnr = compose(compose_training("esrgan-psnr"), loop={"steps": 2, "batch_size": 2, "lr_patch_px": 16}, network=same)

    def make(groups: StoredGroups, start: None) -> object:
        return mmrealsr_stages.build(psnr, Given(groups, start))

    source = StoredGroups(pairs)
    runs.train(tmp_path / "psnr", source, digest(pairs), psnr, psnr.loop, make, CPU, _nothing)
    start = read_model(tmp_path / "psnr/model.safetensors").weights
    method = rwsr_edl.build(compose(CONFIG, network={"init_as_nearest": False}), Given(source, start))
    net = method.networks["generator"]
    assert isinstance(net, Edl)
    assert all(torch.equal(value, start[name]) for name, value in net.generator.state_dict().items())
    again = rwsr_edl.build(CONFIG, Given(source, net.state_dict())).networks["generator"]
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in again.state_dict().items())
    wide = compose(CONFIG, network={"num_feat": 6})
    with pytest.raises(UserError, match="--start-from is of another network"):
        rwsr_edl.build(wide, Given(source, start))


def test_groups_and_other_scales_are_refused(photos: Path, pairs: Store, tmp_path: Path) -> None:
    groups = tiny_store(photos, tmp_path / "groups.zarr", num_samples=4, hr_size_px=80)
    with pytest.raises(UserError, match="holds groups; RWSR-EDL learns from pairs"):
        _train(tmp_path / "run", groups, CONFIG)
    with pytest.raises(UserError, match="is for scale 4, the network for 2"):
        _train(tmp_path / "run", pairs, compose(CONFIG, network={"scale": 2}))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_commands_take_an_edl_run(photos: Path, pairs: Store, bank: Path, tmp_path: Path) -> None:
    """Trained on a store and on folders, with noise that is not in the pairs yet; measured, exported and used."""
    sets = (
        "loop.batch_size=2",
        "loop.lr_patch_px=16",
        "network.num_feat=4",
        "network.num_block=1",
        "network.num_grow_ch=4",
        "losses.gan.num_feat=4",
    )
    few = ["--preset", "rwsr-edl-small", "--steps", 2, "--set", "losses.perceptual.weight=0"]
    few += [part for each in sets for part in ("--set", each)]
    rwsr("train", "rwsr-edl", "--store", pairs.path, "--bank", bank, "--out", tmp_path / "run", *few)
    recipe = tmp_path / "recipe.yaml"
    changes = ("--set", "recipe.strength=0", "--set", "hr_size_px=80")
    recipe.write_text(rwsr("degrade", "show", "rwsr-edl", *changes))
    live = ("train", "rwsr-edl", "--source", photos, "--bank", bank, "--out", tmp_path / "live", *few)
    rwsr(*live, "--recipe", recipe)
    assert "none of 4 usable images is at least 512 px" in rwsr(*live, code=1)
    noisy = ("degrade", "build", "--preset", "rwsr-edl", "--source", photos, "--hr-size", 96, "--samples", 3)
    rwsr(*noisy, "--bank", bank, "--out", tmp_path / "noisy.zarr")
    rwsr("train", "rwsr-edl", "--store", tmp_path / "noisy.zarr", "--out", tmp_path / "from-store", *few)
    twice = ("train", "rwsr-edl", "--store", tmp_path / "noisy.zarr", "--bank", bank, "--out", tmp_path / "no", *few)
    assert "has noise of a bank in its LR already; build it with recipe.strength=0" in rwsr(*twice, code=1)
    quiet = ("--set", "recipe.strength=0", "--bank", bank, "--out", tmp_path / "quiet.zarr")
    assert "takes no noise from a bank; leave --bank out" in rwsr(*noisy, *quiet, code=1)
    assert isinstance(open_run(tmp_path / "run", CPU).net, Edl)
    out = tmp_path / "m.parquet"
    said = rwsr("eval", "restoration", "--store", pairs.path, "--model", tmp_path / "run", "--out", out)
    assert "run: psnr-y" in said
    rwsr("restore", photos / "b.png", "--model", tmp_path / "run", "--out", tmp_path / "restored")
    with Image.open(tmp_path / "restored/b.png") as image:
        assert image.size == (640, 640)
    plain = ["--set", "network.branches=none"]
    rwsr("train", "rwsr-edl", "--store", pairs.path, "--out", tmp_path / "plain", *few, *plain)
    assert isinstance(open_run(tmp_path / "plain", CPU).net, MMRealSR)
    rwsr("export", tmp_path / "run", "--out", tmp_path / "model.onnx")
    rwsr("export", tmp_path / "run", "--out", tmp_path / "model.pth")
    lr = torch.rand(1, 3, 9, 12)
    opened, trained = (open_restorer(tmp_path / name, CPU).net for name in ("model.pth", "run"))
    assert torch.equal(opened(lr), trained(lr))


def test_the_published_codes_branches_start_as_they_were_published() -> None:
    """Of features, without an identity to start near: torch's own weights, by which I_G reaches SR."""
    config = EdlNetworkConfig(num_feat=4, num_block=1, num_grow_ch=4, branches="masked-features", branch_feats=64)
    net = built(partial(Edl, config), 0)
    image = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        spread = float(net.pixel_tail(net.pixel(image)).std())
    assert 0.01 < spread < 0.1  # 1.1e-4 from a tenth of Kaiming's weights, 0.028 to 0.040 of the official modules
    bound = (64 * 9) ** -0.5  # of torch's default weights
    assert 0.9 * bound < float(net.pixel_tail.weight.detach().abs().max()) <= bound

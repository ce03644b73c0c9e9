"""Any architecture on pairs: by pixels, structure, perception and an adversary, as people train restorers today.

The networks are ours and spandrel's. What a loss weighs is said in its config; 0 leaves it out.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ...degrade.family import Frozen, OneOf
from ...eval.metrics.lpips_dists import check_side, dists, lpips
from ..data.batches import GroupBatch
from ..engine.loop import built
from ..engine.optimizers import AdamW
from ..engine.schedule import Cosine, MultiStep
from ..engine.training import LoopConfig, Shared, Training
from ..losses.adversarial import DISCRIMINATOR, GENERATOR, discriminator_terms, gan_term, start_judge
from ..losses.perceptual import ESRGAN, PerceptualConfig, perceptual_loss
from ..losses.pixel import Kind, by_pixels, focal_frequency_loss, ldl_loss, ms_ssim_loss
from ..losses.usm import check_target, sharpened
from ..networks.base import NetworkConfig
from ..networks.discriminators import Discriminator, GanConfig, check_input, discriminator
from ..networks.mm_realsr import MMRealSRConfig
from ..networks.published.srresnet import SrResNetConfig
from ..networks.spandrel_arch import OTHERS, SpandrelConfig
from .base import Given, Method, Preset, TrainingConfig, check_untold, network_of_pairs, why_no_pairs, with_fp32

Weight = Annotated[float, Field(ge=0)]
Look = Callable[[Tensor, Tensor], Tensor]


class SrLosses(Frozen):
    """Weights of the terms; 0 leaves a term out."""

    pixel: Weight = 1.0
    """Of the difference of pixels."""
    pixel_kind: Kind = "l1"
    """Its kind."""
    ms_ssim: Weight = 0
    """1 - MS-SSIM (Wang et al. 2003)."""
    focal_frequency: Weight = 0
    """Focal frequency loss (Jiang et al. 2021)."""
    ldl: Weight = 0
    """Artifacts where they are likely (LDL, Liang et al. 2022), by what the averaged weights make."""
    lpips: Weight = 0
    """LPIPS v0.1 (Zhang et al. 2018)."""
    lpips_net: Literal["alex", "vgg", "squeeze"] = "vgg"
    """What LPIPS looks through."""
    dists: Weight = 0
    """DISTS (Ding et al. 2020)."""
    perceptual: PerceptualConfig = PerceptualConfig(weight=0)
    """The perceptual loss."""
    gan: GanConfig = GanConfig(weight=0)
    """The adversarial loss."""
    sharpen_target: bool = False
    """All but the discriminator look at HR sharpened by Real-ESRGAN's unsharp mask."""


class SrConfig(TrainingConfig):
    """A training of any architecture."""

    method: Literal["sr"] = "sr"
    network: Annotated[NetworkConfig, OneOf(NetworkConfig, "arch", other=OTHERS)] = MMRealSRConfig(modulated=False)
    """Ours (compact, mm-realsr with modulated=false, ...) or one of spandrel's, by its name in small letters."""
    losses: SrLosses = SrLosses()
    """What is minimised."""

    @model_validator(mode="after")
    def _some_loss(self) -> Self:
        told = self.losses
        weights = (told.pixel, told.ms_ssim, told.focal_frequency, told.ldl, told.lpips, told.dists)
        if not any((*weights, told.perceptual.weight, told.gan.weight)):
            raise ValueError("losses are all 0; give one a weight")
        return self

    @model_validator(mode="after")
    def _what_losses_take(self) -> Self:
        check_input(self.losses.gan, self.loop.lr_patch_px, self.network.scale)
        check_target(self.losses.sharpen_target, self.loop.lr_patch_px, self.network.scale)
        check_untold(self.network)
        if self.losses.lpips:
            check_side(self.losses.lpips_net, self.loop.lr_patch_px * self.network.scale, "loop.lr_patch_px")
        if isinstance(self.network, MMRealSRConfig) and self.network.modulated:
            raise ValueError("network.modulated is for `rwsr train mm-realsr`; set network.modulated=false")
        return self


def _looks(config: SrLosses) -> dict[str, tuple[float, nn.Module | None, Look]]:
    """Of each loss with a weight: the weight, the network that it looks through, the loss of (SR, target)."""
    found: dict[str, tuple[float, nn.Module | None, Look]] = {
        "pixel": (config.pixel, None, partial(by_pixels, config.pixel_kind)),
        "ms_ssim": (config.ms_ssim, None, ms_ssim_loss),
        "focal_frequency": (config.focal_frequency, None, focal_frequency_loss),
    }
    if config.lpips:
        seen = lpips(config.lpips_net)
        found["lpips"] = (config.lpips, seen, lambda sr, hr: seen(2 * sr - 1, 2 * hr - 1).mean())
    if config.dists:
        likeness = dists()
        found["dists"] = (config.dists, likeness, lambda sr, hr: likeness(sr, hr).mean())
    perceptual = perceptual_loss(config.perceptual)
    if perceptual is not None:
        found["perceptual"] = (config.perceptual.weight, perceptual, perceptual)
    return {name: each for name, each in found.items() if each[0]}


def build(config: SrConfig, given: Given) -> Training[GroupBatch]:
    """The network, from seeded weights or from others, and its losses.

    Raises:
        UserError: the pairs, the options of the architecture or the weights do not fit.
        MissingWeights: those that a loss looks through are not there.
    """
    net = network_of_pairs(config, given, "this learns from pairs")
    weights, looks = config.losses, _looks(config.losses)
    judge = built(partial(discriminator, weights.gan), config.loop.seed) if weights.gan.weight else None
    start_judge(judge, given.judge)
    average = built(config.network.build, config.loop.seed) if weights.ldl else None

    def terms(name: str, batch: GroupBatch, shared: Shared) -> dict[str, Tensor]:
        if name == DISCRIMINATOR and judge is not None:
            return discriminator_terms(judge, shared, relativistic=weights.gan.relativistic)
        lr = batch.lr.flatten(0, 1)
        sr = net(lr).float()
        target = sharpened(batch.hr) if weights.sharpen_target else batch.hr
        found = {name: weight * look(sr, target) for name, (weight, _, look) in looks.items()}
        if average is not None:
            with torch.no_grad():
                averaged = average(lr).float()
            found["ldl"] = weights.ldl * ldl_loss(sr, target, averaged)
        if judge is not None:
            found["gan"] = _gan(weights.gan, judge, sr, batch.hr, shared)
        return found

    nets: dict[str, nn.Module] = {GENERATOR: net} | ({} if judge is None else {DISCRIMINATOR: judge})
    fixed = [seen for _, seen, _ in looks.values() if seen is not None]
    return Training(nets, terms, fixed, average=average)


def _gan(config: GanConfig, judge: Discriminator, sr: Tensor, hr: Tensor, shared: Shared) -> Tensor:
    shared["sr"], shared["real"] = sr.detach(), hr
    return gan_term(config, judge, sr, hr)


# ---------------------------------------------------------------------------------------------------- presets

_PSNR = SrConfig(
    losses=SrLosses(pixel_kind="charbonnier"),
    loop=LoopConfig(
        steps=500_000,
        batch_size=16,
        lr_patch_px=48,
        use_rot90=True,
        betas=(0.9, 0.99),
        schedule=MultiStep(milestones=(250_000, 400_000, 450_000, 475_000)),
        ema_decay=0.999,
    ),
)
_GAN = SrConfig(
    losses=SrLosses(perceptual=PerceptualConfig(), gan=GanConfig(), ldl=1.0),
    loop=LoopConfig(
        steps=400_000,
        batch_size=16,
        lr_patch_px=48,
        use_rot90=True,
        optimizer=AdamW(weight_decay=0),
        learning_rate=1e-4,
        clip=None,
    ),
)

# What LWay looks through: BasicSR's SRResNet on clean LR, then by an adversary (its own training is not published).
_SRRESNET = SrConfig(
    network=SrResNetConfig(),
    loop=LoopConfig(
        steps=1_000_000,
        batch_size=16,
        lr_patch_px=32,
        use_rot90=True,
        betas=(0.9, 0.99),
        schedule=Cosine(),
        ema_decay=0,
    ),
)
_EXTRACTOR = SrConfig(
    needs_start=True,
    network=SrResNetConfig(),
    losses=SrLosses(
        pixel=0.01,
        perceptual=PerceptualConfig(layers=ESRGAN),
        gan=GanConfig(weight=0.005, discriminator="vgg128"),
    ),
    loop=LoopConfig(
        steps=400_000,
        batch_size=16,
        lr_patch_px=32,
        use_rot90=True,
        learning_rate=1e-4,
        betas=(0.9, 0.99),
        schedule=MultiStep(milestones=(50_000, 100_000, 200_000, 300_000)),
        ema_decay=0,
    ),
)
_EXTRACTOR_SMALL = SrConfig(
    network=SrResNetConfig(num_feat=32, num_block=4),
    losses=SrLosses(
        perceptual=PerceptualConfig(net="squeezenet", weight=0.01),
        gan=GanConfig(weight=0.001, discriminator="patch", num_feat=12),
    ),
    loop=LoopConfig(
        steps=1200,
        batch_size=8,
        lr_patch_px=24,
        use_rot90=True,
        learning_rate=5e-4,
        warmup_steps=50,
        schedule=Cosine(min_factor=0.05),
        ema_decay=0.99,
        log_every=50,
        checkpoint_every=250,
    ),
)

# SwinIR-M for photographs (Liang et al. 2021), by KAIR's training files. Not checked here: the names are spandrel's,
# which need not be there to read about the preset.
_SWINIR = SpandrelConfig.model_construct(
    arch="swinir", scale=4, options={"img_size": 64, "upsampler": "nearest+conv", "img_range": 1.0}
)
_SWINIR_PSNR = _PSNR.model_copy(
    update={
        "network": _SWINIR,
        "losses": SrLosses(),
        "loop": LoopConfig(
            steps=1_000_000,
            batch_size=32,
            lr_patch_px=64,
            use_rot90=True,
            betas=(0.9, 0.999),
            schedule=MultiStep(milestones=(500_000, 800_000, 900_000, 950_000)),
        ),
    }
)
_SWINIR_GAN = _SWINIR_PSNR.model_copy(
    update={
        "needs_start": True,
        "losses": SrLosses(perceptual=PerceptualConfig(), gan=GanConfig()),
        "loop": _SWINIR_PSNR.loop.model_copy(
            update={
                "steps": 600_000,
                "learning_rate": 1e-4,
                "schedule": MultiStep(milestones=(400_000, 500_000, 550_000, 575_000)),
            }
        ),
    }
)

PRESETS = with_fp32(
    {
        "psnr": Preset(_PSNR, "Any architecture by pixels alone (Charbonnier), 500K steps.", "bicubic"),
        "gan": Preset(_GAN, "With perceptual, LDL and GAN losses, 400K steps, best from a run of psnr.", "real-esrgan"),
        "srresnet": Preset(_SRRESNET, "SRResNet on clean LR, from which lway-extractor starts.", "bicubic"),
        "lway-extractor": Preset(_EXTRACTOR, "What LWay sees degradations through, from a run of srresnet.", "bicubic"),
        "swinir-psnr": Preset(_SWINIR_PSNR, "SwinIR-M for photographs by pixels, by KAIR's file (spandrel).", "bsrgan"),
        "swinir-gan": Preset(_SWINIR_GAN, "SwinIRGAN, from a run of swinir-psnr.", "bsrgan"),
    },
    {"lway-extractor-small": Preset(_EXTRACTOR_SMALL, "LWay's extractor in minutes on a CPU.", "bicubic")},
)
METHOD = Method("sr", SrConfig, PRESETS, build, why_no_pairs, inputs=("bank",))

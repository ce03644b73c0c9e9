"""How MM-RealSR is trained: stage 1 (pixel, ranking, anchors), then stage 2 (with perceptual and GAN losses).

Real-ESRGAN and ESRGAN fall out as the same without modulation. Where paper and published code differ
there is a preset of each.
"""

from typing import Annotated, Literal, Self

from pydantic import model_validator
from torch import Tensor, nn

from ...degrade.errors import UserError
from ...degrade.family import OneOf
from ...degrade.recipes.base import Recipe
from ..data.batches import GroupBatch, GroupSource, check_scale
from ..data.of_training import Data
from ..engine.loop import built
from ..engine.schedule import MultiStep
from ..engine.training import LoopConfig, Shared, Training
from ..losses import basic as losses
from ..losses.adversarial import by_config, gan_term
from ..losses.perceptual import ESRGAN, PerceptualConfig, PerceptualLoss
from ..losses.usm import check_target, sharpened
from ..networks.base import NetworkConfig
from ..networks.discriminators import Discriminator, GanConfig, check_input
from ..networks.mm_realsr import (
    MEMBERS,
    MMRealSR,
    MMRealSRConfig,
)
from ..networks.udem import UdemConfig
from ..runs.model_file import start_with
from .base import Given, Method, Preset, TrainingConfig, check_start, check_untold, is_group, other_scale, with_fp32
from .mm_realsr_losses import LossConfig, conditions, metric_terms


class TrainConfig(TrainingConfig):
    """One stage."""

    method: Literal["mm-realsr"] = "mm-realsr"
    network: Annotated[NetworkConfig, OneOf(NetworkConfig, "arch")] = MMRealSRConfig()
    """MM-RealSR's, or any other that restores without a condition."""
    detach_scores: bool = False
    """The restoration's losses do not reach the UDEM through the scores that steer it."""
    freeze_udem: bool = False
    """Nothing does."""
    losses: LossConfig = LossConfig()
    """What is minimised."""

    @property
    def modulated(self) -> bool:
        """Whether the network scores images and is steered by the scores."""
        return isinstance(self.network, MMRealSRConfig) and self.network.modulated

    @model_validator(mode="after")
    def _what_the_losses_take(self) -> Self:
        check_untold(self.network)
        check_input(self.losses.gan, self.loop.lr_patch_px, self.network.scale)
        return self

    @model_validator(mode="after")
    def _what_sharpening_takes(self) -> Self:
        check_target(self.losses.sharpen_target, self.loop.lr_patch_px, self.network.scale)
        return self


def generator_terms(
    net: nn.Module,
    batch: GroupBatch,
    config: TrainConfig,
    shared: Shared,
    *,
    perceptual: PerceptualLoss | None = None,
    judge: Discriminator | None = None,
) -> dict[str, Tensor]:
    """The weighted terms of the generator: all members of a group are restored to the one HR.

    shared: gets `sr` and `real`, detached, for the discriminator.
    """
    groups, members = batch.lr.shape[:2]
    lr, weights = batch.lr.flatten(0, 1), config.losses
    terms: dict[str, Tensor] = {}
    scores: Tensor | None = None
    if isinstance(net, MMRealSR) and net.modulated:
        predicted = net.score(lr).unflatten(0, (groups, members)).float()
        terms = {} if config.freeze_udem else metric_terms(predicted, weights)
        scores = conditions(predicted.detach() if config.detach_scores else predicted).flatten(0, 1)
    sr = (net(lr) if scores is None else net(lr, scores)).float()
    target = sharpened(batch.hr) if weights.sharpen_target else batch.hr
    of_groups = sr.unflatten(0, (groups, members))
    found = {"pixel": weights.pixel * losses.pixel(of_groups, target[:, None].expand_as(of_groups))}
    if perceptual is not None:
        found["perceptual"] = weights.perceptual.weight * perceptual(sr, target)
    if judge is not None:
        # each HR once: judged again for every member it would count alike, at five times the work
        shared["sr"], shared["real"] = sr.detach(), batch.hr
        found["gan"] = gan_term(weights.gan, judge, sr, batch.hr)
    return found | terms


def build(config: TrainConfig, given: Given) -> Training[GroupBatch]:
    """The networks of a stage, from seeded weights or from those of an earlier one, and their losses.

    Raises:
        UserError: the groups are not what the config trains on, the earlier weights are another network's, or the
            perceptual loss's own cannot be had.
    """
    _check_fit(given.groups, config)
    check_start(config, given.start is not None)
    if config.freeze_udem and config.modulated and given.start is None:
        raise UserError("freeze_udem keeps the scores of an earlier run; name it with --start-from, or drop the key")
    net = built(config.network.build, config.loop.seed)
    if given.start is not None:
        start_with(net, given.start, partly=given.partly)
    if config.freeze_udem and isinstance(net, MMRealSR) and net.modulated:
        net.de_net.requires_grad_(False)
    return by_config(
        net,
        config.losses.perceptual,
        config.losses.gan,
        config.loop.seed,
        given.judge,
        lambda batch, shared, perceptual, judge: generator_terms(
            net, batch, config, shared, perceptual=perceptual, judge=judge
        ),
    )


def _check_fit(groups: GroupSource, config: TrainConfig) -> None:
    """Raises UserError when these groups or pairs are not what the config trains on."""
    check_scale(groups, config.network.scale)
    if config.modulated and groups.members != MEMBERS:
        raise UserError(
            f"{groups.name} holds pairs; modulation is learned from groups (rwsr degrade build --preset mm-realsr), "
            "pairs are for the presets of real-esrgan and esrgan"
        )


def _why_not(config: TrainConfig, recipe: Recipe, to_learn: bool) -> str | None:
    unordered = to_learn and config.modulated and not is_group(recipe)
    return other_scale(config.network.scale, recipe) or ("learns from groups (mm-realsr)" if unordered else None)


def _notes(config: TrainConfig, data: Data) -> list[str]:
    """Where LR and targets are not sharpened as the published training has them."""
    name, sharp = data.groups.name, data.groups.sharpened
    if not config.losses.sharpen_target:
        fix = "set losses.sharpen_target=true, as published"
        return (
            [f"note: LR of {name} is made of sharpened HR, and the targets are not sharpened; {fix}"] if sharp else []
        )
    wanted = not config.losses.gan.weight if config.modulated else True
    if sharp == wanted:
        return []
    preset = "real-esrgan" if not config.modulated else "mm-realsr-stage-1" if wanted else "mm-realsr"
    made, published = ("sharpened HR", "HR as it is") if sharp else ("HR as it is", "sharpened HR")
    return [
        f"note: LR of {name} is made of {made}; the published training has LR of {published} (rwsr degrade build "
        f"--preset {preset}; recipe.usm)"
    ]


# ---------------------------------------------------------------------------------------------------- presets

# The published training files, four processes taken as one: 24 groups of LR 48, then 16 of LR 64. The GAN keeps the
# UDEM frozen, its metric losses are only logged there and so left out here; its targets are sharpened. So are the first
# stage's, whose LR is made of sharpened HR too.
_CODE = TrainConfig(
    losses=LossConfig(sharpen_target=True),
    loop=LoopConfig(steps=70_000, batch_size=24, lr_patch_px=48, schedule=MultiStep(milestones=(1_000_000,))),
)
_CODE_GAN = TrainConfig(
    needs_start=True,
    detach_scores=True,
    freeze_udem=True,
    losses=LossConfig(ranking=0, anchor=0, perceptual=PerceptualConfig(), gan=GanConfig(), sharpen_target=True),
    loop=LoopConfig(
        steps=590_000, batch_size=16, lr_patch_px=64, learning_rate=1e-4, schedule=MultiStep(milestones=(400_000,))
    ),
)

# The paper's text. It does not say whether 48 counts groups or images (here: groups), nor the margin (here: the
# code's).
_PAPER = TrainConfig(
    losses=LossConfig(ranking=0.05, anchor=0.05), loop=LoopConfig(steps=1_000_000, batch_size=48, lr_patch_px=64)
)
_PAPER_GAN = TrainConfig(
    needs_start=True,
    losses=LossConfig(ranking=0.05, anchor=0.05, perceptual=PerceptualConfig(), gan=GanConfig()),
    loop=LoopConfig(steps=400_000, batch_size=48, lr_patch_px=64, learning_rate=1e-4),
)

# The metric losses weigh more than the published ones, in the same proportion, and the UDEM starts from larger weights:
# the published values leave its scores near their start for some ten thousand steps. The proportion matters: CLEAN is
# sharp as well as free of noise and WORST blurred as well as noisy, and where the anchors rule, the noise score learns
# blur. So does the UDEM's first stage without stride: noise is told by the finest pixels.
_SMALL = TrainConfig(
    network=MMRealSRConfig(
        num_feat=16,
        num_block=2,
        num_grow_ch=8,
        embed_feats=64,
        modulator_feats=64,
        init_as_nearest=True,
        udem=UdemConfig(num_feat=(16, 16, 32), num_block=(1, 1, 1), downscales=(1, 2, 1), init_scale=0.5),
    ),
    losses=LossConfig(ranking=0.5, anchor=0.005),
    loop=LoopConfig(
        steps=3000,
        warmup_steps=500,
        batch_size=4,
        lr_patch_px=24,
        learning_rate=1e-3,
        ema_decay=0.997,
        log_every=50,
        checkpoint_every=250,
    ),
)
_SMALL_GAN = TrainConfig(
    needs_start=True,
    network=_SMALL.network,
    detach_scores=True,
    freeze_udem=True,
    losses=LossConfig(
        ranking=0, anchor=0, perceptual=PerceptualConfig(net="squeezenet"), gan=GanConfig(weight=0.02, num_feat=16)
    ),
    loop=_SMALL.loop.model_copy(update={"steps": 600, "learning_rate": 2e-4}),
)

# Real-ESRGAN: no modulation. LR is made of sharpened HR, pixel and perceptual losses look at sharpened HR, the
# discriminator at HR as it is.
_PLAIN = MMRealSRConfig(modulated=False)
_REAL = TrainConfig(
    network=_PLAIN,
    losses=LossConfig(ranking=0, anchor=0, sharpen_target=True),
    loop=LoopConfig(steps=1_000_000, batch_size=48, lr_patch_px=64),
)
_REAL_GAN = TrainConfig(
    needs_start=True,
    network=_PLAIN,
    losses=LossConfig(ranking=0, anchor=0, perceptual=PerceptualConfig(), gan=GanConfig(), sharpen_target=True),
    loop=LoopConfig(steps=400_000, batch_size=48, lr_patch_px=64, learning_rate=1e-4),
)

# ESRGAN (Wang et al. 2018, section 4.1): conv5_4 of VGG-19 and a relativistic discriminator.
_ESRGAN_LOOP = LoopConfig(batch_size=16, lr_patch_px=32, use_rot90=True, betas=(0.9, 0.999))
_PSNR = TrainConfig(
    network=_PLAIN,
    losses=LossConfig(ranking=0, anchor=0),
    loop=_ESRGAN_LOOP.model_copy(
        update={"steps": 1_000_000, "schedule": MultiStep(milestones=(200_000, 400_000, 600_000, 800_000))}
    ),
)
_ESRGAN = TrainConfig(
    needs_start=True,
    network=_PLAIN,
    losses=LossConfig(
        pixel=0.01,
        ranking=0,
        anchor=0,
        perceptual=PerceptualConfig(layers=ESRGAN),
        gan=GanConfig(weight=0.005, relativistic=True, discriminator="vgg128"),
    ),
    loop=_ESRGAN_LOOP.model_copy(
        update={
            "steps": 400_000,
            "learning_rate": 1e-4,
            "schedule": MultiStep(milestones=(50_000, 100_000, 200_000, 300_000)),
        }
    ),
)


def _with_steps(config: TrainConfig, steps: int) -> TrainConfig:
    return config.model_copy(update={"loop": config.loop.model_copy(update={"steps": steps})})


PRESETS = with_fp32(
    {
        "mm-realsr-code": Preset(_CODE, "Stage 1 of MM-RealSR by its training file: 70K steps.", "mm-realsr-stage-1"),
        "mm-realsr-code-gan": Preset(_CODE_GAN, "Stage 2 by its training file: 590K steps, UDEM frozen.", "mm-realsr"),
        "mm-realsr-best-modulation": Preset(
            _with_steps(_CODE, 40_000), "Stage 1 of its BestModulation, the demo's: 40K steps.", "mm-realsr-stage-1"
        ),
        "mm-realsr-best-modulation-gan": Preset(
            _with_steps(_CODE_GAN, 100_000), "Stage 2 of its BestModulation: 100K steps.", "mm-realsr"
        ),
        "mm-realsr-paper": Preset(_PAPER, "Stage 1 by the paper's text: 1,000K steps.", "mm-realsr"),
        "mm-realsr-paper-gan": Preset(_PAPER_GAN, "Stage 2 by the paper's text: 400K steps.", "mm-realsr"),
        "real-esrnet": Preset(_REAL, "Real-ESRNet: no modulation, by pixels alone, 1,000K steps.", "real-esrgan"),
        "real-esrgan": Preset(_REAL_GAN, "Real-ESRGAN, from a run of real-esrnet: 400K steps.", "real-esrgan"),
        "esrgan-psnr": Preset(_PSNR, "RRDB_PSNR of ESRGAN: by pixels alone, 1,000K steps.", "bicubic"),
        "esrgan": Preset(_ESRGAN, "ESRGAN, from a run of esrgan-psnr: 400K steps.", "bicubic"),
    },
    {
        "mm-realsr-small": Preset(_SMALL, "Stage 1 in minutes on a CPU: for demos and tests.", "mm-realsr"),
        "mm-realsr-small-gan": Preset(_SMALL_GAN, "Stage 2 in minutes on a CPU: for demos and tests.", "mm-realsr"),
    },
)
METHOD = Method("mm-realsr", TrainConfig, PRESETS, build, _why_not, notes=_notes)

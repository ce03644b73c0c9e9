"""How MM-RealSR is trained: stage 1 (pixel, ranking, anchors), then stage 2 (with perceptual and GAN losses).

Real-ESRGAN and ESRGAN fall out as the same without modulation. Where paper and published code differ (facts: 1.9, 1.11)
there is a preset of each.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from ...degrade.errors import UserError
from ..data.batches import GroupBatch, GroupSource, check_scale
from ..engine.loop import built
from ..engine.method import LoopConfig, Method, Shared
from ..engine.model_file import start_with
from ..engine.run import Stage, check_start
from ..engine.schedule import Steps
from ..losses import basic as losses
from ..losses.adversarial import by_config, gan_term
from ..losses.perceptual import ESRGAN, PerceptualConfig, PerceptualLoss
from ..losses.usm import sharpened
from ..networks.discriminators import Discriminator, GanConfig, check_input
from ..networks.mm_realsr import (
    BASE,
    BLUR,
    BLURRIER,
    CLEAN,
    MEMBERS,
    METHOD,
    NOISE,
    NOISIER,
    WORST,
    MMRealSR,
    NetworkConfig,
)
from ..networks.udem import UdemConfig


class LossConfig(BaseModel):
    """Weights of the terms; 0 leaves a term out.

    margin: of the ranking. sharpen_target: pixel and perceptual losses look at HR sharpened by Real-ESRGAN's unsharp
    mask, the discriminator at HR as it is: MM-RealSR's code in both stages, and Real-ESRGAN.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    pixel: Annotated[float, Field(ge=0)] = 1.0
    ranking: Annotated[float, Field(ge=0)] = 0.01
    margin: float = 0.05
    anchor: Annotated[float, Field(ge=0)] = 1e-4
    perceptual: PerceptualConfig = PerceptualConfig(weight=0)
    gan: GanConfig = GanConfig(weight=0)
    sharpen_target: bool = False


class TrainConfig(BaseModel):
    """One stage. stage: the second goes on from a run of the first, and is refused without.

    detach_scores: the restoration's losses do not reach the UDEM through the scores that steer it. freeze_udem: nothing
    does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Literal["mm-realsr"] = METHOD
    stage: Stage = 1
    network: NetworkConfig = NetworkConfig()
    detach_scores: bool = False
    freeze_udem: bool = False
    losses: LossConfig = LossConfig()
    loop: LoopConfig = LoopConfig()

    @model_validator(mode="after")
    def _what_the_discriminator_takes(self) -> Self:
        check_input(self.losses.gan, self.loop.lr_patch_px, self.network.scale)
        return self


def conditions(scores: Tensor) -> Tensor:
    """What steers the restoration of a group: predicted scores [B, 5, 2], with the anchors' at 0 and at 1."""
    conditioned = scores.clone()
    conditioned[:, CLEAN] = 0
    conditioned[:, WORST] = 1
    return conditioned


def _metric_terms(scores: Tensor, config: LossConfig) -> dict[str, Tensor]:
    """Ranking and anchor losses of the scores [B, 5, 2]."""
    blur = losses.ranking(scores[:, BASE, BLUR], scores[:, BLURRIER, BLUR], config.margin)
    noise = losses.ranking(scores[:, BASE, NOISE], scores[:, NOISIER, NOISE], config.margin)
    terms = {"rank_blur": config.ranking * blur, "rank_noise": config.ranking * noise} if config.ranking else {}
    if config.anchor:
        both = (losses.anchor(scores[:, CLEAN, which], scores[:, WORST, which]) for which in (BLUR, NOISE))
        terms["anchor"] = config.anchor * torch.stack([*both]).sum()
    return terms


def generator_terms(
    net: MMRealSR,
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
    if net.modulated:
        predicted = net.score(lr).unflatten(0, (groups, members)).float()
        terms = {} if config.freeze_udem else _metric_terms(predicted, weights)
        scores = conditions(predicted.detach() if config.detach_scores else predicted).flatten(0, 1)
    sr = net(lr, scores).float()
    target = sharpened(batch.hr) if weights.sharpen_target else batch.hr
    target = target[:, None].expand(-1, members, -1, -1, -1).flatten(0, 1)
    found = {"pixel": weights.pixel * losses.pixel(sr, target)}
    if perceptual is not None:
        found["perceptual"] = weights.perceptual.weight * perceptual(sr, target)
    if judge is not None:
        shared["sr"] = sr.detach()
        shared["real"] = batch.hr[:, None].expand(-1, members, -1, -1, -1).flatten(0, 1)
        found["gan"] = gan_term(weights.gan, judge, sr, shared["real"])
    return found | terms


def method_of(config: TrainConfig, groups: GroupSource, start: Mapping[str, Tensor] | None) -> Method[GroupBatch]:
    """The networks of a stage, from seeded weights or from those of an earlier one, and their losses.

    Raises:
        UserError: the groups are not what the config trains on, the earlier weights are another network's, or the
            perceptual loss's own cannot be had.
    """
    _check_fit(groups, config)
    check_start(config.stage, start)
    if config.freeze_udem and config.network.modulated and start is None:
        raise UserError("freeze_udem keeps the scores of an earlier run; name it with --start-from, or drop the key")
    net = built(partial(MMRealSR, config.network), config.loop.seed)
    if start is not None:
        start_with(net, start)
    if config.freeze_udem and net.modulated:
        net.de_net.requires_grad_(False)
    return by_config(
        net,
        config.losses.perceptual,
        config.losses.gan,
        config.loop.seed,
        lambda batch, shared, perceptual, judge: generator_terms(
            net, batch, config, shared, perceptual=perceptual, judge=judge
        ),
    )


def _check_fit(groups: GroupSource, config: TrainConfig) -> None:
    """Raises UserError when these groups or pairs are not what the config trains on."""
    check_scale(groups, config.network.scale)
    if config.network.modulated and groups.members != MEMBERS:
        raise UserError(
            f"{groups.name} holds pairs; modulation is learned from groups (rwsr degrade build --preset mm-realsr), "
            "pairs are for the presets real-esrgan and esrgan"
        )


# ---------------------------------------------------------------------------------------------------- presets


def code(stage: Stage) -> TrainConfig:
    """The published training files, four processes taken as one: 24 groups of LR 48, then 16 of LR 64.

    Stage 2 keeps the UDEM frozen, its metric losses are only logged there and so left out here; its targets are
    sharpened. So are stage 1's, whose LR is made of sharpened HR too (`rwsr degrade build --preset mm-realsr-stage-1`).
    """
    if stage == 1:
        loop = LoopConfig(steps=70_000, batch=24, lr_patch_px=48, schedule=Steps(at=(1_000_000,)))
        return TrainConfig(stage=1, losses=LossConfig(sharpen_target=True), loop=loop)
    return TrainConfig(
        stage=2,
        detach_scores=True,
        freeze_udem=True,
        losses=LossConfig(ranking=0, anchor=0, perceptual=PerceptualConfig(), gan=GanConfig(), sharpen_target=True),
        loop=LoopConfig(steps=590_000, batch=16, lr_patch_px=64, learning_rate=1e-4, schedule=Steps(at=(400_000,))),
    )


def paper(stage: Stage) -> TrainConfig:
    """The paper's text: lambda 0.05 for ranking and anchors in both stages, 1,000K and 400K steps, batches of 48.

    It does not say whether 48 counts groups or images (here: groups), nor the margin (here: the code's).
    """
    if stage == 1:
        return TrainConfig(
            stage=1,
            losses=LossConfig(ranking=0.05, anchor=0.05),
            loop=LoopConfig(steps=1_000_000, batch=48, lr_patch_px=64),
        )
    return TrainConfig(
        stage=2,
        losses=LossConfig(ranking=0.05, anchor=0.05, perceptual=PerceptualConfig(), gan=GanConfig()),
        loop=LoopConfig(steps=400_000, batch=48, lr_patch_px=64, learning_rate=1e-4),
    )


def small(stage: Stage) -> TrainConfig:
    """Sizes that a CPU trains in minutes: for demonstrations and tests, not for results.

    The metric losses weigh more than the published ones, in the same proportion, and the UDEM starts from larger
    weights: the published values leave its scores near their start for some ten thousand steps. The proportion matters:
    CLEAN is sharp as well as free of noise and WORST blurred as well as noisy, and where the anchors rule, the noise
    score learns blur. So does the UDEM's first stage without stride: noise is told by the finest pixels.
    """
    network = NetworkConfig(
        feats=16,
        blocks=2,
        growth=8,
        embed_feats=64,
        modulator_feats=64,
        start_as_enlarger=True,
        udem=UdemConfig(feats=(16, 16, 32), blocks=(1, 1, 1), downscales=(1, 2, 1), init_scale=0.5),
    )
    loop = LoopConfig(
        steps=3000,
        warm_up=500,
        batch=4,
        lr_patch_px=24,
        learning_rate=1e-3,
        ema=0.997,
        log_every=50,
        checkpoint_every=250,
    )
    if stage == 1:
        return TrainConfig(stage=1, network=network, losses=LossConfig(ranking=0.5, anchor=0.005), loop=loop)
    return TrainConfig(
        stage=2,
        network=network,
        detach_scores=True,
        freeze_udem=True,
        losses=LossConfig(
            ranking=0, anchor=0, perceptual=PerceptualConfig(net="squeezenet"), gan=GanConfig(weight=0.02, feats=16)
        ),
        loop=loop.model_copy(update={"steps": 600, "learning_rate": 2e-4}),
    )


def real_esrgan(stage: Stage) -> TrainConfig:
    """Real-ESRGAN: no modulation, on the pairs of `real-esrgan`; 1,000K steps on pixels, then 400K with all losses.

    LR is made of sharpened HR, pixel and perceptual losses look at sharpened HR, the discriminator at HR as it is.
    """
    network = NetworkConfig(modulated=False)
    if stage == 1:
        return TrainConfig(
            stage=1,
            network=network,
            losses=LossConfig(ranking=0, anchor=0, sharpen_target=True),
            loop=LoopConfig(steps=1_000_000, batch=48, lr_patch_px=64),
        )
    return TrainConfig(
        stage=2,
        network=network,
        losses=LossConfig(ranking=0, anchor=0, perceptual=PerceptualConfig(), gan=GanConfig(), sharpen_target=True),
        loop=LoopConfig(steps=400_000, batch=48, lr_patch_px=64, learning_rate=1e-4),
    )


def esrgan(stage: Stage) -> TrainConfig:
    """ESRGAN (Wang et al. 2018, section 4.1): on the pairs of `bicubic`; 1,000K steps on pixels (RRDB_PSNR), then 400K
    with conv5_4 of VGG-19 and a relativistic discriminator.
    """
    network = NetworkConfig(modulated=False)
    loop = LoopConfig(batch=16, lr_patch_px=32, turned=True, betas=(0.9, 0.999))
    if stage == 1:
        steps = {"steps": 1_000_000, "schedule": Steps(at=(200_000, 400_000, 600_000, 800_000))}
        return TrainConfig(
            stage=1, network=network, losses=LossConfig(ranking=0, anchor=0), loop=loop.model_copy(update=steps)
        )
    steps = {"steps": 400_000, "learning_rate": 1e-4, "schedule": Steps(at=(50_000, 100_000, 200_000, 300_000))}
    return TrainConfig(
        stage=2,
        network=network,
        losses=LossConfig(
            pixel=0.01,
            ranking=0,
            anchor=0,
            perceptual=PerceptualConfig(layers=ESRGAN),
            gan=GanConfig(weight=0.005, relativistic=True, discriminator="vgg128"),
        ),
        loop=loop.model_copy(update=steps),
    )


PRESETS: dict[str, Callable[[Stage], TrainConfig]] = {
    "mm-realsr-code": code,
    "mm-realsr-paper": paper,
    "mm-realsr-small": small,
    "real-esrgan": real_esrgan,
    "esrgan": esrgan,
}

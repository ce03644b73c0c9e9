"""How FASRGAN is trained (Yan et al., IEEE TMM 2021): ESRGAN whose pixels count by how much they look made up."""

from functools import partial
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ....degrade.family import Frozen
from ...data.batches import GroupBatch
from ...engine.loop import built
from ...engine.schedule import Cosine, MultiStep
from ...engine.training import LoopConfig, Shared, Training
from ...losses.adversarial import adversarial, start_judge
from ...losses.basic import pixel
from ...losses.perceptual import ESRGAN, PerceptualConfig, PerceptualLoss, perceptual_loss
from ...networks.baselines.fasrgan import FineGrainedDiscriminator
from ...networks.discriminators import discriminator_losses, relativistic_generator_loss
from ...networks.mm_realsr import MMRealSRConfig
from ..base import Given, Method, Preset, TrainingConfig, network_of_pairs, why_no_pairs, with_fp32

Weight = Annotated[float, Field(ge=0)]


class FasrganLosses(Frozen):
    """Weights of the terms; 0 leaves a term out."""

    pixel: Weight = 0.01
    """Mean absolute error."""
    attention: Weight = 0.05
    """Mean absolute error of each pixel, times how much the discriminator takes it for made up."""
    perceptual: PerceptualConfig = PerceptualConfig(layers=ESRGAN)
    """The perceptual loss."""
    gan: Annotated[float, Field(gt=0)] = 0.005
    """Of the whole image, judged against the photographs' mean."""
    map_gan: Weight = 0.005
    """Of every pixel, judged by itself; half of it is the photographs', which teach the generator nothing."""


class FasrganConfig(TrainingConfig):
    """One training."""

    method: Literal["fasrgan"] = "fasrgan"
    network: MMRealSRConfig = MMRealSRConfig(modulated=False)
    """Sizes of the generator, ESRGAN's."""
    discriminator_feats: Annotated[int, Field(ge=1, le=1024)] = 64
    """Width of the discriminator."""
    published_eps: bool = True
    """Half of its norms add the number of their channels to the variance, as in the published code."""
    losses: FasrganLosses = FasrganLosses()
    """What is minimised."""

    @model_validator(mode="after")
    def _what_the_discriminator_takes(self) -> Self:
        side = self.loop.lr_patch_px * self.network.scale
        if side % 8:
            raise ValueError(f"the discriminator takes multiples of 8 px, not loop.lr_patch_px times scale = {side}")
        if self.network.modulated:
            raise ValueError("network.modulated is for `rwsr train mm-realsr`; set network.modulated=false")
        return self


def generator_terms(
    net: nn.Module,
    batch: GroupBatch,
    weights: FasrganLosses,
    shared: Shared,
    judge: FineGrainedDiscriminator,
    perceptual: PerceptualLoss | None,
) -> dict[str, Tensor]:
    """The weighted terms of the generator. shared: gets `sr` and `real`, detached, for the discriminator."""
    sr, hr = net(batch.lr[:, 0]).float(), batch.hr
    score, seen = (each.float() for each in judge(sr))
    with torch.no_grad():
        real_score, real_seen = (each.float() for each in judge(hr))
    terms: dict[str, Tensor] = {}
    if weights.pixel:
        terms["pixel"] = weights.pixel * pixel(sr, hr)
    if weights.attention:
        terms["attention"] = weights.attention * ((sr - hr).abs() * (1 - seen.detach().sigmoid())).mean()
    if perceptual is not None:
        terms["perceptual"] = weights.perceptual.weight * perceptual(sr, hr)
    terms["gan"] = weights.gan * relativistic_generator_loss(real_score, score)
    if weights.map_gan:
        as_photographs, as_made = discriminator_losses(seen, real_seen)  # each as if it were the other
        terms["map_gan"] = weights.map_gan * (as_photographs + as_made) / 2
    shared |= {"sr": sr.detach(), "real": hr}
    return terms


def discriminator_terms(net: FineGrainedDiscriminator, shared: Shared) -> dict[str, Tensor]:
    """The terms of the discriminator: of whole images against each other's mean, and of every pixel by itself."""
    (real, real_seen), (fake, fake_seen) = (
        tuple(each.float() for each in net(shared[name])) for name in ("real", "sr")
    )
    whole = discriminator_losses(real, fake, relativistic=True)
    pixels = discriminator_losses(real_seen, fake_seen)
    return {"real": whole[0], "fake": whole[1], "map_real": pixels[0] / 2, "map_fake": pixels[1] / 2}


def build(config: FasrganConfig, given: Given) -> Training[GroupBatch]:
    """The networks, from seeded weights or those of an earlier run, and their losses.

    Raises:
        UserError: the pairs are not what the config trains on, the earlier weights are another network's, or the
            perceptual loss's own cannot be had.
    """
    net = network_of_pairs(config, given, "FASRGAN learns from pairs")
    side = config.loop.lr_patch_px * config.network.scale
    make = partial(FineGrainedDiscriminator, side, config.discriminator_feats, published_eps=config.published_eps)
    judge = built(make, config.loop.seed)
    start_judge(judge, given.judge)
    perceptual = perceptual_loss(config.losses.perceptual)
    return adversarial(
        net,
        judge,
        perceptual,
        lambda batch, shared: generator_terms(net, batch, config.losses, shared, judge, perceptual),
        discriminator_terms,
    )


# The published numbers; from a PSNR model of `esrgan-psnr`.
_PUBLISHED = FasrganConfig(
    needs_start=True,
    loop=LoopConfig(
        batch_size=16,
        lr_patch_px=32,
        use_rot90=True,
        learning_rate=1e-4,
        betas=(0.9, 0.999),
        ema_decay=0,
        steps=500_000,
        schedule=MultiStep(milestones=(50_000, 100_000, 200_000, 300_000)),
    ),
)
_SMALL = FasrganConfig(
    network=MMRealSRConfig(modulated=False, num_feat=16, num_block=2, num_grow_ch=8, init_as_nearest=True),
    discriminator_feats=12,
    losses=FasrganLosses(
        pixel=0.1,
        attention=0.5,
        perceptual=PerceptualConfig(net="squeezenet", weight=0.01),
        gan=0.0002,
        map_gan=0.0002,
    ),
    loop=LoopConfig(
        steps=400,
        batch_size=8,
        lr_patch_px=24,
        use_rot90=True,
        learning_rate=3e-4,
        betas=(0.9, 0.999),
        warmup_steps=50,
        schedule=Cosine(min_factor=0.05),
        ema_decay=0.995,
        log_every=50,
        checkpoint_every=250,
    ),
)

PRESETS = with_fp32(
    {"fasrgan": Preset(_PUBLISHED, "FASRGAN by its published training file, from a run of esrgan-psnr.", "bicubic")},
    {"fasrgan-small": Preset(_SMALL, "Minutes on a CPU: for tests and small tables.", "bicubic")},
)
METHOD = Method("fasrgan", FasrganConfig, PRESETS, build, why_no_pairs, inputs=("bank",))

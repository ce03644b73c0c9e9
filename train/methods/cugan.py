"""How CUGAN is trained: stage 1 (CUnet, by MSE), then stage 2 (with perceptual and GAN losses), and its baselines.

Paper: section 3.4 and 4.1. What it leaves open is told at the presets.
"""

from functools import partial
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor

from ...degrade.errors import UserError
from ...degrade.family import Frozen
from ...degrade.recipes.base import Recipe
from ...degrade.recipes.cugan import BlurNoise
from ..data.batches import GroupBatch, GroupSource
from ..data.of_training import Data
from ..engine.loop import built
from ..engine.schedule import Cosine, MultiStep
from ..engine.training import LoopConfig, Shared, Training
from ..losses import basic as losses
from ..losses.adversarial import adversarial, start_judge
from ..losses.perceptual import ESRGAN, PerceptualConfig, PerceptualLoss, perceptual_loss
from ..networks.cunet import CUnet, CUnetConfig
from ..networks.discriminators import ConditionedDiscriminator, discriminator_losses, generator_loss
from ..runs.model_file import start_with
from .base import Given, Method, Preset, TrainingConfig, check_start, other_scale, with_fp32

_LEAST_GAN_PX = 32


class CuganLosses(Frozen):
    """Weights of the terms; 0 leaves a term out."""

    pixel: Annotated[float, Field(ge=0)] = 1.0
    """Of the mean square error."""
    perceptual: PerceptualConfig = PerceptualConfig(weight=0, layers=ESRGAN)
    """The perceptual loss."""
    gan: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the adversarial loss."""


class CuganConfig(TrainingConfig):
    """One stage."""

    method: Literal["cugan"] = "cugan"
    network: CUnetConfig = CUnetConfig()
    """Sizes of the CUnet."""
    discriminator_feats: Annotated[int, Field(ge=1, le=4096)] = 64
    """Its width, where there is a GAN loss."""
    discriminator_modulated: bool = True
    """It is told z too (GFM, section 3.3); without it nothing but images (figure 8)."""
    losses: CuganLosses = CuganLosses()
    """What is minimised."""

    @model_validator(mode="after")
    def _what_the_discriminator_takes(self) -> Self:
        if self.losses.gan and self.loop.lr_patch_px < _LEAST_GAN_PX:
            raise ValueError(
                f"loop.lr_patch_px = {self.loop.lr_patch_px} is less than the discriminator takes; use {_LEAST_GAN_PX}"
            )
        return self


def generator_terms(
    net: CUnet,
    batch: GroupBatch,
    config: CuganConfig,
    shared: Shared,
    *,
    perceptual: PerceptualLoss | None = None,
    judge: ConditionedDiscriminator | None = None,
) -> dict[str, Tensor]:
    """The weighted terms of the generator. shared: gets `sr`, `real` and `z` for the discriminator."""
    z, weights = batch.condition, config.losses
    sr = net(batch.lr[:, 0], z if net.conditioned else None).float()
    terms: dict[str, Tensor] = {}
    if weights.pixel:
        terms["pixel"] = weights.pixel * losses.square(sr, batch.hr)
    if perceptual is not None:
        terms["perceptual"] = weights.perceptual.weight * perceptual(sr, batch.hr)
    if judge is not None:
        terms["gan"] = weights.gan * generator_loss(judge(sr, z).float())
        shared |= {"sr": sr.detach(), "real": batch.hr, "z": z}
    return terms


def discriminator_terms(net: ConditionedDiscriminator, shared: Shared) -> dict[str, Tensor]:
    """The terms of the discriminator: photographs and restored images, both under the z of the degraded ones."""
    z = shared["z"]
    real, fake = discriminator_losses(net(shared["real"], z).float(), net(shared["sr"], z).float())
    return {"real": real, "fake": fake}


def build(config: CuganConfig, given: Given) -> Training[GroupBatch]:
    """The networks of a stage, from seeded weights or from those of an earlier one, and their losses.

    Raises:
        UserError: the pairs come without z, the earlier weights are another network's, or the perceptual loss's own
            cannot be had.
    """
    _check_fit(given.groups)
    check_start(config, given.start is not None)
    net = built(config.network.build, config.loop.seed)
    if given.start is not None:
        start_with(net, given.start, partly=given.partly)
    weights = config.losses
    perceptual = perceptual_loss(weights.perceptual)
    judge: ConditionedDiscriminator | None = None
    if weights.gan:
        kind = partial(ConditionedDiscriminator, config.discriminator_feats, modulated=config.discriminator_modulated)
        judge = built(kind, config.loop.seed)
    start_judge(judge, given.judge)
    return adversarial(
        net,
        judge,
        perceptual,
        lambda batch, shared: generator_terms(net, batch, config, shared, perceptual=perceptual, judge=judge),
        discriminator_terms,
    )


def _check_fit(groups: GroupSource) -> None:
    if not groups.conditions:
        raise UserError(
            f"{groups.name} says nothing of the degradation of its pairs; CUGAN is trained on "
            "`rwsr degrade build --preset cugan`"
        )


def _why_not(config: CuganConfig, recipe: Recipe, to_learn: bool) -> str | None:
    untold = (to_learn or config.network.conditioned) and recipe.num_conditions != 2
    return other_scale(config.network.scale, recipe) or ("is conditioned on blur and noise (cugan)" if untold else None)


def _notes(config: CuganConfig, data: Data) -> list[str]:
    one = all(isinstance(each, BlurNoise) and each.fixed_level is not None for each in data.recipes)
    if config.network.conditioned or one:
        return []
    return [
        f"note: the network has no condition, and {data.groups.name} has all degradations; the paper's Unet is trained "
        "on one (recipe.fixed_level=[2,30])"
    ]


# ---------------------------------------------------------------------------------------------------- presets

# The paper's numbers. It does not say how long: here 1,000K steps, as CResMD, and then 500K. The perceptual loss looks
# at conv5_4 before its activation, as the code; the paper says after it. The step "300" of the second schedule is taken
# for 300K.
_PUBLISHED = LoopConfig(
    batch_size=16,
    lr_patch_px=64,
    use_rot90=True,
    learning_rate=5e-4,
    betas=(0.9, 0.999),
    ema_decay=0,
    steps=1_000_000,
    schedule=MultiStep(milestones=(200_000, 400_000, 600_000, 800_000)),
)
_CUNET = CuganConfig(loop=_PUBLISHED)
_CUGAN = CuganConfig(
    needs_start=True,
    losses=CuganLosses(pixel=0.01, perceptual=PerceptualConfig(layers=ESRGAN), gan=0.005),
    loop=_PUBLISHED.model_copy(
        update={"steps": 500_000, "schedule": MultiStep(milestones=(50_000, 100_000, 200_000, 300_000, 400_000))}
    ),
)
_UNTOLD = {"network": CUnetConfig(conditioned=False)}

_SMALL = CuganConfig(
    network=CUnetConfig(num_feat=(32, 48, 64)),
    loop=LoopConfig(
        steps=4000,
        batch_size=8,
        lr_patch_px=48,
        use_rot90=True,
        learning_rate=3e-3,
        betas=(0.9, 0.999),
        warmup_steps=200,
        schedule=Cosine(min_factor=0.02),
        ema_decay=0.997,
        log_every=50,
        checkpoint_every=250,
    ),
)
_SMALL_GAN = CuganConfig(
    needs_start=True,
    network=_SMALL.network,
    discriminator_feats=16,
    losses=CuganLosses(pixel=0.1, perceptual=PerceptualConfig(net="squeezenet"), gan=0.005),
    loop=_SMALL.loop.model_copy(update={"steps": 800, "learning_rate": 2e-4}),
)

PRESETS = with_fp32(
    {
        "cunet": Preset(_CUNET, "Stage 1: CUnet, by MSE, the paper's numbers, 1,000K steps.", "cugan"),
        "cugan": Preset(_CUGAN, "Stage 2: CUGAN, from a run of cunet, 500K steps.", "cugan"),
        "unet": Preset(_CUNET.model_copy(update=_UNTOLD), "The paper's Unet: no condition, on one degradation."),
        "ugan": Preset(
            _CUGAN.model_copy(update=_UNTOLD | {"discriminator_modulated": False}),
            "The paper's UGAN, from a run of unet; on one degradation.",
        ),
    },
    {
        "cunet-small": Preset(_SMALL, "Stage 1 in minutes on a CPU: for demos and tests.", "cugan"),
        "cugan-small": Preset(_SMALL_GAN, "Stage 2 in minutes on a CPU: for demos and tests.", "cugan"),
    },
)
METHOD = Method("cugan", CuganConfig, PRESETS, build, _why_not, notes=_notes)

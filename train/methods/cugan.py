"""How CUGAN is trained: stage 1 (CUnet, by MSE), then stage 2 (with perceptual and GAN losses), and its baselines.

Paper: section 3.4 and 4.1. What it leaves open (facts: 2.4, 2.5) is told at the presets.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from ...degrade.errors import UserError
from ..data.batches import GroupBatch, GroupSource
from ..engine.loop import built
from ..engine.method import LoopConfig, Method, Shared
from ..engine.model_file import start_with
from ..engine.run import Stage, check_start
from ..engine.schedule import Cosine, Steps
from ..losses import basic as losses
from ..losses.adversarial import adversarial
from ..losses.perceptual import ESRGAN, PerceptualConfig, PerceptualLoss, perceptual_loss
from ..networks.conditioned_discriminator import ConditionedDiscriminator
from ..networks.cunet import METHOD, CUnet, CUnetConfig
from ..networks.discriminators import discriminator_losses, generator_loss

_LEAST_GAN_PX = 32


class CuganLosses(BaseModel):
    """Weights of the terms; 0 leaves a term out. pixel: of the mean square error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    pixel: Annotated[float, Field(ge=0)] = 1.0
    perceptual: PerceptualConfig = PerceptualConfig(weight=0, layers=ESRGAN)
    gan: Annotated[float, Field(ge=0)] = 0.0


class CuganConfig(BaseModel):
    """One stage; the second goes on from a run of the first, and is refused without.

    discriminator_feats: its width, where there is a GAN loss.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Literal["cugan"] = METHOD
    stage: Stage = 1
    network: CUnetConfig = CUnetConfig()
    discriminator_feats: Annotated[int, Field(ge=1, le=4096)] = 64
    losses: CuganLosses = CuganLosses()
    loop: LoopConfig = LoopConfig()

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


def method_of(config: CuganConfig, groups: GroupSource, start: Mapping[str, Tensor] | None) -> Method[GroupBatch]:
    """The networks of a stage, from seeded weights or from those of an earlier one, and their losses.

    Raises:
        UserError: the pairs come without z, the earlier weights are another network's, or the perceptual loss's own
            cannot be had.
    """
    _check_fit(groups)
    check_start(config.stage, start)
    net = built(partial(CUnet, config.network), config.loop.seed)
    if start is not None:
        start_with(net, start)
    weights = config.losses
    perceptual = perceptual_loss(weights.perceptual)
    judge: ConditionedDiscriminator | None = None
    if weights.gan:
        judge = built(partial(ConditionedDiscriminator, config.discriminator_feats), config.loop.seed)
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


# ---------------------------------------------------------------------------------------------------- presets

_PUBLISHED = LoopConfig(
    batch=16, lr_patch_px=64, turned=True, learning_rate=5e-4, betas=(0.9, 0.999), ema=0, steps=1_000_000
)
_PIXEL = Steps(at=(200_000, 400_000, 600_000, 800_000))
_GAN = Steps(at=(50_000, 100_000, 200_000, 300_000, 400_000))
_STAGE_2 = CuganLosses(pixel=0.01, perceptual=PerceptualConfig(layers=ESRGAN), gan=0.005)


def cugan(stage: Stage) -> CuganConfig:
    """The paper's numbers. It does not say how long: here 1,000K steps, as CResMD, and then 500K.

    The perceptual loss looks at conv5_4 before its activation, as the code; the paper says after it. The step "300" of
    the second schedule is taken for 300K.
    """
    if stage == 1:
        return CuganConfig(stage=1, loop=_PUBLISHED.model_copy(update={"schedule": _PIXEL}))
    return CuganConfig(
        stage=2, losses=_STAGE_2, loop=_PUBLISHED.model_copy(update={"schedule": _GAN, "steps": 500_000})
    )


def unet(stage: Stage) -> CuganConfig:
    """The paper's baselines, Unet (stage 1) and UGAN (stage 2): told nothing, trained on one degradation
    (`recipe.fixed_level`). The discriminator is the same; it is told the one degradation.
    """
    return cugan(stage).model_copy(update={"network": CUnetConfig(conditioned=False)})


def small(stage: Stage) -> CuganConfig:
    """Sizes that a CPU trains in minutes: for demonstrations and tests, not for results."""
    network = CUnetConfig(feats=(32, 48, 64))
    loop = LoopConfig(
        steps=4000,
        batch=8,
        lr_patch_px=48,
        turned=True,
        learning_rate=3e-3,
        betas=(0.9, 0.999),
        warm_up=200,
        schedule=Cosine(least=0.02),
        ema=0.997,
        log_every=50,
        checkpoint_every=250,
    )
    if stage == 1:
        return CuganConfig(stage=1, network=network, loop=loop)
    return CuganConfig(
        stage=2,
        network=network,
        discriminator_feats=16,
        losses=CuganLosses(pixel=0.1, perceptual=PerceptualConfig(net="squeezenet"), gan=0.005),
        loop=loop.model_copy(update={"steps": 800, "learning_rate": 2e-4}),
    )


PRESETS: dict[str, Callable[[Stage], CuganConfig]] = {"cugan": cugan, "cugan-small": small, "unet": unet}

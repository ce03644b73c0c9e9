"""How FSSR is trained (Fritsche et al. 2019): ESRGAN on pairs of learned downscaling, the pixels of the low band and
the adversary on the high one.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from ....degrade.family import Frozen
from ...data.batches import GroupBatch
from ...engine.schedule import Cosine, MultiStep
from ...engine.training import LoopConfig, Shared, Training
from ...losses.adversarial import by_config, gan_term
from ...losses.basic import pixel
from ...losses.frequencies import Split
from ...losses.perceptual import ESRGAN, PerceptualConfig, PerceptualLoss
from ...networks.discriminators import Discriminator, GanConfig, check_input
from ...networks.mm_realsr import MMRealSRConfig
from ..base import Given, Method, Preset, TrainingConfig, network_of_pairs, why_no_pairs, with_fp32


class FssrLosses(Frozen):
    """Weights of the terms; 0 leaves a term out."""

    color: Annotated[float, Field(ge=0)] = 0.01
    """Mean absolute difference of the low bands."""
    perceptual: PerceptualConfig = PerceptualConfig(layers=ESRGAN)
    """The perceptual loss, of all bands."""
    gan: GanConfig = GanConfig(weight=0.005, relativistic=True, discriminator="vgg128")
    """The adversarial loss, of the high bands."""
    split: Split = Split(side=9)
    """How images are parted."""

    @model_validator(mode="after")
    def _three_channels(self) -> Self:
        if self.split.channels != 3:
            raise ValueError(f"losses.split.kind = {self.split.kind} has nine channels; the discriminator takes three")
        if not self.gan.weight:
            raise ValueError("losses.gan.weight = 0 leaves no FSSR; use `rwsr train sr`")
        return self


class FssrConfig(TrainingConfig):
    """One training."""

    method: Literal["fssr"] = "fssr"
    network: MMRealSRConfig = MMRealSRConfig(modulated=False)
    """Sizes of the generator, ESRGAN's."""
    losses: FssrLosses = FssrLosses()
    """What is minimised."""

    @model_validator(mode="after")
    def _what_the_discriminator_takes(self) -> Self:
        check_input(self.losses.gan, self.loop.lr_patch_px, self.network.scale)
        if self.network.modulated:
            raise ValueError("network.modulated is for `rwsr train mm-realsr`; set network.modulated=false")
        return self


def generator_terms(
    net: nn.Module,
    batch: GroupBatch,
    weights: FssrLosses,
    shared: Shared,
    perceptual: PerceptualLoss | None,
    judge: Discriminator | None,
) -> dict[str, Tensor]:
    """The weighted terms of the generator. shared: gets the high bands, detached, as `sr` and `real`."""
    sr, hr, split = net(batch.lr[:, 0]).float(), batch.hr, weights.split
    terms: dict[str, Tensor] = {}
    if weights.color:
        terms["color"] = weights.color * pixel(split.low(sr), split.low(hr))
    if perceptual is not None:
        terms["perceptual"] = weights.perceptual.weight * perceptual(sr, hr)
    assert judge is not None
    fine, real = split.high(sr), split.high(hr)
    terms["gan"] = gan_term(weights.gan, judge, fine, real)
    shared |= {"sr": fine.detach(), "real": real}
    return terms


def build(config: FssrConfig, given: Given) -> Training[GroupBatch]:
    """The networks, from seeded weights or those of an earlier run, and their losses.

    Raises:
        UserError: the pairs are not what the config trains on, or the earlier weights are another network's.
        MissingWeights: those of the perceptual loss are not there.
    """
    net = network_of_pairs(config, given, "FSSR learns from pairs")
    weights = config.losses

    def of_generator(
        batch: GroupBatch, shared: Shared, perceptual: PerceptualLoss | None, judge: Discriminator | None
    ) -> dict[str, Tensor]:
        return generator_terms(net, batch, weights, shared, perceptual, judge)

    return by_config(net, weights.perceptual, weights.gan, config.loop.seed, given.judge, of_generator)


# The published numbers, from ESRGAN.
_PUBLISHED = FssrConfig(
    needs_start=True,
    loop=LoopConfig(
        batch_size=16,
        lr_patch_px=32,
        use_rot90=True,
        learning_rate=1e-4,
        betas=(0.9, 0.999),
        ema_decay=0,
        steps=51_000,
        schedule=MultiStep(milestones=(5_000, 10_000, 20_000, 30_000)),
    ),
)
_SMALL = FssrConfig(
    network=MMRealSRConfig(modulated=False, num_feat=16, num_block=2, num_grow_ch=8, init_as_nearest=True),
    losses=FssrLosses(
        color=1,
        perceptual=PerceptualConfig(net="squeezenet", weight=0.01),
        gan=GanConfig(weight=0.001, discriminator="patch", num_feat=16),
    ),
    loop=LoopConfig(
        steps=600,
        batch_size=8,
        lr_patch_px=24,
        use_rot90=True,
        learning_rate=5e-4,
        betas=(0.9, 0.999),
        warmup_steps=50,
        schedule=Cosine(min_factor=0.05),
        ema_decay=0.99,
        log_every=50,
        checkpoint_every=250,
    ),
)

PRESETS = with_fp32(
    {"fssr": Preset(_PUBLISHED, "FSSR by its published training file, from ESRGAN's weights.", None)},
    {"fssr-small": Preset(_SMALL, "Minutes on a CPU: for tests and small tables.", None)},
)
METHOD = Method("fssr", FssrConfig, PRESETS, build, why_no_pairs)

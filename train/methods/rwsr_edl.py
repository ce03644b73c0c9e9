"""How RWSR-EDL is trained: every loss on its own branch (Eq. 8), or all on the sum (Eq. 7); and its presets.

ESRGAN and Impressionism are the same without branches. Where paper and published code differ there
is a preset of each.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor

from ...degrade.errors import UserError
from ...degrade.family import Frozen
from ...degrade.recipes.base import Recipe
from ...degrade.recipes.rwsr_edl import KernelInjection, NoiseInjection
from ..data.batches import GroupBatch, check_scale
from ..data.of_training import Data
from ..engine.loop import built
from ..engine.schedule import Cosine, MultiStep
from ..engine.training import LoopConfig, Shared, Training
from ..losses import basic as losses
from ..losses.adversarial import by_config, gan_term
from ..losses.perceptual import ESRGAN, PerceptualConfig, PerceptualLoss
from ..networks.discriminators import Discriminator, GanConfig, check_input
from ..networks.mm_realsr import MMRealSR
from ..networks.rwsr_edl import Edl, EdlNetworkConfig, parts_of
from ..runs.model_file import start_with
from .base import Given, Method, Preset, TrainingConfig, check_start, is_group, other_scale, with_fp32


class EdlLosses(Frozen):
    """Weights of the terms; 0 leaves a term out."""

    pixel: Annotated[float, Field(ge=0)] = 0.01
    """Mean absolute error."""
    perceptual: PerceptualConfig = PerceptualConfig(layers=ESRGAN)
    """The perceptual loss."""
    gan: GanConfig = GanConfig(weight=0.005, relativistic=True, discriminator="patch")
    """The adversarial loss."""
    exclusive: bool = True
    """The pixel loss looks at the pixel branch, the adversarial loss at the adversarial branch and the perceptual loss
    at their sum (Eq. 8); without it all look at the sum (Eq. 7).
    """
    discriminator_input: Literal["branch", "sum"] = "branch"
    """The discriminator learns to tell photographs from the sum, as in the published code, instead of from what the
    generator's loss shows it.
    """


class EdlConfig(TrainingConfig):
    """One training."""

    method: Literal["rwsr-edl"] = "rwsr-edl"
    network: EdlNetworkConfig = EdlNetworkConfig()
    """Sizes and branches of the network."""
    losses: EdlLosses = EdlLosses()
    """What is minimised."""

    @model_validator(mode="after")
    def _what_the_discriminator_takes(self) -> Self:
        check_input(self.losses.gan, self.loop.lr_patch_px, self.network.scale)
        return self

    @model_validator(mode="after")
    def _has_a_loss(self) -> Self:
        weights = self.losses
        if not (weights.pixel or weights.perceptual.weight or weights.gan.weight):
            raise ValueError("losses are all 0; give one a weight")
        return self


def generator_terms(
    net: Edl | MMRealSR,
    batch: GroupBatch,
    config: EdlConfig,
    shared: Shared,
    *,
    perceptual: PerceptualLoss | None = None,
    judge: Discriminator | None = None,
) -> dict[str, Tensor]:
    """The weighted terms of the generator. shared: gets `sr` and `real`, detached, for the discriminator."""
    weights = config.losses
    parts = parts_of(net, batch.lr[:, 0])
    sr = parts.sr.float()
    seen_by_pixel, seen_by_judge = (parts.pixel.float(), parts.adversarial.float()) if weights.exclusive else (sr, sr)
    terms: dict[str, Tensor] = {}
    if weights.pixel:
        terms["pixel"] = weights.pixel * losses.pixel(seen_by_pixel, batch.hr)
    if perceptual is not None:
        terms["perceptual"] = weights.perceptual.weight * perceptual(sr, batch.hr)
    if judge is not None:
        shared["sr"] = (sr if weights.discriminator_input == "sum" else seen_by_judge).detach()
        shared["real"] = batch.hr
        terms["gan"] = gan_term(weights.gan, judge, seen_by_judge, batch.hr)
    return terms


def build(config: EdlConfig, given: Given) -> Training[GroupBatch]:
    """The network, from seeded weights or from those of an earlier run, and its losses.

    The earlier run is of the same network, or of its main generator alone (a PSNR model of `esrgan-psnr`).

    Raises:
        UserError: the pairs are not what the config trains on, the earlier weights are another network's, or the
            perceptual loss's own cannot be had.
    """
    groups, start = given.groups, given.start
    check_scale(groups, config.network.scale)
    check_start(config, start is not None)
    if groups.members != 1:
        raise UserError(
            f"{groups.name} holds groups; RWSR-EDL learns from pairs (rwsr degrade build --preset rwsr-edl)"
        )
    net = built(config.network.build, config.loop.seed)
    if start is not None:
        inner = net.generator if isinstance(net, Edl) and "conv_first.weight" in start else net
        start_with(inner, start, partly=given.partly)
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


def _why_not(config: EdlConfig, recipe: Recipe, to_learn: bool) -> str | None:
    ordered = to_learn and is_group(recipe)
    return other_scale(config.network.scale, recipe) or ("learns from pairs (rwsr-edl)" if ordered else None)


def _notes(config: EdlConfig, data: Data) -> list[str]:
    clean = any(isinstance(each, NoiseInjection | KernelInjection) and not each.strength for each in data.recipes)
    if clean and data.noise is None:
        return [f"note: the pairs of {data.groups.name} have no noise, and no --bank is named: none is injected"]
    return []


# ---------------------------------------------------------------------------------------------------- presets

_PUBLISHED = LoopConfig(
    batch_size=16, lr_patch_px=32, use_rot90=True, learning_rate=1e-4, betas=(0.9, 0.999), ema_decay=0, seed=10
)


def _loop(steps: int, *at: int) -> LoopConfig:
    return _PUBLISHED.model_copy(update={"steps": steps, "schedule": MultiStep(milestones=at)})


# The paper's network and losses (Eq. 8), with the weights and the schedule of the published NTIRE 2020 training: the
# paper has neither weights nor a number of steps. That training starts from a PSNR model: a run of `esrgan-psnr`.
_EDL = EdlConfig(loop=_loop(150_000, 10_000, 30_000, 50_000, 80_000, 120_000))

# The published code for NTIRE 2020: mask over features, and a discriminator that learns from the sum.
_CODE = EdlConfig(
    network=EdlNetworkConfig(branches="masked-features"), losses=EdlLosses(discriminator_input="sum"), loop=_EDL.loop
)

# The published code for AIM 2019: other weights, more steps, from no earlier model.
_AIM19 = EdlConfig(
    network=_CODE.network,
    losses=EdlLosses(
        pixel=0.1,
        discriminator_input="sum",
        gan=GanConfig(weight=0.001, relativistic=True, discriminator="patch"),
    ),
    loop=_loop(350_000, 35_000, 80_000, 100_000, 150_000),
)

# Impressionism (Ji et al. 2020) for NTIRE 2020: no branches, VGG-128, from a PSNR model of `esrgan-psnr`.
_IMPRESSIONISM = EdlConfig(
    network=EdlNetworkConfig(branches="none"),
    losses=EdlLosses(gan=GanConfig(weight=0.005, relativistic=True, discriminator="vgg128")),
    loop=_loop(60_001, 5_000, 10_000, 20_000, 30_000),
)

# Its second track, for photographs: PatchGAN; pairs are made by kernels (`rwsr train kernels`).
_IMPRESSIONISM_DPED = _IMPRESSIONISM.model_copy(
    update={"losses": EdlLosses(gan=GanConfig(weight=0.005, relativistic=True, discriminator="patch"))}
)

# For CameraSR, whose pairs are of one size: no layer enlarges (section IV-A). The weights are NTIRE 2020's.
_CAMERASR = _EDL.model_copy(update={"network": EdlNetworkConfig(scale=1, upsampler="none")})

# The losses weigh as published, as far as another perceptual network allows.
_SMALL = EdlConfig(
    network=EdlNetworkConfig(num_feat=16, num_block=2, num_grow_ch=8, branch_feats=16, init_as_nearest=True),
    losses=EdlLosses(
        pixel=0.1,
        perceptual=PerceptualConfig(net="squeezenet", weight=0.01),
        gan=GanConfig(weight=0.0002, relativistic=True, discriminator="patch", num_feat=16),
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

_DATA = "rwsr-edl-noisefree"
PRESETS = with_fp32(
    {
        "rwsr-edl": Preset(_EDL, "The paper's network and losses, on the published NTIRE 2020 schedule.", _DATA),
        "rwsr-edl-camerasr": Preset(_CAMERASR, "For CameraSR: scale 1, without up- and downsampling layers."),
        "rwsr-edl-code": Preset(_CODE, "The published code for NTIRE 2020: the mask over features.", _DATA),
        "rwsr-edl-aim19": Preset(_AIM19, "The published code for AIM 2019, from no earlier model.", _DATA),
        "impressionism": Preset(_IMPRESSIONISM, "Impressionism for NTIRE 2020, which has one branch.", _DATA),
        "impressionism-dped": Preset(
            _IMPRESSIONISM_DPED, "Its second track, on pairs made by kernels of photographs (`rwsr train kernels`)."
        ),
    },
    {
        "rwsr-edl-small": Preset(_SMALL, "Minutes on a CPU: for demos, tests and small ablations.", _DATA),
    },
)
METHOD = Method("rwsr-edl", EdlConfig, PRESETS, build, _why_not, inputs=("bank",), notes=_notes)

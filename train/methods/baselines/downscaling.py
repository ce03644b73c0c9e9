"""How downscaling is learned: FSSR's DSGAN (Fritsche et al. 2019) and DASR's down-sampling network (Wei et al. 2021).

HR made small should keep the low band of bicubic LR, and have the high band of what a camera makes: of crops of the
same images as they are (FSSR: the photographs are both), or of photographs of the camera (DASR).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ....degrade.family import Frozen
from ....degrade.recipes.base import Recipe
from ....eval.metrics.lpips_dists import Net, check_side, lpips
from ...data.batches import GroupBatch
from ...engine.loop import built
from ...engine.schedule import Cosine, Linear
from ...engine.training import LoopConfig, Shared, Training
from ...losses.adversarial import adversarial, discriminator_terms, start_judge
from ...losses.basic import pixel
from ...losses.frequencies import Split
from ...networks.baselines.downscaling import Downscaling, DownscalingConfig, FieldDiscriminator, bicubic_lr
from ...networks.discriminators import generator_loss
from ..base import Given, Method, Preset, TrainingConfig, is_group, network_of_pairs, other_scale, with_fp32

Weight = Annotated[float, Field(ge=0)]


class JudgeConfig(Frozen):
    """The discriminator, which looks at the high band."""

    num_feat: Annotated[int, Field(ge=1, le=1024)] = 64
    """Width."""
    instance_norm: bool = False
    """Norms of each image by itself (DASR) instead of the batch (FSSR)."""
    split: Split = Split()
    """What is its high band."""


class DownscalingLosses(Frozen):
    """Weights of the terms; 0 leaves a term out."""

    color: Weight = 1
    """Of the low bands: of LR, and of bicubic LR."""
    gan: Annotated[float, Field(gt=0)] = 0.005
    """Of the high band, which should be a photograph's."""
    lpips: Weight = 0.01
    """Of LR and bicubic LR, by all their bands."""
    lpips_net: Net = "alex"
    """What LPIPS looks through."""
    split: Split = Split()
    """What is the low band of `color`."""


class LearnedDownscalingConfig(TrainingConfig):
    """One training."""

    method: Literal["downscaling"] = "downscaling"
    network: DownscalingConfig = DownscalingConfig()
    """Sizes of the generator."""
    judge: JudgeConfig = JudgeConfig()
    """The discriminator."""
    like: Literal["sources", "photographs"] = "sources"
    """What LR should look like: crops of the sources themselves, at their own size, which are a camera's (FSSR); or
    photographs of one, while the sources are clean (DASR)."""
    losses: DownscalingLosses = DownscalingLosses()
    """What is minimised."""

    @property
    def photographs_for(self) -> str:
        return "which LR should look like" if self.like == "photographs" else ""

    @model_validator(mode="after")
    def _has_something_to_learn(self) -> Self:
        if self.network.scale == 1 and self.like == "sources":
            raise ValueError("network.scale = 1 leaves nothing to learn of like = sources; set like=photographs")
        if self.losses.lpips:
            check_side(self.losses.lpips_net, self.loop.lr_patch_px, "loop.lr_patch_px")
        return self


def crops_of(hr: Tensor, side: int, keys: Tensor) -> Tensor:
    """A crop [B, 3, side, side] of each image [B, 3, H, H], where its key draws it."""
    places = [np.random.default_rng(int(key)).integers(hr.shape[-1] - side + 1, size=2).tolist() for key in keys]
    return torch.stack([image[:, y : y + side, x : x + side] for image, (y, x) in zip(hr, places, strict=True)])


def generator_terms(
    net: Downscaling,
    batch: GroupBatch,
    config: LearnedDownscalingConfig,
    shared: Shared,
    judge: FieldDiscriminator,
    looks: nn.Module | None,
) -> dict[str, Tensor]:
    """The weighted terms of the generator. shared: gets `sr` and `real`, detached, for the discriminator."""
    weights, hr = config.losses, batch.hr
    bicubic = bicubic_lr(hr, net.scale)
    lr = net.of_bicubic(hr if net.config.strided else bicubic).float()
    terms: dict[str, Tensor] = {}
    if weights.color:
        terms["color"] = weights.color * pixel(weights.split.low(lr), weights.split.low(bicubic))
    if looks is not None:
        terms["lpips"] = weights.lpips * looks(2 * lr - 1, 2 * bicubic - 1).mean()
    terms["gan"] = weights.gan * generator_loss(judge(lr).float())
    real = batch.photographs if config.like == "photographs" else crops_of(hr, lr.shape[-1], batch.keys)
    assert real is not None
    shared |= {"sr": lr.detach(), "real": real}
    return terms


def build(config: LearnedDownscalingConfig, given: Given) -> Training[GroupBatch]:
    """The networks, from seeded weights or those of an earlier run, and their losses.

    Raises:
        UserError: the images are not pairs of the network's scale, or the earlier weights are another network's.
        MissingWeights: those of LPIPS are not there.
    """
    net = network_of_pairs(config, given, "downscaling is learned of single images (bicubic)")
    assert isinstance(net, Downscaling)
    judge = built(lambda: judge_of(config.judge), config.loop.seed)
    start_judge(judge, given.judge)
    looks = lpips(config.losses.lpips_net) if config.losses.lpips else None

    def of_judge(net: FieldDiscriminator, shared: Shared) -> dict[str, Tensor]:
        return discriminator_terms(net, shared, relativistic=False)

    return adversarial(
        net,
        judge,
        looks,
        lambda batch, shared: generator_terms(net, batch, config, shared, judge, looks),
        of_judge,
    )


def judge_of(config: JudgeConfig) -> FieldDiscriminator:
    """With fresh weights."""
    return FieldDiscriminator(config.split, config.num_feat, instance_norm=config.instance_norm)


def _why_not(config: LearnedDownscalingConfig, recipe: Recipe, to_learn: bool) -> str | None:
    if not to_learn:
        return "makes no model that restores, so there is nothing to measure; drop the held-out store"
    ordered = is_group(recipe)
    return other_scale(config.network.scale, recipe) or ("learns of single images (bicubic)" if ordered else None)


# ---------------------------------------------------------------------------------------------------- presets

# What both codes have where nothing else is said on the command line; HR crops of 512 and 256 px.
_FSSR = LearnedDownscalingConfig(
    loop=LoopConfig(
        steps=65_000,
        batch_size=16,
        lr_patch_px=128,
        learning_rate=2e-4,
        betas=(0.5, 0.999),
        schedule=Linear(from_share=0.5),
        ema_decay=0,
    )
)
_WAVELET = Split(kind="haar")
_DASR = LearnedDownscalingConfig(
    network=DownscalingConfig(strided=True),
    judge=JudgeConfig(instance_norm=True, split=_WAVELET),
    like="photographs",
    losses=DownscalingLosses(split=_WAVELET),
    loop=LoopConfig(
        steps=100_000,
        batch_size=8,
        lr_patch_px=64,
        learning_rate=1e-4,
        betas=(0.5, 0.999),
        schedule=Linear(from_share=0.625),
        ema_decay=0,
    ),
)
_SHORT = LoopConfig(
    steps=800,
    batch_size=8,
    lr_patch_px=32,
    use_rot90=True,
    learning_rate=5e-4,
    betas=(0.5, 0.999),
    schedule=Cosine(min_factor=0.05),
    ema_decay=0.99,
    log_every=50,
    checkpoint_every=250,
)
_SMALL: Mapping[str, Any] = {"losses": DownscalingLosses(gan=0.02, lpips_net="squeeze"), "loop": _SHORT}
_FSSR_SMALL = LearnedDownscalingConfig(
    network=DownscalingConfig(num_feat=24, num_block=3), judge=JudgeConfig(num_feat=16, instance_norm=True), **_SMALL
)
_DASR_SMALL = LearnedDownscalingConfig(
    network=DownscalingConfig(strided=True, num_feat=24, num_block=3),
    judge=JudgeConfig(num_feat=16, instance_norm=True),
    like="photographs",
    **_SMALL,
)

PRESETS = with_fp32(
    {
        "fssr-downscaling": Preset(_FSSR, "FSSR's DSGAN by its published code, of a camera's photographs.", "bicubic"),
        "dasr-downscaling": Preset(
            _DASR, "DASR's network by its published code, of clean images and --photographs.", "bicubic"
        ),
    },
    {
        "fssr-downscaling-small": Preset(_FSSR_SMALL, "Minutes on a CPU, with SqueezeNet features.", "bicubic"),
        "dasr-downscaling-small": Preset(_DASR_SMALL, "Minutes on a CPU, with SqueezeNet features.", "bicubic"),
    },
)
METHOD = Method(
    "downscaling", LearnedDownscalingConfig, PRESETS, build, _why_not, inputs=("photographs",), restores=False
)

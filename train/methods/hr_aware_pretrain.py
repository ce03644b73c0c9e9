"""How HR-aware's LR reconstruction network is pretrained on pairs (Eq. 5).

LWay's is the same without controller and FAR. What the papers leave open is a key, whose docstring says why it is as it
is.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor

from ...degrade.errors import UserError
from ...degrade.recipes.base import Recipe
from ..data.batches import GroupBatch, GroupSource, check_scale
from ..engine.loop import built
from ..engine.schedule import Cosine
from ..engine.training import LoopConfig, Shared, Training
from ..losses.far import hqi_of, strength_of
from ..losses.far_encoders import Established, FarConfig, encoder_of
from ..losses.reconstruction import ReconstructionLossConfig, reconstruction_terms
from ..networks.base import PRETRAINED
from ..networks.keyed_noise import Normal
from ..networks.lr_reconstruction import ControllerConfig, LrReconstruction, ReconstructionConfig
from ..runs.model_file import start_with
from .base import Given, Method, Preset, TrainingConfig, is_group, other_scale, with_fp32
from .hr_aware_losses import FarWeight, Looks, balance, check_losses, looks_of


class PretrainConfig(TrainingConfig):
    """The pretraining of a reconstruction network."""

    method: Literal["hr-aware-pretrain"] = PRETRAINED
    network: ReconstructionConfig = ReconstructionConfig()
    """Sizes of the reconstruction network."""
    losses: ReconstructionLossConfig = ReconstructionLossConfig()
    """Of the reconstruction of LR."""
    far: FarWeight = FarWeight(share=1)
    """How much FAR counts."""

    @model_validator(mode="after")
    def _patches_are_large_enough(self) -> Self:
        check_losses(self.losses)
        least = self.network.least_lr_px()
        if self.loop.lr_patch_px < least:
            raise ValueError(
                f"loop.lr_patch_px = {self.loop.lr_patch_px} is too small for the degradation encoder; use {least} or "
                "more"
            )
        return self


def pretraining_terms(
    net: LrReconstruction, batch: GroupBatch, config: PretrainConfig, looks: Looks
) -> dict[str, Tensor]:
    """The weighted terms of Eq. 5, and figures of the controller."""
    lr, hr = batch.lr[:, 0], batch.hr
    wanted, features = net.wanted(lr), net.features(hr)
    told: dict[str, Tensor] = {}
    strength = None
    if looks.hqi is not None:
        strength = strength_of(hqi_of(looks.hqi, net.enlarged(lr), hr), "1-hqi")
        told = {"strength": strength.mean(), "clamped": (strength == 1).float().mean()}
    seen_by_far, factor = features, 0.0
    if net.far is not None:
        features, seen_by_far, factor = config.far.of(features)
    found = net.reconstruct(wanted, features, strength, Normal(batch.keys)).float()
    terms = reconstruction_terms(found, wanted, config.losses, looks.rec)
    if net.far is not None and looks.encoder is not None:
        with torch.no_grad():
            established = looks.encoder(hr)
        if config.far.weight is None and config.far.measured_in == "parameters":
            reconstruction = torch.stack(list(terms.values())).sum()
            length = balance(
                config.far.share, reconstruction, net.far(features, established).mean(), list(net.image.parameters())
            )
            seen_by_far = features.detach() + length * (features - features.detach())  # itself, by that much longer
        terms["far"] = factor * net.far(seen_by_far, established).mean()
    return terms | told


def build(config: PretrainConfig, given: Given) -> Training[GroupBatch]:
    """The reconstruction network, from seeded weights or from those of an earlier run, and its losses.

    Raises:
        UserError: the groups, the earlier weights or the SR model of FAR do not fit.
        MissingWeights: those of LPIPS or of FAR's encoder are not there.
    """
    if given.far_model is not None and config.network.far is None:
        raise UserError("--far-model is for FAR, which this training has not; drop it")
    encoder = encoder_of(config.network.far, given.far_model)
    if given.judge is not None:
        raise UserError("--start-discriminator is for a training with a GAN loss; drop it")
    if given.extractor is not None and not config.network.frozen_extractor:
        raise UserError("this network learns its encoder; drop --extractor, or choose a preset of lway-pretrain-frozen")
    if config.network.frozen_extractor and given.extractor is None and given.start is None:
        raise UserError("name the --extractor that stays as it is: a run of `rwsr train sr --preset lway-extractor`")
    return with_encoder(config, encoder, given.groups, given.start, partly=given.partly, extractor=given.extractor)


def with_encoder(
    config: PretrainConfig,
    encoder: Established | None,
    groups: GroupSource,
    start: Mapping[str, Tensor] | None,
    *,
    partly: bool = False,
    extractor: Mapping[str, Tensor] | None = None,
) -> Training[GroupBatch]:
    """The reconstruction network, from seeded weights or from those of an earlier run, and its losses.

    extractor: weights of an SRResNet that E_deg looks through.

    Raises:
        UserError: the groups or the earlier weights do not fit.
        MissingWeights: those of LPIPS are not there.
    """
    check_scale(groups, config.network.scale)
    if groups.members != 1:
        raise UserError(f"{groups.name} holds groups; the reconstruction learns from pairs (real-esrgan-nousm)")
    channels = 0 if encoder is None else encoder.channels
    net = built(partial(LrReconstruction, config.network, channels), config.loop.seed)
    if start is not None:
        start_with(net, start, partly=partly)
    if extractor is not None:
        net.extract_with(extractor)
    looks = looks_of(config.losses, config.network, encoder, config.loop.lr_patch_px)

    def terms(_: str, batch: GroupBatch, __: Shared) -> dict[str, Tensor]:
        return pretraining_terms(net, batch, config, looks)

    return Training({"reconstruction": net}, terms, looks.modules)


def _why_not(config: PretrainConfig, recipe: Recipe, to_learn: bool) -> str | None:
    if not to_learn:
        return "makes no model that restores, so there is nothing to measure; drop the held-out store"
    ordered = is_group(recipe)
    return other_scale(config.network.scale, recipe) or ("learns from pairs (real-esrgan-nousm)" if ordered else None)


# ---------------------------------------------------------------------------------------------------- presets

_ADAM = (0.9, 0.999)
LWAY: Mapping[str, Any] = {"controller": None, "far": None, "image_blocks": 0, "style_bias": 0}  # of its network


FROZEN: Mapping[str, Any] = {**LWAY, "frozen_extractor": True, "resolution": "lr"}


def _as_published_lway(config: PretrainConfig) -> PretrainConfig:
    """Through a frozen extractor, of larger patches, as it sees LR itself."""
    network = config.network.model_copy(update=FROZEN)
    return config.model_copy(update={"network": network, "loop": config.loop.model_copy(update={"lr_patch_px": 32})})


def _as_lway(config: PretrainConfig) -> PretrainConfig:
    """No controller, no FAR, and the reconstructor takes HR itself."""
    return config.model_copy(update={"network": config.network.model_copy(update=LWAY)})


# The paper's numbers (section 5.1); the batch, which it does not give, is 16.
_HR_AWARE = PretrainConfig(
    loop=LoopConfig(steps=500_000, batch_size=16, lr_patch_px=16, use_rot90=True, betas=_ADAM, schedule=Cosine())
)

# Seen through SqueezeNet. So short a training learns little of a controller that is mostly noise: less noise, and a
# bias, let its strength count.
_SMALL = PretrainConfig(
    network=ReconstructionConfig(
        num_feat=32,
        code=128,
        degradation_blocks=4,
        image_blocks=3,
        style_bias=1,
        skip=True,
        controller=ControllerConfig(noise_std=0.2, hqi="squeeze"),
        far=FarConfig(net="squeezenet"),
    ),
    losses=ReconstructionLossConfig(net="squeeze"),
    loop=LoopConfig(
        steps=1500,
        batch_size=8,
        lr_patch_px=16,
        use_rot90=True,
        learning_rate=5e-4,
        betas=_ADAM,
        warmup_steps=100,
        schedule=Cosine(),
        ema_decay=0.99,
        log_every=50,
        checkpoint_every=250,
    ),
)

_DATA = "real-esrgan-nousm"
PRESETS = with_fp32(
    {
        "hr-aware-pretrain": Preset(_HR_AWARE, "HR-aware's network, the paper's numbers, 500K steps.", _DATA),
        "lway-pretrain": Preset(_as_lway(_HR_AWARE), "LWay's network: no controller, no FAR.", _DATA),
        "lway-pretrain-frozen": Preset(
            _as_published_lway(_HR_AWARE), "The same behind a frozen --extractor, as LWay and DegAE have it.", _DATA
        ),
    },
    {
        "hr-aware-pretrain-small": Preset(_SMALL, "HR-aware's in minutes on a CPU, with SqueezeNet features.", _DATA),
        "lway-pretrain-small": Preset(_as_lway(_SMALL), "LWay's in minutes on a CPU, with SqueezeNet features.", _DATA),
        "lway-pretrain-frozen-small": Preset(
            _as_published_lway(_SMALL), "The same behind a frozen --extractor, in minutes on a CPU.", _DATA
        ),
    },
)
METHOD = Method("hr-aware-pretrain", PretrainConfig, PRESETS, build, _why_not, inputs=("far_model", "extractor"))

"""How HR-aware fine-tunes any SR model on LR alone, through a pretrained reconstruction network (Eq. 6).

LWay is the same without controller and FAR. Self-training is the plain way beside them: LR made smaller once more is
the input, and LR what should come out. What the papers leave open is a key, whose docstring says why it is as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ...degrade.errors import UserError
from ...degrade.family import Frozen
from ...eval.images.restoring import smaller
from ..data.batches import LrBatch
from ..engine.training import LoopConfig, Shared, Training
from ..files.open import FINE_TUNED
from ..losses.far import Strength, hqi_of, strength_of
from ..losses.far_encoders import Established
from ..losses.reconstruction import ReconstructionLossConfig, detail, reconstruction_terms
from ..networks.base import wants_condition
from ..networks.keyed_noise import Normal
from ..networks.lr_reconstruction import LrReconstruction, far_of
from ..networks.mm_realsr import MMRealSR
from .base import Preset, TrainingConfig
from .hr_aware_losses import FarWeight, Looks, check_losses, looks_of, rec_of, why_too_small

GENERATOR = "generator"


class Selection(Frozen):
    """Which average becomes the model: the best by a figure that is measured every loop.validate_every steps."""

    by: str
    """Far (FAR of SR) or niqe need no HR; a metric as lpips-alex needs held-out HR, as the paper's early stopping does
    on a part of the test data.
    """
    patience: Annotated[int, Field(ge=1)] | None = None
    """Measurements in a row that are no better end the training."""


class FineTuneConfig(TrainingConfig):
    """The fine-tuning of an SR model on LR images."""

    method: Literal["hr-aware"] = FINE_TUNED
    objective: Literal["reconstruction", "self-training"] = "reconstruction"
    """Of Eq. 6, or plain self-training. losses.net: of LPIPS."""
    losses: ReconstructionLossConfig = ReconstructionLossConfig()
    """Of the reconstruction of LR."""
    detail: bool = True
    """Where LR has detail the reconstruction counts for more (LWay's wavelet weight; HR-aware follows its loss)."""
    strength: Strength = "hqi"
    """What the controller is noise around, HQI, or 1 - HQI for table 4."""
    far: FarWeight | None = FarWeight()
    """None leaves FAR out."""
    selection: Selection | None = None
    """Which average becomes the model; none is the last."""

    @model_validator(mode="after")
    def _is_of_the_objective(self) -> Self:
        check_losses(self.losses)
        if self.far is not None and self.far.measured_in != "features":
            raise ValueError(
                "far.measured_in is of pretraining; while fine-tuning the share holds in both. Leave it out"
            )
        if self.objective == "self-training" and (self.far is not None or self.detail or self.strength != "hqi"):
            raise ValueError("self-training has no FAR, detail and strength; leave those keys out")
        return self


@dataclass(frozen=True)
class Restoring:
    """The SR model to fine-tune, and how many times it enlarges."""

    net: nn.Module
    scale: int


def fine_tuning_terms(
    restorer: Restoring, net: LrReconstruction, batch: LrBatch, config: FineTuneConfig, looks: Looks
) -> dict[str, Tensor]:
    """The weighted terms of Eq. 6, and figures of the controller."""
    lr = batch.lr
    sr = restorer.net(lr).float()
    seen, seen_by_far, factor = (sr, sr, 0.0) if config.far is None else config.far.of(sr)
    told: dict[str, Tensor] = {}
    strength = None
    if looks.hqi is not None:
        hqi = hqi_of(looks.hqi, net.enlarged(lr), sr)
        strength = strength_of(hqi, config.strength)
        told = {"hqi": hqi.mean(), "clamped": (hqi == 0).float().mean()}
    wanted = net.wanted(lr)
    found = net.reconstruct(wanted, net.features(seen), strength, Normal(batch.keys)).float()
    weight = detail(lr, (wanted.shape[2], wanted.shape[3])) if config.detail else None
    terms = reconstruction_terms(found, wanted, config.losses, looks.rec, weight)
    if config.far is not None:
        assert looks.encoder is not None
        terms["far"] = factor * far_of(net, looks.encoder, seen_by_far).mean()
    return terms | told


def self_training_terms(restorer: Restoring, batch: LrBatch, config: FineTuneConfig, looks: Looks) -> dict[str, Tensor]:
    """LR made smaller by antialiased bicubic, and restored: it should be LR."""
    found = restorer.net(smaller(batch.lr, restorer.scale)).float()
    return reconstruction_terms(found, batch.lr, config.losses, looks.rec)


def fine_tuning(
    config: FineTuneConfig,
    restorer: Restoring,
    reconstruction: LrReconstruction | None,
    encoder: Established | None,
) -> Training[LrBatch]:
    """The SR model and its losses; encoder: FAR's. Self-training has neither reconstruction network nor encoder.

    Raises:
        UserError: the model or the reconstruction network do not fit the config, or each other.
        MissingWeights: those of LPIPS are not there.
    """
    check_model(config, restorer)
    if config.objective == "self-training":
        return _self_training(config, restorer, Looks(rec_of(config.losses, config.loop.lr_patch_px), None, None))
    assert reconstruction is not None
    if reconstruction.config.scale != restorer.scale:
        raise UserError(
            f"the reconstruction network is for scale {reconstruction.config.scale}, the model for {restorer.scale}; "
            "name another of the two"
        )
    told, lr_px = reconstruction.config, config.loop.lr_patch_px
    if lr_px < told.least_lr_px():
        raise UserError(
            f"loop.lr_patch_px = {lr_px} is too small for the degradation encoder; use {told.least_lr_px()} or more"
        )
    if told.controller is None and config.strength != "hqi":
        raise UserError("strength = 1-hqi is of the controller, which the reconstruction network has not; drop it")
    return through(config, restorer, reconstruction, looks_of(config.losses, told, encoder, lr_px))


def through(
    config: FineTuneConfig, restorer: Restoring, reconstruction: LrReconstruction, looks: Looks
) -> Training[LrBatch]:
    """The SR model under Eq. 6; the reconstruction network and all that losses look through is frozen."""

    def terms(_: str, batch: LrBatch, __: Shared) -> dict[str, Tensor]:
        return fine_tuning_terms(restorer, reconstruction, batch, config, looks)

    return Training({GENERATOR: _trainable(restorer.net)}, terms, (reconstruction, *looks.modules))


def _self_training(config: FineTuneConfig, restorer: Restoring, looks: Looks) -> Training[LrBatch]:
    def terms(_: str, batch: LrBatch, __: Shared) -> dict[str, Tensor]:
        return self_training_terms(restorer, batch, config, looks)

    return Training({GENERATOR: _trainable(restorer.net)}, terms, looks.modules)


def check_model(config: FineTuneConfig, restorer: Restoring) -> None:
    """Raises UserError where a model cannot be fine-tuned so."""
    px, smaller_by = config.loop.lr_patch_px, 1
    if wants_condition(restorer.net) is not None:
        raise UserError(
            "the model needs a condition, how an image is degraded (CUGAN), which nobody knows here; name another"
        )
    if config.objective == "self-training":
        smaller_by = restorer.scale
        if smaller_by == 1:
            raise UserError("self-training makes LR smaller by the model's scale, which is 1; name another preset")
        if px % smaller_by:
            raise UserError(
                f"loop.lr_patch_px = {px} is not a multiple of the model's scale, {smaller_by}; self-training makes "
                "patches smaller by it"
            )
    _check_patch(restorer, px // smaller_by)


def _check_patch(restorer: Restoring, px: int) -> None:
    """Raises UserError where a model cannot restore patches of that size."""
    found: list[torch.Size] = []
    reason = why_too_small(restorer.net, lambda lr: found.append(restorer.net(lr).shape[2:]), px)
    if reason is not None:
        raise UserError(f"the model cannot restore {px}x{px} px ({reason}); raise loop.lr_patch_px")
    size = found[0]
    if tuple(size) != (px * restorer.scale, px * restorer.scale):
        raise UserError(
            f"the model makes {size[1]}x{size[0]} px of {px}x{px}, not {restorer.scale} times as much; change "
            "loop.lr_patch_px"
        )


def _trainable(net: nn.Module) -> nn.Module:
    """All of an SR model but a UDEM, whose scores stay what they were, as in its second stage."""
    net.requires_grad_(True)
    if isinstance(net, MMRealSR) and net.modulated:
        net.de_net.requires_grad_(False)
    return net


# ---------------------------------------------------------------------------------------------------- presets

SELF_TRAINING: Mapping[str, Any] = {"objective": "self-training", "far": None, "detail": False}

# The paper's learning rate, length and average; batch and patch, which it does not give, are 8 of 64 px of LR.
_HR_AWARE = FineTuneConfig(
    loop=LoopConfig(
        steps=600,
        batch_size=8,
        lr_patch_px=64,
        use_rot90=True,
        learning_rate=5e-6,
        betas=(0.9, 0.999),
        log_every=20,
        checkpoint_every=100,
        validate_every=50,
    )
)
_LWAY = _HR_AWARE.model_copy(update={"far": None})
_SELF_TRAINING = _HR_AWARE.model_copy(update=SELF_TRAINING)


def _small(config: FineTuneConfig) -> FineTuneConfig:
    loop = {
        "batch_size": 4,
        "lr_patch_px": 32,
        "steps": 60,
        "learning_rate": 2e-6,
        "ema_decay": 0.95,
        "validate_every": 10,
    }
    losses = config.losses.model_copy(update={"net": "squeeze"})
    return config.model_copy(update={"losses": losses, "loop": config.loop.model_copy(update=loop)})


# FAR counts for more: what a short pretraining reconstructs, it reconstructs best from a blurred SR, and FAR alone
# speaks against that.
_HR_AWARE_SMALL = _small(_HR_AWARE).model_copy(update={"far": FarWeight(share=2)})

FINE_TUNING = {
    "hr-aware": Preset(_HR_AWARE, "HR-aware, the paper's numbers, 600 steps."),
    "hr-aware-small": Preset(_HR_AWARE_SMALL, "HR-aware in minutes on a CPU, with SqueezeNet features."),
    "lway": Preset(_LWAY, "LWay: the reconstruction alone."),
    "lway-small": Preset(_small(_LWAY), "LWay in minutes on a CPU, with SqueezeNet features."),
    "self-training": Preset(_SELF_TRAINING, "LR made smaller and restored should be LR: no reconstruction network."),
    "self-training-small": Preset(
        _small(_SELF_TRAINING), "Self-training in minutes on a CPU, with SqueezeNet features."
    ),
}

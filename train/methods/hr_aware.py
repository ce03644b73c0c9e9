"""How HR-aware is trained: the LR reconstruction network on pairs (Eq. 5), then any SR model on LR alone (Eq. 6).

LWay is the same without controller and FAR. Self-training is the plain way beside them: LR made smaller once more is
the input, and LR what should come out. What the paper leaves open is a key, whose docstring says why it is as it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from ...degrade.errors import UserError
from ...degrade.storage.provenance import Json
from ...eval.images.tiling import smaller
from ...eval.metrics.lpips_dists import Lpips, lpips
from ..data.batches import GroupBatch, GroupSource, LrBatch, check_scale
from ..engine.loop import built
from ..engine.method import LoopConfig, Method, Shared
from ..engine.model_file import start_with
from ..engine.run import Stage
from ..engine.schedule import Cosine
from ..losses.far import Strength, hqi_of, parted, strength_of
from ..losses.far_encoders import Established, FarConfig
from ..losses.reconstruction import ReconstructionLossConfig, detail, reconstruction_terms
from ..networks.cunet import wants_condition
from ..networks.keyed_noise import Normal
from ..networks.lr_reconstruction import ControllerConfig, LrReconstruction, ReconstructionConfig, far_of
from ..networks.mm_realsr import MMRealSR
from ..networks.open import FINE_TUNED, PRETRAINED

GENERATOR = "generator"


class FarWeight(BaseModel):
    """How much FAR counts: lambda of Eq. 5 and 6, which is not published.

    weight: lambda. Where there is none, FAR's gradient is held to `share` of the reconstruction's where the two meet,
    in the image's features while pretraining, in SR while fine-tuning; so no figure need be found for each encoder.
    The share is 1 while pretraining, where FAR has all to learn, and 1 to 10 while fine-tuning. It is of the gradients
    where they meet: FAR's is alike all over the image, so that in the parameters of E_img it is many times the longer
    one early in a pretraining (14 and 52 times were measured), and with Adam E_img then follows FAR. While fine-tuning
    the share holds in the parameters too (0.06 for 0.1, 1.1 for 2).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    weight: Annotated[float, Field(gt=0)] | None = None
    share: Annotated[float, Field(gt=0)] = 0.1

    def of(self, x: Tensor) -> tuple[Tensor, Tensor, float]:
        """What the reconstruction and FAR see of x, and the factor on FAR."""
        if self.weight is not None:
            return x, x, self.weight
        return *parted(x, self.share), 1.0


def _check_losses(losses: ReconstructionLossConfig) -> None:
    if not losses.l1 and not losses.lpips:
        raise ValueError("losses.l1 and losses.lpips are both 0; give one a weight")


@dataclass(frozen=True)
class Looks:
    """The frozen networks that losses look through, as far as they are wanted.

    rec: LPIPS of the reconstruction. hqi: LPIPS of the controller. encoder: FAR's established one.
    """

    rec: Lpips | None
    hqi: Lpips | None
    encoder: Established | None

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        return tuple(each for each in (self.rec, self.hqi, self.encoder) if each is not None)


def _rec(losses: ReconstructionLossConfig, px: int) -> Lpips | None:
    """The reconstruction's LPIPS, for images of that side. Raises MissingWeights, UserError."""
    if not losses.lpips:
        return None
    rec = lpips(losses.net)
    _check_sees(f"LPIPS ({losses.net})", lambda image: rec.maps(image, image), px)
    return rec


def _looks(
    losses: ReconstructionLossConfig, network: ReconstructionConfig, encoder: Established | None, lr_px: int
) -> Looks:
    """For a reconstruction network and LR patches of that side. Raises MissingWeights, UserError."""
    hr_px = lr_px * network.scale
    rec = _rec(losses, hr_px if network.resolution == "hr" else lr_px)
    hqi = None if network.controller is None else lpips(network.controller.hqi)
    if hqi is not None:
        _check_sees("HQI's LPIPS", lambda image: hqi.maps(image, image), hr_px)
    if encoder is not None:
        _check_sees("FAR's encoder", encoder, hr_px)
    return Looks(rec, hqi, encoder)


def _check_sees(what: str, net: Callable[[Tensor], object], px: int) -> None:
    """Raises UserError where a network has no features of patches of that size."""
    try:
        net(torch.zeros(1, 3, px, px))
    except RuntimeError:
        raise UserError(f"{what} cannot look at {px}x{px} px; raise loop.lr_patch_px") from None


# ------------------------------------------------------------------------------------------------ pretraining


class PretrainConfig(BaseModel):
    """The pretraining of a reconstruction network.

    far_model: the SHA-256 of the SR model that FAR's net `sr` is; it is filled in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Literal["hr-aware-pretrain"] = PRETRAINED
    network: ReconstructionConfig = ReconstructionConfig()
    losses: ReconstructionLossConfig = ReconstructionLossConfig()
    far: FarWeight = FarWeight(share=1)
    far_model: str | None = None
    loop: LoopConfig = LoopConfig()

    @model_validator(mode="after")
    def _patches_are_large_enough(self) -> Self:
        _check_losses(self.losses)
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
        terms["far"] = factor * net.far(seen_by_far, established).mean()
    return terms | told


def pretraining(
    config: PretrainConfig, encoder: Established | None, groups: GroupSource, start: Mapping[str, Tensor] | None
) -> Method[GroupBatch]:
    """The reconstruction network, from seeded weights or from those of an earlier run, and its losses.

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
        start_with(net, start)
    looks = _looks(config.losses, config.network, encoder, config.loop.lr_patch_px)

    def terms(_: str, batch: GroupBatch, __: Shared) -> dict[str, Tensor]:
        return pretraining_terms(net, batch, config, looks)

    return Method({"reconstruction": net}, terms, looks.modules)


# ------------------------------------------------------------------------------------------------ fine-tuning


class Selection(BaseModel):
    """Which average becomes the model: the best by a figure that is measured every loop.validate_every steps.

    by: far (FAR of SR) or niqe need no HR; a metric as lpips-alex needs held-out HR, as the paper's early stopping does
    on a part of the test data. patience: measurements in a row that are no better end the training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    by: str
    patience: Annotated[int, Field(ge=1)] | None = None


class FineTuneConfig(BaseModel):
    """The fine-tuning of an SR model on LR images.

    objective: of Eq. 6, or plain self-training. losses.net: of LPIPS. detail: where LR has detail the reconstruction
    counts for more (LWay's wavelet weight; HR-aware follows its loss, facts: 3.4). strength: what the controller is
    noise around, HQI, or 1 - HQI for table 4. far: none leaves FAR out. restorer: the config of the model, where it is
    one of ours; it is filled in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Literal["hr-aware"] = FINE_TUNED
    objective: Literal["reconstruction", "self-training"] = "reconstruction"
    losses: ReconstructionLossConfig = ReconstructionLossConfig()
    detail: bool = True
    strength: Strength = "hqi"
    far: FarWeight | None = FarWeight()
    selection: Selection | None = None
    restorer: Json | None = None
    loop: LoopConfig = LoopConfig()

    @model_validator(mode="after")
    def _is_of_the_objective(self) -> Self:
        _check_losses(self.losses)
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
) -> Method[LrBatch]:
    """The SR model and its losses; encoder: FAR's. Self-training has neither reconstruction network nor encoder.

    Raises:
        UserError: the model or the reconstruction network do not fit the config, or each other.
        MissingWeights: those of LPIPS are not there.
    """
    check_model(config, restorer)
    if config.objective == "self-training":
        return _self_training(config, restorer, Looks(_rec(config.losses, config.loop.lr_patch_px), None, None))
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
    return through(config, restorer, reconstruction, _looks(config.losses, told, encoder, lr_px))


def through(
    config: FineTuneConfig, restorer: Restoring, reconstruction: LrReconstruction, looks: Looks
) -> Method[LrBatch]:
    """The SR model under Eq. 6; the reconstruction network and all that losses look through is frozen."""

    def terms(_: str, batch: LrBatch, __: Shared) -> dict[str, Tensor]:
        return fine_tuning_terms(restorer, reconstruction, batch, config, looks)

    return Method({GENERATOR: _trainable(restorer.net)}, terms, (reconstruction, *looks.modules))


def _self_training(config: FineTuneConfig, restorer: Restoring, looks: Looks) -> Method[LrBatch]:
    def terms(_: str, batch: LrBatch, __: Shared) -> dict[str, Tensor]:
        return self_training_terms(restorer, batch, config, looks)

    return Method({GENERATOR: _trainable(restorer.net)}, terms, looks.modules)


def check_model(config: FineTuneConfig, restorer: Restoring) -> None:
    """Raises UserError where a model cannot be fine-tuned so."""
    px, smaller_by = config.loop.lr_patch_px, 1
    if wants_condition(restorer.net) is not None:
        raise UserError(
            "the model must be told how an image is degraded (CUGAN), which nobody knows here; name another"
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
    device = next(restorer.net.parameters()).device
    try:
        with torch.no_grad():
            size = restorer.net(torch.zeros(1, 3, px, px, device=device)).shape[2:]
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"the model cannot restore {px}x{px} px ({reason}); raise loop.lr_patch_px") from None
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

_ADAM = (0.9, 0.999)
LWAY: Mapping[str, Any] = {"controller": None, "far": None, "image_blocks": 0, "style_bias": 0}  # of its network
SELF_TRAINING: Mapping[str, Any] = {"objective": "self-training", "far": None, "detail": False}


def hr_aware_pretrain(_: Stage = 1) -> PretrainConfig:
    """The paper's numbers (section 5.1); the batch, which it does not give, is 16."""
    return PretrainConfig(
        loop=LoopConfig(
            steps=500_000,
            batch=16,
            lr_patch_px=16,
            turned=True,
            betas=_ADAM,
            schedule=Cosine(),
        )
    )


def lway_pretrain(_: Stage = 1) -> PretrainConfig:
    """LWay's network: no controller, no FAR, and the reconstructor takes HR itself."""
    base = hr_aware_pretrain()
    return base.model_copy(update={"network": base.network.model_copy(update=LWAY)})


def hr_aware_pretrain_small(_: Stage = 1) -> PretrainConfig:
    """Sizes that a CPU trains in minutes, seen through SqueezeNet.

    So short a training learns little of a controller that is mostly noise: less noise, and a bias, let its strength
    count.
    """
    return PretrainConfig(
        network=ReconstructionConfig(
            feats=32,
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
            batch=8,
            lr_patch_px=16,
            turned=True,
            learning_rate=5e-4,
            betas=_ADAM,
            warm_up=100,
            schedule=Cosine(),
            ema=0.99,
            log_every=50,
            checkpoint_every=250,
        ),
    )


def lway_pretrain_small(_: Stage = 1) -> PretrainConfig:
    """LWay's at the same sizes."""
    base = hr_aware_pretrain_small()
    return base.model_copy(update={"network": base.network.model_copy(update=LWAY)})


def hr_aware(_: Stage = 1) -> FineTuneConfig:
    """The paper's learning rate, length and average; batch and patch, which it does not give, are 8 of 64 px of LR."""
    return FineTuneConfig(
        loop=LoopConfig(
            steps=600,
            batch=8,
            lr_patch_px=64,
            turned=True,
            learning_rate=5e-6,
            betas=_ADAM,
            log_every=20,
            checkpoint_every=100,
            validate_every=50,
        )
    )


def lway(_: Stage = 1) -> FineTuneConfig:
    """LWay: the reconstruction alone."""
    return hr_aware().model_copy(update={"far": None})


def self_training(_: Stage = 1) -> FineTuneConfig:
    """LR made smaller and restored should be LR: what one would do without any of this."""
    return hr_aware().model_copy(update=SELF_TRAINING)


def _small(config: FineTuneConfig) -> FineTuneConfig:
    loop = {"batch": 4, "lr_patch_px": 32, "steps": 60, "learning_rate": 2e-6, "ema": 0.95, "validate_every": 10}
    losses = config.losses.model_copy(update={"net": "squeeze"})
    return config.model_copy(update={"losses": losses, "loop": config.loop.model_copy(update=loop)})


def hr_aware_small(_: Stage = 1) -> FineTuneConfig:
    """HR-aware in minutes on a CPU, seen through SqueezeNet.

    FAR counts for more: what a short pretraining reconstructs, it reconstructs best from a blurred SR, and FAR alone
    speaks against that.
    """
    return _small(hr_aware()).model_copy(update={"far": FarWeight(share=2)})


def lway_small(_: Stage = 1) -> FineTuneConfig:
    """LWay in minutes on a CPU, seen through SqueezeNet."""
    return _small(lway())


def self_training_small(_: Stage = 1) -> FineTuneConfig:
    """Plain self-training in minutes on a CPU, seen through SqueezeNet."""
    return _small(self_training())


PRETRAIN_PRESETS: dict[str, Callable[[Stage], PretrainConfig]] = {
    "hr-aware-pretrain": hr_aware_pretrain,
    "hr-aware-pretrain-small": hr_aware_pretrain_small,
    "lway-pretrain": lway_pretrain,
    "lway-pretrain-small": lway_pretrain_small,
}
PRESETS: dict[str, Callable[[Stage], FineTuneConfig]] = {
    "hr-aware": hr_aware,
    "hr-aware-small": hr_aware_small,
    "lway": lway,
    "lway-small": lway_small,
    "self-training": self_training,
    "self-training-small": self_training_small,
}

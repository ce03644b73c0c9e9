"""How SRTTA's classifier is trained (Deng et al. 2023): which of blur, noise and JPEG befell LR, each by itself."""

from typing import Literal

from torch import Tensor
from torch.nn import functional

from ....degrade.errors import UserError
from ....degrade.recipes.base import Recipe
from ...data.batches import GroupBatch
from ...engine.loop import built
from ...engine.schedule import Cosine
from ...engine.training import LoopConfig, Shared, Training
from ...networks.base import CLASSIFIER
from ...networks.baselines.corruption_classifier import KINDS, ClassifierConfig
from ...runs.model_file import start_with
from ..base import Given, Method, Preset, TrainingConfig, check_start, with_fp32


class ClassifierTraining(TrainingConfig):
    """One training."""

    method: Literal["corruption-classifier"] = CLASSIFIER
    network: ClassifierConfig = ClassifierConfig()
    """Sizes of the network."""


def build(config: ClassifierTraining, given: Given) -> Training[GroupBatch]:
    """The network and its loss.

    Raises:
        UserError: the pairs do not say what befell them, or the earlier weights are another network's.
    """
    if given.groups.conditions != len(KINDS):
        raise UserError(f"{given.groups.name} does not say what befell its LR; build it with --preset corruptions")
    if given.judge is not None:
        raise UserError("--start-discriminator is for a training with a GAN loss; drop it")
    check_start(config, given.start is not None)
    net = built(config.network.build, config.loop.seed)
    if given.start is not None:
        start_with(net, given.start, partly=given.partly)

    def terms(_: str, batch: GroupBatch, __: Shared) -> dict[str, Tensor]:
        logits = net(batch.lr[:, 0]).float()
        right = ((logits > 0) == (batch.condition > 0.5)).all(dim=1).float().mean()
        return {"error": functional.binary_cross_entropy_with_logits(logits, batch.condition), "right": right}

    return Training({"classifier": net}, terms)


def _why_not(config: ClassifierTraining, recipe: Recipe, to_learn: bool) -> str | None:
    if not to_learn:
        return "makes no model that restores, so there is nothing to measure; drop the held-out store"
    return None if recipe.num_conditions == len(KINDS) else "learns what befell LR (corruptions)"


# The script's numbers: 400 epochs of 4 batches.
_PUBLISHED = ClassifierTraining(
    loop=LoopConfig(
        steps=1600,
        batch_size=256,
        lr_patch_px=112,
        learning_rate=1e-3,
        betas=(0.9, 0.999),
        schedule=Cosine(min_factor=1e-3),
        ema_decay=0,
    )
)
_SMALL = ClassifierTraining(
    network=ClassifierConfig(width=16, num_block=(1, 1, 1, 1)),
    loop=LoopConfig(
        steps=2500,
        batch_size=32,
        lr_patch_px=64,
        use_rot90=True,
        learning_rate=2e-3,
        betas=(0.9, 0.999),
        warmup_steps=50,
        schedule=Cosine(min_factor=0.02),
        ema_decay=0,
        log_every=50,
        checkpoint_every=250,
    ),
)
PRESETS = with_fp32(
    {"corruption-classifier": Preset(_PUBLISHED, "SRTTA's ResNet-50 by its published script.", "corruptions")},
    {"corruption-classifier-small": Preset(_SMALL, "Minutes on a CPU.", "corruptions")},
)
METHOD = Method(CLASSIFIER, ClassifierTraining, PRESETS, build, _why_not, restores=False)

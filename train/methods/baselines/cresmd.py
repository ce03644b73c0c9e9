"""How CResMD is trained (He, Dong and Qiao, ECCV 2020): by L1, on blur and noise whose levels are mostly light."""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from ....degrade.errors import UserError
from ....degrade.recipes.base import Recipe
from ...data.batches import GroupBatch
from ...engine.loop import built
from ...engine.schedule import Cosine, MultiStep
from ...engine.training import LoopConfig, Shared, Training
from ...losses import basic as losses
from ...losses.adversarial import GENERATOR
from ...networks.baselines.cresmd import CResMDConfig
from ...runs.model_file import start_with
from ..base import Given, Method, Preset, TrainingConfig, check_start, other_scale, with_fp32


class CResMDTraining(TrainingConfig):
    """One training."""

    method: Literal["cresmd"] = "cresmd"
    network: CResMDConfig = CResMDConfig()
    """Sizes of the network."""
    pixel: Annotated[float, Field(gt=0)] = 1.0
    """Weight of the mean absolute error."""


def build(config: CResMDTraining, given: Given) -> Training[GroupBatch]:
    """The network and its loss; raises UserError where the pairs come without z, or the weights do not fit."""
    if not given.groups.conditions:
        raise UserError(
            f"{given.groups.name} says nothing of the degradation of its pairs; CResMD is trained on `rwsr degrade "
            "build --preset cresmd`"
        )
    check_start(config, given.start is not None)
    net = built(config.network.build, config.loop.seed)
    if given.start is not None:
        start_with(net, given.start, partly=given.partly)

    def terms(_: str, batch: GroupBatch, shared: Shared) -> dict[str, Tensor]:
        sr = net(batch.lr[:, 0], batch.condition if net.conditioned else None).float()
        return {"pixel": config.pixel * losses.pixel(sr, batch.hr)}

    return Training({GENERATOR: net}, terms)


def _why_not(config: CResMDTraining, recipe: Recipe, to_learn: bool) -> str | None:
    untold = (to_learn or config.network.conditioned) and recipe.num_conditions != 2
    return other_scale(config.network.scale, recipe) or ("is told blur and noise (cresmd)" if untold else None)


# The published numbers, of the authors' code.
_PUBLISHED = CResMDTraining(
    loop=LoopConfig(
        batch_size=16,
        lr_patch_px=64,
        use_rot90=True,
        learning_rate=5e-4,
        betas=(0.9, 0.99),
        ema_decay=0,
        steps=1_000_000,
        schedule=MultiStep(milestones=(200_000, 400_000, 600_000, 800_000)),
    )
)
_BASE = CResMDTraining(
    network=CResMDConfig(conditioned=False), loop=_PUBLISHED.loop.model_copy(update={"learning_rate": 1e-4})
)
SMALL_LOOP = LoopConfig(
    steps=4000,
    batch_size=8,
    lr_patch_px=48,
    use_rot90=True,
    learning_rate=2e-3,
    betas=(0.9, 0.99),
    warmup_steps=200,
    schedule=Cosine(min_factor=0.02),
    ema_decay=0.997,
    log_every=50,
    checkpoint_every=250,
)
_SMALL = CResMDTraining(network=CResMDConfig(num_feat=48, num_block=6), loop=SMALL_LOOP)

PRESETS = with_fp32(
    {
        "cresmd": Preset(_PUBLISHED, "CResMD by the published training file, 1,000K steps.", "cresmd"),
        "cresmd-base": Preset(_BASE, "Its BaseNet: no condition, on one degradation (recipe.fixed_level)."),
    },
    {"cresmd-small": Preset(_SMALL, "Minutes on a CPU: for tests and small tables.", "cresmd")},
)
METHOD = Method("cresmd", CResMDTraining, PRESETS, build, _why_not)

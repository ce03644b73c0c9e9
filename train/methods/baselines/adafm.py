"""How AdaFM is trained (He, Dong and Qiao, CVPR 2019)."""

from typing import Literal

from ...engine.schedule import MultiStep
from ...engine.training import LoopConfig
from ...networks.baselines.adafm import AdaFMConfig
from ..base import Method, Preset, with_fp32
from .cresmd import SMALL_LOOP
from .two_levels import TwoLevelsTraining, build, why_not


class AdaFMTraining(TwoLevelsTraining):
    """One of the two stages."""

    method: Literal["adafm"] = "adafm"
    network: AdaFMConfig = AdaFMConfig()
    """Sizes of the network, and its two levels."""


# The published numbers, of the authors' code: noise of 15 to 75 there, 15 to 50 here, where z ends.
LOOP = LoopConfig(
    batch_size=16,
    lr_patch_px=96,
    use_rot90=True,
    learning_rate=1e-4,
    betas=(0.9, 0.999),
    ema_decay=0,
    steps=1_000_000,
    schedule=MultiStep(milestones=(500_000,), gamma=0.1),
)
_MAIN = AdaFMTraining(loop=LOOP)
_TUNED = AdaFMTraining(trains="tuned", needs_start=True, loop=LOOP.model_copy(update={"steps": 500_000}))
_SMALL = AdaFMTraining(network=AdaFMConfig(num_feat=48, num_block=6, filter_size=3), loop=SMALL_LOOP)
_SMALL_TUNED = _SMALL.model_copy(
    update={
        "trains": "tuned",
        "needs_start": True,
        "loop": SMALL_LOOP.model_copy(update={"steps": 1500, "learning_rate": 5e-3}),
    }
)

PRESETS = with_fp32(
    {
        "adafm": Preset(_MAIN, "Stage 1: the basic network, on the start level, 1,000K steps."),
        "adafm-tuned": Preset(_TUNED, "Stage 2: its filters alone, on the end level, from a run of adafm, 500K steps."),
    },
    {
        "adafm-small": Preset(_SMALL, "Stage 1 in minutes on a CPU."),
        "adafm-tuned-small": Preset(_SMALL_TUNED, "Stage 2 in minutes on a CPU."),
    },
)
METHOD = Method("adafm", AdaFMTraining, PRESETS, build, why_not)

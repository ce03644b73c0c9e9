"""How CFSNet is trained (Wang et al., ICCV 2019)."""

from typing import Literal

from ...engine.schedule import MultiStep
from ...engine.training import LoopConfig
from ...networks.baselines.cfsnet import CFSNetConfig
from ..base import Method, Preset, with_fp32
from .cresmd import SMALL_LOOP
from .two_levels import TwoLevelsTraining, build, why_not


class CFSNetTraining(TwoLevelsTraining):
    """One of the two stages."""

    method: Literal["cfsnet"] = "cfsnet"
    network: CFSNetConfig = CFSNetConfig()
    """Sizes of the network, and its two levels."""


# The published numbers of denoising, of the authors' code; L1, as its file says, and of weight 0.1.
_LOOP = LoopConfig(
    batch_size=128,
    lr_patch_px=40,
    use_rot90=True,
    learning_rate=1e-4,
    betas=(0.9, 0.999),
    ema_decay=0,
    steps=50_000,
    schedule=MultiStep(milestones=(300_000,)),
)
_MAIN = CFSNetTraining(pixel=0.1, loop=_LOOP)
_TUNED = _MAIN.model_copy(update={"trains": "tuned", "needs_start": True})
_SMALL = CFSNetTraining(
    network=CFSNetConfig(num_feat=24, num_block=4),
    loop=SMALL_LOOP.model_copy(update={"batch_size": 8, "lr_patch_px": 40}),
)
_SMALL_TUNED = _SMALL.model_copy(
    update={
        "trains": "tuned",
        "needs_start": True,
        "loop": _SMALL.loop.model_copy(update={"steps": 2500}),
    }
)

PRESETS = with_fp32(
    {
        "cfsnet": Preset(_MAIN, "Stage 1: the main branch, on the start level, 50K steps."),
        "cfsnet-tuned": Preset(_TUNED, "Stage 2: the tuning branch, on the end level, from a run of cfsnet."),
    },
    {
        "cfsnet-small": Preset(_SMALL, "Stage 1 in minutes on a CPU."),
        "cfsnet-tuned-small": Preset(_SMALL_TUNED, "Stage 2 in minutes on a CPU."),
    },
)
METHOD = Method("cfsnet", CFSNetTraining, PRESETS, build, why_not)

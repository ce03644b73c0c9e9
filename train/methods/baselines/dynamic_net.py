"""How Dynamic-Net is trained (Shoshan, Mechrez and Zelnik-Manor, ICCV 2019), on two levels of a degradation."""

from typing import Literal

from ...networks.baselines.dynamic_net import DynamicNetConfig
from ..base import Method, Preset, with_fp32
from .adafm import LOOP
from .cresmd import SMALL_LOOP
from .two_levels import TwoLevelsTraining, build, why_not


class DynamicNetTraining(TwoLevelsTraining):
    """One of the two stages."""

    method: Literal["dynamic-net"] = "dynamic-net"
    network: DynamicNetConfig = DynamicNetConfig()
    """Sizes of the network, and its two levels."""


# The paper restores nothing: data and length are AdaFM's, whose network it is put into. Of its own code are two stages,
# the second at a tenth of the rate, and nothing between them seen while training.
_MAIN = DynamicNetTraining(loop=LOOP)
_TUNED = DynamicNetTraining(
    trains="tuned", needs_start=True, loop=LOOP.model_copy(update={"steps": 500_000, "learning_rate": 1e-5})
)
_SMALL = DynamicNetTraining(network=DynamicNetConfig(num_feat=48, num_block=6), loop=SMALL_LOOP)
_SMALL_TUNED = _SMALL.model_copy(
    update={
        "trains": "tuned",
        "needs_start": True,
        "loop": SMALL_LOOP.model_copy(update={"steps": 1500, "learning_rate": 5e-4}),
    }
)

PRESETS = with_fp32(
    {
        "dynamic-net": Preset(_MAIN, "Stage 1: the main network, on the start level, 1,000K steps."),
        "dynamic-net-tuned": Preset(_TUNED, "Stage 2: its blocks, on the end level, from a run of dynamic-net."),
    },
    {
        "dynamic-net-small": Preset(_SMALL, "Stage 1 in minutes on a CPU."),
        "dynamic-net-tuned-small": Preset(_SMALL_TUNED, "Stage 2 in minutes on a CPU."),
    },
)
METHOD = Method("dynamic-net", DynamicNetTraining, PRESETS, build, why_not)

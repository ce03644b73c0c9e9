"""MM-RealSR's losses: pixels, ranking and anchors of the scores, perceptual and adversarial terms."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ...degrade.family import Frozen
from ..losses import basic as losses
from ..losses.perceptual import PerceptualConfig
from ..networks.discriminators import GanConfig
from ..networks.mm_realsr import (
    BASE,
    BLUR,
    BLURRIER,
    CLEAN,
    NOISE,
    NOISIER,
    WORST,
)


class LossConfig(Frozen):
    """Weights of the terms; 0 leaves a term out."""

    pixel: Annotated[float, Field(ge=0)] = 1.0
    """Mean absolute error."""
    ranking: Annotated[float, Field(ge=0)] = 0.01
    """Ranking of blur and noise scores in a group."""
    margin: float = 0.05
    """Of the ranking."""
    anchor: Annotated[float, Field(ge=0)] = 1e-4
    """Scores of CLEAN at 0, of WORST at 1."""
    perceptual: PerceptualConfig = PerceptualConfig(weight=0)
    """The perceptual loss."""
    gan: GanConfig = GanConfig(weight=0)
    """The adversarial loss."""
    sharpen_target: bool = False
    """Pixel and perceptual losses look at HR sharpened by Real-ESRGAN's unsharp mask, the discriminator at HR as it is:
    MM-RealSR's code in both stages, and Real-ESRGAN.
    """


def conditions(scores: Tensor) -> Tensor:
    """What steers the restoration of a group: predicted scores [B, 5, 2], with the anchors' at 0 and at 1."""
    conditioned = scores.clone()
    conditioned[:, CLEAN] = 0
    conditioned[:, WORST] = 1
    return conditioned


def metric_terms(scores: Tensor, config: LossConfig) -> dict[str, Tensor]:
    """Ranking and anchor losses of the scores [B, 5, 2]."""
    blur = losses.ranking(scores[:, BASE, BLUR], scores[:, BLURRIER, BLUR], config.margin)
    noise = losses.ranking(scores[:, BASE, NOISE], scores[:, NOISIER, NOISE], config.margin)
    terms = {"rank_blur": config.ranking * blur, "rank_noise": config.ranking * noise} if config.ranking else {}
    if config.anchor:
        both = (losses.anchor(scores[:, CLEAN, which], scores[:, WORST, which]) for which in (BLUR, NOISE))
        terms["anchor"] = config.anchor * torch.stack([*both]).sum()
    return terms

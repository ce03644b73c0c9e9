"""What a score does to an image: the noise left under a rising noise score, the detail under a rising blur score.

MM-RealSR (figures 1 and 5) and CUGAN (figure 1) show it as pictures; here it is measured. Residual noise is what noise
in LR changes in SR, so that it counts no texture: restored with and without the noise under the same scores.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..images.sets import ImageSet
from ..images.tensors import to_tensor
from ..images.tiling import Model, is_large, restore_in_tiles
from ..report.table import MetricRow, setting_of
from .sweeps import Modulated, sweep_of
from .trends import largest_step, spearman
from .udem_curves import SCORES, degraded, photographs

PROTOCOL = "steering"
STEPS = 11
Told = Literal["blur", "noise"]
METRICS: dict[Told, str] = {"noise": "residual-noise", "blur": "detail"}
UNITS: dict[Told, str] = {"noise": "gray levels of 255", "blur": "mean step between pixels, of 255"}
# What is restored, in the units of the UDEM's curves: of the middle of what MM-RealSR learns, where its scores say how
# much to mend; and CUGAN's strongest, which is z = 1, so that no z says more than there is.
MIDDLING: Mapping[Told, float] = {"noise": 15.0, "blur": 1.5}
STRONGEST: Mapping[Told, float] = {"noise": 50.0, "blur": 4.0}


@dataclass(frozen=True)
class Steering:
    """A figure under a rising score: the mean over the images at each."""

    told: Told
    scores: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def spearman(self) -> float:
        """1 where more of the score always leaves less noise, or shows more detail; -1 where it does the contrary."""
        return -spearman(self.values) if self.told == "noise" else spearman(self.values)

    @property
    def largest_step(self) -> float:
        """The share of all the change that is in one step: 0.1 where 11 scores are even, 1 where it is a switch."""
        return largest_step(self.values)


def residual_noise(noisy: Tensor, clean: Tensor) -> float:
    """Standard deviation of what noise in LR changed in SR, in gray levels of 255; two SR [1, 3, H, W] in 0..1."""
    return 255 * float((noisy.clamp(0, 1) - clean.clamp(0, 1)).double().std(correction=0))


def detail(sr: Tensor) -> float:
    """Mean absolute step between neighbouring pixels of SR [1, 3, H, W] in 0..1, in gray levels of 255."""
    shown = sr.clamp(0, 1).double()
    return 255 * float(shown.diff(dim=-1).abs().mean() + shown.diff(dim=-2).abs().mean()) / 2


def evaluate(
    images: ImageSet,
    restore: Modulated,
    score: Model,
    name: str,
    checkpoint: str,
    device: torch.device,
    *,
    scale: int,
    levels: Mapping[Told, float] = MIDDLING,
    steps: int = STEPS,
) -> Iterator[tuple[int, list[MetricRow]]]:
    """Restore every photograph, made smaller and degraded, under rising scores; (images done, rows) as they come.

    restore: LR, blur score, noise score -> SR. score: LR [1, 3, h, w] -> [1, 2]; the score that is not told is the one
    that it gives. scale: SR size / LR size. levels: of the degradation, one at a time.
    """
    told_scores = [round(float(value), 4) for value in np.linspace(0, 1, steps)]

    def at(lr: Tensor, scores: Sequence[float]) -> Tensor:
        if not is_large(lr, scale):
            return restore(lr, scores[0], scores[1])
        return restore_in_tiles(lambda part: restore(part, scores[0], scores[1]), lr, scale, device)

    for count, items in photographs(images):
        rows: list[MetricRow] = []
        for item, clean in items:
            without = to_tensor(clean)[None].to(device)
            for told in METRICS:
                lr = to_tensor(degraded(clean, told, levels[told], item.sample))[None].to(device)
                with torch.inference_mode():
                    own = [float(value) for value in score(lr)[0]]
                    for value in told_scores:
                        own[SCORES.index(told)] = value
                        sr = at(lr, own)
                        found = residual_noise(sr, at(without, own)) if told == "noise" else detail(sr)
                        rows.append(
                            MetricRow(
                                protocol=PROTOCOL,
                                model=name,
                                checkpoint=checkpoint,
                                setting=setting_of({told: value}),
                                **images.names(item),
                                member=told,
                                metric=METRICS[told],
                                value=found,
                                better="lower" if told == "noise" else "higher",
                                space="SR in 0..1",
                                border=0,
                                version=f"LR with {told} of {levels[told]:g}, {steps} scores",
                            )
                        )
        yield count, rows


def steering_of(rows: Sequence[MetricRow], model: str) -> list[Steering]:
    """The mean figure under each score, of each score that is told."""
    found: list[Steering] = []
    for told in METRICS:
        sweep = sweep_of([row for row in rows if row.model == model], PROTOCOL, METRICS[told])
        if sweep is not None:
            found.append(Steering(told, tuple(score for (score,) in sweep.settings), sweep.means))
    return found

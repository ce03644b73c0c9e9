"""Pairs without degradation: the HR made smaller."""

from typing import Literal, Self

from pydantic import model_validator

from ..ops.resize import Resize, ResizeMode, can_antialias
from ..ops.step import NoiseSource
from .base import Chance, Drawn, Preset, Recipe, Scale


class Downscale(Recipe):
    """Pairs without degradation: the HR made smaller."""

    kind: Literal["downscale"] = "downscale"
    scale: Scale = 4
    """HR size / LR size."""
    resize: ResizeMode = "matlab-bicubic"
    """How HR is made smaller."""
    antialias: bool = False
    """Of the modes that have both forms."""

    @model_validator(mode="after")
    def _has_both_forms(self) -> Self:
        if self.antialias and not can_antialias(self.resize):
            raise ValueError(f"antialias means nothing for {self.resize}, which always is; leave it out")
        return self

    def draw(self, hr_px: int, chance: Chance, bank: NoiseSource | None) -> Drawn:
        side = hr_px // self.scale
        return Drawn({"lr": (Resize(height=side, width=side, mode=self.resize, antialias=self.antialias),)})


PRESETS = {"bicubic": Preset(Downscale(scale=4), 400, "LR by MATLAB's bicubic alone: the baseline of most papers.")}

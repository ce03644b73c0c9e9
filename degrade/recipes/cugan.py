"""Pairs of CUGAN (and CResMD): blur and noise at one size, with the condition z that the network is told."""

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ..ops.blur import Blur
from ..ops.gaussian import GaussianNoise
from ..ops.kernels import Kernel
from ..ops.step import NoiseSource, Step
from .base import Chance, Drawn, Preset, Probability, Recipe


class BlurNoise(Recipe):
    """Pairs of CUGAN and CResMD, at one size: a blur of width r in pixels, then noise of sigma in gray levels."""

    num_conditions: ClassVar[int] = 2

    kind: Literal["blur-noise"] = "blur-noise"
    scale: Literal[1] = 1
    """LR is as large as HR: CUGAN restores, it does not enlarge."""
    blur_max: Annotated[float, Field(gt=0)] = 4
    """The blur, as sigma in pixels, whose condition is 1."""
    blur_step: Annotated[float, Field(gt=0)] = 0.1
    """Levels of r are multiples of it."""
    noise_max: Annotated[float, Field(gt=0)] = 50
    """The noise, in gray levels, whose condition is 1."""
    noise_step: Annotated[float, Field(gt=0)] = 1
    """Levels of sigma are multiples of it."""
    kernel_size: Annotated[int, Field(ge=1, le=51)] = 21
    """Side of the grid of the Gaussian, pixels; odd."""
    single_prob: Probability = 0.5
    """How often only one of the two is applied (each as often). Ends of a range are drawn half as often as what lies
    between, as in the published script.
    """
    levels: Literal["uniform", "light"] = "uniform"
    """How levels are drawn: all as often; or as CResMD, light ones more (Beta(1/2, 1): a third of the most is the
    mean)."""
    fixed_level: tuple[float, float] | None = None
    """(r, sigma) of every pair, instead of drawn levels: what the paper's single-level baselines are trained on."""

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size = {self.kernel_size} is even; use {self.kernel_size + 1}")
        return self

    @model_validator(mode="after")
    def _level_within(self) -> Self:
        level = self.fixed_level or (0, 0)
        for value, most, name in zip(level, (self.blur_max, self.noise_max), ("blur", "noise"), strict=True):
            if not 0 <= value <= most:
                raise ValueError(f"fixed_level = {list(level)} is not within 0 and {name}_max = {most:g}; change one")
        return self

    def draw(self, hr_px: int, chance: Chance, bank: NoiseSource | None) -> Drawn:
        """Steps, and the condition z = [r / blur_max, sigma / noise_max], as CUGAN's script draws them.

        MATLAB's fspecial and imfilter: a round Gaussian of sigma r on a fixed grid, edges replicated; r = 0 does not
        filter. Noise is per channel.
        """
        rng = chance.stream("sample")
        draw = rng.random()
        blurred, noisy = draw >= self.single_prob / 2, draw < self.single_prob / 2 or draw >= self.single_prob
        r, sigma_255 = (
            _level(rng, self.blur_max, self.blur_step, self.levels),
            _level(rng, self.noise_max, self.noise_step, self.levels),
        )
        if self.fixed_level is not None:
            blurred, noisy, (r, sigma_255) = True, True, self.fixed_level
        steps: list[Step] = []
        if blurred and r > 0:
            kernel = Kernel(kind="iso", size=self.kernel_size, sigma_x=r, sigma_y=r)
            steps.append(Blur(kernel=kernel, border="replicate"))
        if noisy and sigma_255 > 0:
            steps.append(GaussianNoise(sigma_255=sigma_255, gray=False, field=chance.field(0)))
        condition = (r / self.blur_max if blurred else 0.0, sigma_255 / self.noise_max if noisy else 0.0)
        return Drawn({"lr": tuple(steps)}, condition=condition)


def _level(rng: np.random.Generator, most: float, step: float, levels: Literal["uniform", "light"]) -> float:
    """round(U(0, 1) * n) steps: the two ends half as often as the levels between; light ones by the square of U, which
    is Beta(1/2, 1).
    """
    share = rng.random() ** (2 if levels == "light" else 1)
    return min(round(share * most / step) * step, most)


PRESETS = {
    "cugan": Preset(
        BlurNoise(),
        480,
        "CUGAN's blur and noise pairs at one size: r in [0, 4] by 0.1, sigma in [0, 50], and the condition z.",
    ),
    "cresmd": Preset(
        BlurNoise(levels="light"), 480, "The same as CResMD draws it: light levels more often than strong ones."
    ),
}

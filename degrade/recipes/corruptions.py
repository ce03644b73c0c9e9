"""Pairs of DIV2K-C and DIV2K-MC (SRTTA, Deng et al. 2023): LR that one thing befell, or several; and which it was."""

from typing import Annotated, ClassVar, Literal, get_args

import numpy as np
from pydantic import Field

from ..ops import OPS
from ..ops.blur import Blur
from ..ops.codecs import Jpeg
from ..ops.gaussian import GaussianNoise, SpeckleNoise
from ..ops.kernels import Kernel
from ..ops.optics.impulse_noise import ImpulseNoise
from ..ops.optics.lens_blur import LensBlur
from ..ops.poisson import PoissonNoise
from ..ops.resize import Resize
from ..ops.step import NoiseSource, Step
from . import draws
from .base import Chance, Drawn, Preset, Recipe, Scale

Corruption = Literal[
    "original",
    "gaussian-blur",
    "defocus-blur",
    "glass-blur",
    "gaussian-noise",
    "poisson-noise",
    "impulse-noise",
    "speckle-noise",
    "jpeg",
    "blur-noise",
    "blur-jpeg",
    "noise-jpeg",
    "blur-noise-jpeg",
]
BLURS: tuple[Corruption, ...] = ("gaussian-blur", "defocus-blur", "glass-blur")
NOISES: tuple[Corruption, ...] = ("gaussian-noise", "poisson-noise", "impulse-noise", "speckle-noise")


class Corruptions(Recipe):
    """A blur before bicubic downscaling, noise or JPEG after, and the condition (blur, noise, JPEG), each 0 or 1.

    The numbers are those of the published script, whose glass blur comes to two Gaussian ones, as its shuffling of
    pixels has no effect.
    """

    num_conditions: ClassVar[int] = 3
    ops: ClassVar[tuple[type[Step], ...]] = (*OPS, ImpulseNoise, LensBlur)

    kind: Literal["corruptions"] = "corruptions"
    scale: Scale = 2
    """HR size / LR size."""
    kinds: Annotated[tuple[Corruption, ...], Field(min_length=1)] = get_args(Corruption)
    """Drawn from evenly; of the mixed ones each part is drawn among its own."""

    def draw(self, hr_px: int, chance: Chance, bank: NoiseSource | None) -> Drawn:
        rng = chance.stream("sample")
        kind = self.kinds[rng.integers(len(self.kinds))]
        blurs = kind in BLURS or kind.startswith("blur")
        noises = kind in NOISES or "noise" in kind.split("-")
        coded = "jpeg" in kind.split("-")
        steps: list[Step] = []
        if blurs:
            steps += _blur(rng, kind if kind in BLURS else BLURS[rng.integers(len(BLURS))], self.scale)
        side = hr_px // self.scale
        if self.scale > 1:
            steps.append(Resize(height=side, width=side, mode="matlab-bicubic"))
        if noises:
            steps.append(_noise(rng, kind if kind in NOISES else NOISES[rng.integers(len(NOISES))], chance))
        if coded:
            steps.append(Jpeg(quality=draws.whole(rng, 30, 95)))
        return Drawn({"lr": tuple(steps)}, condition=(float(blurs), float(noises), float(coded)))


def _blur(rng: np.random.Generator, kind: Corruption, scale: int) -> list[Step]:
    if kind == "defocus-blur":
        return [LensBlur(disk_px=draws.whole(rng, 3, 10) + 0.5)]
    if kind == "glass-blur":
        sigma = draws.uniform(rng, 1, 2)
        return [Blur(kernel=Kernel(kind="iso", size=13, sigma_x=sigma, sigma_y=sigma))] * 2
    size = 2 * draws.whole(rng, 3, 12) + 1
    if rng.random() < 0.5:
        wide, narrow = (max(0.01, (4 + scale) * rng.random()) ** 0.5 for _ in range(2))
        kernel = Kernel(kind="aniso", size=size, sigma_x=wide, sigma_y=narrow, theta=draws.uniform(rng, 0, np.pi))
    else:
        sigma = max(0.1, (2 + 0.2 * scale) * rng.random())
        kernel = Kernel(kind="iso", size=size, sigma_x=sigma, sigma_y=sigma)
    return [Blur(kernel=kernel)]


def _noise(rng: np.random.Generator, kind: Corruption, chance: Chance) -> Step:
    field = chance.field(0)
    if kind == "poisson-noise":
        return PoissonNoise(scale=draws.uniform(rng, 0.5, 3), gray=bool(rng.random() < 0.5), field=field)
    if kind == "impulse-noise":
        gray = bool(rng.random() < 0.5)
        return ImpulseNoise(share=draws.uniform(rng, 0.03, 0.25), salt=draws.uniform(rng, 0, 1), gray=gray, field=field)
    of = GaussianNoise if kind == "gaussian-noise" else SpeckleNoise
    return of(sigma_255=draws.whole(rng, 2, 25), gray=bool(rng.random() < 0.4), field=field)


PRESETS = {
    "corruptions": Preset(
        Corruptions(), 224, "DIV2K-C and -MC, of SRTTA: blurs, noises, JPEG and mixtures, and which of them it was."
    )
}

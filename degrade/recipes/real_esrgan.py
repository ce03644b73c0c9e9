"""LR/HR pairs of Real-ESRGAN (Wang et al. 2021, section 3): two rounds of blur, resize, noise and JPEG, then a sinc."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ..ops.blur import Blur
from ..ops.codecs import Jpeg, Webp
from ..ops.gaussian import GaussianNoise
from ..ops.kernels import Kernel
from ..ops.poisson import PoissonNoise
from ..ops.resize import Resize, ResizeMode
from ..ops.step import Degradation, NoiseSource
from . import draws
from .base import (
    Chance,
    Drawn,
    Preset,
    Probability,
    Recipe,
    ResizeProbabilities,
    Round,
    Scale,
    Usm,
    check_odd,
    check_weights,
)
from .draws import uniform


class SecondOrder(Recipe):
    """LR/HR pairs of Real-ESRGAN: two rounds, then back to the LR size with a sinc, before or after the last JPEG."""

    kind: Literal["second-order"] = "second-order"
    scale: Scale = 4
    """HR size / LR size."""
    first: Round
    """The first round."""
    second: Round
    """The second round."""
    final_sinc_prob: Probability = 0.8
    """How often the last filter is a sinc instead of nothing, of final_kernel_sizes."""
    final_kernel_sizes: tuple[int, int] = (7, 21)
    """Of the last sinc: odd, from and to."""
    final_resize_modes: Annotated[tuple[ResizeMode, ...], Field(min_length=1)] | None = None
    """Of the resize to the LR size, where they are not those of the second round."""
    final_resize_mode_probs: tuple[Probability, ...] | None = None
    """Shares of final_resize_modes; none is evenly."""
    usm: Usm | None = None
    """LR is made of sharpened HR; HR is stored as it is, for a training to sharpen what it compares with (its
    losses.sharpen_target) and to show a discriminator unsharpened.
    """

    @model_validator(mode="after")
    def _finals_hold(self) -> Self:
        check_odd("final_kernel_sizes", self.final_kernel_sizes)
        check_weights("final_resize_mode_probs", self.final_resize_mode_probs, self.final_resize_modes)
        return self

    @property
    def sharpens(self) -> bool:
        return self.usm is not None

    def draw(self, hr_px: int, chance: Chance, bank: NoiseSource | None) -> Drawn:
        """Real-ESRGAN's chain (its section 3, the published training file), one draw of everything per sample.

        Resizes go to sizes and JPEG is the real codec, with whole qualities (the emulation takes fractions).
        """
        steps = _chain(self, hr_px, chance.stream("sample"), (chance.field(0), chance.field(1)))
        return Drawn({"lr": steps if self.usm is None else (self.usm.mask(chance), *steps)})


def _blur(rng: np.random.Generator, ranges: Round) -> tuple[Blur, ...]:
    size = draws.kernel_size(rng, ranges.kernel_sizes)
    if rng.random() >= ranges.blur_prob:
        return ()
    if rng.random() < ranges.sinc_prob:
        cutoff = uniform(rng, draws.lowest_cutoff(size), np.pi)
        return (Blur(kernel=Kernel(kind="sinc", size=size, cutoff=cutoff)),)
    kind = draws.gaussian_kind(rng, ranges)
    sigma_x = sigma_y = uniform(rng, *ranges.blur_sigma)
    theta = 0.0
    if kind.endswith("aniso"):
        sigma_y = uniform(rng, *ranges.blur_sigma)
        theta = uniform(rng, -np.pi, np.pi)
    beta = draws.beta_of(rng, ranges, kind)
    return (Blur(kernel=Kernel(kind=kind, size=size, sigma_x=sigma_x, sigma_y=sigma_y, theta=theta, beta=beta)),)


def _resize(rng: np.random.Generator, ranges: Round, size_px: int) -> tuple[Resize, ...]:
    direction = draws.direction(rng, ranges)
    found = draws.resize_to(size_px * draws.factor(rng, ranges, direction), draws.mode(rng, ranges), ranges)
    return () if direction == "keep" and not ranges.keep_resizes else (found,)


def _noise(rng: np.random.Generator, ranges: Round, field: str) -> GaussianNoise | PoissonNoise:
    gaussian, gray = bool(rng.random() < ranges.gaussian_noise_prob), bool(rng.random() < ranges.gray_noise_prob)
    if gaussian:
        return GaussianNoise(sigma_255=uniform(rng, *ranges.noise_sigma_255), gray=gray, field=field)
    return PoissonNoise(scale=uniform(rng, *ranges.poisson_scale), gray=gray, field=field)


def _codec(rng: np.random.Generator, ranges: Round) -> tuple[Jpeg | Webp, ...]:
    if ranges.jpeg_prob < 1 and rng.random() >= ranges.jpeg_prob:
        return ()
    found = draws.codec(round(uniform(rng, *ranges.jpeg_quality)), ranges, webp=bool(rng.random() < ranges.webp_prob))
    return (found,)


def _chain(recipe: SecondOrder, hr_size_px: int, rng: np.random.Generator, fields: tuple[str, str]) -> Degradation:
    lr_size_px = hr_size_px // recipe.scale
    rounds = (
        *_blur(rng, recipe.first),
        *_resize(rng, recipe.first, hr_size_px),
        _noise(rng, recipe.first, fields[0]),
        *_codec(rng, recipe.first),
        *_blur(rng, recipe.second),
        *_resize(rng, recipe.second, lr_size_px),
        _noise(rng, recipe.second, fields[1]),
    )
    if recipe.final_resize_modes is None:
        last = draws.mode(rng, recipe.second)
    else:
        last = draws.mode_of(rng, recipe.final_resize_modes, recipe.final_resize_mode_probs)
    back = draws.resize_to(lr_size_px, last, recipe.second)
    back_and_sinc = (back, *draws.final_sinc(rng, recipe.final_sinc_prob, recipe.final_kernel_sizes))
    codec = _codec(rng, recipe.second)
    return (*rounds, *((*back_and_sinc, *codec) if rng.random() < 0.5 else (*codec, *back_and_sinc)))


# The numbers of Real-ESRGAN's x4plus training file, which are MM-RealSR's too.
FIRST = Round(
    blur_sigma=(0.2, 3),
    resize=ResizeProbabilities(up=0.2, down=0.7, keep=0.1),
    resize_range=(0.15, 1.5),
    noise_sigma_255=(1, 30),
    poisson_scale=(0.05, 3),
)
SECOND = Round(
    blur_sigma=(0.2, 1.5),
    resize=ResizeProbabilities(up=0.3, down=0.4, keep=0.3),
    resize_range=(0.3, 1.2),
    noise_sigma_255=(1, 25),
    poisson_scale=(0.05, 2.5),
)
_SHARPENED = SecondOrder(scale=4, first=FIRST, second=SECOND.model_copy(update={"blur_prob": 0.8}), usm=Usm())

PRESETS = {
    "real-esrgan": Preset(
        _SHARPENED,
        400,
        "Real-ESRGAN's second-order pairs, LR of sharpened HR, with the numbers of its x4plus training file.",
    ),
    "real-esrgan-nousm": Preset(
        _SHARPENED.model_copy(update={"usm": None}),
        400,
        "The same pairs, LR of the HR as it is: HR-aware's, which learns how LR comes of natural images.",
    ),
}

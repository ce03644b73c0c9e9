"""LR/HR pairs of BSRGAN (Zhang et al. 2021, section 3; the released degradation_bsrgan): steps in random order.

Against the released code: the blur-and-pick downscale is a blur and a bilinear resize, which is what its shifted
kernel means; resizes go to whole sizes; there is no camera pipeline, whose model was never released.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ..ops.blur import Blur
from ..ops.codecs import Jpeg, JpegSampling, Quality
from ..ops.gaussian import GaussianNoise, Mixing, SpeckleNoise
from ..ops.kernels import Kernel
from ..ops.poisson import PoissonNoise
from ..ops.resize import Resize, ResizeMode
from ..ops.step import Degradation, NoiseSource, Step
from .base import Chance, Drawn, Preset, Probability, Range, Recipe, Usm, check_odd, check_rises
from .draws import uniform, whole

_MODES: tuple[ResizeMode, ...] = ("bilinear", "bicubic", "area")
_PICK_TAPS = 25
_LEAST_SIGMA = 1e-3  # a width of 0 is no kernel


class Bsrgan(Recipe):
    """LR/HR pairs of BSRGAN: two blurs, a downscale in two parts, noise and JPEG in random order; a last JPEG."""

    kind: Literal["bsrgan"] = "bsrgan"
    scale: Literal[2, 4] = 4
    """HR size / LR size."""
    iso_sigma: Range = (2, 0.2)
    """(a, b) of the largest sigma of isotropic blur, in pixels: a + b * scale."""
    aniso_variance: Range = (4, 1)
    """(a, b) of the largest variance along an axis of anisotropic blur, in square pixels: a + b * scale."""
    kernel_sizes: tuple[int, int] = (7, 25)
    """Odd, from and to."""
    half_first_prob: Probability = 0.25
    """How often a scale of 4 halves the image first and goes on as scale 2."""
    resize_prob: Probability = 0.75
    """How often the first part of the downscale is a resize by 1..2*scale, and not a blur of sigma up to pick_sigma *
    scale and every scale-th pixel.
    """
    pick_sigma: Annotated[float, Field(gt=0)] = 0.6
    """Largest sigma of the blur before every scale-th pixel, times scale."""
    noise_sigma_255: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] = (2, 25)
    """Whole gray levels."""
    mixed_noise_prob: Probability = 0.2
    """Of noise whose channels are correlated; what this and gray noise leave is colour noise."""
    gray_noise_prob: Probability = 0.4
    """Of gray noise."""
    poisson_prob: Probability = 0
    """Of Poisson noise beside (bsrgan_plus has it)."""
    speckle_prob: Probability = 0
    """Of speckle beside (bsrgan_plus has it)."""
    jpeg_prob: Probability = 0.9
    """Of the JPEG on the way."""
    jpeg_quality: tuple[Quality, Quality] = (30, 95)
    """1..100."""
    jpeg_sampling: JpegSampling = "420"
    """Of the chroma."""
    usm: Usm | None = None
    """LR is made of sharpened HR."""

    @model_validator(mode="after")
    def _ranges_hold(self) -> Self:
        check_rises(self, "noise_sigma_255", "jpeg_quality")
        check_odd("kernel_sizes", self.kernel_sizes)
        if self.mixed_noise_prob + self.gray_noise_prob > 1:
            raise ValueError("mixed_noise_prob + gray_noise_prob is more than 1; lower one")
        for name in ("iso_sigma", "aniso_variance"):
            a, b = getattr(self, name)
            if not (a >= 0 and b >= 0 and a + b > 0):
                raise ValueError(f"{name} = [{a:g}, {b:g}] gives no width above 0; raise one")
        return self

    @property
    def sharpens(self) -> bool:
        return self.usm is not None

    def draw(self, hr_px: int, chance: Chance, bank: NoiseSource | None) -> Drawn:
        steps = _shuffled(self, hr_px, chance.stream("sample"), [chance.field(i) for i in range(3)])
        return Drawn({"lr": steps if self.usm is None else (self.usm.mask(chance), *steps)})


def _blur(recipe: Bsrgan, scale: int, rng: np.random.Generator) -> Blur:
    low, high = recipe.kernel_sizes
    size = 2 * whole(rng, low // 2, high // 2) + 1
    if rng.random() < 0.5:
        most = recipe.aniso_variance[0] + recipe.aniso_variance[1] * scale
        sigma_x, sigma_y = (max(np.sqrt(uniform(rng, 0, most)), _LEAST_SIGMA) for _ in range(2))
        theta = uniform(rng, 0, np.pi)
        return Blur(kernel=Kernel(kind="aniso", size=size, sigma_x=sigma_x, sigma_y=sigma_y, theta=theta))
    sigma = max(uniform(rng, 0, recipe.iso_sigma[0] + recipe.iso_sigma[1] * scale), _LEAST_SIGMA)
    return Blur(kernel=Kernel(kind="iso", size=size, sigma_x=sigma, sigma_y=sigma))


def _resize(size_px: float, rng: np.random.Generator, modes: Sequence[ResizeMode] = _MODES) -> Resize:
    side = max(1, round(size_px))
    return Resize(height=side, width=side, mode=modes[int(rng.integers(len(modes)))])


def _shrink(recipe: Bsrgan, scale: int, size_px: int, rng: np.random.Generator) -> list[Step]:
    """The first part of the downscale: to a random size, or blurred and every scale-th pixel."""
    if rng.random() < recipe.resize_prob:
        return [_resize(size_px / uniform(rng, 1, 2 * scale), rng)]
    sigma = uniform(rng, 0.1, recipe.pick_sigma * scale)
    blur = Blur(kernel=Kernel(kind="iso", size=_PICK_TAPS, sigma_x=sigma, sigma_y=sigma))
    return [blur, Resize(height=size_px // scale, width=size_px // scale, mode="bilinear")]


def _square_root(covariance: np.ndarray) -> Mixing:
    """M with M M^T = covariance (symmetric; what its rounding makes negative counts as 0)."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    return tuple(float(value) for value in root.ravel())  # pyright: ignore[reportReturnType]


def _correlation(rng: np.random.Generator) -> Mixing:
    """BSRGAN's random covariance |U^T diag(d) U|, d ~ U(0, 1)^3 and U from the columns of a uniform matrix."""
    weights = rng.random(3)
    basis, _, _ = np.linalg.svd(rng.random((3, 3)))
    return _square_root(np.abs(basis.T @ np.diag(weights) @ basis))


def _noise(recipe: Bsrgan, rng: np.random.Generator, field: str, *, speckle: bool = False) -> list[Step]:
    low, high = recipe.noise_sigma_255
    kind = SpeckleNoise if speckle else GaussianNoise
    draw, sigma_255 = rng.random(), whole(rng, low, high)
    if draw < recipe.gray_noise_prob:
        return [kind(sigma_255=sigma_255, gray=True, field=field)]
    if draw < recipe.gray_noise_prob + recipe.mixed_noise_prob:
        return [kind(sigma_255=high, gray=False, field=field, mixing=_correlation(rng))]
    return [kind(sigma_255=sigma_255, gray=False, field=field)]


def _photons(rng: np.random.Generator, field: str) -> list[Step]:
    peak, gray = 10 ** uniform(rng, 2, 4), bool(rng.random() >= 0.5)
    return [PoissonNoise(scale=1, gray=gray, field=field, peak=peak)]


def _jpeg(recipe: Bsrgan, rng: np.random.Generator) -> Jpeg:
    return Jpeg(quality=whole(rng, *recipe.jpeg_quality), sampling=recipe.jpeg_sampling)


def _shuffled(recipe: Bsrgan, hr_size_px: int, rng: np.random.Generator, fields: Sequence[str]) -> Degradation:
    """One degradation from [hr_size_px, hr_size_px] to the LR size. fields: keys of three random fields."""
    size_px, scale = hr_size_px, recipe.scale
    steps: list[Step] = []
    if scale == 4 and rng.random() < recipe.half_first_prob:
        size_px, scale = hr_size_px // 2, 2
        modes = _MODES if rng.random() < 0.5 else ("matlab-bicubic",)
        steps.append(_resize(size_px, rng, modes))

    parts: list[Callable[[], list[Step]]] = [
        lambda: [_blur(recipe, scale, rng)],
        lambda: [_blur(recipe, scale, rng)],
        lambda: _shrink(recipe, scale, size_px, rng),
        lambda: [_resize(size_px / scale, rng)],
        lambda: _noise(recipe, rng, fields[0]),
        lambda: _photons(rng, fields[1]) if rng.random() < recipe.poisson_prob else [],
        lambda: _noise(recipe, rng, fields[2], speckle=True) if rng.random() < recipe.speckle_prob else [],
        lambda: [_jpeg(recipe, rng)] if rng.random() < recipe.jpeg_prob else [],
    ]
    shrink, to_lr = 2, 3
    order = rng.permutation(len(parts)).tolist()
    first, second = sorted((order.index(shrink), order.index(to_lr)))
    order[first], order[second] = shrink, to_lr  # the size that LR has comes last
    for part in order:
        steps += parts[part]()
    return (*steps, _jpeg(recipe, rng))


PRESETS = {
    "bsrgan": Preset(
        Bsrgan(scale=4),
        288,
        "BSRGAN's pairs: blurs, two-part downscale, noise and JPEG in random order, as in its released code.",
    )
}

"""LR/HR pairs of BSRGAN (Zhang et al. 2021, section 3; the released degradation_bsrgan): steps in random order.

Against the released code: the blur-and-pick downscale is a blur and a bilinear resize, which is what its shifted
kernel means; resizes go to whole sizes; there is no camera pipeline, whose model was never released.
"""

from collections.abc import Callable, Sequence

import numpy as np

from ..ops.kernels import Kernel
from ..ops.resize import ResizeMode
from ..ops.steps import AnyStep, Blur, Degradation, GaussianNoise, Jpeg, Mixing, PoissonNoise, Resize, SpeckleNoise
from .base import Shuffled
from .draws import uniform, whole

_MODES: tuple[ResizeMode, ...] = ("bilinear", "bicubic", "area")
_PICK_TAPS = 25
_LEAST_SIGMA = 1e-3  # a width of 0 is no kernel


def _blur(recipe: Shuffled, scale: int, rng: np.random.Generator) -> Blur:
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


def _shrink(recipe: Shuffled, scale: int, size_px: int, rng: np.random.Generator) -> list[AnyStep]:
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


def _noise(recipe: Shuffled, rng: np.random.Generator, field: str, *, speckle: bool = False) -> list[AnyStep]:
    low, high = recipe.noise_sigma_255
    kind = SpeckleNoise if speckle else GaussianNoise
    draw, sigma_255 = rng.random(), whole(rng, low, high)
    if draw < recipe.grey_noise_prob:
        return [kind(sigma_255=sigma_255, grey=True, field=field)]
    if draw < recipe.grey_noise_prob + recipe.mixed_noise_prob:
        return [kind(sigma_255=high, grey=False, field=field, mixing=_correlation(rng))]
    return [kind(sigma_255=sigma_255, grey=False, field=field)]


def _photons(rng: np.random.Generator, field: str) -> list[AnyStep]:
    peak, grey = 10 ** uniform(rng, 2, 4), bool(rng.random() >= 0.5)
    return [PoissonNoise(scale=1, grey=grey, field=field, peak=peak)]


def _jpeg(recipe: Shuffled, rng: np.random.Generator) -> Jpeg:
    return Jpeg(quality=whole(rng, *recipe.jpeg_quality), sampling=recipe.jpeg_sampling)


def sample_shuffled(recipe: Shuffled, hr_size_px: int, rng: np.random.Generator, fields: Sequence[str]) -> Degradation:
    """One degradation from [hr_size_px, hr_size_px] to the LR size. fields: keys of three random fields."""
    size_px, scale = hr_size_px, recipe.scale
    steps: list[AnyStep] = []
    if scale == 4 and rng.random() < recipe.half_first_prob:
        size_px, scale = hr_size_px // 2, 2
        modes = _MODES if rng.random() < 0.5 else ("matlab-bicubic",)
        steps.append(_resize(size_px, rng, modes))

    parts: list[Callable[[], list[AnyStep]]] = [
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

"""LR/HR pairs: one degradation a sample, as Real-ESRGAN, CUGAN, RWSR-EDL and plain downscaling draw it."""

import numpy as np

from ..ops.kernels import Kernel
from ..ops.steps import BankNoise, Blur, Degradation, GaussianNoise, Jpeg, NoiseSource, PoissonNoise, Resize, Webp
from . import draws
from .base import BlurNoise, Downscale, NoiseInjection, Order, SecondOrder
from .draws import uniform


def _blur(rng: np.random.Generator, order: Order) -> tuple[Blur, ...]:
    size = draws.kernel_size(rng, order.kernel_sizes)
    if rng.random() >= order.blur_prob:
        return ()
    if rng.random() < order.sinc_prob:
        cutoff = uniform(rng, draws.lowest_cutoff(size), np.pi)
        return (Blur(kernel=Kernel(kind="sinc", size=size, cutoff=cutoff)),)
    kind = draws.gaussian_kind(rng, order)
    sigma_x = sigma_y = uniform(rng, *order.blur_sigma)
    theta = 0.0
    if kind.endswith("aniso"):
        sigma_y = uniform(rng, *order.blur_sigma)
        theta = uniform(rng, -np.pi, np.pi)
    beta = draws.beta_of(rng, order, kind)
    return (Blur(kernel=Kernel(kind=kind, size=size, sigma_x=sigma_x, sigma_y=sigma_y, theta=theta, beta=beta)),)


def _resize(rng: np.random.Generator, order: Order, size_px: int) -> tuple[Resize, ...]:
    direction = draws.direction(rng, order)
    found = draws.resize_to(size_px * draws.factor(rng, order, direction), draws.mode(rng, order), order)
    return () if direction == "keep" and not order.keep_resizes else (found,)


def _noise(rng: np.random.Generator, order: Order, field: str) -> GaussianNoise | PoissonNoise:
    gaussian, grey = bool(rng.random() < order.gaussian_noise_prob), bool(rng.random() < order.grey_noise_prob)
    if gaussian:
        return GaussianNoise(sigma_255=uniform(rng, *order.noise_sigma_255), grey=grey, field=field)
    return PoissonNoise(scale=uniform(rng, *order.poisson_scale), grey=grey, field=field)


def _codec(rng: np.random.Generator, order: Order) -> tuple[Jpeg | Webp, ...]:
    if order.jpeg_prob < 1 and rng.random() >= order.jpeg_prob:
        return ()
    found = draws.codec(round(uniform(rng, *order.jpeg_quality)), order, webp=bool(rng.random() < order.webp_prob))
    return (found,)


def sample_second_order(
    recipe: SecondOrder, hr_size_px: int, rng: np.random.Generator, fields: tuple[str, str]
) -> Degradation:
    """Real-ESRGAN's chain (its section 3, the published training file), one draw of everything per sample.

    Resizes go to sizes and JPEG is the real codec, with whole qualities (the emulation takes fractions).
    """
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


def _level(rng: np.random.Generator, most: float, step: float) -> float:
    """round(U(0, 1) * n) steps: the two ends half as often as the levels between (facts: CUGAN 2.1)."""
    return min(round(rng.random() * most / step) * step, most)


def sample_blur_noise(
    recipe: BlurNoise, rng: np.random.Generator, field: str
) -> tuple[Degradation, tuple[float, float]]:
    """(degradation, condition z = [r / most r, sigma / most sigma]) of CUGAN's script.

    MATLAB's fspecial and imfilter: a round Gaussian of sigma r on a fixed grid, edges replicated; r = 0 does not
    filter. Noise is per channel.
    """
    draw = rng.random()
    blurred, noisy = draw >= recipe.single_prob / 2, draw < recipe.single_prob / 2 or draw >= recipe.single_prob
    r, sigma_255 = (
        _level(rng, recipe.blur_max, recipe.blur_step),
        _level(rng, recipe.noise_max, recipe.noise_step),
    )
    if recipe.only is not None:
        blurred, noisy, (r, sigma_255) = True, True, recipe.only
    steps: list[Blur | GaussianNoise] = []
    if blurred and r > 0:
        kernel = Kernel(kind="iso", size=recipe.kernel_size, sigma_x=r, sigma_y=r)
        steps.append(Blur(kernel=kernel, border="replicate"))
    if noisy and sigma_255 > 0:
        steps.append(GaussianNoise(sigma_255=sigma_255, grey=False, field=field))
    condition = (r / recipe.blur_max if blurred else 0.0, sigma_255 / recipe.noise_max if noisy else 0.0)
    return tuple(steps), condition


def sample_noise_injection(
    recipe: NoiseInjection, hr_size_px: int, rng: np.random.Generator, bank: NoiseSource | None
) -> Degradation:
    """RWSR-EDL Eq. 10 and 11: the HR made smaller, and a piece of a patch of the bank, if there is one, added."""
    lr_size_px = hr_size_px // recipe.scale
    smaller = Resize(height=lr_size_px, width=lr_size_px, mode=recipe.resize)
    if bank is None:
        return (smaller,)
    patch = draws.whole(rng, 0, bank.num_patches - 1)
    y, x = (draws.whole(rng, 0, bank.size_px - lr_size_px) for _ in range(2))
    return (smaller, BankNoise(bank=bank.digest, patch=patch, y=y, x=x, strength=recipe.strength))


def downscale(recipe: Downscale, hr_size_px: int) -> Degradation:
    """The one degradation of a recipe that draws nothing."""
    lr_size_px = hr_size_px // recipe.scale
    return (Resize(height=lr_size_px, width=lr_size_px, mode=recipe.resize, antialias=recipe.antialias),)

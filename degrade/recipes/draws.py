"""Single draws that several recipes share: kernels, resizes, noises."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ..ops.blur import Blur
from ..ops.codecs import Jpeg, Webp
from ..ops.kernels import Kernel, KernelKind
from ..ops.resize import Resize, ResizeMode, can_antialias
from .base import Range, Round

Direction = Literal["up", "down", "keep"]
_GAUSSIANS: tuple[KernelKind, ...] = (
    "iso",
    "aniso",
    "generalized_iso",
    "generalized_aniso",
    "plateau_iso",
    "plateau_aniso",
)
_SMALL_TAPS = 13  # below, sincs are not drawn as low


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def whole(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number in low..high, both included."""
    return int(rng.integers(low, high + 1))


def kernel_size(rng: np.random.Generator, sizes: tuple[int, int] = (7, 21)) -> int:
    """An odd number in a range of two, both included."""
    return 2 * whole(rng, sizes[0] // 2, sizes[1] // 2) + 1


def lowest_cutoff(size: int) -> float:
    """Of a sinc in place of a Gaussian, in radians per pixel."""
    return np.pi / 3 if size < _SMALL_TAPS else np.pi / 5


def gaussian_kind(rng: np.random.Generator, ranges: Round) -> KernelKind:
    return _GAUSSIANS[rng.choice(len(_GAUSSIANS), p=[getattr(ranges.kernels, name) for name in _GAUSSIANS])]


def _beta(rng: np.random.Generator, beta: Range) -> float:
    low, high = beta
    return uniform(rng, low, 1) if rng.random() < 0.5 else uniform(rng, 1, high)


def beta_of(rng: np.random.Generator, ranges: Round, kind: KernelKind) -> float:
    """The shape of a generalised or plateau Gaussian: below 1 and above it equally often. 1 for the others.

    With the published plateau range [1, 2] that makes exactly 1 in half the draws.
    """
    if kind.startswith("generalized"):
        return _beta(rng, ranges.generalized_beta)
    return _beta(rng, ranges.plateau_beta) if kind.startswith("plateau") else 1.0


def final_sinc(rng: np.random.Generator, probability: float, sizes: tuple[int, int] = (7, 21)) -> tuple[Blur, ...]:
    """The sinc of the last step, or nothing."""
    size, cutoff = kernel_size(rng, sizes), uniform(rng, np.pi / 3, np.pi)
    if rng.random() >= probability:
        return ()
    return (Blur(kernel=Kernel(kind="sinc", size=size, cutoff=cutoff)),)


def direction(rng: np.random.Generator, ranges: Round) -> Direction:
    draw = rng.random()
    if draw < ranges.resize.up:
        return "up"
    return "down" if draw < ranges.resize.up + ranges.resize.down else "keep"


def factor(rng: np.random.Generator, ranges: Round, towards: Direction) -> float:
    smallest, largest = ranges.resize_range
    holds_1 = smallest <= 1 <= largest
    match towards:
        case "up":
            return uniform(rng, 1 if holds_1 else smallest, largest)
        case "down":
            return uniform(rng, smallest, 1 if holds_1 else largest)
        case "keep":
            return 1.0


def mode(rng: np.random.Generator, ranges: Round) -> ResizeMode:
    return mode_of(rng, ranges.resize_modes, ranges.resize_mode_probs)


def mode_of(rng: np.random.Generator, modes: Sequence[ResizeMode], shares: Sequence[float] | None) -> ResizeMode:
    """One of the modes, as often as their shares say; none is evenly."""
    if shares is None:
        return modes[int(rng.integers(len(modes)))]
    return modes[int(rng.choice(len(modes), p=np.array(shares) / sum(shares)))]


def resize_to(size_px: float, mode: ResizeMode, ranges: Round) -> Resize:
    """A resize to a square, a pixel at least."""
    side = max(1, round(size_px))
    return Resize(height=side, width=side, mode=mode, antialias=ranges.antialias and can_antialias(mode))


def codec(quality: int, ranges: Round, *, webp: bool) -> Jpeg | Webp:
    return Webp(quality=quality) if webp else Jpeg(quality=quality, sampling=ranges.jpeg_sampling)


def sigma_pair(rng: np.random.Generator, sigma: Range, least_gap: float) -> tuple[float, float]:
    """(smaller, larger) inside the range, at least `least_gap` apart."""
    low, high = sigma
    gap = uniform(rng, least_gap, high - low)
    small = uniform(rng, low, high - gap)
    return small, small + gap


def apart(rng: np.random.Generator, levels: Range, gap: Range, share: float | None) -> tuple[float, float]:
    """(lower, higher) inside the range, `share` of the way from the least gap to the largest apart; None: equal."""
    low, high = levels
    if share is None:
        level = uniform(rng, low, high)
        return level, level
    least, most = min(gap[0], high - low), min(gap[1], high - low)
    distance = least + share * (most - least)
    lower = uniform(rng, low, high - distance)
    return lower, min(lower + distance, high)

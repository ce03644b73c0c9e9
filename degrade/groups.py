"""Contrast and anchor groups: one HR crop, five LR members whose order in blur and noise is known.

MM-RealSR (Mou et al. 2022) sections 3.2-3.3. In the paper's symbols BASE = c2, BLURRIER = c1, NOISIER = c3,
CLEAN = a2, WORST = a1. All members share every discrete draw (kernel family, size, rotation, kind of noise,
direction and mode of each resize, order of the last steps) and the keys of their random fields; they
differ only in levels, and no level passes WORST's.

Against the published code: discrete draws are per sample, not per batch; "more noise" is drawn inside the
range (the code overshoots it by up to its lower end, and then passes its own maximal anchor).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Generic, Literal, Self, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from . import ops
from .kernels import Kernel, KernelKind
from .recipe import GroupGaps, Order, Range, Recipe
from .seeds import stream
from .steps import Blur, Degradation, GaussianNoise, Jpeg, PoissonNoise, Resize, field_key

T = TypeVar("T")
Direction = Literal["up", "down", "keep"]
_GAUSSIANS: tuple[KernelKind, ...] = (
    "iso",
    "aniso",
    "generalized_iso",
    "generalized_aniso",
    "plateau_iso",
    "plateau_aniso",
)
_MODES: tuple[ops.ResizeMode, ...] = ("area", "bilinear", "bicubic")


class Role(StrEnum):
    """The members of a group, in the order in which they are stored."""

    BASE = "base"
    BLURRIER = "blurrier"
    NOISIER = "noisier"
    CLEAN = "clean"
    WORST = "worst"


ROLES = tuple(Role)


class GroupsConfig(BaseModel):
    """A set of groups: what they are drawn from, how many, and from which seed.

    hr_size_px: side of the square HR crops; a multiple of the scale. num_samples: groups.
    shard_mib: size of a shard's HR block, MiB; the samples in it are a power of two.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    recipe: Recipe
    hr_size_px: Annotated[int, Field(ge=16)]
    num_samples: Annotated[int, Field(ge=1)] = 1000
    seed: Annotated[int, Field(ge=0)] = 0
    shard_mib: Annotated[float, Field(gt=0)] = 32

    @model_validator(mode="after")
    def _whole_lr_pixels(self) -> Self:
        scale, size = self.recipe.scale, self.hr_size_px
        if size % scale:
            below = size - size % scale
            raise ValueError(
                f"hr_size_px = {size} is not a multiple of recipe.scale = {scale}; use {below} or {below + scale}"
            )
        return self

    @property
    def lr_size_px(self) -> int:
        return self.hr_size_px // self.recipe.scale


@dataclass(frozen=True)
class Levels(Generic[T]):
    """A level for each of the degraded roles. BASE has the milder of every pair."""

    base: T
    blurrier: T
    noisier: T
    worst: T

    def of(self, role: Role) -> T:
        return {"base": self.base, "blurrier": self.blurrier, "noisier": self.noisier}.get(role, self.worst)


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _kernel_size(rng: np.random.Generator) -> int:
    return int(2 * rng.integers(3, 11) + 1)  # 7, 9, ..., 21


def _sigma_pair(rng: np.random.Generator, sigma: Range, least_gap: float) -> tuple[float, float]:
    """(smaller, larger) inside the range, at least `least_gap` apart."""
    low, high = sigma
    gap = _uniform(rng, least_gap, high - low)
    small = _uniform(rng, low, high - gap)
    return small, small + gap


def _beta(rng: np.random.Generator, beta: Range) -> float:
    low, high = beta
    return _uniform(rng, low, 1) if rng.random() < 0.5 else _uniform(rng, 1, high)


def _sinc_levels(rng: np.random.Generator, size: int) -> Levels[Kernel]:
    low = np.pi / 3 if size < 13 else np.pi / 5
    blurry, sharp = sorted(_uniform(rng, low, np.pi) for _ in range(2))
    milder = Kernel(kind="sinc", size=size, cutoff=sharp)
    return Levels(
        base=milder,
        blurrier=Kernel(kind="sinc", size=size, cutoff=blurry),
        noisier=milder,
        worst=Kernel(kind="sinc", size=size, cutoff=low),
    )


def _kernel_levels(rng: np.random.Generator, order: Order, gaps: GroupGaps) -> Levels[Kernel]:
    size = _kernel_size(rng)
    if rng.random() < order.sinc_prob:
        return _sinc_levels(rng, size)
    kind = _GAUSSIANS[rng.choice(len(_GAUSSIANS), p=[getattr(order.kernels, name) for name in _GAUSSIANS])]
    small_x, large_x = _sigma_pair(rng, order.blur_sigma, 0 if kind.endswith("aniso") else gaps.blur_sigma)
    small_y, large_y, theta = small_x, large_x, 0.0
    if kind.endswith("aniso"):
        small_y, large_y = _sigma_pair(rng, order.blur_sigma, max(gaps.blur_sigma - (large_x - small_x), 0))
        theta = _uniform(rng, -np.pi, np.pi)
    beta = 1.0
    if kind.startswith("generalized"):
        beta = _beta(rng, order.generalized_beta)
    elif kind.startswith("plateau"):
        beta = _beta(rng, order.plateau_beta)

    def kernel(sigma_x: float, sigma_y: float) -> Kernel:
        return Kernel(kind=kind, size=size, sigma_x=sigma_x, sigma_y=sigma_y, theta=theta, beta=beta)

    milder = kernel(small_x, small_y)
    worst = kernel(order.blur_sigma[1], order.blur_sigma[1])
    return Levels(base=milder, blurrier=kernel(large_x, large_y), noisier=milder, worst=worst)


def _direction(rng: np.random.Generator, order: Order) -> Direction:
    draw = rng.random()
    if draw < order.resize.up:
        return "up"
    return "down" if draw < order.resize.up + order.resize.down else "keep"


def _factor(rng: np.random.Generator, order: Order, direction: Direction) -> float:
    match direction:
        case "up":
            return _uniform(rng, 1, order.resize_range[1])
        case "down":
            return _uniform(rng, order.resize_range[0], 1)
        case "keep":
            return 1.0


def _resize_levels(rng: np.random.Generator, order: Order, hr_size_px: int) -> Levels[Resize]:
    """The first resize: the blurrier member goes further from its size, WORST to the end of the range."""
    direction, mode = _direction(rng, order), _MODES[rng.integers(3)]
    near, far = sorted((_factor(rng, order, direction) for _ in range(2)), key=lambda factor: abs(factor - 1))
    end = {"up": order.resize_range[1], "down": order.resize_range[0], "keep": 1.0}[direction]

    def resize(factor: float) -> Resize:
        size_px = max(1, round(hr_size_px * factor))
        return Resize(height=size_px, width=size_px, mode=mode)

    return Levels(base=resize(near), blurrier=resize(far), noisier=resize(near), worst=resize(end))


def _noise_pair(rng: np.random.Generator, levels: Range, gap: Range, differs: bool) -> tuple[float, float]:
    """(milder, stronger) inside the range; equal unless `differs`."""
    low, high = levels
    if not differs:
        level = _uniform(rng, low, high)
        return level, level
    distance = min(_uniform(rng, *gap), high - low)
    small = _uniform(rng, low, high - distance)
    return small, min(small + distance, high)


def _noise_levels(
    rng: np.random.Generator, order: Order, gaps: GroupGaps, *, differs: bool, field: str
) -> Levels[GaussianNoise | PoissonNoise]:
    gaussian = bool(rng.random() < order.gaussian_noise_prob)
    grey = bool(rng.random() < order.grey_noise_prob)
    levels = order.noise_sigma_255 if gaussian else order.poisson_scale
    gap = gaps.noise_sigma_255 if gaussian else gaps.poisson_scale
    mild, strong = _noise_pair(rng, levels, gap, differs)

    def noise(level: float) -> GaussianNoise | PoissonNoise:
        if gaussian:
            return GaussianNoise(sigma_255=level, grey=grey, field=field)
        return PoissonNoise(scale=level, grey=grey, field=field)

    return Levels(base=noise(mild), blurrier=noise(mild), noisier=noise(strong), worst=noise(levels[1]))


def _jpeg_levels(rng: np.random.Generator, recipe: Recipe) -> Levels[Jpeg]:
    low, high = recipe.jpeg_quality
    least, most = recipe.gaps.jpeg_quality
    distance = _uniform(rng, least, min(most, high - low))
    worse = round(_uniform(rng, low, high - distance))
    better = Jpeg(quality=min(round(worse + distance), high))
    return Levels(base=better, blurrier=better, noisier=Jpeg(quality=worse), worst=Jpeg(quality=low))


def _final_sinc(rng: np.random.Generator, recipe: Recipe) -> list[Blur]:
    size, cutoff = _kernel_size(rng), _uniform(rng, np.pi / 3, np.pi)
    if rng.random() >= recipe.final_sinc_prob:
        return []
    return [Blur(kernel=Kernel(kind="sinc", size=size, cutoff=cutoff))]


def sample_group(
    recipe: Recipe, hr_size_px: int, *, seed: int, source_sha256: str, sample: int
) -> dict[Role, Degradation]:
    """The five degradations of one group, each from [hr_size_px, hr_size_px] to the LR size.

    Drawn from the stream that (seed, source, sample) names, so any group can be drawn alone. Exactly one of
    the two noises differs between BASE and NOISIER in nine groups of ten, both do in the tenth.
    """
    rng = stream(seed, "group", source_sha256, sample)
    first, second, gaps = recipe.first, recipe.second, recipe.gaps
    lr_size_px = hr_size_px // recipe.scale
    first_differs = bool(rng.random() < 0.5)
    second_differs = bool(not first_differs or rng.random() < 0.2)

    blur_1 = _kernel_levels(rng, first, gaps)
    resize_1 = _resize_levels(rng, first, hr_size_px)
    field_1 = field_key(seed, "noise", source_sha256, sample, 1)
    noise_1 = _noise_levels(rng, first, gaps, differs=first_differs, field=field_1)
    jpeg_1 = _jpeg_levels(rng, recipe)

    blur_2 = _kernel_levels(rng, second, gaps)
    factor = _factor(rng, second, _direction(rng, second))
    middle_px = max(1, round(lr_size_px * factor))
    resize_2 = Resize(height=middle_px, width=middle_px, mode=_MODES[rng.integers(3)])
    field_2 = field_key(seed, "noise", source_sha256, sample, 2)
    noise_2 = _noise_levels(rng, second, gaps, differs=second_differs, field=field_2)
    jpeg_2 = _jpeg_levels(rng, recipe)

    back = Resize(height=lr_size_px, width=lr_size_px, mode=_MODES[rng.integers(3)])
    back_and_sinc = (back, *_final_sinc(rng, recipe))
    jpeg_last = bool(rng.random() < 0.5)

    def degraded(role: Role) -> Degradation:
        last = jpeg_2.of(role)
        return (
            Blur(kernel=blur_1.of(role)),
            resize_1.of(role),
            noise_1.of(role),
            jpeg_1.of(role),
            Blur(kernel=blur_2.of(role)),
            resize_2,
            noise_2.of(role),
            *((*back_and_sinc, last) if jpeg_last else (last, *back_and_sinc)),
        )

    clean: Degradation = (Resize(height=lr_size_px, width=lr_size_px, mode=recipe.clean_resize),)
    return {role: clean if role is Role.CLEAN else degraded(role) for role in ROLES}

"""Contrast and anchor groups: one HR crop, five LR members whose order in blur and noise is known.

MM-RealSR (Mou et al. 2022) sections 3.2-3.3. In the paper's symbols BASE = c2, BLURRIER = c1, NOISIER = c3,
CLEAN = a2, WORST = a1. All members share every discrete draw (kernel family, size, rotation, kind of noise,
direction and mode of each resize, order of the last steps) and the keys of their random fields; they
differ only in levels, and no level passes WORST's.

Against the published code, so that the labels are true (degrade/README.md has the measurements):
- discrete draws are per sample, not per batch;
- "more noise" is drawn inside the range (the code overshoots it, and then passes its own maximal anchor);
- the cut-off of a sinc is shared by all members, and only one of the two blurs is a sinc: a lower cut-off rings
  more, and is not more blurred once the image is made smaller;
- a first resize that enlarges is shared by all members: to be larger is not to be more blurred;
- the second JPEG differs only where the second noise does, and as far: alone, a stronger last JPEG takes noise out.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Generic, Literal, Self, TypeVar

import numpy as np
from pydantic import Field, model_validator

from ..ops.blur import Blur
from ..ops.codecs import Jpeg, Webp
from ..ops.gaussian import GaussianNoise
from ..ops.kernels import Kernel
from ..ops.poisson import PoissonNoise
from ..ops.resize import Resize
from ..ops.step import Degradation, NoiseSource
from . import draws
from .base import Chance, Drawn, Frozen, Preset, Probability, Range, Recipe, Round, Scale, Usm, check_rises
from .draws import uniform
from .real_esrgan import FIRST, SECOND

T = TypeVar("T")


class Role(StrEnum):
    """The members of a group, in the order in which they are stored."""

    BASE = "base"
    BLURRIER = "blurrier"
    NOISIER = "noisier"
    CLEAN = "clean"
    WORST = "worst"


ROLES = tuple(Role)


class GroupGaps(Frozen):
    """How far apart the members of a contrast group are drawn (MM-RealSR's `*_diff_*` options)."""

    blur_sigma: Annotated[float, Field(ge=0)] = 0.1
    """Least difference in pixels. The others: [least, most], in the units of `Round`; jpeg_quality in quality steps."""
    noise_sigma_255: Range = (1, 21)
    """[least, most], gray levels of 255."""
    poisson_scale: Range = (0.05, 2.05)
    """[least, most], multiples of the photon noise."""
    jpeg_quality: Range = (5, 60)
    """[least, most], in quality steps."""


class Groups(Recipe):
    """Contrast and anchor groups of MM-RealSR: five members of one second-order chain.

    As `SecondOrder`, and: clean_resize: how the CLEAN anchor is made smaller; bilinear without antialiasing is
    MM-RealSR's code.
    """

    members: ClassVar[tuple[str, ...]] = tuple(ROLES)

    kind: Literal["groups"] = "groups"
    scale: Scale = 4
    """HR size / LR size."""
    first: Round
    """The first round."""
    second: Round
    """The second round."""
    final_sinc_prob: Probability = 0.8
    """How often the last filter is a sinc."""
    usm: Usm | None = None
    """LR is made of sharpened HR."""
    clean_resize: Literal["area", "bilinear", "bicubic", "matlab-bicubic"] = "bilinear"
    """How the CLEAN anchor is made smaller; bilinear without antialiasing is MM-RealSR's code."""
    sharpen_clean_again: bool = True
    """Where usm is set, CLEAN is made of HR sharpened twice, as that code does."""
    gaps: GroupGaps = GroupGaps()
    """How far members are apart."""
    order_check: Literal["reject", "flag", "keep"] = "reject"
    """What becomes of a group whose measured order is not the one that its levels mean
    (degrade/quality/group_order.py): `reject` draws it again, crop and all, at most max_draws times; `flag` keeps it
    and readers leave it out; `keep` keeps it.
    """
    max_draws: Annotated[int, Field(ge=1, le=1000)] = 32
    """Of a group, until its order is right."""

    @model_validator(mode="after")
    def _gaps_fit(self) -> Self:
        check_rises(self.gaps, "noise_sigma_255", "poisson_scale", "jpeg_quality")
        for name, ranges in (("first", self.first), ("second", self.second)):
            if ranges.blur_prob != 1:
                raise ValueError(
                    f"{name}.blur_prob = {ranges.blur_prob:g}, but members must differ in blur; set it to 1"
                )
            if ranges.jpeg_prob != 1:
                raise ValueError(
                    f"{name}.jpeg_prob = {ranges.jpeg_prob:g}, but members must differ in compression; set it to 1"
                )
            low, high = ranges.jpeg_quality
            if high - low < self.gaps.jpeg_quality[0]:
                raise ValueError(
                    f"{name}.jpeg_quality = [{low}, {high}] is narrower than gaps.jpeg_quality[0] = "
                    f"{self.gaps.jpeg_quality[0]:g}; widen it or lower the gap"
                )
            width = ranges.blur_sigma[1] - ranges.blur_sigma[0]
            if width < self.gaps.blur_sigma:
                raise ValueError(
                    f"{name}.blur_sigma is {width:g} wide, less than gaps.blur_sigma = "
                    f"{self.gaps.blur_sigma:g}; widen it or lower the gap"
                )
        return self

    @property
    def sharpens(self) -> bool:
        return self.usm is not None

    @property
    def num_tries(self) -> int:
        return self.max_draws if self.order_check == "reject" else 1

    @property
    def keeps_disorder(self) -> bool:
        return self.order_check == "keep"

    def draw(self, hr_px: int, chance: Chance, bank: NoiseSource | None) -> Drawn:
        members = _group(self, hr_px, chance.stream("sample"), (chance.field(0), chance.field(1)))
        if self.usm is None:
            return Drawn({str(role): steps for role, steps in members.items()})
        mask = self.usm.mask(chance)
        twice = Role.CLEAN if self.sharpen_clean_again else None
        return Drawn({str(role): (mask, *([mask] if role == twice else []), *steps) for role, steps in members.items()})


@dataclass(frozen=True)
class Levels(Generic[T]):
    """A level for each of the degraded roles. BASE has the milder of every pair."""

    base: T
    blurrier: T
    noisier: T
    worst: T

    def of(self, role: Role) -> T:
        return {"base": self.base, "blurrier": self.blurrier, "noisier": self.noisier}.get(role, self.worst)


def _same(level: T) -> Levels[T]:
    return Levels(level, level, level, level)


def _kernel_levels(rng: np.random.Generator, ranges: Round, gaps: GroupGaps, *, sinc: bool) -> Levels[Kernel]:
    size = draws.kernel_size(rng, ranges.kernel_sizes)
    if sinc:
        return _same(Kernel(kind="sinc", size=size, cutoff=uniform(rng, draws.lowest_cutoff(size), np.pi)))
    kind = draws.gaussian_kind(rng, ranges)
    small_x, large_x = draws.sigma_pair(rng, ranges.blur_sigma, 0 if kind.endswith("aniso") else gaps.blur_sigma)
    small_y, large_y, theta = small_x, large_x, 0.0
    if kind.endswith("aniso"):
        small_y, large_y = draws.sigma_pair(rng, ranges.blur_sigma, max(gaps.blur_sigma - (large_x - small_x), 0))
        theta = uniform(rng, -np.pi, np.pi)
    beta = draws.beta_of(rng, ranges, kind)

    def kernel(sigma_x: float, sigma_y: float) -> Kernel:
        return Kernel(kind=kind, size=size, sigma_x=sigma_x, sigma_y=sigma_y, theta=theta, beta=beta)

    milder = kernel(small_x, small_y)
    worst = kernel(ranges.blur_sigma[1], ranges.blur_sigma[1])
    return Levels(base=milder, blurrier=kernel(large_x, large_y), noisier=milder, worst=worst)


def _resize_levels(rng: np.random.Generator, ranges: Round, hr_size_px: int) -> Levels[Resize]:
    """The first resize: where it shrinks, the blurrier member goes further, WORST to the end of the range."""
    direction, mode = draws.direction(rng, ranges), draws.mode(rng, ranges)

    def resize(factor: float) -> Resize:
        return draws.resize_to(hr_size_px * factor, mode, ranges)

    if direction != "down":
        return _same(resize(draws.factor(rng, ranges, direction)))
    far, near = sorted(draws.factor(rng, ranges, direction) for _ in range(2))
    return Levels(base=resize(near), blurrier=resize(far), noisier=resize(near), worst=resize(ranges.resize_range[0]))


def _noise_levels(
    rng: np.random.Generator, ranges: Round, gaps: GroupGaps, *, share: float | None, field: str
) -> Levels[GaussianNoise | PoissonNoise]:
    gaussian = bool(rng.random() < ranges.gaussian_noise_prob)
    gray = bool(rng.random() < ranges.gray_noise_prob)
    levels = ranges.noise_sigma_255 if gaussian else ranges.poisson_scale
    gap = gaps.noise_sigma_255 if gaussian else gaps.poisson_scale
    mild, strong = draws.apart(rng, levels, gap, share)

    def noise(level: float) -> GaussianNoise | PoissonNoise:
        if gaussian:
            return GaussianNoise(sigma_255=level, gray=gray, field=field)
        return PoissonNoise(scale=level, gray=gray, field=field)

    return Levels(base=noise(mild), blurrier=noise(mild), noisier=noise(strong), worst=noise(levels[1]))


def _codec_levels(
    rng: np.random.Generator, ranges: Round, gaps: GroupGaps, *, share: float | None
) -> Levels[Jpeg | Webp]:
    low, _ = ranges.jpeg_quality
    worse, better = (round(quality) for quality in draws.apart(rng, ranges.jpeg_quality, gaps.jpeg_quality, share))
    webp = bool(rng.random() < ranges.webp_prob)

    def codec(quality: int) -> Jpeg | Webp:
        return draws.codec(quality, ranges, webp=webp)

    return Levels(base=codec(better), blurrier=codec(better), noisier=codec(worse), worst=codec(low))


def _group(
    recipe: Groups, hr_size_px: int, rng: np.random.Generator, fields: tuple[str, str]
) -> dict[Role, Degradation]:
    """The five degradations of one group, each from [hr_size_px, hr_size_px] to the LR size.

    fields: the keys of the two noises' random fields. Exactly one of the two noises differs between BASE and
    NOISIER in nine groups of ten, both do in the tenth. The first codec always differs; the second where the
    second noise does, and by as much of its range.
    """
    first, second, gaps = recipe.first, recipe.second, recipe.gaps
    lr_size_px = hr_size_px // recipe.scale
    first_differs = bool(rng.random() < 0.5)
    second_differs = bool(not first_differs or rng.random() < 0.2)
    first_sinc = bool(rng.random() < first.sinc_prob)
    second_sinc = bool(rng.random() < second.sinc_prob) and not first_sinc

    blur_1 = _kernel_levels(rng, first, gaps, sinc=first_sinc)
    resize_1 = _resize_levels(rng, first, hr_size_px)
    noise_1 = _noise_levels(rng, first, gaps, share=rng.random() if first_differs else None, field=fields[0])
    codec_1 = _codec_levels(rng, first, gaps, share=rng.random())

    blur_2 = _kernel_levels(rng, second, gaps, sinc=second_sinc)
    factor = draws.factor(rng, second, draws.direction(rng, second))
    resize_2 = draws.resize_to(lr_size_px * factor, draws.mode(rng, second), second)
    share_2 = rng.random() if second_differs else None
    noise_2 = _noise_levels(rng, second, gaps, share=share_2, field=fields[1])
    codec_2 = _codec_levels(rng, second, gaps, share=share_2)

    back = draws.resize_to(lr_size_px, draws.mode(rng, second), second)
    back_and_sinc = (back, *draws.final_sinc(rng, recipe.final_sinc_prob))
    codec_last = bool(rng.random() < 0.5)

    def degraded(role: Role) -> Degradation:
        last = codec_2.of(role)
        return (
            Blur(kernel=blur_1.of(role)),
            resize_1.of(role),
            noise_1.of(role),
            codec_1.of(role),
            Blur(kernel=blur_2.of(role)),
            resize_2,
            noise_2.of(role),
            *((*back_and_sinc, last) if codec_last else (last, *back_and_sinc)),
        )

    clean: Degradation = (Resize(height=lr_size_px, width=lr_size_px, mode=recipe.clean_resize),)
    return {role: clean if role is Role.CLEAN else degraded(role) for role in ROLES}


_PLAIN = Groups(scale=4, first=FIRST, second=SECOND)
# The numbers of both training files of MM-RealSR (commit 3473102), which are Real-ESRGAN's x4plus ones. The second blur
# is always on and both JPEGs share one range, as in that code.
PRESETS = {
    "mm-realsr": Preset(
        _PLAIN,
        400,
        "MM-RealSR's contrast and anchor groups, LR of HR as it is (its second stage's): five members of one chain.",
    ),
    "mm-realsr-stage-1": Preset(
        _PLAIN.model_copy(update={"usm": Usm()}),
        400,
        "MM-RealSR's groups, LR of sharpened HR, CLEAN of twice sharpened: its first stage's, by the published code.",
    ),
}

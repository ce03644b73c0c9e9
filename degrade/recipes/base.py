"""What a store is drawn from: a recipe, and the ranges that several recipes share, with the rules that they must keep.

A recipe is one class in one file: its ranges, how a sample is drawn of them, and its presets. The folder's
`__init__.py` lists ours; a recipe of yours is known once its module is imported.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from .. import seeds
from ..family import Frozen
from ..ops import OPS
from ..ops.codecs import JpegSampling, Quality
from ..ops.resize import ResizeMode
from ..ops.step import Degradation, NoiseSource, Step, field_key
from ..ops.unsharp import Gaussian, UnsharpMask

Probability = Annotated[float, Field(ge=0, le=1)]
Range = tuple[float, float]
Scale = Annotated[int, Field(ge=1, le=8)]


@dataclass(frozen=True)
class Chance:
    """The random streams of one draw of one sample, each a function of (seed, identity, name) alone."""

    seed: int
    identity: tuple[str | int, ...]

    def stream(self, name: str) -> np.random.Generator:
        return seeds.stream(self.seed, name, *self.identity)

    def field(self, number: int) -> str:
        """The key of a random field of noise."""
        return field_key(self.seed, "noise", *self.identity, number)


@dataclass(frozen=True)
class Drawn:
    """The steps from HR to each member; those from the crop to HR; and what a network is given of the sample."""

    members: Mapping[str, Degradation]
    hr: Degradation = ()
    condition: tuple[float, ...] | None = None


class Recipe(Frozen, ABC):
    """What a store is drawn from."""

    members: ClassVar[tuple[str, ...]] = ("lr",)
    num_conditions: ClassVar[int] = 0
    ops: ClassVar[tuple[type[Step], ...]] = OPS

    kind: str
    """Its name in configs."""
    scale: int
    """HR size / LR size. members: the LR images of a sample, in the order in which they are stored. num_conditions: how
    many figures a network is told of a sample. ops: the steps that it may draw.
    """

    @abstractmethod
    def draw(self, hr_px: int, chance: Chance, bank: NoiseSource | None) -> Drawn:
        """One sample of HR side `hr_px`: decides, and touches no pixel. bank: the noise bank, if it wants one."""

    @property
    def crop_per_hr(self) -> int:
        """Side of what is cut from the source / side of HR; above 1 where a recipe cleans up by shrinking."""
        return 1

    def of_clean(self) -> "Recipe | None":
        """The recipe of sources that need no cleaning up; None where it cleans nothing up."""
        return None

    @property
    def wants_bank(self) -> bool:
        """Whether its noise is a noise bank's."""
        return False

    @property
    def packages(self) -> tuple[str, ...]:
        """That its bytes hold for, beside those of every store."""
        return ()

    @property
    def sharpens(self) -> bool:
        """Whether LR is made of sharpened HR."""
        return False

    @property
    def num_tries(self) -> int:
        """How often a sample is drawn until its members are in the order that their levels mean."""
        return 1

    @property
    def keeps_disorder(self) -> bool:
        """Whether readers give samples whose measured order is not that of their levels."""
        return True


@dataclass(frozen=True)
class Preset:
    """A recipe with the numbers of a paper or code; about: in a sentence."""

    recipe: Recipe
    hr_size_px: int
    about: str


# ---------------------------------------------------------------------------------------- rules of ranges


def check_sums_to_one(shares: BaseModel) -> None:
    values = shares.model_dump()
    total = sum(values.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"{' + '.join(values)} = {total:g}; make them sum to 1")


def check_rises(model: BaseModel, *names: str) -> None:
    for name in names:
        low, high = getattr(model, name)
        if not 0 <= low <= high:
            raise ValueError(f"{name} = [{low:g}, {high:g}] is not 0 <= low <= high; order it")


def check_odd(name: str, sizes: tuple[int, int]) -> None:
    low, high = sizes
    if not (1 <= low <= high <= 51 and low % 2 and high % 2):
        raise ValueError(f"{name} = [{low}, {high}] are not odd, from 1 to 51; change them")


def check_weights(name: str, weights: tuple[float, ...] | None, of: tuple[str, ...] | None) -> None:
    if weights is None:
        return
    if of is None or len(weights) != len(of):
        raise ValueError(f"{name} are not as many as the modes; give each mode one")
    if abs(sum(weights) - 1) > 1e-6:
        raise ValueError(f"{name} sum to {sum(weights):g}; make them sum to 1")


# ------------------------------------------------------------------------- the ranges that recipes share


class KernelProbabilities(Frozen):
    """How often each family of Gaussian is drawn, when the kernel is not a sinc. Together 1."""

    iso: Probability = 0.45
    """Round Gaussian."""
    aniso: Probability = 0.25
    """Gaussian of two widths, rotated."""
    generalized_iso: Probability = 0.12
    """Round generalised Gaussian."""
    generalized_aniso: Probability = 0.03
    """Rotated generalised Gaussian."""
    plateau_iso: Probability = 0.12
    """Round plateau."""
    plateau_aniso: Probability = 0.03
    """Rotated plateau."""

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        check_sums_to_one(self)
        return self


class ResizeProbabilities(Frozen):
    """How often a resize enlarges, shrinks or keeps. Together 1."""

    up: Probability
    """Enlarge."""
    down: Probability
    """Shrink."""
    keep: Probability
    """Keep the size."""

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        check_sums_to_one(self)
        return self


class Round(Frozen):
    """One round of blur, resize, noise and JPEG (Real-ESRGAN section 3)."""

    blur_prob: Probability = 1
    """How often there is a blur at all."""
    kernel_sizes: tuple[int, int] = (7, 21)
    """Odd, from and to."""
    kernels: KernelProbabilities = KernelProbabilities()
    """How often each family of Gaussian is drawn."""
    sinc_prob: Probability = 0.1
    """How often a kernel is a sinc instead."""
    blur_sigma: Range
    """Pixels."""
    generalized_beta: Range = (0.5, 4)
    """Shape of generalised Gaussian kernels; half the draws below 1, half above."""
    plateau_beta: Range = (1, 2)
    """Shape of plateau kernels; half the draws below 1, half above."""
    resize: ResizeProbabilities
    """How often a resize enlarges, shrinks or keeps."""
    resize_range: Range
    """(smallest, largest) factor. Shrinking goes from the smallest to 1, enlarging from 1 to the largest; of a range
    that does not hold 1, both take all of it.
    """
    resize_modes: Annotated[tuple[ResizeMode, ...], Field(min_length=1)] = ("area", "bilinear", "bicubic")
    """Drawn from evenly, or as often as resize_mode_probs say."""
    resize_mode_probs: tuple[Probability, ...] | None = None
    """Shares of the resize_modes; none is evenly."""
    keep_resizes: bool = True
    """Where the second round's resize keeps the size, that is the LR size (Real-ESRGAN); without it, whatever the first
    round left (traiNNer-redux).
    """
    antialias: bool = False
    """Of the modes that have both forms."""
    gaussian_noise_prob: Probability = 0.5
    """How often noise is Gaussian; the rest is photon noise."""
    noise_sigma_255: Range
    """Gray levels of 255."""
    poisson_scale: Range
    """Multiples of the photon noise."""
    gray_noise_prob: Probability = 0.4
    """How often noise is gray."""
    jpeg_prob: Probability = 1
    """How often there is a codec at all."""
    jpeg_quality: tuple[Quality, Quality] = (30, 95)
    """1..100."""
    jpeg_sampling: JpegSampling = "420"
    """Of the chroma."""
    webp_prob: Probability = 0
    """How often WebP takes the place of JPEG, at the same quality."""

    @model_validator(mode="after")
    def _ranges_hold(self) -> Self:
        check_rises(self, "blur_sigma", "noise_sigma_255", "poisson_scale", "jpeg_quality")
        if self.blur_sigma[0] <= 0:
            raise ValueError(f"blur_sigma = {list(self.blur_sigma)} starts at 0; start above it, at 0.1 say")
        for name in ("generalized_beta", "plateau_beta"):
            low, high = getattr(self, name)
            if not 0 < low <= 1 <= high:
                raise ValueError(f"{name} = [{low:g}, {high:g}] is not 0 < low <= 1 <= high; widen it to hold 1")
        if not 0 < self.resize_range[0] <= self.resize_range[1]:
            raise ValueError(f"resize_range = {list(self.resize_range)} is not 0 < smallest <= largest; change it")
        check_odd("kernel_sizes", self.kernel_sizes)
        check_weights("resize_mode_probs", self.resize_mode_probs, self.resize_modes)
        return self


class Usm(Frozen):
    """Unsharp masking of the HR that LR is made of."""

    radius: Annotated[int, Field(ge=1, le=50)] = 50
    """Pixels;."""
    radius_range: tuple[Annotated[int, Field(ge=1, le=50)], Annotated[int, Field(ge=1, le=50)]] | None = None
    """Drawn for each sample instead, as traiNNer-redux does."""
    weight: Annotated[float, Field(ge=0)] = 0.5
    """Of the difference that is added."""
    threshold_255: Annotated[float, Field(ge=0)] = 10
    """In gray levels."""
    gaussian: Gaussian = "pyramid"
    """How it is blurred for that: a sixth of the time of `truncated`, as OpenCV's taps end, which it is within a level
    of."""

    def mask(self, chance: Chance) -> UnsharpMask:
        """The step that sharpens one sample's HR."""
        radius = self.radius
        if self.radius_range is not None:
            radius = int(chance.stream("usm").integers(self.radius_range[0], self.radius_range[1] + 1))
        return UnsharpMask(radius=radius, weight=self.weight, threshold_255=self.threshold_255, gaussian=self.gaussian)

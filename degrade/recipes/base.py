"""What each kind of store is drawn from: the ranges of every recipe, with the rules that they must keep."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..ops.codecs import JpegSampling
from ..ops.resize import ResizeMode, can_antialias

Probability = Annotated[float, Field(ge=0, le=1)]
Range = tuple[float, float]
Quality = Annotated[int, Field(ge=1, le=100)]
Scale = Annotated[int, Field(ge=1, le=8)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _check_sums_to_one(shares: BaseModel) -> None:
    values = shares.model_dump()
    total = sum(values.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"{' + '.join(values)} = {total:g}; make them sum to 1")


def _check_rises(model: BaseModel, *names: str) -> None:
    for name in names:
        low, high = getattr(model, name)
        if not 0 <= low <= high:
            raise ValueError(f"{name} = [{low:g}, {high:g}] is not 0 <= low <= high; order it")


def _check_odd(name: str, sizes: tuple[int, int]) -> None:
    low, high = sizes
    if not (1 <= low <= high <= 51 and low % 2 and high % 2):
        raise ValueError(f"{name} = [{low}, {high}] are not odd, from 1 to 51; mend them")


def _check_weights(name: str, weights: tuple[float, ...] | None, of: tuple[str, ...] | None) -> None:
    if weights is None:
        return
    if of is None or len(weights) != len(of):
        raise ValueError(f"{name} are not as many as the modes; give each mode one")
    if abs(sum(weights) - 1) > 1e-6:
        raise ValueError(f"{name} sum to {sum(weights):g}; make them sum to 1")


class KernelProbabilities(_Frozen):
    """How often each family of Gaussian is drawn, when the kernel is not a sinc. Together 1."""

    iso: Probability = 0.45
    aniso: Probability = 0.25
    generalized_iso: Probability = 0.12
    generalized_aniso: Probability = 0.03
    plateau_iso: Probability = 0.12
    plateau_aniso: Probability = 0.03

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        _check_sums_to_one(self)
        return self


class ResizeProbabilities(_Frozen):
    """How often a resize enlarges, shrinks or keeps. Together 1."""

    up: Probability
    down: Probability
    keep: Probability

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        _check_sums_to_one(self)
        return self


class Order(_Frozen):
    """One round of blur, resize, noise and JPEG (Real-ESRGAN section 3).

    blur_prob: how often there is a blur at all. kernel_sizes: odd, from and to. blur_sigma: pixels. noise_sigma_255:
    grey levels of 255. poisson_scale: multiples of the photon noise. resize_range: (smallest when shrinking, largest
    when enlarging), as factors. resize_modes: drawn from evenly, or as often as resize_mode_probs say. keep_resizes:
    where the second round's resize keeps the size, that is the LR size (Real-ESRGAN); without it, whatever the first
    round left (traiNNer-redux). generalized_beta, plateau_beta: shape; half the draws below 1, half above. antialias:
    of the modes that have both forms. jpeg_quality: 1..100. jpeg_sampling: of the chroma. jpeg_prob: how often there is
    a codec at all. webp_prob: how often WebP takes the place of JPEG, at the same quality.
    """

    blur_prob: Probability = 1
    kernel_sizes: tuple[int, int] = (7, 21)
    kernels: KernelProbabilities = KernelProbabilities()
    sinc_prob: Probability = 0.1
    blur_sigma: Range
    generalized_beta: Range = (0.5, 4)
    plateau_beta: Range = (1, 2)
    resize: ResizeProbabilities
    resize_range: Range
    resize_modes: Annotated[tuple[ResizeMode, ...], Field(min_length=1)] = ("area", "bilinear", "bicubic")
    resize_mode_probs: tuple[Probability, ...] | None = None
    keep_resizes: bool = True
    antialias: bool = False
    gaussian_noise_prob: Probability = 0.5
    noise_sigma_255: Range
    poisson_scale: Range
    grey_noise_prob: Probability = 0.4
    jpeg_prob: Probability = 1
    jpeg_quality: tuple[Quality, Quality] = (30, 95)
    jpeg_sampling: JpegSampling = "420"
    webp_prob: Probability = 0

    @model_validator(mode="after")
    def _ranges_hold(self) -> Self:
        _check_rises(self, "blur_sigma", "noise_sigma_255", "poisson_scale", "jpeg_quality")
        if self.blur_sigma[0] <= 0:
            raise ValueError(f"blur_sigma = {list(self.blur_sigma)} starts at 0; start above it, at 0.1 say")
        for name in ("generalized_beta", "plateau_beta"):
            low, high = getattr(self, name)
            if not 0 < low <= 1 <= high:
                raise ValueError(f"{name} = [{low:g}, {high:g}] is not 0 < low <= 1 <= high; widen it to hold 1")
        if not 0 < self.resize_range[0] <= 1 <= self.resize_range[1]:
            raise ValueError(f"resize_range = {list(self.resize_range)} is not 0 < down <= 1 <= up; mend it")
        _check_odd("kernel_sizes", self.kernel_sizes)
        _check_weights("resize_mode_probs", self.resize_mode_probs, self.resize_modes)
        return self


class Usm(_Frozen):
    """Unsharp masking of the HR that LR is made of. radius: pixels; radius_range: drawn for each sample instead, as
    traiNNer-redux does. threshold_255: in grey levels.
    """

    radius: Annotated[int, Field(ge=1, le=50)] = 50
    radius_range: tuple[Annotated[int, Field(ge=1, le=50)], Annotated[int, Field(ge=1, le=50)]] | None = None
    weight: Annotated[float, Field(ge=0)] = 0.5
    threshold_255: Annotated[float, Field(ge=0)] = 10


class SecondOrder(_Frozen):
    """LR/HR pairs of Real-ESRGAN: two rounds, then back to the LR size with a sinc, before or after the last JPEG.

    scale: HR size / LR size. final_sinc_prob: how often the last filter is a sinc instead of nothing, of
    final_kernel_sizes. final_resize_modes: of the resize to the LR size, where they are not those of the second round.
    usm: LR is made of sharpened HR; HR is stored as it is, for a training to sharpen what it compares with (its
    losses.sharpen_target) and to show a discriminator unsharpened.
    """

    kind: Literal["second-order"] = "second-order"
    scale: Scale = 4
    first: Order
    second: Order
    final_sinc_prob: Probability = 0.8
    final_kernel_sizes: tuple[int, int] = (7, 21)
    final_resize_modes: Annotated[tuple[ResizeMode, ...], Field(min_length=1)] | None = None
    final_resize_mode_probs: tuple[Probability, ...] | None = None
    usm: Usm | None = None

    @model_validator(mode="after")
    def _finals_hold(self) -> Self:
        _check_odd("final_kernel_sizes", self.final_kernel_sizes)
        _check_weights("final_resize_mode_probs", self.final_resize_mode_probs, self.final_resize_modes)
        return self


class GroupGaps(_Frozen):
    """How far apart the members of a contrast group are drawn (MM-RealSR's `*_diff_*` options).

    blur_sigma: least difference in pixels. The others: [least, most], in the units of `Order`; jpeg_quality
    in quality steps.
    """

    blur_sigma: Annotated[float, Field(ge=0)] = 0.1
    noise_sigma_255: Range = (1, 21)
    poisson_scale: Range = (0.05, 2.05)
    jpeg_quality: Range = (5, 60)


class Groups(_Frozen):
    """Contrast and anchor groups of MM-RealSR: five members of one second-order chain.

    As `SecondOrder`, and: clean_resize: how the CLEAN anchor is made smaller; bilinear without antialiasing is
    MM-RealSR's code. sharpen_clean_again: where usm is set, CLEAN is made of HR sharpened twice, as that code does.
    gaps: how far members are apart. disorder: what becomes of a group whose measured order is not the one that its
    levels mean (degrade/quality/group_order.py): `reject` draws it again, crop and all, at most most_draws times;
    `flag` keeps it and readers leave it out; `keep` keeps it.
    """

    kind: Literal["groups"] = "groups"
    scale: Scale = 4
    first: Order
    second: Order
    final_sinc_prob: Probability = 0.8
    usm: Usm | None = None
    clean_resize: Literal["area", "bilinear", "bicubic", "matlab-bicubic"] = "bilinear"
    sharpen_clean_again: bool = True
    gaps: GroupGaps = GroupGaps()
    disorder: Literal["reject", "flag", "keep"] = "reject"
    most_draws: Annotated[int, Field(ge=1, le=1000)] = 32

    @model_validator(mode="after")
    def _gaps_fit(self) -> Self:
        _check_rises(self.gaps, "noise_sigma_255", "poisson_scale", "jpeg_quality")
        for name, order in (("first", self.first), ("second", self.second)):
            if order.blur_prob != 1:
                raise ValueError(
                    f"{name}.blur_prob = {order.blur_prob:g}, but members must differ in blur; set it to 1"
                )
            if order.jpeg_prob != 1:
                raise ValueError(
                    f"{name}.jpeg_prob = {order.jpeg_prob:g}, but members must differ in compression; set it to 1"
                )
            low, high = order.jpeg_quality
            if high - low < self.gaps.jpeg_quality[0]:
                raise ValueError(
                    f"{name}.jpeg_quality = [{low}, {high}] is narrower than gaps.jpeg_quality[0] = "
                    f"{self.gaps.jpeg_quality[0]:g}; widen it or lower the gap"
                )
            width = order.blur_sigma[1] - order.blur_sigma[0]
            if width < self.gaps.blur_sigma:
                raise ValueError(
                    f"{name}.blur_sigma is {width:g} wide, less than gaps.blur_sigma = "
                    f"{self.gaps.blur_sigma:g}; widen it or lower the gap"
                )
        return self


class Shuffled(_Frozen):
    """LR/HR pairs of BSRGAN: two blurs, a downscale in two parts, noise and JPEG in random order; a last JPEG.

    iso_sigma, aniso_variance: (a, b) of the largest sigma (pixels) and the largest variance of an axis (square
    pixels), a + b * scale. kernel_sizes: odd, from and to. half_first_prob: how often a scale of 4 halves the image
    first and goes on as scale 2. resize_prob: how often the first part of the downscale is a resize by 1..2*scale,
    and not a blur of sigma up to pick_sigma * scale and every scale-th pixel. noise_sigma_255: whole grey levels.
    mixed_noise_prob, grey_noise_prob: of noise whose channels are correlated, of grey noise; the rest is colour.
    poisson_prob, speckle_prob: of two more noises (bsrgan_plus has them). jpeg_prob: of the JPEG on the way.
    """

    kind: Literal["shuffled"] = "shuffled"
    scale: Literal[2, 4] = 4
    iso_sigma: Range = (2, 0.2)
    aniso_variance: Range = (4, 1)
    kernel_sizes: tuple[int, int] = (7, 25)
    half_first_prob: Probability = 0.25
    resize_prob: Probability = 0.75
    pick_sigma: Annotated[float, Field(gt=0)] = 0.6
    noise_sigma_255: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] = (2, 25)
    mixed_noise_prob: Probability = 0.2
    grey_noise_prob: Probability = 0.4
    poisson_prob: Probability = 0
    speckle_prob: Probability = 0
    jpeg_prob: Probability = 0.9
    jpeg_quality: tuple[Quality, Quality] = (30, 95)
    jpeg_sampling: JpegSampling = "420"
    usm: Usm | None = None

    @model_validator(mode="after")
    def _ranges_hold(self) -> Self:
        _check_rises(self, "noise_sigma_255", "jpeg_quality")
        _check_odd("kernel_sizes", self.kernel_sizes)
        if self.mixed_noise_prob + self.grey_noise_prob > 1:
            raise ValueError("mixed_noise_prob + grey_noise_prob is more than 1; lower one")
        for name in ("iso_sigma", "aniso_variance"):
            a, b = getattr(self, name)
            if not (a >= 0 and b >= 0 and a + b > 0):
                raise ValueError(f"{name} = [{a:g}, {b:g}] gives no width above 0; raise one")
        return self


class BlurNoise(_Frozen):
    """Pairs of CUGAN and CResMD, at one size: a blur of width r in pixels, then noise of sigma in grey levels.

    blur_max, noise_max: the levels whose condition is 1. single_prob: how often only one of the two is applied (each as
    often). Ends of a range are drawn half as often as what lies between, as in the published script. only: (r, sigma)
    of every pair, instead of drawn levels: what the paper's single-level baselines are trained on.
    """

    kind: Literal["blur-noise"] = "blur-noise"
    blur_max: Annotated[float, Field(gt=0)] = 4
    blur_step: Annotated[float, Field(gt=0)] = 0.1
    noise_max: Annotated[float, Field(gt=0)] = 50
    noise_step: Annotated[float, Field(gt=0)] = 1
    kernel_size: Annotated[int, Field(ge=1, le=51)] = 21
    single_prob: Probability = 0.5
    only: tuple[float, float] | None = None

    @property
    def scale(self) -> int:
        """LR is as large as HR: CUGAN restores, it does not enlarge."""
        return 1

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size = {self.kernel_size} is even; use {self.kernel_size + 1}")
        return self

    @model_validator(mode="after")
    def _only_within(self) -> Self:
        for value, most, name in zip(self.only or (), (self.blur_max, self.noise_max), ("blur", "noise"), strict=False):
            if not 0 <= value <= most:
                raise ValueError(
                    f"only = {list(self.only or ())} is not within 0 and {name}_max = {most:g}; change one"
                )
        return self


class NoiseInjection(_Frozen):
    """Pairs of RWSR-EDL: the source made smaller is the HR, the HR made smaller plus noise of a bank is the LR.

    scale: HR size / LR size. cleanup: source size / HR size; it takes the source's own noise out (Eq. 9). resize: of
    both. strength: multiple of the bank's noise (1 is as it was found); 0 leaves LR without noise and wants no bank,
    for a training that draws new noise in each epoch.
    """

    kind: Literal["noise-injection"] = "noise-injection"
    scale: Scale = 4
    cleanup: Scale = 2
    resize: ResizeMode = "matlab-bicubic"
    strength: Annotated[float, Field(ge=0)] = 1


class Downscale(_Frozen):
    """Pairs without degradation: the HR made smaller. antialias: of the modes that have both forms."""

    kind: Literal["downscale"] = "downscale"
    scale: Scale = 4
    resize: ResizeMode = "matlab-bicubic"
    antialias: bool = False

    @model_validator(mode="after")
    def _has_both_forms(self) -> Self:
        if self.antialias and not can_antialias(self.resize):
            raise ValueError(f"antialias means nothing for {self.resize}, which always is; leave it out")
        return self


Recipe = Annotated[
    Groups | SecondOrder | Shuffled | BlurNoise | NoiseInjection | Downscale, Field(discriminator="kind")
]

"""The ranges that a second-order degradation is drawn from (Real-ESRGAN's, with MM-RealSR's group gaps)."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Probability = Annotated[float, Field(ge=0, le=1)]
Range = tuple[float, float]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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
        total = sum(self.model_dump().values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the six probabilities sum to {total:g}; make them sum to 1")
        return self


class ResizeProbabilities(_Frozen):
    """How often a resize enlarges, shrinks or keeps. Together 1."""

    up: Probability
    down: Probability
    keep: Probability

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.up + self.down + self.keep
        if abs(total - 1) > 1e-6:
            raise ValueError(f"up + down + keep = {total:g}; make them sum to 1")
        return self


class Order(_Frozen):
    """One round of blur, resize, noise and JPEG.

    blur_sigma: pixels. noise_sigma_255: grey levels of 255. poisson_scale: multiples of the photon noise.
    resize_range: (smallest when shrinking, largest when enlarging), as factors.
    generalized_beta, plateau_beta: shape; half the draws below 1, half above.
    """

    kernels: KernelProbabilities = KernelProbabilities()
    sinc_prob: Probability = 0.1
    blur_sigma: Range
    generalized_beta: Range = (0.5, 4)
    plateau_beta: Range = (1, 2)
    resize: ResizeProbabilities
    resize_range: Range
    gaussian_noise_prob: Probability = 0.5
    noise_sigma_255: Range
    poisson_scale: Range
    grey_noise_prob: Probability = 0.4

    @model_validator(mode="after")
    def _ranges_hold(self) -> Self:
        for name in ("blur_sigma", "noise_sigma_255", "poisson_scale"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise ValueError(f"{name} = [{low:g}, {high:g}] is not 0 <= low <= high; order it")
        if self.blur_sigma[0] <= 0:
            raise ValueError(f"blur_sigma = {list(self.blur_sigma)} starts at 0; start above it, at 0.1 say")
        for name in ("generalized_beta", "plateau_beta"):
            low, high = getattr(self, name)
            if not 0 < low <= 1 <= high:
                raise ValueError(f"{name} = [{low:g}, {high:g}] is not 0 < low <= 1 <= high; widen it to hold 1")
        if not 0 < self.resize_range[0] <= 1 <= self.resize_range[1]:
            raise ValueError(f"resize_range = {list(self.resize_range)} is not 0 < down <= 1 <= up; mend it")
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


class Recipe(_Frozen):
    """Everything that a second-order contrast/anchor group is drawn from.

    scale: HR size / LR size. jpeg_quality: of both orders (1..100). final_sinc_prob: how often the last filter
    is a sinc instead of nothing. clean_resize: how the CLEAN anchor is made smaller; bilinear without
    antialiasing is MM-RealSR's code.
    """

    scale: Annotated[int, Field(ge=1, le=8)] = 4
    first: Order
    second: Order
    jpeg_quality: tuple[Annotated[int, Field(ge=1, le=100)], Annotated[int, Field(ge=1, le=100)]] = (30, 95)
    final_sinc_prob: Probability = 0.8
    clean_resize: Literal["area", "bilinear", "bicubic"] = "bilinear"
    gaps: GroupGaps = GroupGaps()

    @model_validator(mode="after")
    def _gaps_fit(self) -> Self:
        low, high = self.jpeg_quality
        if high - low < self.gaps.jpeg_quality[0]:
            raise ValueError(
                f"jpeg_quality = [{low}, {high}] is narrower than gaps.jpeg_quality[0] = "
                f"{self.gaps.jpeg_quality[0]:g}; widen it or lower the gap"
            )
        for name, order in (("first", self.first), ("second", self.second)):
            width = order.blur_sigma[1] - order.blur_sigma[0]
            if width < self.gaps.blur_sigma:
                raise ValueError(
                    f"{name}.blur_sigma is {width:g} wide, less than gaps.blur_sigma = "
                    f"{self.gaps.blur_sigma:g}; widen it or lower the gap"
                )
        return self

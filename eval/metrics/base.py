"""What a metric is to the rest: a name that says all that its value depends on, and how it is made ready to measure.

A metric is a value in the file of its arithmetic; `metrics/__init__.py` lists ours, and `evaluate` takes any. All see
what a saved 8-bit image would hold.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ...degrade.errors import UserError
from .psnr_ssim import levels
from .weights import WeightFile

Better = Literal["higher", "lower"]
Compare = Callable[[Tensor, Tensor], Tensor]  # SR and HR [B, 3, h, w], whole levels 0..255 float64 -> [B]


@dataclass(frozen=True)
class Figure:
    """What a value in a report is: its name, which way is better, what was looked at, how much of the border was cut,
    and by which paper and variant.
    """

    name: str
    better: Better
    space: str
    version: str
    border: int = 0


@dataclass(frozen=True)
class Metric:
    """A metric by its name.

    compare: gives, for a device, the function of SR and HR (NIQE does not look at the HR). space: what it sees.
    version: paper and variant. unit, digits: how it is printed. needs_hr: whether there is none without HR. files: the
    published parameters that it needs. crops: whether papers crop the scale from each side. least_px: the least side of
    an image that has a value, after the crop.
    """

    name: str
    compare: Callable[[torch.device], Compare]
    better: Better
    space: str
    version: str
    unit: str = ""
    digits: int = 4
    needs_hr: bool = True
    files: Sequence[WeightFile] = ()
    crops: bool = False
    least_px: int = 1

    def ready(self, *, scale: int, border: int | None, device: torch.device) -> "Ready":
        """The metric on a device.

        border: pixels to crop from each side; None is the papers' habit: the scale for PSNR and SSIM, else nothing.

        Raises:
            MissingWeights: the published parameters that it needs are not there.
        """
        cropped = border if border is not None else scale if self.crops else 0
        return Ready(self, cropped, self.compare(device))

    def printed(self, value: float) -> str:
        """A value with as many digits as are worth printing, and its unit if it is one."""
        return f"{value:.{self.digits}f}{' dB' if self.unit == 'dB' else ''}"


@dataclass(frozen=True)
class Ready:
    """A metric that is ready to measure, with a border of so many pixels cropped from each side first."""

    metric: Metric
    border: int
    compare: Compare

    @property
    def name(self) -> str:
        return self.metric.name

    @property
    def figure(self) -> Figure:
        return Figure(self.name, self.metric.better, self.metric.space, self.metric.version, self.border)

    @property
    def least_px(self) -> int:
        """The least side of an image that has a value."""
        return self.metric.least_px + 2 * self.border

    def measure(self, sr: Tensor, hr: Tensor) -> Tensor:
        """SR and HR [B, 3, H, W], RGB in 0..1 -> [B] float64."""
        with torch.inference_mode():
            return self.compare(levels(sr, self.border), levels(hr, self.border)).double()


def _check_one(image: Tensor, what: str) -> None:
    if image.ndim != 4 or image.shape[1] != 3:
        raise UserError(f"{what} has the shape {list(image.shape)}; images are [batch, 3, height, width], RGB")
    if not bool(torch.isfinite(image).all()):
        raise UserError(f"{what} holds values that are not numbers; look at the model that made it")
    low, high = image.min().item(), image.max().item()
    if low < -0.5 or high > 1.5:
        raise UserError(f"{what} has values from {low:.4g} to {high:.4g}; images are in 0..1")


def check(sr: Tensor, hr: Tensor | None) -> None:
    """Check that two images can be compared.

    Raises:
        UserError: another shape, values that are not in 0..1 (a model's overshoot up to a half is clipped), or nan.
    """
    _check_one(sr, "SR")
    if hr is None:
        return
    _check_one(hr, "HR")
    if sr.shape != hr.shape:
        sizes = (f"{each.shape[-1]}x{each.shape[-2]}" for each in (sr, hr))
        raise UserError(f"SR is {' and HR '.join(sizes)}; they must be of one size")

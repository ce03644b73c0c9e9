"""Resampling of many images at once, each to its own size: a matrix for each axis of each image.

The weights are OpenCV's and Pillow's, and MATLAB's, as `degrade.ops.resize` has them, borders included.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...degrade.ops.resize import Resize
from .images import Stack, grouped, numbers

_LEAST_PART = 1e-3  # of a pixel: OpenCV's area passes over smaller parts
_CUBIC_SUPPORT = 2.0


@dataclass(frozen=True)
class _Axis:
    """One axis of each image: pixels before and after, [N, 1, 1] float64, those of the canvas and of the largest image
    after, and the largest ratio.
    """

    old: Tensor
    new: Tensor
    canvas: int
    most_new: int
    most_shrinks: float

    @property
    def shrinks(self) -> Tensor:
        """Old pixels for a new one."""
        return self.old / self.new

    @property
    def opencvs(self) -> Tensor:
        """The same as OpenCV computes it, which decides where a pixel ends exactly at another's edge."""
        return 1 / (self.new / self.old)

    @property
    def at(self) -> Tensor:
        """Numbers of the new pixels, [1, most_new, 1]."""
        return torch.arange(self.most_new, device=self.old.device, dtype=torch.float64)[None, :, None]

    def matrix(self, places: Tensor, weights: Tensor) -> Tensor:
        """[N, most_new, most_old] float32 of taps [N, most_new, K]; those beyond an image are its border's."""
        inside = torch.minimum(places.clamp(min=0), self.old - 1).long()
        found = weights.new_zeros(len(self.old), self.most_new, self.canvas)
        return found.scatter_add_(2, inside.expand_as(weights), weights).float()


def _axis(old: Sequence[int], new: Sequence[int], canvas: int, device: torch.device) -> _Axis:
    olds, news = (numbers(sides, device, torch.float64)[:, None, None] for sides in (old, new))
    return _Axis(olds, news, canvas, max(new), max(o / n for o, n in zip(old, new, strict=True)))


def _taps(first: int, count: int, device: torch.device) -> Tensor:
    return torch.arange(first, first + count, device=device, dtype=torch.float64)


# --------------------------------------------------------------------------------- the nearest pixels (OpenCV)


def _pointwise(axis: _Axis, kernel: Callable[[Tensor], Tensor], reach: int) -> Tensor:
    """As many taps as `reach` to each side of every centre."""
    centre = (axis.at + 0.5) * axis.shrinks - 0.5
    places = centre.floor() + _taps(1 - reach, 2 * reach, centre.device)
    weights = kernel(centre - places)
    return axis.matrix(places, weights / weights.sum(dim=2, keepdim=True))


def _area(axis: _Axis) -> Tensor:
    """The mean over each pixel's area."""
    start = axis.at * axis.opencvs
    stop, size = start + axis.opencvs, torch.minimum(axis.opencvs, axis.old - start)
    places = start.floor() + _taps(0, math.ceil(axis.most_shrinks) + 2, start.device)
    parts = (torch.minimum(places + 1, stop) - torch.maximum(places, start)).clamp(min=0)
    parts = torch.where((parts > _LEAST_PART) & (places < axis.old), parts, 0)
    return axis.matrix(places, parts / size.clamp(min=_LEAST_PART))


def _area_enlarged(axis: _Axis) -> Tensor:
    """What OpenCV calls area where an axis grows: close to nearest."""
    left = (axis.at * axis.opencvs).floor()
    part = (axis.at + 1) - (left + 1) * (axis.new / axis.old)
    part = torch.where(part <= 0, 0, part - part.floor())
    return axis.matrix(torch.cat([left, left + 1], dim=2), torch.cat([1 - part, part], dim=2))


# -------------------------------------------------------------------------- wider as they shrink (Pillow, MATLAB)


def _widened(axis: _Axis, kernel: Callable[[Tensor], Tensor], support: float, *, mirrored: bool = False) -> Tensor:
    """Pillow's: taps beyond the image are left out; mirrored: MATLAB's, they are the image's, the edge pixel twice."""
    wide = axis.shrinks.clamp(min=1)
    centre, reach = (axis.at + 0.5) * axis.shrinks, support * wide
    first, last = (centre - reach + 0.5).floor(), (centre + reach + 0.5).floor()
    places = first + _taps(0, math.ceil(2 * support * max(1, axis.most_shrinks)) + 1, centre.device)
    weights = kernel((places - centre + 0.5) / wide)
    there = places < last
    if not mirrored:
        there = there & (places >= 0) & (places < axis.old)
    weights = torch.where(there, weights, 0)
    weights = weights / weights.sum(dim=2, keepdim=True)
    around = places.remainder(2 * axis.old)
    folded = torch.minimum(around, 2 * axis.old - 1 - around)
    return axis.matrix(folded, weights)


def _triangle(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp(min=0)


def _cubic(a: float) -> Callable[[Tensor], Tensor]:
    def kernel(x: Tensor) -> Tensor:
        x = x.abs()
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        return torch.where(x < 1, near, torch.where(x < _CUBIC_SUPPORT, far, 0))

    return kernel


def _lanczos(lobes: int) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.where(x.abs() < lobes, torch.sinc(x) * torch.sinc(x / lobes), 0)


def _matrix_of(mode: str, antialias: bool, grows: bool) -> Callable[[_Axis], Tensor]:
    match mode, antialias:
        case "area", False:
            return _area_enlarged if grows else _area
        case "bilinear", False:
            return lambda axis: _pointwise(axis, _triangle, 1)
        case "bicubic", False:
            return lambda axis: _pointwise(axis, _cubic(-0.75), 2)
        case "lanczos", False:
            return lambda axis: _pointwise(axis, _lanczos(4), 4)
        case "bilinear", True:
            return lambda axis: _widened(axis, _triangle, 1)
        case "lanczos", True:
            return lambda axis: _widened(axis, _lanczos(3), 3)
        case "matlab-bicubic", False:
            return lambda axis: _widened(axis, _cubic(-0.5), 2, mirrored=True)
        case _:
            return lambda axis: _widened(axis, _cubic(-0.5), 2)


def has_form(step: Resize) -> bool:
    """Whether a resampling can be done here."""
    return step.mode != "nearest-exact"


def resize(stack: Stack, steps: Sequence[Resize]) -> list[Tensor]:
    """`Resize` of each image."""
    grows = [
        step.height > height or step.width > width
        for step, height, width in zip(steps, stack.heights, stack.widths, strict=True)
    ]
    ways = grouped(range(len(steps)), lambda i: (steps[i].mode, steps[i].antialias, grows[i]))
    news = ([step.height for step in steps], [step.width for step in steps])
    sizes = zip((stack.heights, stack.widths), news, stack.values.shape[2:], strict=True)
    rows, columns = (_matrices(ways, old, new, canvas, stack.device) for old, new, canvas in sizes)
    channels, height = stack.values.shape[1:3]
    narrow = torch.bmm(stack.values.flatten(1, 2), columns.mT).unflatten(1, (channels, height))
    return Stack(torch.matmul(rows[:, None], narrow), tuple(news[0]), tuple(news[1])).each()


def _matrices(
    ways: Mapping[tuple[str, bool, bool], list[int]],
    old: Sequence[int],
    new: Sequence[int],
    canvas: int,
    device: torch.device,
) -> Tensor:
    """[N, most new, canvas] float32, of one axis. ways: which images are resampled how."""
    found = torch.zeros(len(new), max(new), canvas, device=device)
    for way, members in ways.items():
        part = _matrix_of(*way)(_axis([old[i] for i in members], [new[i] for i in members], canvas, device))
        if len(ways) == 1:
            return part
        found[numbers(members, device, torch.int64), : part.shape[1]] = part
    return found

"""Images of several sizes as one tensor: each in the corner of a canvas that holds the largest."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from ...eval.images.kept import to_device

S = TypeVar("S")
Border = Literal["reflect", "replicate"]  # of OpenCV: the edge pixel once, or for ever
_CANVASES, _STEP = (64, 128, 192, 256, 384, 512, 768, 1024), 512  # pixels


@dataclass(frozen=True)
class Stack:
    """values [N, C, H, W] float32; heights and widths of the images in it."""

    values: Tensor
    heights: tuple[int, ...]
    widths: tuple[int, ...]

    @property
    def device(self) -> torch.device:
        return self.values.device

    def __len__(self) -> int:
        return len(self.heights)

    @cached_property
    def inside(self) -> Tensor:
        """[N, 1, H, W]: where there is an image."""
        rows, columns = (
            torch.arange(side, device=self.device)[None] < numbers(sides, self.device, torch.int64)[:, None]
            for side, sides in ((self.values.shape[2], self.heights), (self.values.shape[3], self.widths))
        )
        return rows[:, None, :, None] & columns[:, None, None, :]

    def of(self, values: Tensor) -> "Stack":
        """Other values of the same images."""
        return Stack(values, self.heights, self.widths)

    def only(self, members: Sequence[int]) -> "Stack":
        """Some of the images, by their numbers."""
        if len(members) == len(self):
            return self
        return Stack(
            self.values[numbers(members, self.device, torch.int64)],
            tuple(self.heights[i] for i in members),
            tuple(self.widths[i] for i in members),
        )

    def each(self) -> list[Tensor]:
        """The images, [C, h, w], each a view."""
        sizes = zip(self.heights, self.widths, strict=True)
        return [self.values[i, :, :height, :width] for i, (height, width) in enumerate(sizes)]


def numbers(values: Iterable[float], device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """A number for each image, on its way to the device."""
    return to_device(torch.from_numpy(np.array(list(values))).to(dtype), device)


def per_image(values: Iterable[float], device: torch.device) -> Tensor:
    """The same as [N, 1, 1, 1]."""
    return numbers(values, device)[:, None, None, None]


def canvas_of(image: Tensor) -> int:
    """The side of the canvas for an image [C, h, w], by its own size alone: what is computed of it is the same to the
    last bit, whatever goes with it.
    """
    side = max(image.shape[1:])
    return next((each for each in _CANVASES if each >= side), -(-side // _STEP) * _STEP)


def stacked(images: Sequence[Tensor], side: int | None = None) -> Stack:
    """Images [C, h, w] on one canvas; side: of a square one, which holds the largest."""
    heights, widths = (tuple(image.shape[axis] for image in images) for axis in (1, 2))
    height, width = (max(heights), max(widths)) if side is None else (side, side)
    if set(heights) == {height} and set(widths) == {width}:
        return Stack(torch.stack(list(images)), heights, widths)
    values = images[0].new_zeros(len(images), images[0].shape[0], height, width)
    for canvas, image in zip(values, images, strict=True):
        canvas[:, : image.shape[1], : image.shape[2]] = image
    return Stack(values, heights, widths)


def picked(values: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """values [N, C, H, W] at rows [N, H'] and columns [N, W'], [N, C, H', W']."""
    count, channels = values.shape[:2]
    first = torch.arange(count, device=values.device)[:, None, None, None]
    second = torch.arange(channels, device=values.device)[None, :, None, None]
    return values[first, second, rows[:, None, :, None], columns[:, None, None, :]]


def bordered(stack: Stack, before: int, sides: tuple[int, int], borders: Sequence[Border]) -> Tensor:
    """The images with what lies around them, [N, C, *sides]: so many pixels before the first, the rest behind."""
    axes = zip(sides, (stack.heights, stack.widths), strict=True)
    rows, columns = (_places(side, before, lengths, borders, stack.device) for side, lengths in axes)
    return picked(stack.values, rows, columns)


def _places(side: int, before: int, lengths: Sequence[int], borders: Sequence[Border], device: torch.device) -> Tensor:
    """Which pixel stands at each place, [N, side]."""
    length = numbers(lengths, device, torch.int64)[:, None]
    at = (torch.arange(side, device=device) - before)[None]
    period = (2 * (length - 1)).clamp(min=1)
    there = at.remainder(period)
    mirrored = torch.minimum(there, period - there).clamp(max=length - 1)
    if "replicate" not in borders:
        return mirrored
    is_mirrored = numbers([border == "reflect" for border in borders], device, torch.bool)[:, None]
    return torch.where(is_mirrored, mirrored, torch.minimum(at.clamp(min=0), length - 1))


def grouped(items: Sequence[Any], kind: Callable[[Any], Any]) -> dict[Any, list[int]]:
    """The numbers of the items by what they are of."""
    found: dict[Any, list[int]] = {}
    for i, item in enumerate(items):
        found.setdefault(kind(item), []).append(i)
    return found


def apart(
    stack: Stack, steps: Sequence[S], kind: Callable[[S], Any], form: Callable[[Stack, Sequence[S]], Stack]
) -> list[Tensor]:
    """What a form makes of the images and their steps, those of one kind together; in the order of the images."""
    found: list[Tensor] = [stack.values] * len(steps)
    for members in grouped(steps, kind).values():
        made = form(stack.only(members), [steps[i] for i in members])
        for i, image in zip(members, made.each(), strict=True):
            found[i] = image
    return found


def levels(values: Tensor) -> Tensor:
    """[0, 1] -> whole numbers of 0 to 255 in float32, rounded and saturated as `degrade.images.pixels.to_uint8`."""
    return (values.clamp(0, 1) * 255).round()

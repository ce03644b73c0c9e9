"""Degradations of many images at once on a device: the same steps with the same numbers as `degrade.ops.render`.

Each image goes its own way, and those that wait for the same kind of step take it together. What several images have in
common, as the members of a group have, is done once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...degrade.ops.blur import Blur
from ...degrade.ops.codecs import Jpeg
from ...degrade.ops.gaussian import GaussianNoise, SpeckleNoise
from ...degrade.ops.poisson import PoissonNoise
from ...degrade.ops.resize import Resize
from ...degrade.ops.step import Degradation, Memory, Site, Step
from ...degrade.ops.unsharp import UnsharpMask
from . import blurs, jpegs, noises, resizes
from .images import Stack, canvas_of, grouped, stacked


@dataclass(frozen=True)
class _Form:
    """How steps of a kind are done to a stack, a step an image; covers: those that can be."""

    apply: Callable[[Stack, Sequence[Any]], list[Tensor]]
    covers: Callable[[Any], bool] = lambda _: True


_FORMS: Mapping[type[Step], _Form] = {
    Blur: _Form(blurs.blur),
    Resize: _Form(resizes.resize, resizes.has_form),
    GaussianNoise: _Form(noises.gaussian),
    SpeckleNoise: _Form(noises.speckle),
    PoissonNoise: _Form(noises.poisson, noises.has_form),
    Jpeg: _Form(jpegs.jpeg, jpegs.has_form),
    UnsharpMask: _Form(blurs.unsharp_mask),
}


def has_form(step: Step) -> bool:
    """Whether a step is done on the device; the host does the others, one by one, and waits for it."""
    form = _FORMS.get(type(step))
    return form is not None and form.covers(step)


@dataclass
class _Waiting:
    """An image that waits for a step, and which of the degradations go that way, with what is left of each."""

    image: Tensor
    step: Step
    rest: list[tuple[int, Degradation]]


class _Forest:
    """What is still to be done, and what is done: images by the numbers of the degradations."""

    def __init__(self) -> None:
        self.done: dict[int, Tensor] = {}
        self.waiting: dict[type[Step] | None, list[_Waiting]] = {}

    def add(self, image: Tensor, ways: Sequence[tuple[int, Degradation]]) -> None:
        """An image, and what is to become of it."""
        found: dict[Step, _Waiting] = {}
        for number, steps in ways:
            if not steps:
                self.done[number] = image
                continue
            kept = found.get(steps[0])
            if kept is None:
                kept = found[steps[0]] = _Waiting(image, steps[0], [])
                kind = type(steps[0]) if has_form(steps[0]) else None
                self.waiting.setdefault(kind, []).append(kept)
            kept.rest.append((number, steps[1:]))


def render_all(images: Sequence[Tensor], degradations: Sequence[Sequence[Degradation]]) -> list[list[Tensor]]:
    """Images [3, H, W] float32 in [0, 1] on a device -> of each, [3, h, w] for each of its degradations.

    The kind of step that most wait for is done first, so that many are done at once.
    """
    forest, first = _Forest(), 0
    for image, ways in zip(images, degradations, strict=True):
        forest.add(image, list(enumerate(ways, first)))
        first += len(ways)
    while forest.waiting:
        kind = max(forest.waiting, key=lambda kind: len(forest.waiting[kind]))
        taken = forest.waiting.pop(kind)
        for some in [[each] for each in taken] if kind is None else _alike(taken):
            made = [_on_host(some[0])] if kind is None else _together(kind, some)
            for each, image in zip(some, made, strict=True):
                forest.add(image, each.rest)
    found = iter(range(first))
    return [[forest.done[next(found)] for _ in ways] for ways in degradations]


def _alike(taken: Sequence[_Waiting]) -> list[list[_Waiting]]:
    """Those whose images go on canvases of one size."""
    return [[taken[i] for i in members] for members in grouped(taken, lambda each: canvas_of(each.image)).values()]


def _together(kind: type[Step], taken: Sequence[_Waiting]) -> list[Tensor]:
    side = canvas_of(taken[0].image)
    return _FORMS[kind].apply(stacked([each.image for each in taken], side), [each.step for each in taken])


def _on_host(waiting: _Waiting) -> Tensor:
    image = waiting.image.movedim(0, -1).contiguous().cpu().numpy()
    made = waiting.step.apply(Site(image, Memory(), None))
    return torch.from_numpy(np.require(made, requirements=["C", "W"])).to(waiting.image.device).movedim(-1, 0)

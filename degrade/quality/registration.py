"""Whether LR lies where HR does: where each LR pixel was taken from, read off a picture of coordinates.

Blurs and resizes are linear, so what they do to places does not depend on the picture. Rendered on an image whose
pixels are their own coordinates, a chain gives for each LR pixel the place that it came from, without the noise that
any comparison of two photographs would have.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..images.pixels import F32
from ..ops.step import Degradation
from .group_order import twin

_MIDDLE = 0.5  # the share of each side that counts: nearer the border, what is reflected there bends the coordinates


@dataclass(frozen=True)
class Registration:
    """shift_y, shift_x: mean displacement. drift: what is added to it towards the edges, at half a side.

    error: mean distance over the whole image, of the affine map that fits the displacements. All in HR pixels.
    """

    shift_y: float
    shift_x: float
    drift: float
    error: float


def of_places(steps: Degradation) -> Degradation:
    """The steps of a degradation that a picture of coordinates can go through: without noise and codecs, and without
    what changes tones or mixes channels, which moves nothing.
    """
    return tuple(step for step in twin(steps) if step.keeps_tones)


def coordinates(side_px: int) -> F32:
    """[side, side, 3] float32: the centre of each pixel, y and x, from 0 to 1; the third channel is 0."""
    centre = (np.arange(side_px, dtype=np.float32) + np.float32(0.5)) / np.float32(side_px)
    y, x = np.meshgrid(centre, centre, indexing="ij")
    return np.stack([y, x, np.zeros_like(x)], axis=-1)


def registration(chain: Callable[[F32], F32], hr_size_px: int) -> Registration:
    """Of a chain of linear steps from [hr_size_px, hr_size_px, 3] to any square size."""
    found = chain(coordinates(hr_size_px))
    size = len(found)
    ideal = coordinates(size)[..., :2].astype(np.float64)
    displaced = (found[..., :2].astype(np.float64) - ideal) * hr_size_px
    margin = int(size * (1 - _MIDDLE) / 2)
    middle = (slice(margin, size - margin),) * 2
    places = ideal[middle].reshape(-1, 2) - 0.5
    known = np.column_stack([np.ones(len(places)), places])
    affine, *_ = np.linalg.lstsq(known, displaced[middle].reshape(-1, 2), rcond=None)
    everywhere = ideal.reshape(-1, 2) - 0.5
    fitted = np.column_stack([np.ones(len(everywhere)), everywhere]) @ affine
    return Registration(
        shift_y=float(affine[0, 0]),
        shift_x=float(affine[0, 1]),
        drift=float(np.abs(affine[1:]).max() / 2),
        error=float(np.hypot(fitted[:, 0], fitted[:, 1]).mean()),
    )

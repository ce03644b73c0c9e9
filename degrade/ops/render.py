"""Renders degradations: the same pixels and steps give the same bytes, in any process and any order.

The members of a group are rendered together, as a tree: what they have in common is done once, which changes
no bit of any of them.
"""

from collections.abc import Sequence

from ..images.pixels import F32, U8, to_float, to_uint8
from .step import Degradation, Memory, NoiseSource, Site, Step


def _by_first_step(degradations: Sequence[Degradation]) -> dict[Step, list[int]]:
    """Which of them begin with which step."""
    found: dict[Step, list[int]] = {}
    for i, degradation in enumerate(degradations):
        if degradation:
            found.setdefault(degradation[0], []).append(i)
    return found


def _render(image: F32, degradations: Sequence[Degradation], shared: Memory, bank: NoiseSource | None) -> list[F32]:
    rendered = [image] * len(degradations)
    site = Site(image, shared, bank)
    for step, members in _by_first_step(degradations).items():
        rest = [degradations[i][1:] for i in members]
        for i, result in zip(members, _render(step.apply(site), rest, shared, bank), strict=True):
            rendered[i] = result
    return rendered


def render_all(image: F32, degradations: Sequence[Degradation], *, bank: NoiseSource | None = None) -> list[F32]:
    """[H, W, 3] float32 RGB in [0, 1] -> [h, w, 3] float32 for each degradation; not to be written to.

    bank: where `BankNoise` steps take their noise from.

    Raises:
        UserError: a step wants noise from a bank that is not given, or that its patches do not hold.
    """
    return _render(image, degradations, Memory(), bank)


def apply_all(pixels: U8, degradations: Sequence[Degradation], *, bank: NoiseSource | None = None) -> list[U8]:
    """`render_all` from pixels to pixels: [H, W, 3] uint8 RGB -> [h, w, 3] uint8, rounded once, at the end."""
    return [to_uint8(image) for image in render_all(to_float(pixels), degradations, bank=bank)]


def apply(pixels: U8, degradation: Degradation, *, bank: NoiseSource | None = None) -> U8:
    """`apply_all` for one degradation."""
    return apply_all(pixels, [degradation], bank=bank)[0]

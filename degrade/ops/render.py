"""Renders degradations: the same pixels and steps give the same bytes, in any process and any order.

The members of a group are rendered together, as a tree: what they have in common is done once, which changes
no bit of any of them.
"""

from collections.abc import Sequence

from ..images.pixels import F32, U8, to_float, to_uint8
from .step import Degradation, Memory, NoiseSource, Site, Step


class _Node:
    """A step of some degradations that begin alike. left: how many of them are still to be rendered."""

    def __init__(self, before: "_Node | None", step: Step | None) -> None:
        self.before, self.step = before, step
        self.after: dict[Step, _Node] = {}
        self.left = 0
        self.site: Site | None = None


class Rendering:
    """Degradations of an image [H, W, 3] float32 RGB in [0, 1], each rendered when it is asked for, once.

    bank: where `BankNoise` steps take their noise from.
    """

    def __init__(self, image: F32, degradations: Sequence[Degradation], *, bank: NoiseSource | None = None) -> None:
        self._shared, self._bank = Memory(), bank
        first = _Node(None, None)
        first.site = Site(image, self._shared, bank)
        self._ends: list[_Node] = []
        for degradation in degradations:
            node = first
            node.left += 1
            for step in degradation:
                if step not in node.after:
                    node.after[step] = _Node(node, step)
                node = node.after[step]
                node.left += 1
            self._ends.append(node)

    def image(self, number: int) -> F32:
        """[h, w, 3] float32, not to be written to; raises as `render_all`."""
        found = self._site(self._ends[number]).image
        node: _Node | None = self._ends[number]
        while node is not None:
            node.left -= 1
            if not node.left:
                node.site = None  # nobody else needs it
            node = node.before
        return found

    def _site(self, node: _Node) -> Site:
        if node.site is None:
            assert node.before is not None and node.step is not None
            node.site = Site(node.step.apply(self._site(node.before)), self._shared, self._bank)
        return node.site


def render_all(image: F32, degradations: Sequence[Degradation], *, bank: NoiseSource | None = None) -> list[F32]:
    """[H, W, 3] float32 RGB in [0, 1] -> [h, w, 3] float32 for each degradation; not to be written to.

    bank: where `BankNoise` steps take their noise from.

    Raises:
        UserError: a step wants noise from a bank that is not given, or that its patches do not hold.
    """
    rendering = Rendering(image, degradations, bank=bank)
    return [rendering.image(number) for number in range(len(degradations))]


def apply_all(pixels: U8, degradations: Sequence[Degradation], *, bank: NoiseSource | None = None) -> list[U8]:
    """`render_all` from pixels to pixels: [H, W, 3] uint8 RGB -> [h, w, 3] uint8, rounded once, at the end."""
    return [to_uint8(image) for image in render_all(to_float(pixels), degradations, bank=bank)]


def apply(pixels: U8, degradation: Degradation, *, bank: NoiseSource | None = None) -> U8:
    """`apply_all` for one degradation."""
    return apply_all(pixels, [degradation], bank=bank)[0]

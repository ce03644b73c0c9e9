"""Renders degradations: the same pixels and steps give the same bytes, in any process and any order.

The members of a group are rendered together, as a tree: what they have in common is done once, which changes
no bit of any of them.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import numpy as np

from ..errors import UserError
from ..images.pixels import F32, U8, to_float, to_uint8
from . import blur, codecs, noise, resize
from .steps import (
    AnyStep,
    BankNoise,
    Blur,
    Degradation,
    GaussianNoise,
    Jpeg,
    NoiseSource,
    PoissonNoise,
    Resize,
    SpeckleNoise,
    UnsharpMask,
    Webp,
)

V = TypeVar("V")


class _Memory:
    """Values by what they were made from."""

    def __init__(self) -> None:
        self._values: dict[Hashable, object] = {}

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        if key not in self._values:
            self._values[key] = make()
        return self._values[key]  # pyright: ignore[reportReturnType]


class _Node:
    """An image on the way, and what several next steps of it share: its spectra and its photon noise.

    fields: the random fields, which are those of the whole tree.
    """

    def __init__(self, image: F32, fields: _Memory, bank: NoiseSource | None) -> None:
        self._image, self._fields, self._bank = image, fields, bank
        self._own = _Memory()

    def after(self, step: AnyStep) -> F32:
        """The image after one more step."""
        image = self._image
        match step:
            case Blur():
                return blur.blur(image, step.kernel, border=step.border, of=lambda r: self._spectrum(r, step.border))
            case Resize():
                return resize.resize(image, step.height, step.width, step.mode, antialias=step.antialias)
            case GaussianNoise():
                return noise.add(image, noise.gaussian(step.sigma_255, self._normal(step), step.mixing))
            case SpeckleNoise():
                speckles = noise.gaussian(step.sigma_255, self._normal(step), step.mixing)
                return noise.add(image, np.clip(image, 0, 1) * speckles)
            case PoissonNoise():
                return noise.add(image, np.float32(step.scale) * self._photons(step))
            case BankNoise():
                return noise.add(image, np.float32(step.strength) * self._bank_noise(step))
            case Jpeg():
                return codecs.jpeg(image, step.quality, sampling=step.sampling)
            case Webp():
                return codecs.webp(image, step.quality)
            case UnsharpMask():
                return blur.unsharp_mask(
                    image, radius=step.radius, weight=step.weight, threshold_255=step.threshold_255
                )

    def _spectrum(self, radius: int, border: blur.Border) -> blur.Spectrum:
        return self._own.get((radius, border), lambda: blur.spectrum(self._image, radius, border))

    def _normal(self, step: GaussianNoise | SpeckleNoise) -> F32:
        height, width = self._image.shape[:2]
        return self._fields.get(
            ("normal", step.field, height, width, step.grey),
            lambda: noise.normal_field(int(step.field, 16), height, width, grey=step.grey),
        )

    def _photons(self, step: PoissonNoise) -> F32:
        """Photon noise of scale 1."""
        height, width = self._image.shape[:2]
        key = int(step.field, 16)

        def make() -> F32:
            if step.peak is not None:
                return noise.photons(self._image, step.peak, key, grey=step.grey)
            field = self._fields.get(
                ("uniform", step.field, height, width, step.grey),
                lambda: noise.uniform_field(key, height, width, grey=step.grey),
            )
            return noise.poisson(self._image, field)

        return self._own.get((step.field, step.grey, step.peak), make)

    def _bank_noise(self, step: BankNoise) -> F32:
        bank = self._bank
        if bank is None or bank.digest != step.bank:
            have = f"bank {bank.digest[:16]} is given" if bank else "no bank is given"
            raise UserError(f"a step takes noise from bank {step.bank[:16]}, and {have}; name that bank")
        return bank.crop(step.patch, step.y, step.x, *self._image.shape[:2])


def _by_first_step(degradations: Sequence[Degradation]) -> dict[AnyStep, list[int]]:
    """Which of them begin with which step."""
    found: dict[AnyStep, list[int]] = {}
    for i, degradation in enumerate(degradations):
        if degradation:
            found.setdefault(degradation[0], []).append(i)
    return found


def _render(image: F32, degradations: Sequence[Degradation], fields: _Memory, bank: NoiseSource | None) -> list[F32]:
    rendered = [image] * len(degradations)
    node = _Node(image, fields, bank)
    for step, members in _by_first_step(degradations).items():
        rest = [degradations[i][1:] for i in members]
        for i, result in zip(members, _render(node.after(step), rest, fields, bank), strict=True):
            rendered[i] = result
    return rendered


def render_all(image: F32, degradations: Sequence[Degradation], *, bank: NoiseSource | None = None) -> list[F32]:
    """[H, W, 3] float32 RGB in [0, 1] -> [h, w, 3] float32 for each degradation; not to be written to.

    bank: where `BankNoise` steps take their noise from.

    Raises:
        UserError: a step wants noise from a bank that is not given, or that its patches do not hold.
    """
    return _render(image, degradations, _Memory(), bank)


def apply_all(pixels: U8, degradations: Sequence[Degradation], *, bank: NoiseSource | None = None) -> list[U8]:
    """`render_all` from pixels to pixels: [H, W, 3] uint8 RGB -> [h, w, 3] uint8, rounded once, at the end."""
    return [to_uint8(image) for image in render_all(to_float(pixels), degradations, bank=bank)]


def apply(pixels: U8, degradation: Degradation, *, bank: NoiseSource | None = None) -> U8:
    """`apply_all` for one degradation."""
    return apply_all(pixels, [degradation], bank=bank)[0]

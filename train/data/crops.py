"""The crops and turns of a training: HR and LR cut in one place, mirrored and turned alike."""

from dataclasses import dataclass

import numpy as np

from ...degrade.images.pixels import U8


@dataclass(frozen=True)
class Turn:
    """What is done to images, in this order."""

    mirrored: bool
    upside_down: bool
    swapped: bool

    def of(self, image: U8) -> U8:
        """Of images [..., h, w, 3]."""
        image = image[..., ::-1, :] if self.mirrored else image
        image = image[..., ::-1, :, :] if self.upside_down else image
        return image.swapaxes(-3, -2) if self.swapped else image


def drawn_turn(rng: np.random.Generator, *, use_rot90: bool) -> Turn:
    """Half of the times images are mirrored; use_rot90: also half of them upside down, and half with the axes
    swapped."""
    mirrored = rng.random() < 0.5
    upside_down, swapped = (use_rot90 and rng.random() < 0.5 for _ in range(2))
    return Turn(mirrored, upside_down, swapped)


def drawn_place(side: int, patch_px: int, rng: np.random.Generator) -> tuple[int, int]:
    """Top and left of a square of patch_px in an LR of that side."""
    y, x = rng.integers(0, side - patch_px + 1, size=2).tolist()
    return y, x


def drawn_crop(hr: U8, lr: U8, patch_px: int, rng: np.random.Generator) -> tuple[U8, U8]:
    """A square of LR [members, h, h, 3], patch_px to a side, and the same place of HR [H, H, 3]."""
    side = lr.shape[-2]
    scale = hr.shape[0] // side
    y, x = drawn_place(side, patch_px, rng)
    place = hr[y * scale : (y + patch_px) * scale, x * scale : (x + patch_px) * scale]
    return place, lr[..., y : y + patch_px, x : x + patch_px, :]

"""Noise of a bank, added (RWSR-EDL Eq. 11)."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ..errors import UserError
from ..images.pixels import F32
from .fields import add
from .step import Site, Step


class BankNoise(Step):
    """Noise from a bank added, and the sum clamped to [0, 1] (RWSR-EDL Eq. 11)."""

    is_noise: ClassVar[bool] = True
    op: Literal["bank"] = "bank"
    bank: str
    """Digest of the bank."""
    patch: Annotated[int, Field(ge=0)]
    """Number of the patch in it;."""
    y: Annotated[int, Field(ge=0)]
    """Top of the piece in the patch, in pixels."""
    x: Annotated[int, Field(ge=0)]
    """Left of the piece in the patch, in pixels."""
    strength: Annotated[float, Field(ge=0)] = 1.0
    """What the noise is multiplied by; 1 is as it was found."""

    def apply(self, at: Site) -> F32:
        bank = at.bank
        if bank is None or bank.digest != self.bank:
            have = f"bank {bank.digest[:16]} is given" if bank else "no bank is given"
            raise UserError(f"a step takes noise from bank {self.bank[:16]}, and {have}; name that bank")
        noise = bank.crop(self.patch, self.y, self.x, *at.image.shape[:2])
        return add(at.image, np.float32(self.strength) * noise)

    @property
    def text(self) -> str:
        return f"bank patch {self.patch} at {self.x}, {self.y}"

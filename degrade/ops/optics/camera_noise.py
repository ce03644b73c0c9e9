"""Camera noise: of a sensor with one colour a pixel, before the other two are made up (demosaicing)."""

from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from ...images.pixels import F32
from ..fields import normal_field
from ..step import Site, Step

_GAMMA, _TOP = 2.2, 65535


class CameraNoise(Step):
    """The image as light (gamma 2.2), a mosaic of RGGB of it, photon and read noise on that, made whole by OpenCV's
    bilinear demosaicing, and encoded again: noise that is coarse, coloured and stronger in the shadows.
    """

    is_noise: ClassVar[bool] = True
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"shot": 0.002, "read": 0.002, "field": "1"},
        {"shot": 0.02, "read": 0.01, "field": "1"},
    )
    op: Literal["camera-noise"] = "camera-noise"
    shot: Annotated[float, Field(ge=0, le=1)]
    """Variance of photon noise / light, at white 1."""
    read: Annotated[float, Field(ge=0, le=1)]
    """Standard deviation of read noise, white being 1."""
    field: str
    """Key of the random field, hexadecimal."""

    def apply(self, at: Site) -> F32:
        height, width = at.image.shape[:2]
        light = np.clip(at.image, 0, 1) ** np.float32(_GAMMA)
        mosaic = np.empty((height, width), dtype=np.float32)
        for y, x, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
            mosaic[y::2, x::2] = light[y::2, x::2, channel]
        normal = at.shared.get(
            ("normal", self.field, height, width, True),
            lambda: normal_field(int(self.field, 16), height, width, gray=True),
        )[..., 0]
        noisy = mosaic + normal * np.sqrt(np.float32(self.shot) * mosaic + np.float32(self.read**2))
        raw = np.rint(np.clip(noisy, 0, 1) * _TOP).astype(np.uint16)
        whole = cv2.cvtColor(raw, cv2.COLOR_BayerBG2BGR)[..., ::-1]  # OpenCV's BG is RGGB
        return np.asarray((whole.astype(np.float32) / _TOP) ** np.float32(1 / _GAMMA), dtype=np.float32)

    @property
    def text(self) -> str:
        return f"camera {self.shot:.3f}, {self.read:.3f}"

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"photon noise of a camera (variance)": self.shot, "read noise of a camera": self.read}

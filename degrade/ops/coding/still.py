"""AVIF and JPEG XL, the real ones, by Pillow and its plug-in: through 8 bits and a file, and back."""

import io
from typing import Any, ClassVar, Literal

import numpy as np
from PIL import Image

from ...errors import UserError
from ...images.formats.photos import openers
from ...images.pixels import F32, to_float, to_uint8
from ..codecs import Quality
from ..step import Site, Step

_FORMATS = {"avif": "AVIF", "jxl": "JPEG XL"}


def _through(image: F32, suffix: Literal["avif", "jxl"], **options: Any) -> F32:
    opener = openers().get(_FORMATS[suffix])
    if opener is None:
        raise UserError(f"{_FORMATS[suffix]} needs its decoder: pip install 'rwsr[photos]'")
    file = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(file, "AVIF" if suffix == "avif" else "JXL", **options)
    file.seek(0)
    return to_float(np.array(opener(file).convert("RGB"), dtype=np.uint8))


class Avif(Step):
    """Coded and decoded as AVIF (4:2:0), on one thread; quality 1 to 100."""

    is_noise: ClassVar[bool] = True
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({"quality": 60}, {"quality": 15})
    op: Literal["avif"] = "avif"
    quality: Quality
    """1 to 100."""

    def apply(self, at: Site) -> F32:
        return _through(at.image, "avif", quality=self.quality, subsampling="4:2:0", speed=8, max_threads=1)

    @property
    def text(self) -> str:
        return f"AVIF {self.quality}"

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"AVIF quality": self.quality}


class JpegXl(Step):
    """Coded and decoded as lossy JPEG XL; quality 1 to 100."""

    is_noise: ClassVar[bool] = True
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({"quality": 70}, {"quality": 10})
    op: Literal["jpeg-xl"] = "jpeg-xl"
    quality: Quality
    """1 to 100."""

    def apply(self, at: Site) -> F32:
        return _through(at.image, "jxl", quality=self.quality, lossless=False, effort=3, lossless_jpeg=False)

    @property
    def text(self) -> str:
        return f"JPEG XL {self.quality}"

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"JPEG XL quality": self.quality}

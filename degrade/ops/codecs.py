"""Lossy codecs, the real ones: JPEG by libjpeg-turbo and WebP by libwebp, through 8 bits and a file, and back."""

from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
import simplejpeg
from pydantic import Field

from ..images.pixels import F32, U8, to_float, to_uint8
from .step import Site, Step

JpegSampling = Literal["444", "440", "422", "420", "411"]
Quality = Annotated[int, Field(ge=1, le=100)]


_SAMPLINGS: dict[JpegSampling, int] = {
    "444": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "440": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440,
    "422": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "420": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    "411": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
}


def _encoded(image: F32, suffix: str, options: list[int]) -> U8:
    done, data = cv2.imencode(suffix, cv2.cvtColor(to_uint8(image), cv2.COLOR_RGB2BGR), options)
    assert done
    return np.asarray(data, dtype=np.uint8)


def jpeg(image: F32, quality: int, *, sampling: JpegSampling = "420") -> F32:
    """The image through libjpeg-turbo at a quality in 1..100: exact integer DCT, smooth chroma upsampling.

    OpenCV encodes (simplejpeg's encoder has the fast, inexact DCT only), simplejpeg decodes (to RGB at once).
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _SAMPLINGS[sampling]]
    data = _encoded(image, ".jpg", options)
    return to_float(simplejpeg.decode_jpeg(data, colorspace="RGB", fastdct=False, fastupsample=False))


def webp(image: F32, quality: int) -> F32:
    """The image through libwebp, lossy, at a quality in 1..100 (its chroma is always 4:2:0)."""
    decoded = cv2.imdecode(_encoded(image, ".webp", [cv2.IMWRITE_WEBP_QUALITY, quality]), cv2.IMREAD_COLOR)
    assert decoded is not None
    return to_float(np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8))


class Jpeg(Step):
    """Coded and decoded as JPEG by libjpeg-turbo; quality 1 to 100, sampling of the chroma."""

    is_noise: ClassVar[bool] = True
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({"quality": 60}, {"quality": 15})
    op: Literal["jpeg"] = "jpeg"
    quality: Quality
    """1 to 100."""
    sampling: JpegSampling = "420"
    """Of the chroma."""

    def apply(self, at: Site) -> F32:
        return jpeg(at.image, self.quality, sampling=self.sampling)

    @property
    def text(self) -> str:
        return f"JPEG {self.quality}"

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"JPEG quality": self.quality}


class Webp(Step):
    """Coded and decoded as lossy WebP; quality 1 to 100."""

    is_noise: ClassVar[bool] = True
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({"quality": 60}, {"quality": 10})
    op: Literal["webp"] = "webp"
    quality: Quality
    """1 to 100."""

    def apply(self, at: Site) -> F32:
        return webp(at.image, self.quality)

    @property
    def text(self) -> str:
        return f"WebP {self.quality}"

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {"WebP quality": self.quality}

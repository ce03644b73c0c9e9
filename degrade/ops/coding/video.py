"""Video codecs, the real ones, by PyAV (FFmpeg): the image as the first frame of a film, and back."""

import os
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ...errors import UserError
from ...images.pixels import F32, to_float, to_uint8
from ..step import Site, Step

_CODERS: dict[str, tuple[str, str, dict[str, str]]] = {  # what codes, what decodes, and how: one thread, the same bytes
    "h264": ("libx264", "h264", {"preset": "medium", "threads": "1"}),
    "hevc": ("libx265", "hevc", {"preset": "medium", "x265-params": "log-level=none:pools=1:frame-threads=1"}),
    "vp9": ("libvpx-vp9", "vp9", {"b:v": "0", "threads": "1"}),
    "av1": ("libsvtav1", "libdav1d", {"preset": "8"}),
}
_MOST_CRF = {"h264": 51, "hevc": 51}
_LEAST_PX = 64  # what SVT-AV1 takes


def _av() -> Any:
    os.environ.setdefault("SVT_LOG", "0")
    try:
        import av  # pyright: ignore
    except ImportError:
        raise UserError("video codecs need a package: pip install 'rwsr[video]'") from None
    return av


def through_video(image: F32, codec: str, crf: int) -> F32:
    """[h, w, 3] in [0, 1] coded at a constant rate factor as one key frame of 4:2:0, and decoded.

    Sides are continued by their last pixels to even ones of 64 at least, and cut again.
    """
    av = _av()
    coder, decoder, options = _CODERS[codec]
    height, width = image.shape[:2]
    below, right = (max(side + side % 2, _LEAST_PX) - side for side in (height, width))
    pixels = np.pad(to_uint8(image), ((0, below), (0, right), (0, 0)), mode="edge")
    context = av.CodecContext.create(coder, "w")
    context.width, context.height, context.pix_fmt = pixels.shape[1], pixels.shape[0], "yuv420p"
    context.time_base, context.options = Fraction(1, 25), {"crf": str(crf), **options}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(format="yuv420p")
    frame.pts, frame.time_base = 0, context.time_base
    packets = [*context.encode(frame), *context.encode(None)]
    reader = av.CodecContext.create(decoder, "r")
    frames = [each for packet in packets for each in reader.decode(packet)] + list(reader.decode(None))
    return to_float(np.ascontiguousarray(frames[0].to_ndarray(format="rgb24")[:height, :width]))


class Video(Step):
    """Coded and decoded as a key frame of H.264, HEVC, VP9 or AV1."""

    is_noise: ClassVar[bool] = True
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"codec": "h264", "crf": 32},
        {"codec": "hevc", "crf": 38},
        {"codec": "vp9", "crf": 55},
        {"codec": "av1", "crf": 55},
    )
    op: Literal["video"] = "video"
    codec: Literal["h264", "hevc", "vp9", "av1"]
    """Which."""
    crf: Annotated[int, Field(ge=0, le=63)]
    """Constant rate factor: the higher, the worse; H.264's and HEVC's end at 51."""

    @model_validator(mode="after")
    def _as_it_ends(self) -> Self:
        most = _MOST_CRF.get(self.codec, 63)
        if self.crf > most:
            raise ValueError(f"crf = {self.crf} is more than {self.codec} has; use {most} at most")
        return self

    def apply(self, at: Site) -> F32:
        return through_video(at.image, self.codec, self.crf)

    @property
    def text(self) -> str:
        return f"{self.codec} crf {self.crf}"

    @property
    def family(self) -> str:
        return self.codec

    def parameters(self, hr_px: int) -> dict[str, float]:
        return {f"{self.codec} crf": self.crf}

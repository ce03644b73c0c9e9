"""The recipes by file, each with its presets."""

from . import bicubic, bsrgan, chain, corruptions, cugan, mm_realsr, real_esrgan, rwsr_edl
from .base import Preset

PRESETS: dict[str, Preset] = (
    real_esrgan.PRESETS
    | bsrgan.PRESETS
    | mm_realsr.PRESETS
    | cugan.PRESETS
    | rwsr_edl.PRESETS
    | bicubic.PRESETS
    | chain.PRESETS
    | corruptions.PRESETS
)

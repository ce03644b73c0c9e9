"""The steps of a degradation, each with its arithmetic."""

from .bank_noise import BankNoise
from .blur import Blur
from .codecs import Jpeg, Webp
from .coding.chroma import Chroma
from .coding.still import Avif, JpegXl
from .coding.video import Video
from .drawing.dither import Dither
from .drawing.halo import Halo
from .drawing.levels import Levels
from .drawing.pixelate import Pixelate
from .drawing.screentone import Screentone
from .gaussian import GaussianNoise, SpeckleNoise
from .optics.camera_noise import CameraNoise
from .optics.impulse_noise import ImpulseNoise
from .optics.lens_blur import LensBlur
from .optics.median_blur import MedianBlur
from .optics.motion_blur import MotionBlur
from .poisson import PoissonNoise
from .resize import Resize
from .step import Step
from .unsharp import UnsharpMask

OPS: tuple[type[Step], ...] = (
    Blur,
    Resize,
    GaussianNoise,
    SpeckleNoise,
    PoissonNoise,
    Jpeg,
    Webp,
    UnsharpMask,
    BankNoise,
)

CHAIN_OPS: tuple[type[Step], ...] = (  # of chains, beside those that the papers' recipes draw
    *OPS,
    MotionBlur,
    LensBlur,
    MedianBlur,
    CameraNoise,
    ImpulseNoise,
    Avif,
    JpegXl,
    Video,
    Chroma,
    Halo,
    Pixelate,
    Levels,
    Screentone,
    Dither,
)

"""The steps of a degradation, each with its arithmetic."""

from .bank_noise import BankNoise
from .blur import Blur
from .codecs import Jpeg, Webp
from .gaussian import GaussianNoise, SpeckleNoise
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

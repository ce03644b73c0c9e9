"""Pairs of RWSR-EDL: the source made smaller is the HR, the HR made smaller plus noise of a bank is the LR."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from .. import seeds
from ..ops import OPS
from ..ops.bank_noise import BankNoise
from ..ops.optics.estimated_kernel import EstimatedKernel
from ..ops.resize import Resize, ResizeMode
from ..ops.step import Degradation, NoiseSource, Step
from . import draws
from .base import Chance, Drawn, Preset, Recipe, Scale


def _numbers(value: object) -> object:
    """A text of numbers, which is one value of a file however many they are."""
    if not isinstance(value, str):
        return value
    try:
        return tuple(map(float, value.split()))
    except ValueError:
        raise ValueError(f"{value[:60]!r} is no list of numbers; write 0.25 0.5 0.25") from None


Taps = Annotated[
    tuple[float, ...], Field(min_length=1), BeforeValidator(_numbers, json_schema_input_type=str | list[float])
]


class NoiseInjection(Recipe):
    """Pairs of RWSR-EDL: the source made smaller is the HR, the HR made smaller plus noise of a bank is the LR."""

    kind: Literal["noise-injection"] = "noise-injection"
    scale: Scale = 4
    """HR size / LR size."""
    clean_downscale: Scale = 2
    """Source size / HR size; it takes the source's own noise out (Eq. 9)."""
    resize: ResizeMode = "matlab-bicubic"
    """Of both."""
    strength: Annotated[float, Field(ge=0)] = 1
    """Multiple of the bank's noise (1 is as it was found); 0 leaves LR without noise and wants no bank, for a training
    that draws new noise in each epoch.
    """

    @property
    def crop_per_hr(self) -> int:
        return self.clean_downscale

    def of_clean(self) -> Recipe:
        """HR of clean sources is the source as it is: the `target` images of the published data preparation."""
        return self.model_copy(update={"clean_downscale": 1})

    @property
    def wants_bank(self) -> bool:
        return self.strength > 0

    def draw(self, hr_px: int, chance: Chance, bank: NoiseSource | None) -> Drawn:
        """RWSR-EDL Eq. 9 to 11: HR by the clean-up; LR by resizing, and a piece of a patch of the bank added."""
        lr_px, hr = hr_px // self.scale, _cleaned(hr_px, self.clean_downscale, self.resize)
        smaller = Resize(height=lr_px, width=lr_px, mode=self.resize)
        if bank is None or not self.wants_bank:
            return Drawn({"lr": (smaller,)}, hr)
        return Drawn({"lr": (smaller, _noise_of(bank, chance, lr_px, self.strength))}, hr)


class KernelInjection(Recipe):
    """Pairs of Impressionism's second track (Ji et al. 2020): as RWSR-EDL's, but HR is made smaller by kernels that
    were estimated of photographs of the camera, one an image.
    """

    ops: ClassVar[tuple[type[Step], ...]] = (*OPS, EstimatedKernel)

    kind: Literal["kernel-injection"] = "kernel-injection"
    scale: Literal[2, 4] = 4
    """HR size / LR size."""
    clean_downscale: Scale = 2
    """Source size / HR size; it takes the source's own noise out."""
    resize: ResizeMode = "matlab-bicubic"
    """Of the source."""
    kernels: Annotated[tuple[Taps, ...], Field(min_length=1)]
    """Of scale 2, each row by row, numbers or a text of them as `rwsr train kernels` writes; an image has one of them
    in all its samples.
    """
    strength: Annotated[float, Field(ge=0)] = 1
    """Multiple of the bank's noise; 0 leaves LR without noise and wants no bank."""

    @property
    def crop_per_hr(self) -> int:
        return self.clean_downscale

    @property
    def wants_bank(self) -> bool:
        return self.strength > 0

    def draw(self, hr_px: int, chance: Chance, bank: NoiseSource | None) -> Drawn:
        """As RWSR-EDL's, LR by the kernel of the image."""
        lr_px, hr = hr_px // self.scale, _cleaned(hr_px, self.clean_downscale, self.resize)
        source, *_ = chance.identity
        number = int(seeds.stream(chance.seed, "kernel", source).integers(len(self.kernels)))
        smaller = EstimatedKernel(taps=self.kernels[number], factor=self.scale)
        noise = () if bank is None or not self.wants_bank else (_noise_of(bank, chance, lr_px, self.strength),)
        return Drawn({"lr": (smaller, *noise)}, hr)


def _cleaned(hr_px: int, times: int, mode: ResizeMode) -> Degradation:
    """The steps from a source to HR, so many times smaller."""
    return (Resize(height=hr_px, width=hr_px, mode=mode),) if times > 1 else ()


def _noise_of(bank: NoiseSource, chance: Chance, lr_px: int, strength: float) -> BankNoise:
    """A piece of a patch of a bank."""
    rng = chance.stream("sample")
    patch = draws.whole(rng, 0, bank.num_patches - 1)
    y, x = (draws.whole(rng, 0, bank.size_px - lr_px) for _ in range(2))
    return BankNoise(bank=bank.digest, patch=patch, y=y, x=x, strength=strength)


PRESETS = {
    "rwsr-edl": Preset(
        NoiseInjection(scale=4, clean_downscale=2),
        256,
        "RWSR-EDL's noise-injected pairs: the source halved is the HR, a quarter of it plus bank noise the LR.",
    ),
    "rwsr-edl-noisefree": Preset(
        NoiseInjection(scale=4, clean_downscale=2, strength=0),
        256,
        "The same pairs without noise, for a training that injects a bank's noise anew in each step, as published.",
    ),
}

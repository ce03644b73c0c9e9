"""A degradation as data: frozen steps that can be stored in a table and applied again, bit for bit."""

from collections.abc import Sequence
from typing import Annotated, Literal, Protocol

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from . import ops, seeds
from .errors import UserError
from .image import F32, U8, to_float, to_uint8
from .kernels import Kernel


class Step(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Blur(Step):
    op: Literal["blur"] = "blur"
    kernel: Kernel


class Resize(Step):
    """Resampling to a size in pixels."""

    op: Literal["resize"] = "resize"
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    mode: ops.ResizeMode


class GaussianNoise(Step):
    """sigma_255: standard deviation in grey levels of 255. field: key of the random field, hexadecimal."""

    op: Literal["gaussian"] = "gaussian"
    sigma_255: Annotated[float, Field(ge=0)]
    grey: bool
    field: str


class PoissonNoise(Step):
    """scale: multiple of the photon noise. field: key of the random field, hexadecimal."""

    op: Literal["poisson"] = "poisson"
    scale: Annotated[float, Field(ge=0)]
    grey: bool
    field: str


class Jpeg(Step):
    op: Literal["jpeg"] = "jpeg"
    quality: Annotated[int, Field(ge=1, le=100)]


class BankNoise(Step):
    """Noise from a bank added, and the sum clamped to [0, 1] (RWSR-EDL Eq. 11).

    bank: digest of the bank. patch: number of the patch in it; y, x: corner of the piece in the patch, in pixels.
    strength: what the noise is multiplied by; 1 is as it was found.
    """

    op: Literal["bank"] = "bank"
    bank: str
    patch: Annotated[int, Field(ge=0)]
    y: Annotated[int, Field(ge=0)]
    x: Annotated[int, Field(ge=0)]
    strength: Annotated[float, Field(ge=0)] = 1.0


class NoiseSource(Protocol):
    """Where bank noise comes from: `noisebank.bank.NoiseBank`, which this folder must not import."""

    @property
    def digest(self) -> str: ...

    def crop(self, patch: int, y: int, x: int, height: int, width: int) -> F32: ...


AnyStep = Annotated[Blur | Resize | GaussianNoise | PoissonNoise | BankNoise | Jpeg, Field(discriminator="op")]
Degradation = tuple[AnyStep, ...]

_DEGRADATION = TypeAdapter(Degradation)

# One flat type for every step, so that any Parquet tool can ask for, say, members.base[1].kernel.sigma_x.
STEP_TYPE = pa.struct(
    [
        ("op", pa.string()),
        (
            "kernel",
            pa.struct(
                [
                    ("kind", pa.string()),
                    ("size", pa.int32()),
                    ("sigma_x", pa.float64()),
                    ("sigma_y", pa.float64()),
                    ("theta", pa.float64()),
                    ("beta", pa.float64()),
                    ("cutoff", pa.float64()),
                ]
            ),
        ),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("mode", pa.string()),
        ("sigma_255", pa.float64()),
        ("scale", pa.float64()),
        ("grey", pa.bool_()),
        ("field", pa.string()),
        ("quality", pa.int32()),
        ("bank", pa.string()),
        ("patch", pa.int64()),
        ("y", pa.int32()),
        ("x", pa.int32()),
        ("strength", pa.float64()),
    ]
)


def field_key(seed: int, *identity: str | int) -> str:
    """The key of a random field as steps carry it."""
    return f"{seeds.key(seed, *identity):032x}"


def to_rows(degradation: Degradation) -> list[dict[str, object]]:
    """The steps as plain values of `STEP_TYPE`."""
    return [step.model_dump() for step in degradation]


def from_rows(rows: Sequence[dict[str, object]]) -> Degradation:
    """The steps that `to_rows` made, after a journey through Parquet (which fills in nulls)."""
    return _DEGRADATION.validate_python(
        [{name: value for name, value in row.items() if value is not None} for row in rows]
    )


def _bank_noise(image: F32, step: BankNoise, bank: NoiseSource | None) -> F32:
    if bank is None or bank.digest != step.bank:
        have = f"bank {bank.digest[:16]} is given" if bank else "no bank is given"
        raise UserError(f"a step takes noise from bank {step.bank[:16]}, and {have}; name that bank")
    height, width = image.shape[:2]
    noise = bank.crop(step.patch, step.y, step.x, height, width)
    return np.asarray(np.clip(image + np.float32(step.strength) * noise, 0, 1), dtype=np.float32)


def _apply_step(image: F32, step: AnyStep, bank: NoiseSource | None) -> F32:
    match step:
        case Blur():
            return ops.blur(image, step.kernel)
        case Resize():
            return ops.resize(image, step.height, step.width, step.mode)
        case GaussianNoise():
            rng = seeds.from_key(int(step.field, 16))
            return ops.gaussian_noise(image, step.sigma_255, step.grey, rng)
        case PoissonNoise():
            rng = seeds.from_key(int(step.field, 16))
            return ops.poisson_noise(image, step.scale, step.grey, rng)
        case BankNoise():
            return _bank_noise(image, step, bank)
        case Jpeg():
            return ops.jpeg(image, step.quality)


def apply(pixels: U8, degradation: Degradation, *, bank: NoiseSource | None = None) -> U8:
    """[H, W, 3] uint8 RGB -> [h, w, 3] uint8 RGB: the steps in order, in float32, rounded once at the end.

    bank: where `BankNoise` steps take their noise from. Pure: the same pixels, steps and bank give the same bytes, in
    any process and any order.

    Raises:
        UserError: a step wants noise from a bank that is not given, or that its patches do not hold.
    """
    image = to_float(pixels)
    for step in degradation:
        image = _apply_step(image, step, bank)
    return to_uint8(np.asarray(image))

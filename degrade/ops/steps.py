"""A degradation as data: frozen steps that can be stored in a table and rendered again, bit for bit."""

from collections.abc import Sequence
from typing import Annotated, Literal, Protocol, Self

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from .. import seeds
from ..images.pixels import F32
from .blur import Border
from .codecs import JpegSampling
from .kernels import Kernel
from .resize import ResizeMode, can_antialias

Mixing = tuple[float, float, float, float, float, float, float, float, float]


class Step(BaseModel):
    """One step of a degradation, with every number that it needs to be done again."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Blur(Step):
    """Convolution with a kernel; border: what lies beyond the image."""

    op: Literal["blur"] = "blur"
    kernel: Kernel
    border: Border = "reflect"


class Resize(Step):
    """Resampling to a size in pixels; `degrade.ops.resize.resize` says what each mode is."""

    op: Literal["resize"] = "resize"
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    mode: ResizeMode
    antialias: bool = False

    @model_validator(mode="after")
    def _has_both_forms(self) -> Self:
        if self.antialias and not can_antialias(self.mode):
            raise ValueError(f"antialias means nothing for {self.mode}, which always is; leave it out")
        return self


class GaussianNoise(Step):
    """sigma_255: standard deviation in grey levels of 255. field: key of the random field, hexadecimal.

    mixing: rows of a 3x3 matrix that correlates the channels; None leaves them independent (or one, when grey).
    """

    op: Literal["gaussian"] = "gaussian"
    sigma_255: Annotated[float, Field(ge=0)]
    grey: bool
    field: str
    mixing: Mixing | None = None


class SpeckleNoise(Step):
    """As `GaussianNoise`, but multiplied by the image: dark places get little of it."""

    op: Literal["speckle"] = "speckle"
    sigma_255: Annotated[float, Field(ge=0)]
    grey: bool
    field: str
    mixing: Mixing | None = None


class PoissonNoise(Step):
    """scale: multiple of the photon noise. field: key of the random field, hexadecimal.

    peak: photons of a white pixel; None takes Real-ESRGAN's, the number of grey levels in the image.
    """

    op: Literal["poisson"] = "poisson"
    scale: Annotated[float, Field(ge=0)]
    grey: bool
    field: str
    peak: Annotated[float, Field(gt=0)] | None = None


class Jpeg(Step):
    """Coded and decoded as JPEG by libjpeg-turbo; quality 1 to 100, sampling of the chroma."""

    op: Literal["jpeg"] = "jpeg"
    quality: Annotated[int, Field(ge=1, le=100)]
    sampling: JpegSampling = "420"


class Webp(Step):
    """Coded and decoded as lossy WebP; quality 1 to 100."""

    op: Literal["webp"] = "webp"
    quality: Annotated[int, Field(ge=1, le=100)]


class UnsharpMask(Step):
    """radius: in pixels, of a Gaussian of that width. threshold_255: least difference that counts, in grey levels."""

    op: Literal["usm"] = "usm"
    radius: Annotated[int, Field(ge=1, le=50)] = 50
    weight: Annotated[float, Field(ge=0)] = 0.5
    threshold_255: Annotated[float, Field(ge=0)] = 10


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
    """Where bank noise comes from: `noisebank.bank.NoiseBank`, which lies above."""

    @property
    def digest(self) -> str: ...

    @property
    def size_px(self) -> int: ...

    @property
    def num_patches(self) -> int: ...

    def crop(self, patch: int, y: int, x: int, height: int, width: int) -> F32: ...


AnyStep = Annotated[
    Blur | Resize | GaussianNoise | SpeckleNoise | PoissonNoise | BankNoise | Jpeg | Webp | UnsharpMask,
    Field(discriminator="op"),
]
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
        ("border", pa.string()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("mode", pa.string()),
        ("antialias", pa.bool_()),
        ("sigma_255", pa.float64()),
        ("mixing", pa.list_(pa.float64())),
        ("scale", pa.float64()),
        ("peak", pa.float64()),
        ("grey", pa.bool_()),
        ("field", pa.string()),
        ("quality", pa.int32()),
        ("sampling", pa.string()),
        ("radius", pa.int32()),
        ("weight", pa.float64()),
        ("threshold_255", pa.float64()),
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

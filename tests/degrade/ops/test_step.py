"""A degradation survives its table and is applied as a pure function."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from rwsr.degrade.errors import UserError
from rwsr.degrade.images.pixels import F32, U8
from rwsr.degrade.manifest import step_type
from rwsr.degrade.ops import OPS
from rwsr.degrade.ops.bank_noise import BankNoise
from rwsr.degrade.ops.blur import Blur
from rwsr.degrade.ops.codecs import Jpeg, Webp
from rwsr.degrade.ops.gaussian import GaussianNoise, SpeckleNoise
from rwsr.degrade.ops.kernels import Kernel
from rwsr.degrade.ops.poisson import PoissonNoise
from rwsr.degrade.ops.render import apply, apply_all
from rwsr.degrade.ops.resize import Resize
from rwsr.degrade.ops.step import Degradation, field_key, from_rows, to_rows
from rwsr.degrade.ops.unsharp import UnsharpMask

CHAIN: Degradation = (
    Blur(kernel=Kernel(kind="plateau_aniso", size=9, sigma_x=1.1, sigma_y=0.3, theta=1 / 3, beta=1.2)),
    Resize(height=70, width=66, mode="area"),
    GaussianNoise(sigma_255=7.123456789012345, gray=True, field=field_key(0, "t", 1)),
    PoissonNoise(scale=0.1, gray=False, field=field_key(0, "t", 2)),
    Jpeg(quality=50, sampling="444"),
    SpeckleNoise(sigma_255=3, gray=False, field=field_key(0, "t", 3), mixing=(1, 0, 0, 0.5, 0.8, 0, 0.1, 0.2, 1 / 3)),
    UnsharpMask(radius=5, weight=0.3, threshold_255=4),
    Webp(quality=60),
    PoissonNoise(scale=1, gray=True, field=field_key(0, "t", 4), peak=1234.5),
    BankNoise(bank="00ff", patch=2**40, y=3, x=5, strength=0.7),
    Blur(kernel=Kernel(kind="sinc", size=7, cutoff=2.5)),
    Resize(height=32, width=32, mode="bicubic"),
)


class Ramp:
    """A bank whose noise rises from -0.5 to 0.5 over the columns of any piece."""

    digest = "00ff"
    size_px = 128
    num_patches = 1

    def crop(self, patch: int, y: int, x: int, height: int, width: int) -> F32:
        return np.broadcast_to(np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :, None], (height, width, 3))


def test_steps_survive_parquet_exactly() -> None:
    """Every float comes back bit for bit, and nulls of other steps do not leak in."""
    table = pa.table({"steps": pa.array([to_rows(CHAIN)], pa.list_(step_type(OPS)))})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    assert from_rows(pq.read_table(sink.getvalue())["steps"][0].as_py()) == CHAIN


def test_apply_is_pure(astronaut: U8) -> None:
    """The same pixels and steps give the same bytes twice, and the input is left as it was."""
    crop = astronaut[:128, :128].copy()
    before = crop.copy()
    first, second = (apply(crop, CHAIN, bank=Ramp()) for _ in range(2))
    assert first.shape == (32, 32, 3) and np.array_equal(first, second) and np.array_equal(crop, before)


def test_no_steps_change_nothing(astronaut: U8) -> None:
    """The empty degradation is the identity on every level."""
    assert np.array_equal(apply(astronaut, ()), astronaut)


def test_bank_noise_is_added_and_clamped() -> None:
    """clamp(image + strength * noise): on mid-gray the ramp itself, on white what does not stick out."""
    step = BankNoise(bank="00ff", patch=0, y=0, x=0, strength=0.5)
    gray = apply(np.full((4, 101, 3), 128, np.uint8), (step,), bank=Ramp())
    expected = np.rint(128 + 255 * 0.5 * np.linspace(-0.5, 0.5, 101))
    assert np.abs(gray[0, :, 0] - expected).max() <= 1
    white = apply(np.full((4, 101, 3), 255, np.uint8), (step,), bank=Ramp())
    assert white[0, 0, 0] == 191 and (white[:, 50:] == 255).all()


@pytest.mark.parametrize(("bank", "says"), [(None, "no bank is given"), (Ramp(), "bank 00ff is given")])
def test_noise_of_another_bank_is_refused(bank: Ramp | None, says: str) -> None:
    """A step means the noise of one bank, told by its digest."""
    with pytest.raises(UserError, match=says):
        apply(np.zeros((8, 8, 3), np.uint8), (BankNoise(bank="abcd", patch=0, y=0, x=0),), bank=bank)


def test_members_rendered_together_are_those_rendered_alone(astronaut: U8) -> None:
    """What degradations share is done once, and changes no bit of any of them."""
    other = (CHAIN[0], CHAIN[1], GaussianNoise(sigma_255=20, gray=True, field=field_key(0, "t", 1)), *CHAIN[3:])
    wider = (Blur(kernel=CHAIN[0].kernel.model_copy(update={"sigma_x": 3.0})), *CHAIN[1:])
    crop = astronaut[:128, :128].copy()
    members = [CHAIN, other, CHAIN[:1], (), wider, CHAIN]
    for found, degradation in zip(apply_all(crop, members, bank=Ramp()), members, strict=True):
        assert np.array_equal(found, apply(crop, degradation, bank=Ramp()))


def test_antialiasing_of_a_mode_that_always_does_is_refused() -> None:
    """A flag that would mean nothing is not taken."""
    with pytest.raises(ValidationError, match="leave it out"):
        Resize(height=3, width=3, mode="area", antialias=True)


def test_speckle_leaves_black_alone_and_grows_with_brightness() -> None:
    """The noise is multiplied by the image."""
    step = SpeckleNoise(sigma_255=20, gray=False, field=field_key(0, "t", 5))
    deviations = [apply(np.full((64, 64, 3), level, np.uint8), (step,)).std() for level in (0, 60, 120)]
    assert deviations[0] == 0 and deviations[2] == pytest.approx(2 * deviations[1], rel=0.05)
    assert deviations[2] == pytest.approx(120 / 255 * 20, rel=0.05)

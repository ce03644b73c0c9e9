"""A degradation survives its table and is applied as a pure function."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rwsr.degrade.image import U8
from rwsr.degrade.kernels import Kernel
from rwsr.degrade.steps import (
    STEP_TYPE,
    Blur,
    Degradation,
    GaussianNoise,
    Jpeg,
    PoissonNoise,
    Resize,
    apply,
    field_key,
    from_rows,
    to_rows,
)

CHAIN: Degradation = (
    Blur(kernel=Kernel(kind="plateau_aniso", size=9, sigma_x=1.1, sigma_y=0.3, theta=1 / 3, beta=1.2)),
    Resize(height=70, width=66, mode="area"),
    GaussianNoise(sigma_255=7.123456789012345, grey=True, field=field_key(0, "t", 1)),
    PoissonNoise(scale=0.1, grey=False, field=field_key(0, "t", 2)),
    Jpeg(quality=50),
    Blur(kernel=Kernel(kind="sinc", size=7, cutoff=2.5)),
    Resize(height=32, width=32, mode="bicubic"),
)


def test_steps_survive_parquet_exactly() -> None:
    """Every float comes back bit for bit, and nulls of other steps do not leak in."""
    table = pa.table({"steps": pa.array([to_rows(CHAIN)], pa.list_(STEP_TYPE))})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    assert from_rows(pq.read_table(sink.getvalue())["steps"][0].as_py()) == CHAIN


def test_apply_is_pure(astronaut: U8) -> None:
    """The same pixels and steps give the same bytes twice, and the input is left as it was."""
    crop = astronaut[:128, :128].copy()
    before = crop.copy()
    first, second = apply(crop, CHAIN), apply(crop, CHAIN)
    assert first.shape == (32, 32, 3) and np.array_equal(first, second) and np.array_equal(crop, before)


def test_no_steps_change_nothing(astronaut: U8) -> None:
    """The empty degradation is the identity on every level."""
    assert np.array_equal(apply(astronaut, ()), astronaut)

"""The measured order of a group, and what becomes of groups that are not in it."""

import numpy as np
import pytest
from scipy import ndimage

from rwsr.degrade.config import compose
from rwsr.degrade.images.pixels import U8, to_float
from rwsr.degrade.manifest import from_row, to_row
from rwsr.degrade.ops.blur import Blur
from rwsr.degrade.ops.codecs import Jpeg
from rwsr.degrade.ops.gaussian import GaussianNoise
from rwsr.degrade.ops.kernels import Kernel
from rwsr.degrade.ops.render import render_all
from rwsr.degrade.ops.resize import Resize
from rwsr.degrade.ops.step import Degradation
from rwsr.degrade.quality.group_order import Measure, disorders, measure, twin
from rwsr.degrade.recipes.mm_realsr import Role
from rwsr.degrade.recipes.store_config import store_preset
from rwsr.degrade.samples import Source, make, render

SMALL = compose(store_preset("mm-realsr"), hr_size_px=64)
CHAIN: Degradation = (
    Blur(kernel=Kernel(kind="iso", size=7, sigma_x=1, sigma_y=1)),
    GaussianNoise(sigma_255=12, gray=False, field="1"),
    Resize(height=64, width=64, mode="area"),
    Jpeg(quality=95),
)


def test_the_twin_is_the_chain_without_noise_and_codecs() -> None:
    """What blurs and resizes stays, in its order."""
    assert twin(CHAIN) == (CHAIN[0], CHAIN[2])


def test_the_measures_are_scipys(astronaut: U8) -> None:
    """Detail is the root mean square of scipy's Laplacian of the luma; noise that of the difference."""
    noiseless = to_float(astronaut[:50, :60])
    rendered = np.clip(astronaut[:50, :60].astype(int) + 7, 0, 255).astype(np.uint8)
    found = measure(rendered, noiseless)
    luma = noiseless.astype(np.float64) @ [0.299, 0.587, 0.114]
    curvature = ndimage.laplace(luma)[2:-2, 2:-2] * 255
    assert found.detail == pytest.approx(np.sqrt((curvature**2).mean()), rel=1e-5)
    difference = rendered.astype(float) - astronaut[:50, :60]
    assert found.noise == pytest.approx(np.sqrt((difference**2).mean()), rel=1e-4)


def test_noise_is_measured_as_it_was_added() -> None:
    """Noise of 12 on a flat image measures 12 (before any resize), and its detail is none."""
    flat = np.full((128, 128, 3), 0.5, np.float32)
    steps = CHAIN[:2]
    noisy, noiseless = render_all(flat, [steps, twin(steps)])
    found = measure(np.rint(noisy * 255).astype(np.uint8), noiseless)
    assert found.noise == pytest.approx(12, rel=0.02) and found.detail < 1e-4


GOOD = {
    Role.BASE: Measure(10, 5),
    Role.BLURRIER: Measure(8, 5.5),
    Role.NOISIER: Measure(10, 7),
    Role.CLEAN: Measure(30, 0.3),
    Role.WORST: Measure(3, 9),
}


@pytest.mark.parametrize(
    ("role", "measured", "expected"),
    [
        (Role.BASE, Measure(10, 5), []),
        (Role.BLURRIER, Measure(10, 5), ["blur"]),
        (Role.NOISIER, Measure(10, 5), ["noise"]),
        (Role.WORST, Measure(8.1, 9), ["worst-blur"]),
        (Role.WORST, Measure(3, 6.9), ["worst-noise"]),
        (Role.BASE, Measure(2, 20), ["blur", "noise", "worst-blur", "worst-noise"]),
    ],
)
def test_each_kind_of_disorder_is_named(role: Role, measured: Measure, expected: list[str]) -> None:
    """BLURRIER, NOISIER and WORST against what they must not be."""
    assert list(disorders(GOOD | {role: measured})) == expected


def _made(photograph: U8, n: int, policy: str, max_draws: int = 32) -> list[tuple[int, bool]]:
    config = compose(SMALL, sets=[f"recipe.order_check={policy}", f"recipe.max_draws={max_draws}"])
    source = Source("aa", photograph.shape[1], photograph.shape[0])
    found = []
    for sample in range(n):
        drawn, rendered = make(config, source, photograph, sample)
        assert rendered.measured is not None
        found.append((drawn.draw, bool(disorders(rendered.measured))))
    return found


@pytest.mark.slow
def test_disorder_is_rejected_until_there_is_none(astronaut: U8) -> None:
    """Some groups take more than one draw, and all end in order; flagged and kept ones are the first draw."""
    rejecting, flagging = _made(astronaut, 60, "reject"), _made(astronaut, 60, "flag")
    assert not any(disordered for _, disordered in rejecting) and any(draw > 0 for draw, _ in rejecting)
    assert {draw for draw, _ in flagging} == {0}
    assert [draw > 0 for draw, _ in rejecting] == [disordered for _, disordered in flagging]
    assert _made(astronaut, 60, "keep") == flagging


def test_a_source_without_detail_stays_disordered_and_says_so() -> None:
    """A flat image has no blur to order: the last draw stands, with its disorder."""
    flat = np.full((80, 80, 3), 255, np.uint8)
    assert _made(flat, 2, "reject", max_draws=3) == [(2, True), (2, True)]


def test_a_row_is_drawn_again_from_what_it_records(astronaut: U8) -> None:
    """The manifest's row alone renders the same bytes, whatever number of draws it took."""
    source = Source("aa", 512, 512)
    for sample in range(12):
        drawn, rendered = make(SMALL, source, astronaut, sample)
        row = to_row(sample, "a.png", source, drawn, rendered)
        again = render(from_row(row, SMALL.members), astronaut)
        assert np.array_equal(again.lr, rendered.lr) and again.measured == rendered.measured

"""The members of a group share every discrete draw and are ordered by their levels, inside WORST's."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rwsr.degrade.ops.blur import Blur
from rwsr.degrade.ops.codecs import Jpeg
from rwsr.degrade.ops.gaussian import GaussianNoise
from rwsr.degrade.ops.poisson import PoissonNoise
from rwsr.degrade.ops.resize import Resize
from rwsr.degrade.ops.step import Degradation
from rwsr.degrade.recipes.mm_realsr import ROLES, Groups, Role
from rwsr.degrade.recipes.store_config import StoreConfig, store_preset
from rwsr.degrade.samples import Source, draw_sample

HR_PX = 128
CONFIG = store_preset("mm-realsr").model_copy(update={"hr_size_px": HR_PX})
RECIPE = CONFIG.recipe


def _group(seed: int, source: str = "00", sample: int = 0, draw: int = 0) -> dict[Role, Degradation]:
    config = CONFIG.model_copy(update={"seed": seed})
    drawn = draw_sample(config, Source(source, 300, 200), sample, draw, None)
    return {Role(name): steps for name, steps in drawn.members.items()}


def _of(degradation: Degradation, kind: type) -> list:
    return [step for step in degradation if isinstance(step, kind)]


def _noise_levels(degradation: Degradation) -> list[float]:
    noises = _of(degradation, GaussianNoise | PoissonNoise)
    return [noise.sigma_255 if isinstance(noise, GaussianNoise) else noise.scale for noise in noises]


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**40))
def test_discrete_draws_are_shared(seed: int) -> None:
    """Family, size and rotation of the kernels, kinds and fields of the noises, modes and order: all alike."""
    group = _group(seed)
    shapes = set()
    for role in (Role.BASE, Role.BLURRIER, Role.NOISIER, Role.WORST):
        shape = []
        for step in group[role]:
            match step:
                case Blur():
                    k = step.kernel
                    shape.append(("blur", k.kind, k.size, k.theta, k.beta))
                case Resize():
                    shape.append(("resize", step.mode))
                case GaussianNoise() | PoissonNoise():
                    shape.append((step.op, step.gray, step.field))
                case Jpeg():
                    shape.append(("jpeg",))
        shapes.add(tuple(shape))
    assert len(shapes) == 1


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**40))
def test_blurrier_differs_in_blur_and_first_resize_only(seed: int) -> None:
    """More sigma, except in a sinc, and a smaller first resize where it shrinks; noise and JPEG equal."""
    group = _group(seed)
    base, blurrier, worst = group[Role.BASE], group[Role.BLURRIER], group[Role.WORST]
    for kind in (GaussianNoise, PoissonNoise, Jpeg):
        assert _of(base, kind) == _of(blurrier, kind)
    assert _of(base, Resize)[1:] == _of(blurrier, Resize)[1:] == _of(worst, Resize)[1:]
    sizes = [_of(member, Resize)[0].width for member in (base, blurrier, worst)]
    assert sizes == sorted(sizes, reverse=True) and (sizes[0] <= HR_PX or len(set(sizes)) == 1)
    for low, high, most in zip(*(_of(m, Blur)[:2] for m in (base, blurrier, worst)), strict=True):
        if low.kernel.kind == "sinc":
            assert low == high == most
        else:
            assert low.kernel.sigma_x <= high.kernel.sigma_x <= most.kernel.sigma_x + 1e-12
            assert low.kernel.sigma_y <= high.kernel.sigma_y <= most.kernel.sigma_y + 1e-12
            gap = (high.kernel.sigma_x - low.kernel.sigma_x) + (high.kernel.sigma_y - low.kernel.sigma_y)
            assert gap >= 0.1 - 1e-9


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**40))
def test_noisier_differs_in_noise_and_jpeg_only_and_never_passes_worst(seed: int) -> None:
    """Levels rise from BASE to NOISIER to WORST, JPEG quality falls, at least one noise differs."""
    group = _group(seed)
    base, noisier, worst = group[Role.BASE], group[Role.NOISIER], group[Role.WORST]
    assert _of(base, Blur) == _of(noisier, Blur) and _of(base, Resize) == _of(noisier, Resize)
    for low, high, most in zip(*(_noise_levels(m) for m in (base, noisier, worst)), strict=True):
        assert low <= high <= most
    assert _noise_levels(base) != _noise_levels(noisier)
    (first, second) = zip(*(_of(m, Jpeg) for m in (base, noisier, worst)), strict=True)
    for better, worse, least in (first, second):
        assert better.quality >= worse.quality >= least.quality == 30
    assert first[0].quality >= first[1].quality + 4
    differs = [low != high for low, high in zip(_noise_levels(base), _noise_levels(noisier), strict=True)]
    assert (second[0].quality >= second[1].quality + 4) == differs[1] and (second[0] == second[1]) != differs[1]


def test_clean_is_only_made_smaller() -> None:
    """One resize to the LR size, nothing else."""
    assert _group(5)[Role.CLEAN] == (Resize(height=32, width=32, mode="bilinear"),)


def test_every_member_ends_at_the_lr_size() -> None:
    """Whatever was drawn, the last resize of each member is to HR / scale."""
    for seed in range(50):
        for role, degradation in _group(seed).items():
            last = _of(degradation, Resize)[-1]
            assert (last.height, last.width) == (32, 32), role


@pytest.mark.slow
def test_draws_have_the_published_frequencies() -> None:
    """In nine groups of ten exactly one noise differs; a tenth of the kernels are sincs; half the noise is Gaussian."""
    differing: Counter[int] = Counter()
    sinc = gaussian = 0
    n = 2000
    for seed in range(n):
        group = _group(seed)
        pairs = zip(_noise_levels(group[Role.BASE]), _noise_levels(group[Role.NOISIER]), strict=True)
        differing[sum(a != b for a, b in pairs)] += 1
        sinc += sum(blur.kernel.kind == "sinc" for blur in _of(group[Role.BASE], Blur)[:2])
        gaussian += len(_of(group[Role.BASE], GaussianNoise))
    assert differing[1] / n == pytest.approx(0.9, abs=0.025) and differing[0] == 0
    assert sinc / (2 * n) == pytest.approx(0.1, abs=0.02)
    assert gaussian / (2 * n) == pytest.approx(0.5, abs=0.03)


def test_a_group_does_not_depend_on_the_others() -> None:
    """The same (seed, source, sample, draw) is the same group; each of the four counts."""
    first = _group(1, "aa", 1)
    assert _group(1, "aa", 1) == first
    assert first not in (_group(2, "aa", 1), _group(1, "bb", 1), _group(1, "aa", 2), _group(1, "aa", 1, 1))


def test_roles_stand_in_the_stored_order() -> None:
    """The order is part of the format: losses index members by it."""
    assert [role.value for role in ROLES] == ["base", "blurrier", "noisier", "clean", "worst"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hr_size_px": 130}, "use 128 or 132"),
        ({"recipe": {"first": {"blur_sigma": [3, 1]}}}, "order it"),
        ({"recipe": {"first": {"resize": {"up": 0.5, "down": 0.5, "keep": 0.5}}}}, "make them sum to 1"),
        ({"recipe": {"first": {"jpeg_quality": [50, 52]}}}, "widen it or lower the gap"),
        ({"recipe": {"second": {"blur_prob": 0.8}}}, "members must differ in blur; set it to 1"),
        ({"recipe": {"gaps": {"jpeg_quality": [9, 3]}}}, "order it"),
    ],
)
def test_a_rule_that_is_broken_says_how_to_mend_it(change: dict, says: str) -> None:
    """Each rule names the value and the mend."""

    def merged(low: dict, high: dict) -> dict:
        return low | {k: merged(low[k], v) if isinstance(v, dict) else v for k, v in high.items()}

    with pytest.raises(ValidationError, match=says):
        StoreConfig.model_validate(merged(store_preset("mm-realsr").model_dump(), change))


def test_the_preset_has_the_published_numbers() -> None:
    """Every number of the published training file that this recipe has."""
    first, second = RECIPE.first, RECIPE.second
    assert (first.blur_sigma, second.blur_sigma) == ((0.2, 3), (0.2, 1.5))
    assert list(first.resize.model_dump().values()) == [0.2, 0.7, 0.1]
    assert list(second.resize.model_dump().values()) == [0.3, 0.4, 0.3]
    assert (first.resize_range, second.resize_range) == ((0.15, 1.5), (0.3, 1.2))
    assert (first.noise_sigma_255, second.noise_sigma_255) == ((1, 30), (1, 25))
    assert (first.poisson_scale, second.poisson_scale) == ((0.05, 3), (0.05, 2.5))
    assert list(first.kernels.model_dump().values()) == [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
    assert isinstance(RECIPE, Groups) and first.jpeg_quality == second.jpeg_quality == (30, 95)
    assert RECIPE.final_sinc_prob == 0.8 and (RECIPE.gaps.jpeg_quality, RECIPE.gaps.noise_sigma_255) == (
        (5, 60),
        (1, 21),
    )

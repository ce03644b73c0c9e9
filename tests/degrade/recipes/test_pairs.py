"""Pairs are drawn with the numbers of the papers that they come from."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from rwsr.degrade.build_store import plan
from rwsr.degrade.config import compose
from rwsr.degrade.errors import UserError
from rwsr.degrade.images.pixels import F32, U8
from rwsr.degrade.images.rows import SourceRow
from rwsr.degrade.ops.bank_noise import BankNoise
from rwsr.degrade.ops.blur import Blur
from rwsr.degrade.ops.codecs import Jpeg, Webp
from rwsr.degrade.ops.gaussian import GaussianNoise, SpeckleNoise
from rwsr.degrade.ops.poisson import PoissonNoise
from rwsr.degrade.ops.resize import Resize
from rwsr.degrade.ops.step import Step
from rwsr.degrade.ops.unsharp import UnsharpMask
from rwsr.degrade.recipes import PRESETS
from rwsr.degrade.recipes.bicubic import Downscale
from rwsr.degrade.recipes.bsrgan import Bsrgan
from rwsr.degrade.recipes.cugan import BlurNoise
from rwsr.degrade.recipes.real_esrgan import SecondOrder
from rwsr.degrade.recipes.rwsr_edl import NoiseInjection
from rwsr.degrade.recipes.store_config import StoreConfig, store_preset
from rwsr.degrade.samples import Draw, Source, draw_sample, holds, render

SOURCE = Source("00", 900, 700)


class Bank:
    """A bank of three flat patches of 64 pixels."""

    digest = "00ff"
    size_px = 64
    num_patches = 3

    def crop(self, patch: int, y: int, x: int, height: int, width: int) -> F32:
        return np.full((height, width, 3), patch / 255, np.float32)


def _draw(preset: str, seed: int, *sets: str) -> Draw:
    config = compose(store_preset(preset), sets=sets, seed=seed)
    return draw_sample(config, SOURCE, 0, 0, Bank() if config.recipe.wants_bank else None)


def _steps(preset: str, n: int, *sets: str) -> list[tuple[Step, ...]]:
    return [_draw(preset, seed, *sets).members["lr"] for seed in range(n)]


@pytest.mark.parametrize("preset", PRESETS)
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**40))
def test_every_draw_ends_at_the_lr_size_and_lies_in_the_source(preset: str, seed: int) -> None:
    """Whatever was drawn: the last size is HR / scale, and the box does not leave the image."""
    config = store_preset(preset)
    drawn = _draw(preset, seed)
    for steps in drawn.members.values():
        sizes = [step.width for step in steps if isinstance(step, Resize)]
        assert (sizes or [config.hr_size_px])[-1] == config.lr_size_px
    assert 0 <= drawn.y <= SOURCE.height - drawn.size and 0 <= drawn.x <= SOURCE.width - drawn.size


@pytest.mark.slow
def test_real_esrgan_has_the_published_frequencies() -> None:
    """Second blur in 80 %, a tenth of the kernels sincs, final sinc in 80 %, JPEG last in half; levels in range."""
    n = 1500
    drawn = [steps[1:] for steps in _steps("real-esrgan", n)]  # after the unsharp mask
    blurs = Counter(len([s for s in steps[:-3] if isinstance(s, Blur)]) for steps in drawn)
    assert blurs[2] / n == pytest.approx(0.8, abs=0.04) and blurs[1] + blurs[2] == n
    first = [steps[0].kernel.kind for steps in drawn if isinstance(steps[0], Blur)]
    assert first.count("sinc") / n == pytest.approx(0.1, abs=0.03)
    assert first.count("iso") / n == pytest.approx(0.9 * 0.45, abs=0.04)
    assert sum(isinstance(steps[-1], Jpeg) for steps in drawn) / n == pytest.approx(0.5, abs=0.04)
    tails = [steps[-3:] for steps in drawn]
    assert sum(any(isinstance(s, Blur) for s in tail) for tail in tails) / n == pytest.approx(0.8, abs=0.04)
    noises = [s for steps in drawn for s in steps if isinstance(s, GaussianNoise | PoissonNoise)]
    assert len(noises) == 2 * n
    assert sum(s.gray for s in noises) / (2 * n) == pytest.approx(0.4, abs=0.03)
    sigmas = [s.sigma_255 for s in noises if isinstance(s, GaussianNoise)]
    assert 1 <= min(sigmas) < 1.5 and 29 < max(sigmas) <= 30
    qualities = [s.quality for steps in drawn for s in steps if isinstance(s, Jpeg)]
    assert min(qualities) == 30 and max(qualities) == 95 and np.mean(qualities) == pytest.approx(62.5, abs=1.5)


def test_real_esrgans_lr_is_of_sharpened_hr() -> None:
    """The published training file degrades sharpened HR; HR itself is the crop, which its discriminator sees."""
    drawn, plain = _draw("real-esrgan", 0), _draw("real-esrgan", 0, "recipe.usm=null")
    assert drawn.members["lr"] == (
        UnsharpMask(radius=50, weight=0.5, threshold_255=10, gaussian="pyramid"),
        *plain.members["lr"],
    )
    assert drawn.hr == plain.hr == ()


def test_mm_realsrs_first_stage_sharpens_the_clean_anchor_twice() -> None:
    """`anchor_min` of the published code is made of the sharpened GT, sharpened once more; HR is the same in both."""
    first, second = _draw("mm-realsr-stage-1", 0), _draw("mm-realsr", 0)
    mask = UnsharpMask(radius=50, weight=0.5, threshold_255=10, gaussian="pyramid")
    for name, steps in second.members.items():
        assert first.members[name] == (*([mask, mask] if name == "clean" else [mask]), *steps)
    assert first.hr == second.hr == () and (first.y, first.x) == (second.y, second.x)
    once = _draw("mm-realsr-stage-1", 0, "recipe.sharpen_clean_again=false")
    assert once.members["clean"] == (mask, *second.members["clean"])


@pytest.mark.slow
def test_what_other_trainers_draw_is_drawn_as_often_as_they_say() -> None:
    """traiNNer-redux's: whether there is a JPEG, modes by weight, kernel sizes, resizes that do nothing, USM radii."""
    sets = ["recipe.first.jpeg_prob=0.25", "recipe.second.jpeg_prob=0", "recipe.first.kernel_sizes=[5,9]"]
    sets += ["recipe.first.resize={up: 0, down: 1, keep: 0}", "recipe.first.resize_modes=[nearest-exact, area]"]
    sets += ["recipe.first.resize_mode_probs=[0.8, 0.2]", "recipe.second.resize={up: 0, down: 0, keep: 1}"]
    sets += ["recipe.second.keep_resizes=false", "recipe.usm={radius_range: [3, 7]}", "recipe.final_sinc_prob=1"]
    sets += ["recipe.final_kernel_sizes=[5,5]", "recipe.final_resize_modes=[bicubic]"]
    drawn = _steps("real-esrgan", 400, *sets)
    masks, jpegs, resizes, sizes, finals = [], [], [], [], []
    for steps in drawn:
        masks += [s.radius for s in steps if isinstance(s, UnsharpMask)]
        jpegs.append(sum(isinstance(s, Jpeg) for s in steps))
        resizes.append([s.mode for s in steps if isinstance(s, Resize)])
        blurs = [s.kernel for s in steps if isinstance(s, Blur)]
        sizes.append(blurs[0].size)
        finals.append(blurs[-1].size)
    assert set(masks) == {3, 4, 5, 6, 7} and set(finals) == {5} and set(sizes) == {5, 7, 9}
    assert np.mean(jpegs) == pytest.approx(0.25, abs=0.05) and max(jpegs) == 1
    assert all(len(each) == 2 and each[1] == "bicubic" for each in resizes)
    assert np.mean([each[0] == "nearest-exact" for each in resizes]) == pytest.approx(0.8, abs=0.05)


def test_webp_takes_the_place_of_jpeg() -> None:
    """As often as the recipe says."""
    changed = _steps("real-esrgan", 300, "recipe.second.webp_prob=1")
    assert all(
        sum(isinstance(s, Webp) for s in steps) == 1 == sum(isinstance(s, Jpeg) for s in steps) for steps in changed
    )


@pytest.mark.slow
def test_bsrgan_has_the_published_frequencies() -> None:
    """Two blurs and one in eight of the halved ones... the counts of the released code, and an order that is random."""
    n = 1500
    drawn = _steps("bsrgan", n)
    assert all(isinstance(steps[-1], Jpeg) for steps in drawn)
    assert sum(sum(isinstance(s, Jpeg) for s in steps) == 2 for steps in drawn) / n == pytest.approx(0.9, abs=0.03)
    assert sum(isinstance(steps[0], Resize) and steps[0].width == 144 for steps in drawn) / n > 0.25 - 0.04
    noises = [s for steps in drawn for s in steps if isinstance(s, GaussianNoise)]
    assert len(noises) == n
    assert sum(s.gray for s in noises) / n == pytest.approx(0.4, abs=0.04)
    mixed = [s for s in noises if s.mixing is not None]
    assert len(mixed) / n == pytest.approx(0.2, abs=0.04) and {s.sigma_255 for s in mixed} == {25}
    assert {s.sigma_255 for s in noises} == set(range(2, 26))
    places = Counter(steps.index(next(s for s in steps if isinstance(s, GaussianNoise))) for steps in drawn)
    assert min(places[i] for i in range(5)) > n / 20
    shrinks = [[s.width for s in steps if isinstance(s, Resize)] for steps in drawn]
    assert all(widths[-1] == 72 for widths in shrinks)
    aniso = [s.kernel for steps in drawn for s in steps if isinstance(s, Blur) and s.kernel.kind == "aniso"]
    assert 7.5 < max(k.sigma_x**2 for k in aniso) <= 8 and {k.size for k in aniso} == set(range(7, 26, 2))


def test_bsrgans_mixed_noise_is_its_covariance() -> None:
    """M M^T has entries in [0, 1], is symmetric, and its own square root."""
    step = next(
        s for steps in _steps("bsrgan", 60, "recipe.mixed_noise_prob=0.6") for s in steps if getattr(s, "mixing", None)
    )
    assert isinstance(step, GaussianNoise)
    root = np.array(step.mixing).reshape(3, 3)
    covariance = root @ root.T
    assert np.allclose(root, root.T) and (covariance >= -1e-12).all() and (covariance <= 1 + 1e-12).all()


def test_bsrgan_plus_noises_can_be_switched_on() -> None:
    """Photons with a peak of 100 to 10,000, and speckle."""
    drawn = _steps("bsrgan", 100, "recipe.poisson_prob=1", "recipe.speckle_prob=1")
    peaks = [s.peak for steps in drawn for s in steps if isinstance(s, PoissonNoise)]
    assert len(peaks) == 100 and all(peak is not None and 100 <= peak <= 10_000 for peak in peaks)
    assert all(any(isinstance(s, SpeckleNoise) for s in steps) for steps in drawn)


@pytest.mark.slow
def test_cugan_draws_its_levels_and_tells_them() -> None:
    """z = [r / 4, sigma / 50] of what was applied; half the samples have one of the two; ends half as often."""
    n = 4000
    single = Counter()
    rs: Counter[float] = Counter()
    sigmas: Counter[float] = Counter()
    for seed in range(n):
        drawn = _draw("cugan", seed)
        assert drawn.condition is not None
        blurs = [s for s in drawn.members["lr"] if isinstance(s, Blur)]
        noises = [s for s in drawn.members["lr"] if isinstance(s, GaussianNoise)]
        r = blurs[0].kernel.sigma_x if blurs else 0
        sigma = noises[0].sigma_255 if noises else 0
        assert drawn.condition == pytest.approx((r / 4, sigma / 50))
        assert all(s.border == "replicate" and s.kernel.size == 21 for s in blurs)
        single[bool(r), bool(sigma)] += 1
        if r:
            rs[round(r, 1)] += 1
        sigmas[sigma] += 1
    assert single[True, True] / n == pytest.approx(0.5, abs=0.04)
    assert single[True, False] / n == pytest.approx(0.25, abs=0.03)
    assert set(rs) == {round(0.1 * i, 1) for i in range(1, 41)}
    ends = rs[4.0] + sigmas[50]
    between = np.mean([rs[r] for r in rs if r < 4]) + np.mean([sigmas[s] for s in sigmas if 0 < s < 50])
    assert ends == pytest.approx(between / 2, rel=0.35)


def test_rwsr_edl_cleans_up_by_two_and_injects_a_piece_of_a_patch() -> None:
    """HR is the crop halved, LR a quarter of it plus noise from a place inside a patch."""
    places = set()
    for seed in range(40):
        drawn = _draw("rwsr-edl", seed, "hr_size_px=128")
        assert drawn.size == 256 and drawn.hr == (Resize(height=128, width=128, mode="matlab-bicubic"),)
        shrink, noise = drawn.members["lr"]
        assert shrink == Resize(height=32, width=32, mode="matlab-bicubic") and isinstance(noise, BankNoise)
        assert noise.patch < 3 and noise.y <= 32 and noise.x <= 32 and noise.bank == "00ff"
        places.add((noise.patch, noise.y, noise.x))
    assert len(places) > 30
    assert _draw("rwsr-edl", 0, "recipe.clean_downscale=1").hr == ()


@pytest.mark.parametrize(("bank", "says"), [(None, "name one with --bank"), (Bank(), "use --hr-size 256 at most")])
def test_a_bank_that_does_not_fit_is_refused(bank: Bank | None, says: str) -> None:
    """None at all, or patches smaller than an LR crop."""
    config = compose(store_preset("rwsr-edl"), hr_size_px=260)
    with pytest.raises(UserError, match=says):
        draw_sample(config, SOURCE, 0, 0, bank)


def test_bicubic_draws_nothing_but_a_place() -> None:
    """One resize."""
    assert _draw("bicubic", 3).members["lr"] == (Resize(height=100, width=100, mode="matlab-bicubic"),)


@pytest.mark.parametrize(
    ("model", "values", "says"),
    [
        (Bsrgan, {"kernel_sizes": [6, 21]}, "are not odd"),
        (Bsrgan, {"mixed_noise_prob": 0.8}, "lower one"),
        (Bsrgan, {"iso_sigma": [0, 0]}, "raise one"),
        (BlurNoise, {"kernel_size": 20}, "use 21"),
        (NoiseInjection, {"clean_downscale": 0}, "greater than or equal to 1"),
        (SecondOrder, {"first": {}}, "blur_sigma"),
        (Downscale, {"antialias": True}, "leave it out"),
    ],
)
def test_a_rule_that_is_broken_says_how_to_mend_it(model: type, values: dict, says: str) -> None:
    """Each rule names the value and the mend."""
    with pytest.raises(ValidationError, match=says):
        model.model_validate(values)


def test_every_preset_is_valid_when_read_again() -> None:
    """Its dump is a config of the same recipe."""
    for config in map(store_preset, PRESETS):
        assert StoreConfig.model_validate(config.model_dump(mode="json")) == config


def test_sources_serve_by_area_where_that_is_wanted() -> None:
    """A source four times as large serves four times as many samples; all are given out, whatever is left over."""
    rows = [SourceRow("/", f"{i}.png", sha256=str(i), width=w, height=100) for i, w in enumerate((100, 400, 125))]
    by_image, by_area = (
        plan(compose(store_preset("bicubic"), hr_size_px=64, num_samples=1000, weigh=weigh), rows).counts[0]
        for weigh in ("image", "area")
    )
    assert sorted(by_image) == [333, 333, 334] and sum(by_area) == 1000
    assert [round(count / 10) for count in by_area] == [16, 64, 20]


def test_crops_are_of_the_source_at_one_of_several_sizes(astronaut: U8) -> None:
    """Where the source still holds a crop at that size; the cut is larger, and made smaller to HR."""
    config = compose(store_preset("bicubic"), hr_size_px=128, source_scales=[1, 0.5, 0.2])
    source, sizes = Source("a" * 64, 512, 512), set()
    for sample in range(40):
        drawn = draw_sample(config, source, sample, 0, None)
        sizes.add(drawn.size)
        assert drawn.y + drawn.size <= 512 and drawn.x + drawn.size <= 512
        assert render(drawn, astronaut).hr.shape == (128, 128, 3)
        cut = astronaut[drawn.y : drawn.y + drawn.size, drawn.x : drawn.x + drawn.size]
        expected = np.asarray(Image.fromarray(cut).resize((128, 128), Image.Resampling.LANCZOS)).astype(int)
        assert np.abs(render(drawn, astronaut).hr.astype(int) - expected).max() <= 5  # Pillow rounds between the axes
    assert sizes == {128, 256}  # a fifth of the photograph holds no crop
    assert holds(config, 128, 200) and not holds(config, 127, 900)


def test_small_sources_are_continued_by_reflection(astronaut: U8) -> None:
    """To the right and below, as BasicSR does; without the key they are left out."""
    config = compose(store_preset("bicubic"), hr_size_px=128, pad_small=True)
    small = astronaut[:70, :200]
    drawn = draw_sample(config, Source("b" * 64, 200, 70), 0, 0, None)
    assert drawn.y == 0 and holds(config, 200, 70) and not holds(compose(config, pad_small=False), 200, 70)
    hr = render(drawn, small).hr
    assert np.array_equal(hr[:70], small[:, drawn.x : drawn.x + 128])
    assert np.array_equal(hr[70:], small[68:10:-1, drawn.x : drawn.x + 128])

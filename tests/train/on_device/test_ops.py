"""Every step that a device does to many images at once, against the same step of the CPU on each of them."""

from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rwsr.degrade.images.pixels import F32, U8, to_float
from rwsr.degrade.ops.blur import Blur
from rwsr.degrade.ops.codecs import Jpeg
from rwsr.degrade.ops.fields import normal_field, uniform_field
from rwsr.degrade.ops.gaussian import GaussianNoise, SpeckleNoise
from rwsr.degrade.ops.kernels import Kernel, KernelKind, render
from rwsr.degrade.ops.poisson import PoissonNoise
from rwsr.degrade.ops.resize import Resize, ResizeMode, can_antialias
from rwsr.degrade.ops.step import Memory, Site, Step
from rwsr.degrade.ops.unsharp import UnsharpMask
from rwsr.train.on_device import blurs, fields, jpegs, noises, resizes
from rwsr.train.on_device.images import Stack, bordered, stacked
from rwsr.train.on_device.kernels import weights_of

CPU = torch.device("cpu")
SIZES = ((40, 60), (64, 64), (9, 30), (100, 20), (131, 90), (17, 17), (50, 33), (1, 1), (2, 3))
MODES = [(mode, antialias) for mode in get_args(ResizeMode) for antialias in (False, True)
         if mode != "nearest-exact" and (not antialias or can_antialias(mode))]  # fmt: skip


@pytest.fixture(scope="module")
def images(astronaut: U8) -> list[F32]:
    """Of several sizes, a photograph a little below and above its range."""
    rng = np.random.default_rng(0)
    cut = [to_float(np.ascontiguousarray(astronaut[60 : 60 + h, 110 : 110 + w])) for h, w in SIZES]
    return [image + rng.normal(0, 0.02, image.shape).astype(np.float32) for image in cut]


def _differences(
    form: Callable[[Stack, Sequence[Any]], list[torch.Tensor]], images: Sequence[F32], steps: Sequence[Step]
) -> list[F32]:
    """In gray levels, of each image."""
    assert len(steps) == len(images)
    made = form(stacked([torch.from_numpy(image).movedim(-1, 0) for image in images]), steps)
    wanted = [step.apply(Site(image, Memory(), None)) for image, step in zip(images, steps, strict=True)]
    return [
        255 * np.abs(found.movedim(0, -1).numpy() - other).astype(np.float32)
        for found, other in zip(made, wanted, strict=True)
    ]


def _most(differences: Sequence[F32]) -> float:
    return max(float(each.max()) for each in differences)


# ------------------------------------------------------------------------------------------------------ fields


@given(
    st.lists(st.integers(0, 2**128 - 1), min_size=1, max_size=3, unique=True), st.integers(1, 40), st.integers(1, 40)
)
def test_fields_are_the_same_to_the_bit(keys: list[int], height: int, width: int) -> None:
    """numpy's Philox, and the table of its quantiles; of gray ones too, and whatever lies beside them."""
    uniform, normal = (make(keys, height * width * 3, CPU) for make in (fields.uniform, fields.normal))
    on = Stack(torch.zeros(len(keys), 3, height + 2, width + 1), (height,) * len(keys), (width,) * len(keys))
    for gray in (False, True):
        drawn = fields.laid_out(normal, range(len(keys)), [gray] * len(keys), on)[:, :, :height, :width]
        for i, key in enumerate(keys):
            wanted = normal_field(key, height, width, gray=gray)
            assert np.array_equal(drawn[i].movedim(0, -1).numpy(), np.broadcast_to(wanted, (height, width, 3)))
            assert np.array_equal(
                uniform[i, : height * width * 3].numpy(), uniform_field(key, height, width, gray=False).ravel()
            )


# --------------------------------------------------------------------------------------------- blurs, resizes


def _kernels() -> list[Kernel]:
    return [
        Kernel(kind=kind, size=size, sigma_x=1.3, sigma_y=2.4 if "aniso" in kind else 1.3, theta=0.7, beta=beta,
               cutoff=cutoff)
        for kind in get_args(KernelKind) for size, beta, cutoff in ((7, 0.6, 2.9), (13, 1.7, 1.1), (21, 3.0, 0.7))
    ]  # fmt: skip


def test_kernels_are_the_same() -> None:
    found = weights_of(_kernels(), CPU).numpy()
    for weights, kernel in zip(found, _kernels(), strict=True):
        rim = (21 - kernel.size) // 2
        inside = slice(rim, 21 - rim)
        assert np.abs(weights[inside, inside] - render(kernel)).max() < 1e-6  # torch's Bessel function has eight digits
        assert weights.sum() == pytest.approx(weights[inside, inside].sum())


@pytest.mark.parametrize("first", range(0, 21, 7))
def test_blurs_are_within_a_hundredth_of_a_level(images: list[F32], first: int) -> None:
    """Each image by its own kernel over its own border, those of a pixel too."""
    kernels = (_kernels() * 2)[first : first + len(images)]
    for borders in (["reflect"], ["replicate"], ["reflect", "replicate"]):
        steps = [Blur(kernel=each, border=borders[i % len(borders)]) for i, each in enumerate(kernels)]  # type: ignore[arg-type]
        assert _most(_differences(blurs.blur, images, steps)) < 0.01


def test_what_lies_beyond_an_image_is_not_looked_at(images: list[F32]) -> None:
    stack = stacked([torch.from_numpy(image).movedim(-1, 0) for image in images])
    spoiled = stack.of(torch.where(stack.inside, stack.values, torch.nan))
    for around in (bordered(stack, 4, (150, 150), ["reflect"] * 9), bordered(spoiled, 4, (150, 150), ["reflect"] * 9)):
        assert around.isfinite().all()


def test_unsharp_masks_by_a_pyramid_are_within_a_twentieth_of_a_level(images: list[F32]) -> None:
    """Those that are too narrow for one among them."""
    steps = [UnsharpMask(radius=radius, weight=0.5, gaussian="pyramid") for radius in (50, 45, 3) * 3]
    found = _differences(blurs.unsharp_mask, images, steps)
    assert _most(found) < 0.05 and float(np.mean([each.mean() for each in found])) < 0.002


def test_unsharp_masks_are_within_a_hundredth_of_a_level(images: list[F32]) -> None:
    steps = [
        UnsharpMask(radius=radius, weight=weight)
        for radius, weight in zip([50, 3, 20] * 3, [0.5, 1, 2] * 3, strict=True)
    ]
    assert _most(_differences(blurs.unsharp_mask, images, steps)) < 0.01


@pytest.mark.parametrize(("mode", "antialias"), MODES)
def test_resizes_are_within_a_hundredth_of_a_level(images: list[F32], mode: ResizeMode, antialias: bool) -> None:
    """Smaller, larger, along one axis each, by whole factors, to a pixel; together."""
    ways = [(0.25, 0.25), (0.5, 0.5), (1.5, 1.3), (0.7, 1.2), (1, 0.3), (0.01, 0.01), (2, 2), (3, 1), (0.43, 0.61)]
    for turn in range(0, 9, 2):
        steps = [
            Resize(height=max(1, round(h * y)), width=max(1, round(w * x)), mode=mode, antialias=antialias)
            for (h, w), (y, x) in zip(SIZES, ways[turn:] + ways[:turn], strict=True)
        ]
        changed = [i for i, step in enumerate(steps) if (step.height, step.width) != SIZES[i]]
        assert _most(_differences(resizes.resize, [images[i] for i in changed], [steps[i] for i in changed])) < 0.01


def test_resizes_of_several_modes_go_together(images: list[F32]) -> None:
    steps = [
        Resize(height=30, width=20, mode=mode, antialias=antialias)
        for mode, antialias in (MODES + MODES)[: len(images)]
    ]
    assert _most(_differences(resizes.resize, images, steps)) < 0.01
    assert not resizes.has_form(Resize(height=1, width=1, mode="nearest-exact"))


# ------------------------------------------------------------------------------------------------ noises, codecs


def test_noises_are_the_same_to_the_bit(images: list[F32]) -> None:
    """Of their own fields and of shared ones, gray and not, correlated and not; of photons the peak too."""
    mixing = (1.0, 0.2, 0.0, 0.0, 1.0, 0.3, 0.1, 0.0, 0.9)
    for kind, form in ((GaussianNoise, noises.gaussian), (SpeckleNoise, noises.speckle)):
        steps = [kind(sigma_255=5 + i, gray=i % 2 == 0, field=f"{i // 2:x}") for i in range(9)]
        assert _most(_differences(form, images, steps)) < 1e-4
        mixed = [each.model_copy(update={"mixing": mixing if i % 2 else None}) for i, each in enumerate(steps)]
        assert _most(_differences(form, images, mixed)) < 1e-4
    photons = [PoissonNoise(scale=0.3 + i / 4, gray=i % 2 == 0, field=f"{i // 2:x}") for i in range(9)]
    assert _most(_differences(noises.poisson, images, photons)) < 1e-4
    assert not noises.has_form(photons[0].model_copy(update={"peak": 100.0}))


@pytest.mark.parametrize("sampling", ["420", "444"])
def test_jpegs_are_libjpegs_to_the_bit(images: list[F32], sampling: Any, astronaut: U8) -> None:
    """At every quality, of every size: its whole numbers are these."""
    large = to_float(np.ascontiguousarray(astronaut[:203, :301]))
    noise = np.random.default_rng(1).random((70, 61, 3), dtype=np.float32)
    for first in range(1, 101, 10):
        steps = [Jpeg(quality=first + i, sampling=sampling) for i in range(10)]
        assert _most(_differences(jpegs.jpeg, [*images[:8], large, noise], steps)) < 1e-4
    mixed = [Jpeg(quality=10 * i + 10, sampling="444" if i % 3 else "420") for i in range(9)]
    assert _most(_differences(jpegs.jpeg, images, mixed)) < 1e-4
    narrow = [np.ascontiguousarray(noise[: 1 + 3 * i, : 1 + j]) for i in range(6) for j in range(7)]
    assert _most(_differences(jpegs.jpeg, narrow, [Jpeg(quality=60, sampling=sampling)] * len(narrow))) < 1e-4
    assert not jpegs.has_form(Jpeg(quality=50, sampling="422"))

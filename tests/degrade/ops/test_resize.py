"""Each resize against torch's, Pillow's, or its definition written out."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from rwsr.degrade.images.pixels import U8, to_float
from rwsr.degrade.ops.resize import ResizeMode, can_antialias, resize

MODES: list[tuple[ResizeMode, bool]] = [
    ("area", False),
    ("bilinear", False),
    ("bicubic", False),
    ("lanczos", False),
    ("bilinear", True),
    ("bicubic", True),
    ("lanczos", True),
    ("matlab-bicubic", False),
]


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic with a = -0.5."""
    x = np.abs(x)
    inner, outer = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, inner, np.where(x <= 2, outer, 0))


def _matlab(line: np.ndarray, size: int) -> np.ndarray:
    """MATLAB's imresize of one line, as its source describes it: widened kernel, mirrored ends."""
    ratio = size / len(line)
    width = max(1, 1 / ratio)
    out = np.empty(size)
    for i in range(size):
        centre = (i + 0.5) / ratio - 0.5
        taps = np.arange(np.floor(centre - 2 * width), np.ceil(centre + 2 * width) + 1).astype(int)
        weights = _cubic((taps - centre) / width)
        mirrored = np.concatenate([np.arange(len(line)), np.arange(len(line))[::-1]])[taps % (2 * len(line))]
        out[i] = (weights / weights.sum()) @ line[mirrored]
    return out


@pytest.mark.parametrize("sizes", [(40, 10), (41, 13), (20, 33), (9, 4)])
def test_matlab_bicubic_is_its_definition(sizes: tuple[int, int]) -> None:
    """Both directions and the borders equal the definition, in either direction of size."""
    old, new = sizes
    image = np.random.default_rng(1).random((old, old, 3)).astype(np.float32)
    rows = np.stack([_matlab(line, new) for line in image.transpose(1, 2, 0).reshape(-1, old)])
    half = rows.reshape(old, 3, new).transpose(2, 0, 1)
    expected = np.stack([_matlab(line, new) for line in half.transpose(0, 2, 1).reshape(-1, old)])
    expected = expected.reshape(new, 3, new).transpose(0, 2, 1)
    assert np.abs(resize(image, new, new, "matlab-bicubic") - expected).max() < 2e-6


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(37, 61), (150, 99)])
def test_pointwise_modes_are_torchs(mode: ResizeMode, size: tuple[int, int], astronaut: U8) -> None:
    """interpolate(size=..., antialias=False), as Real-ESRGAN calls it but for the size."""
    image = to_float(astronaut[:90, :80])
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
    expected = functional.interpolate(tensor, size=size, mode=mode, align_corners=False)[0].permute(1, 2, 0).numpy()
    assert np.abs(resize(image, *size, mode) - expected).max() < 2e-4


@pytest.mark.parametrize(("mode", "filter_"), [("bilinear", 2), ("bicubic", 3), ("lanczos", 1)])
def test_antialiased_modes_are_pillows(mode: ResizeMode, filter_: int, astronaut: U8) -> None:
    """On 8-bit pixels Pillow gives the same, but that it rounds twice."""
    crop = np.ascontiguousarray(astronaut[:90, :80])
    expected = np.asarray(Image.fromarray(crop).resize((21, 30), Image.Resampling(filter_)))
    found = np.clip(resize(to_float(crop), 30, 21, mode, antialias=True) * 255, 0, 255)
    assert np.abs(found - expected).max() < 1.6 and np.abs(found - expected).mean() < 0.3


@pytest.mark.parametrize("factor", [2, 5])
def test_area_is_the_mean_of_each_block(factor: int, astronaut: U8) -> None:
    """For whole factors."""
    image = to_float(astronaut[:100, :100])
    expected = image.reshape(100 // factor, factor, 100 // factor, factor, 3).mean(axis=(1, 3))
    assert np.abs(resize(image, 100 // factor, 100 // factor, "area") - expected).max() < 1e-6


@pytest.mark.parametrize(("mode", "antialias"), MODES)
@pytest.mark.parametrize("size", [37, 61, 100])
def test_resize_does_not_shift(mode: ResizeMode, antialias: bool, size: int) -> None:
    """A ramp stays the same ramp, pixel centres aligned, at sizes that are no whole multiple."""
    ramp = np.tile((np.arange(80, dtype=np.float32)[None, :, None] + 0.5) / 80, (80, 1, 3))
    found = resize(ramp, size, size, mode, antialias=antialias)[size // 2, 8:-8, 0]
    assert np.abs(found - (np.arange(size)[8:-8] + 0.5) / size).max() < 0.004


@pytest.mark.parametrize(("mode", "antialias"), MODES)
def test_resize_to_the_same_size_is_nothing(mode: ResizeMode, antialias: bool, astronaut: U8) -> None:
    """An identity is skipped, not computed."""
    image = to_float(astronaut)
    assert resize(image, 512, 512, mode, antialias=antialias) is image


def test_only_some_modes_have_two_forms() -> None:
    """Area and matlab-bicubic always antialias."""
    assert [can_antialias(mode) for mode in ("area", "bilinear", "bicubic", "lanczos", "matlab-bicubic")] == [
        False,
        True,
        True,
        True,
        False,
    ]

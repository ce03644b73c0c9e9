"""Each step against an independent reference: scipy, scikit-image's statistics, libjpeg through Pillow."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, stats

from rwsr.degrade import ops, seeds
from rwsr.degrade.image import U8, to_float, to_uint8
from rwsr.degrade.kernels import Kernel, render


@pytest.mark.parametrize("kind", ["iso", "aniso", "sinc"])
def test_blur_is_scipys_correlation_with_mirrored_borders(kind: str, astronaut: U8) -> None:
    """Both the separable and the general path equal scipy's correlation, borders included."""
    kernel = Kernel.model_validate(
        {"kind": kind, "size": 13, "sigma_x": 1.7, "sigma_y": 0.8, "theta": 0.4, "cutoff": 2}
    )
    if kind == "iso":
        kernel = kernel.model_copy(update={"sigma_y": 1.7, "theta": 0.0})
    image = to_float(astronaut[:40, :50])
    expected = np.stack([ndimage.correlate(image[..., c], render(kernel), mode="mirror") for c in range(3)], axis=-1)
    assert np.abs(ops.blur(image, kernel) - expected).max() < 2e-6


@pytest.mark.parametrize("mode", ["area", "bilinear", "bicubic"])
@pytest.mark.parametrize("size", [37, 61, 100])
def test_resize_does_not_shift(mode: ops.ResizeMode, size: int) -> None:
    """A ramp stays the same ramp, pixel centres aligned, at sizes that are no whole multiple."""
    ramp = np.tile((np.arange(80, dtype=np.float32)[None, :, None] + 0.5) / 80, (80, 1, 3))
    found = ops.resize(ramp, size, size, mode)[size // 2, 4:-4, 0]
    assert np.abs(found - (np.arange(size)[4:-4] + 0.5) / size).max() < 0.004


def test_resize_to_the_same_size_is_nothing(astronaut: U8) -> None:
    """An identity is skipped, not computed."""
    image = to_float(astronaut)
    assert ops.resize(image, 512, 512, "bicubic") is image


@pytest.mark.parametrize("grey", [False, True])
def test_gaussian_noise_has_its_sigma(grey: bool) -> None:
    """Mean 0, the asked-for standard deviation, normal by a Kolmogorov-Smirnov test; grey is equal in all channels."""
    noise = (ops.gaussian_noise(np.full((256, 256, 3), 0.5, np.float32), 10, grey, seeds.stream(1, "t")) - 0.5) * 255
    assert noise[..., 0].std() == pytest.approx(10, rel=0.01) and abs(noise.mean()) < 0.1
    assert stats.kstest(noise[..., 0].ravel()[::7] / 10, "norm").pvalue > 1e-3
    assert np.ptp(noise, axis=-1).max() == 0 if grey else np.ptp(noise, axis=-1).max() > 10


@pytest.mark.parametrize("level", [3, 60, 200])
def test_poisson_noise_is_poisson(level: int) -> None:
    """The counts behind the noise pass a chi-square test against scipy's Poisson probabilities."""
    ramp = np.zeros((300, 300, 3), np.uint8)
    ramp[:] = level
    ramp[0, :200, 0] = np.arange(200)  # 200 or 201 distinct levels, so that V = 256
    image = to_float(ramp)
    noisy = ops.poisson_noise(image, 0.2, False, seeds.stream(2, "t"))
    counts = np.rint((noisy - image)[1:] / 0.2 * 256 + 256 * level / 255).astype(int).ravel()
    mean = 256 * level / 255
    low, high = stats.poisson.ppf([0.002, 0.998], mean).astype(int)
    inside = counts[(counts >= low) & (counts <= high)]
    observed = np.bincount(inside - low, minlength=high - low + 1)
    expected = stats.poisson.pmf(np.arange(low, high + 1), mean)
    assert stats.chisquare(observed, expected / expected.sum() * observed.sum()).pvalue > 1e-4
    assert counts.mean() == pytest.approx(mean, rel=0.01) and counts.var() == pytest.approx(mean, rel=0.03)


def test_the_same_field_at_a_higher_scale_is_the_same_noise() -> None:
    """Twice the scale adds twice the same noise, so "noisier" is more of the same."""
    image = np.broadcast_to(np.linspace(0.3, 0.7, 256, dtype=np.float32)[None, :, None], (64, 256, 3))
    once, twice = (ops.poisson_noise(image, scale, False, seeds.stream(3, "t")) - image for scale in (0.3, 0.6))
    assert once.std() > 0.005
    assert np.abs(twice - 2 * once).max() < 1e-6


@pytest.mark.parametrize("quality", [30, 60, 95])
def test_jpeg_is_libjpegs(quality: int, astronaut: U8) -> None:
    """Within a grey level of Pillow's JPEG at the same quality and chroma sampling."""
    crop = np.ascontiguousarray(astronaut[:128, :128])
    sink = io.BytesIO()
    Image.fromarray(crop).save(sink, "JPEG", quality=quality, subsampling="4:2:0")
    expected = np.asarray(Image.open(sink))
    found = to_uint8(ops.jpeg(to_float(crop), quality))
    assert np.abs(found.astype(int) - expected).mean() < 0.5

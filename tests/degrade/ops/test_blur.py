"""Blur and unsharp masking against scipy."""

import numpy as np
import pytest
from scipy import ndimage

from rwsr.degrade.images.pixels import F32, U8, to_float
from rwsr.degrade.ops import blur, unsharp
from rwsr.degrade.ops.blur import Border
from rwsr.degrade.ops.kernels import Kernel, render
from rwsr.degrade.ops.unsharp import unsharp_mask

KINDS = ["iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso", "sinc"]
SCIPY_BORDERS: dict[Border, str] = {"reflect": "mirror", "replicate": "nearest"}


def _kernel(kind: str, size: int) -> Kernel:
    sigma_y, theta = (1.7, 0.0) if kind.endswith("iso") and "aniso" not in kind else (0.8, 0.4)
    return Kernel.model_validate(
        {"kind": kind, "size": size, "sigma_x": 1.7, "sigma_y": sigma_y, "theta": theta, "beta": 0.8, "cutoff": 2}
    )


def _correlated(image: F32, kernel: Kernel, border: Border) -> np.ndarray:
    planes = [ndimage.correlate(image[..., c], render(kernel), mode=SCIPY_BORDERS[border]) for c in range(3)]
    return np.stack(planes, axis=-1)


@pytest.mark.parametrize("border", ["reflect", "replicate"])
@pytest.mark.parametrize("size", [7, 13, 21])
@pytest.mark.parametrize("kind", KINDS)
def test_blur_is_scipys_correlation(kind: str, size: int, border: Border, astronaut: U8) -> None:
    """The separable, the direct and the Fourier path equal scipy's correlation, borders included."""
    image = to_float(astronaut[:40, :50])
    kernel = _kernel(kind, size)
    assert np.abs(blur.blur(image, kernel, border=border) - _correlated(image, kernel, border)).max() < 3e-6


def test_narrow_kernels_are_trimmed_without_a_difference(astronaut: U8) -> None:
    """A kernel that is nearly a point in 21 taps is summed directly, and still is scipy's."""
    image = to_float(astronaut[:40, :50])
    kernel = Kernel(kind="plateau_aniso", size=21, sigma_x=0.2, sigma_y=0.25, theta=1, beta=2)
    narrow = Kernel(kind="aniso", size=21, sigma_x=0.3, sigma_y=0.4, theta=1)
    for each in (kernel, narrow):
        assert np.abs(blur.blur(image, each) - _correlated(image, each, "reflect")).max() < 3e-6


def test_a_shared_spectrum_changes_no_bit(astronaut: U8) -> None:
    """Two kernels that share an image's transform give what each gives alone."""
    image = to_float(astronaut[:60, :50])
    shared = blur.spectrum(image, 10, "reflect")
    for beta in (0.7, 2.0):
        kernel = Kernel(kind="generalized_iso", size=21, sigma_x=2.5, sigma_y=2.5, beta=beta)
        assert np.array_equal(blur.blur(image, kernel, of=lambda _: shared), blur.blur(image, kernel))


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (5, 40)])
def test_images_smaller_than_the_kernel_are_blurred(shape: tuple[int, int]) -> None:
    """Reflected as often as it takes: a flat image stays flat."""
    flat = np.full((*shape, 3), 0.25, np.float32)
    assert np.abs(blur.blur(flat, _kernel("aniso", 21)) - 0.25).max() < 1e-6


def test_unsharp_masking_is_its_definition(astronaut: U8) -> None:
    """Real-ESRGAN's formula with scipy's Gaussian of sigma 8 on 51 taps, to within rounding."""
    image = to_float(astronaut[100:260, 100:260])

    def gaussian(values: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(values.astype(np.float64), 8, mode="mirror", radius=25, axes=(0, 1))

    residual = image - gaussian(image)
    soft = gaussian((np.abs(residual) * 255 > 10).astype(float))
    expected = soft * np.clip(image + 0.5 * residual, 0, 1) + (1 - soft) * image
    found = unsharp_mask(image, radius=50, weight=0.5, threshold_255=10)
    assert np.abs(found - expected).max() < 1e-3 and np.abs(found - expected).mean() < 2e-6
    assert np.abs(found - image).max() > 0.05


@pytest.mark.parametrize("shape", [(200, 200), (97, 163), (40, 31), (5, 70)])
@pytest.mark.parametrize("sigma", [6.0, 7.9])
def test_a_pyramid_is_within_a_fifth_of_a_level_of_the_gaussian(
    astronaut: U8, shape: tuple[int, int], sigma: float
) -> None:
    """Of scipy's, untruncated, to the borders; of a photograph and of noise; in the mean within a fiftieth."""
    noise = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)
    for image in (to_float(np.ascontiguousarray(astronaut[60 : 60 + shape[0], 100 : 100 + shape[1]])), noise):
        whole = ndimage.gaussian_filter(image.astype(np.float64), sigma, mode="mirror", truncate=6, axes=(0, 1))
        off = 255 * np.abs(blur.wide_blur(image, sigma) - whole)
        assert off.max() < 0.2 and off.mean() < 0.02


def test_sharpening_by_a_pyramid_is_within_a_level_of_the_truncated_taps(astronaut: U8) -> None:
    """And what is too narrow for one is the same."""
    image = to_float(np.ascontiguousarray(astronaut[20:420, 30:430]))
    plain, quick = (
        unsharp_mask(image, radius=50, weight=0.5, threshold_255=10, gaussian=way) for way in ("truncated", "pyramid")
    )
    assert 0 < 255 * np.abs(plain - quick).max() < 1 and 255 * np.abs(plain - quick).mean() < 0.05
    narrow = [
        unsharp_mask(image, radius=20, weight=0.5, threshold_255=10, gaussian=way) for way in ("truncated", "pyramid")
    ]
    assert np.array_equal(*narrow)


@pytest.mark.parametrize("threshold", [0, 0.7, 3.3, 10, 25, 100, 255])
def test_a_threshold_is_that_of_255_times_the_difference(threshold: float) -> None:
    """To the last float on both sides of it."""
    limit = np.float32(unsharp._as_float(threshold))  # noqa: SLF001
    value = limit
    for _ in range(50):
        value = np.nextafter(value, np.float32(-1))
    for _ in range(100):
        assert (value * np.float32(255) > threshold) == (value > limit)
        value = np.nextafter(value, np.float32(9))

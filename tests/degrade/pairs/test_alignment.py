"""How far LR lies beside HR, against shifts that are known: whole ones by cutting elsewhere, others by the phase."""

import numpy as np
import pytest
from scipy.ndimage import fourier_shift

from rwsr.degrade.images.pixels import U8
from rwsr.degrade.pairs.alignment import FLAT, UNLIKE, shift_between

from .trees import photograph, smaller


def _moved(image: U8, y: float, x: float) -> U8:
    """The scene moved by a fraction of a pixel, by the phase of its Fourier transform; it wraps around."""
    spectra = (np.fft.fft2(image[..., i].astype(float)) for i in range(image.shape[2]))
    channels = [np.fft.ifft2(fourier_shift(each, (y, x))).real for each in spectra]
    return np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize(("y", "x"), [(0, 0), (3, -2), (0.5, 0.25), (-1.75, 2.5)])
def test_a_known_shift_is_measured(scale: int, y: float, x: float, astronaut: U8) -> None:
    """To a tenth of an LR pixel, under another exposure and noise."""
    scene = astronaut[: 128 * scale, 100 : 100 + 128 * scale] if scale < 4 else astronaut
    lr = smaller(_moved(scene, -y, -x), scale)[8:-8, 8:-8]
    noise = np.random.default_rng(0).normal(0, 3, lr.shape)
    lr = np.clip(0.7 * lr + 30 + noise, 0, 255).astype(np.uint8)
    hr = scene[8 * scale : -8 * scale, 8 * scale : -8 * scale]
    found = shift_between(hr, lr)
    assert found.y == pytest.approx(y, abs=0.1 * scale)
    assert found.x == pytest.approx(x, abs=0.1 * scale)
    assert found.similarity is not None and found.similarity > 0.9


def test_where_nothing_tells_nothing_is_told() -> None:
    """A flat sky; two other scenes; a shift beyond a quarter of the side."""
    sky = np.random.default_rng(0).normal(190, 1.5, (96, 96, 3)).astype(np.uint8)
    assert shift_between(sky, sky) == FLAT
    assert shift_between(photograph(1, 96, 96), photograph(2, 96, 96)) == UNLIKE
    wide = photograph(3, 96, 192)
    assert shift_between(wide[:, :96], wide[:, 60:156]) == UNLIKE

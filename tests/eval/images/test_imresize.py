"""MATLAB's weights against a loop over its definition, and Pillow's cubic inside the image."""

import numpy as np
import pytest
from PIL import Image

from rwsr.eval.images.imresize import imresize, taps


@pytest.mark.parametrize(("old", "new"), [(12, 24), (12, 6), (13, 4), (9, 9), (3, 12)])
def test_weights_are_those_of_the_definition(old: int, new: int) -> None:
    def keys(x: float) -> float:
        x = abs(x)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0

    expected = np.zeros((new, old))
    wide = max(1, old / new)
    for out in range(new):
        centre = (out + 0.5) * old / new - 0.5
        for pixel in range(-6 * old, 7 * old):
            mirrored = pixel % (2 * old)
            expected[out, min(mirrored, 2 * old - 1 - mirrored)] += keys((pixel - centre) / wide)
        expected[out] /= expected[out].sum()
    found = np.zeros((new, old))
    for out, (at, weights) in enumerate(zip(*taps(old, new), strict=True)):
        np.add.at(found[out], at, weights)
    assert np.allclose(found, expected, atol=1e-12)


def test_the_middle_of_an_image_is_pillows() -> None:
    """Whose borders are cut off, not mirrored; and which works in float32."""
    image = np.random.default_rng(0).uniform(0, 255, (40, 3)).astype(np.float32)
    theirs = np.asarray(Image.fromarray(image).resize((3, 10), Image.Resampling.BICUBIC))
    assert np.allclose(imresize(image.astype(np.float64), 10)[2:-2], theirs[2:-2], atol=1e-3)

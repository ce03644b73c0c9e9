"""The registration check finds shifts and drifts that were put in, and none in what the presets render."""

import cv2
import numpy as np
import pytest

from rwsr.degrade.config import compose
from rwsr.degrade.images.pixels import F32
from rwsr.degrade.ops.render import render_all
from rwsr.degrade.quality.registration import coordinates, of_places, registration
from rwsr.degrade.recipes import PRESETS
from rwsr.degrade.recipes.store_config import store_preset
from rwsr.degrade.samples import Source, draw_sample

from ..recipes.test_pairs import Bank


def _warped(scale: float, shift: float) -> F32:
    """LR of 50 px of a 200 px HR: each pixel taken from scale * place + shift, in HR pixels."""
    matrix = np.array([[4 * scale, 0, 1.5 + shift], [0, 4 * scale, 1.5]], dtype=np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(coordinates(200), matrix, (50, 50), flags=flags), dtype=np.float32)


def test_a_shift_is_measured_in_hr_pixels() -> None:
    """LR taken 0.7 HR pixels further right has shift_x = 0.7, no drift, and that error."""
    found = registration(lambda _: _warped(1, 0.7), 200)
    assert (found.shift_y, found.shift_x) == pytest.approx((0, 0.7), abs=0.02)
    assert found.drift < 0.01 and found.error == pytest.approx(0.7, abs=0.02)


def test_a_scale_that_is_a_little_wrong_is_a_drift() -> None:
    """One percent over 200 pixels: a shift of 1 at the middle and a pixel more or less at the edges."""
    found = registration(lambda _: _warped(1.01, 0), 200)
    assert found.drift == pytest.approx(1, abs=0.1) and found.shift_x == pytest.approx(1, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_aligned(preset: str) -> None:
    """Mean error over 25 draws at most 0.05 HR pixels."""
    config = compose(store_preset(preset), hr_size_px=400 if preset != "rwsr-edl" else 160)
    errors = []
    for sample in range(25):
        drawn = draw_sample(config, Source("aa", 900, 900), sample, 0, Bank() if config.recipe.wants_bank else None)
        for steps in drawn.members.values():
            chain = of_places(steps)
            errors.append(
                registration(lambda image, chain=chain: render_all(image, [chain])[0], config.hr_size_px).error
            )
    assert np.mean(errors) <= 0.05

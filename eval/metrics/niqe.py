"""NIQE (Mittal, Soundararajan and Bovik 2013): how far an image's local statistics are from those of good photographs.

It needs no reference; lower is better. As in the papers of the field (BasicSR): on Y of BT.601 in 16..235, rounded,
in blocks of 96 px at full and half size, with the pristine model that BasicSR converted from the authors' release.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate
from scipy.special import gamma

from ..images.imresize import imresize
from . import weights

F64 = npt.NDArray[np.float64]
BLOCK_PX = 96
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
_SHAPES = np.arange(0.2, 10.001, 0.001)  # the generalised Gaussians that are tried
_RATIOS = gamma(2 / _SHAPES) ** 2 / (gamma(1 / _SHAPES) * gamma(3 / _SHAPES))


@dataclass(frozen=True)
class Pristine:
    """What local statistics good photographs have: mean [36] and covariance [36, 36]; and the window [7, 7]."""

    mean: F64
    covariance: F64
    window: F64


def pristine() -> Pristine:
    """The published model; raises MissingWeights."""
    found = weights.load(weights.NIQE)
    return Pristine(
        mean=found["mu_pris_param"].double().numpy().ravel(),
        covariance=found["cov_pris_param"].double().numpy(),
        window=found["gaussian_window"].double().numpy(),
    )


def _mscn(luma: F64, window: F64) -> F64:
    """Contrast normalised: less the local mean, over the local deviation."""
    mean = correlate(luma, window, mode="nearest")
    deviation = np.sqrt(np.abs(correlate(luma * luma, window, mode="nearest") - mean * mean))
    return (luma - mean) / (deviation + 1)


def _half(luma: F64) -> F64:
    """Every second row, as MATLAB's imresize makes them: bicubic, antialiased, mirrored at the edges."""
    return imresize(luma, len(luma) // 2)


def _blocks(image: F64, size: int) -> F64:
    """[H, W], multiples of size, as [blocks, size, size]."""
    rows, columns = image.shape[0] // size, image.shape[1] // size
    return image.reshape(rows, size, columns, size).swapaxes(1, 2).reshape(-1, size, size)


def _root_mean_square(values: F64, chosen: npt.NDArray[np.bool_]) -> F64:
    """Of the chosen values of each block; nan where there are none."""
    counts = chosen.sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(np.where(chosen, values * values, 0).sum(axis=(1, 2)) / counts)


def _asymmetric_gaussian(blocks: F64) -> tuple[F64, F64, F64]:
    """Shape, left and right scale of the asymmetric generalised Gaussian that fits each block, by its moments."""
    left, right = _root_mean_square(blocks, blocks < 0), _root_mean_square(blocks, blocks > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        skew = left / right
        ratio = np.abs(blocks).mean(axis=(1, 2)) ** 2 / (blocks * blocks).mean(axis=(1, 2))
        wanted = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    above = np.clip(np.searchsorted(_RATIOS, wanted), 1, len(_RATIOS) - 1)
    nearest = np.where(wanted - _RATIOS[above - 1] <= _RATIOS[above] - wanted, above - 1, above)
    shape = np.where(np.isnan(wanted), np.nan, _SHAPES[nearest])
    spread = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * spread, right * spread


def _features(blocks: F64) -> F64:
    """[blocks, 18]: of the values, shape and mean scale; of their products with each neighbour, the whole fit."""
    shape, left, right = _asymmetric_gaussian(blocks)
    columns = [shape, (left + right) / 2]
    for shift in _SHIFTS:
        shape, left, right = _asymmetric_gaussian(blocks * np.roll(blocks, shift, axis=(1, 2)))
        columns += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
    return np.stack(columns, axis=1)


def niqe(luma: F64, model: Pristine) -> float:
    """NIQE of Y [H, W], 16..235, already rounded; nan where the image holds no two blocks of 96 px, or is flat."""
    height, width = (side // BLOCK_PX * BLOCK_PX for side in luma.shape)
    if height * width < 2 * BLOCK_PX**2:
        return float("nan")
    luma = luma[:height, :width]
    half = _half(_half(luma).T).T
    found = np.concatenate(
        [
            _features(_blocks(_mscn(luma, model.window), BLOCK_PX)),
            _features(_blocks(_mscn(half, model.window), BLOCK_PX // 2)),
        ],
        axis=1,
    )
    whole = found[~np.isnan(found).any(axis=1)]
    if len(whole) < 2:
        return float("nan")
    offset = model.mean - np.nanmean(found, axis=0)
    inverse = np.linalg.pinv((model.covariance + np.cov(whole, rowvar=False)) / 2)
    return float(np.sqrt(offset @ inverse @ offset))

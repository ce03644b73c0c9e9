"""What noise looks like in figures: its power over spatial frequency, and how its channels go together."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..degrade.images.pixels import U8

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NoiseStatistics:
    """Means over patches. frequency [s // 2]: cycles per pixel. power [s // 2]: mean over the channels, in squared gray
    levels; white noise of variance v has power v throughout. covariance [3, 3]: of R, G, B, in squared gray levels."""

    num_patches: int
    frequency: F64
    power: F64
    covariance: F64

    @property
    def correlation(self) -> F64:
        """[3, 3]: the covariance over the standard deviations; 0 where a channel has none."""
        deviation = np.sqrt(np.diag(self.covariance))
        scale = np.outer(deviation, deviation)
        return np.divide(self.covariance, scale, out=np.zeros_like(scale), where=scale > 0)


def estimated_sigma(patches: U8) -> F64:
    """The noise of each of [N, s, s, 3] patches by scikit-image, in gray levels: the median of its finest wavelets, a
    mean over the channels (Donoho and Johnstone 1994). It knows nothing of the variances that a bank is chosen by,
    which texture raises more than this.
    """
    return np.array([sum(_sigma(each[..., channel]) for channel in range(3)) / 3 for each in patches], dtype=np.float64)


def _sigma(channel: U8) -> float:
    """Of one channel; one value throughout has no wavelets to look at."""
    from skimage.restoration import estimate_sigma

    estimate: Any = estimate_sigma
    return 0.0 if channel.min() == channel.max() else float(np.nan_to_num(estimate(channel / 1.0)))


def _radius(size: int) -> npt.NDArray[np.int64]:
    """[s, s]: the distance from frequency 0, in steps of 1 / s cycles per pixel, rounded."""
    step = np.fft.fftfreq(size) * size
    return np.rint(np.hypot(step[:, None], step[None, :])).astype(np.int64)


def _power(centred: F64, window: F64) -> F64:
    """[s, s]: the periodogram of [s, s, 3], mean over the channels."""
    spectrum = np.fft.fft2(centred * window[..., None], axes=(0, 1))
    return (np.abs(spectrum) ** 2).mean(axis=2) / (window**2).sum()


def noise_statistics(patches: U8) -> NoiseStatistics:
    """The statistics of [N, s, s, 3] uint8 patches, each less its mean in each channel; N at least 1, s at least 4."""
    size = patches.shape[1]
    window = np.outer(np.hanning(size), np.hanning(size))
    power, covariance = np.zeros((size, size)), np.zeros((3, 3))
    for patch in patches:
        centred = patch - patch.mean(axis=(0, 1), dtype=np.float64)
        power += _power(centred, window)
        flat = centred.reshape(-1, 3)
        covariance += flat.T @ flat / len(flat)
    radius = _radius(size)
    in_ring = np.bincount(radius.ravel(), power.ravel()) / np.bincount(radius.ravel())
    rings = np.arange(1, size // 2 + 1)
    return NoiseStatistics(len(patches), rings / size, in_ring[rings] / len(patches), covariance / len(patches))

"""Downscaling by a kernel that was estimated of photographs (KernelGAN), as Impressionism makes its LR."""

import math
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator
from scipy.signal import convolve2d, fftconvolve

from ...images.pixels import F32
from ..step import Site, Step

F64 = npt.NDArray[np.float64]


def of_twice_the_scale(kernel: F64) -> F64:
    """The kernel that reduces by 4 what that one reduces by 2, twice: it, after itself with holes between.

    The sides are those of the published code: 3 n - 2, half of n cut off at each side. It sums up to 1.
    """
    n = len(kernel)
    with_holes = np.zeros((2 * n - 1, 2 * n - 1))
    with_holes[::2, ::2] = kernel
    whole = np.asarray(convolve2d(with_holes, kernel), dtype=np.float64)
    cut = n // 2
    found = whole[cut : len(whole) - cut, cut : len(whole) - cut]
    return found / found.sum()


@lru_cache(maxsize=256)
def _taps(taps: tuple[float, ...], factor: int) -> F64:
    side = math.isqrt(len(taps))
    kernel = np.array(taps).reshape(side, side)
    kernel = kernel / kernel.sum()
    return kernel if factor == 2 else of_twice_the_scale(kernel)


class EstimatedKernel(Step):
    """The image correlated with a kernel, of which every second or fourth pixel is kept; edges are mirrored, the edge
    pixel with them.
    """

    is_noise: ClassVar[bool] = False
    op: Literal["estimated-kernel"] = "estimated-kernel"
    taps: Annotated[tuple[float, ...], Field(min_length=1)]
    """Of scale 2, row by row, with its centre of mass between the two pixels that become one, as `rwsr train kernels`
    writes them; of factor 4 it is used twice.
    """
    factor: Literal[2, 4]
    """How many times smaller."""

    @model_validator(mode="after")
    def _square(self) -> Self:
        if math.isqrt(len(self.taps)) ** 2 != len(self.taps) or sum(self.taps) <= 0:
            raise ValueError(
                f"taps are {len(self.taps)}, which is no square, or sum up to nothing; name a kernel's rows"
            )
        return self

    def apply(self, at: Site) -> F32:
        kernel = _taps(self.taps, self.factor)
        n, (height, width) = len(kernel), at.image.shape[:2]
        around = ((n // 2, n - 1 - n // 2),) * 2
        padded = np.pad(at.image.astype(np.float64), (*around, (0, 0)), mode="symmetric")
        found = fftconvolve(padded, kernel[::-1, ::-1, None], mode="valid", axes=(0, 1))[:height, :width]
        return np.clip(found[:: self.factor, :: self.factor], 0, 1).astype(np.float32)

    @property
    def text(self) -> str:
        side = math.isqrt(len(self.taps))
        return f"estimated kernel of {side}x{side}, 1/{self.factor}"

"""Images made smaller and larger while a network is trained on one: by MATLAB's cubic, or by a kernel."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from ...eval.images.imresize import cubic, taps
from ...eval.images.kept import kept

F64 = npt.NDArray[np.float64]


def _at(old: int, new: int) -> npt.NDArray[np.int64]:
    return taps(old, new, cubic)[0]


def _weights(old: int, new: int) -> F64:
    return taps(old, new, cubic)[1]


def _along(image: Tensor, new: int) -> Tensor:
    old = image.shape[-1]
    at = kept(_at, old, new, device=image.device)
    return (image[..., at] * kept(_weights, old, new, device=image.device, dtype=image.dtype)).sum(-1)


def resized(image: Tensor, height: int, width: int) -> Tensor:
    """[B, C, H, W] by MATLAB's cubic, antialiased where it becomes smaller; not clipped."""
    return _along(_along(image, width).mT, height).mT


def _mirrored(before: int, side: int, after: int) -> npt.NDArray[np.int64]:
    at = np.arange(-before, side + after) % (2 * side)
    return np.minimum(at, 2 * side - 1 - at)


def by_kernel(image: Tensor, kernel: Tensor, scale: int) -> Tensor:
    """[B, C, H, W] correlated with a kernel [n, n], of which every scale-th pixel is kept: [B, C, H / scale, ...].

    Edges are mirrored, the edge pixel with them. The kernel's centre is that of `centred`.
    """
    for axis in (2, 3):
        n, side = kernel.shape[axis - 2], image.shape[axis]
        image = image.index_select(axis, kept(_mirrored, n // 2, side, n - 1 - n // 2, device=image.device))
    channels = image.shape[1]
    return functional.conv2d(image, kernel.expand(channels, 1, -1, -1), stride=scale, groups=channels)


def smaller_by(kernel: F64 | None, scale: int, like: Tensor) -> Callable[[Tensor], Tensor]:
    """How an image whose sides are multiples of the scale becomes small: by a kernel, or without one by the cubic."""
    if kernel is None:
        return lambda image: resized(image, image.shape[-2] // scale, image.shape[-1] // scale)
    told = torch.from_numpy(kernel).to(like)
    return lambda image: by_kernel(image, told, scale)


def centred(kernel: F64, scale: int) -> F64:
    """A kernel moved (by a cubic spline, into a wider frame) so that what it makes small lies where the cubic puts it.

    Its centre of mass then stands at the middle of each block of scale x scale pixels: n // 2 + (scale - n % 2) / 2 of
    a frame of n, when the kernel is put to the first pixel of the block by its n // 2.
    """
    sides = np.array(kernel.shape)
    wanted = sides // 2 + 0.5 * (scale - sides % 2)
    shift = wanted - ndimage.center_of_mass(kernel)
    frame = np.pad(kernel, int(np.ceil(np.abs(shift).max())) + 1)
    return np.asarray(ndimage.shift(frame, shift), dtype=np.float64)

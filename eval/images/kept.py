"""Small arrays that are wanted again and again, kept on the device where they are wanted.

A copy from the host makes the host wait until the device has done all that it was told before, in every step anew.
"""

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch._guards import detect_fake_mode

_MOST = 256
_kept: dict[Hashable, Tensor] = {}


def kept(
    make: Callable[..., npt.ArrayLike], *told: Hashable, device: torch.device, dtype: torch.dtype | None = None
) -> Tensor:
    """What `make` gives for what it is told, as a tensor of that type on that device; made and moved once.

    Not to be written to. Tensors without numbers (torch's fake mode) are kept apart from those with.
    """
    key = (make, told, device, dtype, detect_fake_mode())
    found = _kept.get(key)
    if found is None:
        with torch.inference_mode(mode=False):  # else no gradient could go through it later
            found = torch.from_numpy(np.asarray(make(*told))).to(device=device, dtype=dtype)
        if len(_kept) >= _MOST:
            _kept.pop(next(iter(_kept)))
        _kept[key] = found
    return found


def row(*values: float, like: Tensor) -> Tensor:
    """A number for each channel of an image, [C, 1, 1], of its type and on its device."""
    return kept(_row, *values, device=like.device, dtype=like.dtype)


def _row(*values: float) -> npt.NDArray[Any]:
    return np.array(values)[:, None, None]


def to_device(value: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on the device, without waiting for it."""
    return (value.pin_memory() if device.type == "cuda" else value).to(device, non_blocking=True)

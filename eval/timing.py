"""How long a network takes for an image (RWSR-EDL table VI)."""

import statistics
import time

import torch
from torch import nn

from .images.restoring import Device, restored


def seconds_of(net: nn.Module, device: Device, *, height: int, width: int, times: int) -> float:
    """The median of some restorations of one LR of that size, after one that is not counted."""
    lr = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)).to(device)
    seconds: list[float] = []
    for _ in range(times + 1):
        started = time.perf_counter()
        restored(net, lr)
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def threads() -> int:
    """Of arithmetic on the CPU."""
    return torch.get_num_threads()

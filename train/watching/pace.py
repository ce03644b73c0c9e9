"""How fast a training goes, how much of that it waits for data, and the memory it takes."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import psutil
import torch

T = TypeVar("T")
_GIB = 2**30


class Pace:
    """Steps, and the time that they took, since it was last asked."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._begin()

    def _begin(self) -> None:
        self._since, self._waited, self._steps = time.perf_counter(), 0.0, 0

    def timed(self, batches: Iterable[T]) -> Iterator[T]:
        """The batches, each a step; how long they are waited for is counted."""
        self._begin()
        waiting = iter(batches)
        while True:
            before = time.perf_counter()
            batch = next(waiting, None)
            self._waited += time.perf_counter() - before
            if batch is None:
                return
            self._steps += 1
            yield batch

    def figures(self) -> dict[str, float]:
        """steps/s; waiting: for data, as a share; GiB: the most that was taken of the GPU, or what this process has."""
        took = time.perf_counter() - self._since
        found = {"steps/s": self._steps / took, "waiting": self._waited / took, "GiB": self._memory() / _GIB}
        self._begin()
        return found

    def _memory(self) -> float:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return psutil.Process().memory_info().rss

"""Gradients averaged over several processes, the first of them while the backward pass still computes the others."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from .distributed import Ranks, buckets, give_back


@dataclass
class _Bucket:
    """Parameters whose gradients go together; missing: those without one so far."""

    trained: Sequence[Tensor]
    missing: set[Tensor] = field(default_factory=set[Tensor])
    flat: Tensor | None = None
    work: Any = None

    @property
    def gradients(self) -> list[Tensor]:
        return [value.grad for value in self.trained if value.grad is not None]

    def send(self) -> None:
        gradients = self.gradients
        if gradients:
            self.flat = torch.cat([each.flatten() for each in gradients])
            self.work = dist.all_reduce(self.flat, async_op=True)

    def settle(self, count: int) -> None:
        if self.flat is not None:
            self.work.wait()
            self.flat /= count
            give_back(self.flat, self.gradients)
        self.flat = self.work = None


class Gradients:
    """Of the parameters of one network, the last ones first, as a backward pass comes to them.

    Buckets are sent in one order, whatever is ready first, so that all processes send the same. A parameter without a
    gradient here has none anywhere.
    """

    def __init__(self, trained: Sequence[Tensor], ranks: Ranks) -> None:
        self._count, self._sent = ranks.count, 0
        self._buckets = [_Bucket(each) for each in buckets(reversed(trained))] if ranks.count > 1 else []
        self._of = {value: bucket for bucket in self._buckets for value in bucket.trained}
        self._on = False
        for value in self._of:
            value.register_post_accumulate_grad_hook(self._ready)

    @contextmanager
    def averaged(self) -> Generator[None]:
        """For the last backward pass of a step: when the block ends, all gradients are averages."""
        for bucket in self._buckets:
            bucket.missing = set(bucket.trained)
        self._sent, self._on = 0, True
        try:
            yield
        finally:
            self._on = False
        for bucket in self._buckets[self._sent :]:
            bucket.send()
        for bucket in self._buckets:
            bucket.settle(self._count)

    def _ready(self, value: Tensor) -> None:
        if not self._on:
            return
        self._of[value].missing.discard(value)
        while self._sent < len(self._buckets) and not self._buckets[self._sent].missing:
            self._buckets[self._sent].send()
            self._sent += 1

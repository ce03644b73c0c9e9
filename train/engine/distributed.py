"""Several processes that train one model: which of them this is, and the few things that they say to each other.

`torchrun --nproc-per-node 4 -m rwsr.pipelines.cli train ...` starts them; alone, there is one. Gradients are averaged
by hand after the backward pass: the networks stay plain modules, and the parts of a batch in several processes give the
same step as the whole batch in one.
"""

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

_BUCKET_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Ranks:
    """This process among those of a training."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0


@contextmanager
def joined(device: torch.device) -> Generator[Ranks]:
    """Find the other processes that torchrun started, if any, for as long as the block lasts."""
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        yield Ranks()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def local_device() -> torch.device:
    """The CUDA device of this process where there is one, else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def leads_here() -> bool:
    """Whether this process is the one that writes, before the others are found."""
    return int(os.environ.get("RANK", "0")) == 0


def use_threads(count: int) -> None:
    """Do this process's arithmetic on so many threads."""
    torch.set_num_threads(count)


def _buckets(tensors: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    waiting: list[Tensor] = []
    for tensor in tensors:
        waiting.append(tensor)
        if sum(each.numel() * each.element_size() for each in waiting) >= _BUCKET_BYTES:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def average(tensors: Iterable[Tensor], ranks: Ranks) -> None:
    """Replace each tensor by its mean over all processes, some MiB at a time."""
    if ranks.count == 1:
        return
    for bucket in _buckets(tensors):
        flat = torch.cat([each.flatten() for each in bucket])
        dist.all_reduce(flat)
        flat /= ranks.count
        at = 0
        for each in bucket:
            each.copy_(flat[at : at + each.numel()].view_as(each))
            at += each.numel()


def average_gradients(net: nn.Module, ranks: Ranks) -> None:
    """Of all parameters that are trained; one without a gradient here has none anywhere."""
    average((value.grad for value in net.parameters() if value.grad is not None), ranks)


def greatest(values: Tensor, ranks: Ranks) -> Tensor:
    """The greatest of each value over all processes."""
    if ranks.count > 1:
        dist.all_reduce(values, op=dist.ReduceOp.MAX)
    return values


def agreed(leaders: bool, ranks: Ranks) -> bool:
    """What the leader says, in every process; of the others it is not looked at."""
    if ranks.count == 1:
        return leaders
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    said = torch.tensor(float(leaders and ranks.leads), device=device)
    dist.all_reduce(said)
    return bool(said > 0)


def wait_for_all(ranks: Ranks) -> None:
    """Go on once every process is here."""
    if ranks.count > 1:
        dist.barrier()

"""Several processes that train one model: which of them this is, and the few things that they say to each other.

`torchrun --nproc-per-node 4 -m rwsr train ...` starts them; alone, there is one. Gradients are averaged by hand
(`gradients.py`): the networks stay plain modules, and the parts of a batch in several processes give the same step as
the whole batch in one, but for statistics that a network takes of its part (batch normalisation, a relativistic mean).
What is on a GPU goes through NCCL; what hosts tell each other goes through gloo, so that no GPU is waited for.
"""

import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ...degrade.errors import UserError
from ...degrade.progress import process_number

_BUCKET_BYTES = 32 * 2**20
_PATIENCE = timedelta(hours=2)  # for another process, which may write a checkpoint or measure its part of the images


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
    if expected().count <= 1:
        yield Ranks()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
        dist.init_process_group("cpu:gloo,cuda:nccl", timeout=_PATIENCE, device_id=device)
    else:
        dist.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def local_device() -> torch.device:
    """The CUDA device of this process where there is one, else the CPU.

    Raises:
        UserError: there are more processes on this machine than devices.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    number, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if number >= count:
        raise UserError(f"torchrun starts more processes than this machine has GPUs; set --nproc-per-node {count}")
    return torch.device("cuda", number)


def gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them to others."""
    count = torch.cuda.device_count()
    named = [each.strip() for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each.strip()]
    return (named or [str(number) for number in range(count)])[:count]


def expected() -> Ranks:
    """This process among those that torchrun started, before they have met."""
    return Ranks(process_number(), int(os.environ.get("WORLD_SIZE", "1")))


def leads_here() -> bool:
    """Whether this process is the one that writes, before the others are found."""
    return expected().leads


def use_threads(count: int) -> None:
    """Do this process's arithmetic on so many threads."""
    torch.set_num_threads(count)


def buckets(tensors: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    """Tensors of one type together, some MiB at a time."""
    waiting: dict[torch.dtype, list[Tensor]] = {}
    sizes: dict[torch.dtype, int] = {}
    for tensor in tensors:
        kind = tensor.dtype
        waiting.setdefault(kind, []).append(tensor)
        sizes[kind] = sizes.get(kind, 0) + tensor.numel() * tensor.element_size()
        if sizes[kind] >= _BUCKET_BYTES:
            yield waiting.pop(kind)
            sizes[kind] = 0
    yield from waiting.values()


def average(tensors: Iterable[Tensor], ranks: Ranks) -> None:
    """Replace each tensor by its mean over all processes, some MiB at a time."""
    if ranks.count == 1:
        return
    for bucket in buckets(tensors):
        flat = torch.cat([each.flatten() for each in bucket])
        dist.all_reduce(flat)
        flat /= ranks.count
        give_back(flat, bucket)


def give_back(flat: Tensor, bucket: Sequence[Tensor]) -> None:
    """Put what was one tensor into those that it was made of."""
    parts = flat.split([each.numel() for each in bucket])
    torch._foreach_copy_(list(bucket), [part.view_as(each) for part, each in zip(parts, bucket, strict=True)])  # pyright: ignore


def as_the_leader(tensors: Iterable[Tensor], ranks: Ranks) -> None:
    """Give every process the leader's values of its own tensors."""
    if ranks.count == 1:
        return
    with torch.no_grad():
        for bucket in buckets(tensors):
            flat = torch.cat([each.flatten() for each in bucket])
            dist.broadcast(flat, 0)
            give_back(flat, bucket)


def _of_all(value: object, ranks: Ranks) -> list[Any]:
    """What each process says, in their order."""
    parts: list[Any] = [None] * ranks.count
    dist.all_gather_object(parts, value)
    return parts


def gathered(values: Mapping[str, Sequence[float]], ranks: Ranks) -> dict[str, list[float]]:
    """The values of all processes by name, in the order of the processes; the same in each."""
    if ranks.count == 1:
        return {name: list(each) for name, each in values.items()}
    parts = _of_all({name: list(each) for name, each in values.items()}, ranks)
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: [value for part in parts for value in part.get(name, ())] for name in names}


def check_alike(value: object, what: str, ranks: Ranks) -> None:
    """Raises UserError, in every process, where they do not see the same."""
    if ranks.count == 1:
        return
    parts = _of_all(value, ranks)
    if any(part != parts[0] for part in parts):
        wait_for_all(ranks)  # nobody leaves while another still listens
        said = ", ".join(str(part) for part in parts)
        raise UserError(f"{what} is not the same for all processes ({said}); name a folder that all of them share")


class Asked:
    """Whether any process was asked to stop: known to all of them at the same step, one step later. Nobody waits."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._said: Tensor | None = None
        self._work: Any = None

    def by_anybody(self, here: bool) -> bool:
        """here: whether this one is asked by now. To be called once a step by each."""
        if self._ranks.count == 1:
            return here
        found = self.settle()
        self._said = torch.tensor([float(here)])
        self._work = dist.all_reduce(self._said, async_op=True)
        return found

    def settle(self) -> bool:
        """What was said last, once all have said it."""
        if self._work is None or self._said is None:
            return False
        self._work.wait()
        self._work = None
        return bool(self._said > 0)


def greatest(values: Tensor, ranks: Ranks) -> Tensor:
    """The greatest of each value over all processes."""
    if ranks.count > 1:
        dist.all_reduce(values, op=dist.ReduceOp.MAX)
    return values


def wait_for_all(ranks: Ranks) -> None:
    """Go on once every process is here; the devices may still compute."""
    if ranks.count > 1:
        dist.all_reduce(torch.zeros(1))

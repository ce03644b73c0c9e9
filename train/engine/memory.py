"""What a step takes of a device, before the first one: by a step on tensors that have sizes and no numbers."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch._guards import detect_fake_mode
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.flop_counter import FlopCounterMode

from ...degrade.errors import UserError
from .distributed import Ranks
from .recomputed import blocks_of
from .trained import Trained
from .training import B, LoopConfig, Training

GIB = 2**30
_ROOM = 1.1  # what cuDNN's workspaces and the allocator's rounding take beside


@dataclass(frozen=True)
class Cost:
    """Of one step of one process. fixed: bytes of weights, gradients, the optimisers' states, averages and frozen
    networks. saved: bytes that are kept for backward, of a whole batch; flop: of a whole batch, forward and backward.
    """

    fixed: int
    saved: int
    flop: int

    def bytes_in(self, parts: int) -> int:
        """What is taken at most where a batch is done in so many parts, by one process or by several."""
        return round((self.fixed + self.saved / parts) * _ROOM)


class Keys(list[int]):
    """The keys of samples as plain numbers, which a fake mode leaves alone."""

    def chunk(self, count: int) -> "list[Keys]":
        size = max(1, len(self) // count)
        return [Keys(self[first : first + size]) for first in range(0, len(self), size)]


class _Saved:
    """Bytes of what is kept for backward, each storage once; the most at any time."""

    def __init__(self, ours: Iterable[Tensor]) -> None:
        self._ours = {_place(each) for each in ours}
        self._now: dict[int, Tensor] = {}
        self._bytes, self._used = 0, False
        self.most = 0

    def keep(self, value: Tensor) -> Tensor:
        if self._used:  # what was kept before is used up by now
            self._now, self._bytes, self._used = {}, 0, False
        place = _place(value)
        if place not in self._ours and place not in self._now:
            self._now[place] = value  # held, so that no other gets its place
            self._bytes += value.untyped_storage().nbytes()
            self.most = max(self.most, self._bytes)
        return value

    def give(self, value: Tensor) -> Tensor:
        self._used = True
        return value


def _place(value: Tensor) -> int:
    return StorageWeakRef(value.untyped_storage()).cdata


def _tensors(nets: Sequence[nn.Module]) -> list[Tensor]:
    return [value for net in nets for value in net.state_dict().values()]


def _bytes(values: Sequence[Tensor]) -> int:
    return sum(value.numel() * value.element_size() for value in values)


def cost_of(make: Callable[[], Training[B]], batch: B, config: LoopConfig) -> Cost:
    """Of a training and a batch of it, whose numbers are not looked at; takes seconds, and no memory to speak of.

    A small batch will do where all of it counts alike: bytes and operations grow with the number of samples.
    """
    whole = config.model_copy(update={"accum_steps": 1, "compile": False, "channels_last": False})
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        method = make()
        trained = Trained(method, whole, torch.device("cpu"))
        nets = [*trained.nets.values(), *method.fixed]
        seen = _Saved(_tensors(nets))
        with FlopCounterMode(display=False) as flops, saved_tensors_hooks(seen.keep, seen.give):
            trained.step(0, _without_numbers(batch, mode), method.losses, Ranks())
        states: list[Any] = [each for every in trained.optimizers.values() for each in every.state.values()]
        held = [value for state in states for value in state.values() if isinstance(value, Tensor)]
        gradients = [value for net in trained.nets.values() for value in net.parameters() if value.requires_grad]
        averages = list(trained.ema.values()) + ([] if method.average is None else _tensors([method.average]))
        fixed = _bytes(_tensors(nets)) + _bytes(held) + _bytes(gradients) + _bytes(averages)
    found = Cost(fixed, seen.most, flops.get_total_flops())
    if not config.checkpointing:
        return found
    plain = cost_of(make, batch, config.model_copy(update={"checkpointing": False}))
    one_block = (plain.saved - found.saved) // len(blocks_of(trained.nets[trained.first]))  # it is back for a while
    return replace(found, saved=found.saved + one_block)


def _without_numbers(batch: Any, mode: FakeTensorMode) -> Any:
    values = {name: mode.from_tensor(value) for name, value in vars(batch).items() if isinstance(value, Tensor)}
    return replace(batch, **(values | {"keys": Keys(range(len(batch.keys)))}))


N = TypeVar("N", bound=nn.Module)


def without_numbers(net: N) -> N:
    """A copy of a network that is there already, to be made where a cost is counted: of its sizes alone."""
    mode = detect_fake_mode()
    assert mode is not None
    with unset_fake_temporarily():
        made = copy.deepcopy(net).cpu()
    for part in made.modules():
        for name, value in part._parameters.items():  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
            if value is not None:
                part._parameters[name] = nn.Parameter(mode.from_tensor(value.detach()), value.requires_grad)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        for name, value in part._buffers.items():  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
            if value is not None:
                part._buffers[name] = mode.from_tensor(value)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return made


def check_room(cost: Cost, config: LoopConfig, ranks: Ranks, device: torch.device) -> str | None:
    """Whether a step fits a CUDA device; a line where it does only once others have left it.

    Raises:
        UserError: it does not, whoever leaves; names the parts in which it does.
    """
    free, total = torch.cuda.mem_get_info(device)
    return room(cost, config, ranks, free, total, str(device))


def room(cost: Cost, config: LoopConfig, ranks: Ranks, free: int, total: int, device: str) -> str | None:
    """The same of a device with so many bytes."""
    taken = cost.bytes_in(config.accum_steps * ranks.count)
    if taken <= free:
        return None
    said = f"a step takes about {taken / GIB:.1f} GiB"
    if taken <= total:
        return f"note: {said}, and {device} has {free / GIB:.1f} of {total / GIB:.1f} GiB free"
    parts = next((n for n in _parts(config, ranks) if cost.bytes_in(n * ranks.count) <= total), None)
    if parts is None:
        least = cost.bytes_in(config.batch_size) / GIB
        mend = f"one sample alone takes {least:.1f} GiB; lower loop.lr_patch_px, or the network's sizes{_less(config)}"
    else:
        less = cost.bytes_in(parts * ranks.count) / GIB
        mend = f"set loop.accum_steps={parts}: the same step in {parts} parts, {less:.1f} GiB{_less(config)}"
    raise UserError(f"{said}, and {device} has {total / GIB:.1f} GiB; {mend}")


def _less(config: LoopConfig) -> str:
    return "" if config.checkpointing else "; loop.checkpointing=true takes less too, and a third more time"


def _parts(config: LoopConfig, ranks: Ranks) -> list[int]:
    """In how many parts a batch can be done, more than now."""
    samples = config.batch_size // ranks.count
    return [n for n in range(config.accum_steps + 1, samples + 1) if samples % n == 0]


def out_of_memory(config: LoopConfig, ranks: Ranks) -> UserError:
    """A device's own word on it, in ours."""
    parts = next(iter(_parts(config, ranks)), None)
    mend = "lower loop.lr_patch_px" if parts is None else f"set loop.accum_steps={parts} (or more)"
    return UserError(f"the device has no memory left for a step; {mend}, and let no other program hold any")

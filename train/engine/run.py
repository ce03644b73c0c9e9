"""One training of any method into the folder of a run: from groups or pairs, or from batches of any kind."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn
from torch.utils.data import Dataset

from ...degrade.errors import UserError
from ...degrade.images.pixels import U8
from ...degrade.progress import say
from ...degrade.storage.lock import only_builder
from ...degrade.storage.provenance import Json, sha256
from ...noisebank.bank import NoiseBank
from ..data.batches import GroupBatch, GroupBatches, GroupSource, LrSource
from ..data.imagined import imagined
from ..files.open import weights_in
from ..on_device.batches import on_device
from ..runs.checkpoint import is_finished, tidy
from ..runs.identity import check_free, check_identity, check_steps, write_identity
from .distributed import Ranks, expected, leads_here
from .loop import fit
from .memory import Cost, check_room, cost_of
from .schedule import needs_steps
from .training import Batch, LoopConfig, Training

B = TypeVar("B", bound=Batch)

Make = Callable[[GroupSource, Mapping[str, Tensor] | None], Training[GroupBatch]]
Validate = Callable[[nn.Module, Ranks], Mapping[str, Sequence[float]]]
Show = Callable[[nn.Module | None, int], dict[str, U8]]
OnStep = Callable[[int, dict[str, float]], None]


def train(
    run: Path,
    groups: GroupSource,
    data_sha256: str,
    config: BaseModel,
    loop: LoopConfig,
    make: Make,
    device: torch.device,
    on_step: OnStep,
    *,
    start_from: Path | None = None,
    also: Sequence[Path] = (),
    noise: NoiseBank | None = None,
    photographs: LrSource | None = None,
    spawn: bool = False,
    validate: Validate | None = None,
    show: Show | None = None,
    inputs: Json | None = None,
    branch: bool = False,
) -> bool:
    """Train what `make` makes for these groups, of the weights to start from or of none, into `run`.

    config: all of it, loop and method. start_from: an earlier run, a checkpoint of one or a published file, whose
    weights this one starts from; also: other files that it starts from. noise: a bank of which each LR gets new noise
    in each step. photographs: of which each sample gets a crop beside. inputs: what else went in, noted beside the
    config. on_step: called with (steps done, their loss terms), first with the steps that a checkpoint holds. branch:
    where `run` is under way under another learning rate or schedule, it goes on under this one.

    False when that was done before; more steps than before prolong it.

    Raises:
        UserError: `run` holds another training, or `make` finds that the groups do not fit.
        Interrupted: it was asked to stop, and is saved.
    """
    start, file = (None, None) if start_from is None else weights_in(start_from)
    identity = data_sha256 if noise is None else sha256(f"{data_sha256} {noise.digest}")
    for used in (file, *also):
        identity = identity if used is None else sha256(f"{identity} {sha256(used.read_bytes())}")
    batches = partial(
        GroupBatches,
        groups,
        batch_size=loop.batch_size,
        lr_patch_px=loop.lr_patch_px,
        use_rot90=loop.use_rot90,
        seed=loop.seed,
        noise=noise,
        photographs=photographs,
    )

    def cost() -> Cost:
        like = imagined(groups, loop.batch_size, loop.lr_patch_px, photographs=photographs is not None)
        return cost_of(lambda: make(groups, start), like, loop)

    return train_on(
        run,
        identity,
        config,
        loop,
        lambda: replace(make(groups, start), validate=validate, show=show),
        lambda ranks: on_device(batches(ranks=ranks), groups),
        device,
        on_step,
        spawn=spawn,
        inputs=inputs,
        branch=branch,
        cost=cost,
    )


def _say_what_it_takes(cost: Callable[[], Cost], loop: LoopConfig, device: torch.device) -> None:
    """A line where a step may not fit; raises UserError where it does not."""
    try:
        found = cost()
    except Exception as error:  # what fake tensors cannot follow of the networks of others
        note = f"note: what a step takes of {device} could not be counted ({type(error).__name__})"
    else:
        note = check_room(found, loop, expected(), device)
    if note is not None and leads_here():
        say(note)


def _check_precision(loop: LoopConfig, device: torch.device) -> None:
    """A line where a device is slow in what the config wants; raises UserError where it has none of it."""
    if loop.precision != "bf16":
        return
    fp32 = "set loop.precision=fp32 (published presets: NAME-fp32)"
    if device.type == "cpu" and leads_here():
        say(f"note: loop.precision=bf16 is for GPUs, and most CPUs are slow in it; {fp32} to be faster here")
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise UserError(f"{torch.cuda.get_device_name(device)} has no bf16; {fp32}, or set loop.precision=fp16")


def _completed(kind: type[BaseModel], known: Json) -> Json:
    """The config of a run with the keys that have come since, which have their defaults; as it is where it is none."""
    own = {name: value for name, value in known.items() if name in kind.model_fields}
    try:
        return known | kind.model_validate(own).model_dump(mode="json")
    except ValidationError:
        return known


def train_on(
    run: Path,
    identity: str,
    config: BaseModel,
    loop: LoopConfig,
    make: Callable[[], Training[B]],
    batches: Callable[[Ranks], "Dataset[B]"],
    device: torch.device,
    on_step: OnStep,
    *,
    spawn: bool = False,
    inputs: Json | None = None,
    branch: bool = False,
    cost: Callable[[], Cost] | None = None,
) -> bool:
    """Train a method on batches into `run`; False when that was done before.

    identity: the hash of all that the batches and the first weights come from. inputs: what else is noted with the
    config. batches: of a process among several. cost: of a step, which is held against the device's memory.

    Raises:
        UserError: `run` holds another training, or method, batches or a step's memory do not fit, or it diverged.
        BusyError: another process trains into it.
        Interrupted: it was asked to stop, and is saved.
    """
    whole = config.model_dump(mode="json") | ({"inputs": inputs} if inputs else {})
    check_free(run)
    with only_builder(run) if leads_here() else nullcontext():
        needed = needs_steps(loop.schedule)
        changes = check_identity(
            run,
            whole,
            identity,
            branch=branch,
            schedule_needs_steps=needed,
            completed=partial(_completed, type(config)),
        )
        finished = is_finished(run)
        check_steps(run, loop.steps, changes, finished=finished)
        if finished and (changes is None or not changes.prolongs):
            if leads_here():
                tidy(run, loop.keep_every)
            return False
        _check_precision(loop, device)
        method = make()
        batches(Ranks())  # says what does not fit before the folder is taken
        if cost is not None and device.type == "cuda":
            _say_what_it_takes(cost, loop, device)
        if changes is not None and changes.step and leads_here():
            what = "a branch" if changes.is_branch else "the same training"
            say(f"note: {run} goes on from step {changes.step} as {what}: {changes.text}")
        if leads_here():
            write_identity(run, whole, identity, changes)
        fit(run, method, batches, loop, device=device, whole_config=whole, on_step=on_step, spawn=spawn)
    return True

"""The training loop of all methods: batch, losses, steps, EMA, log, checkpoint; the same call goes on where it stopped.

Whatever a step depends on is a function of its number (batch, learning rate) or in the checkpoint (weights, optimisers,
scaler, generators, the sums of the log): a run that was killed and started again has the same losses as one that was
not.
"""

import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ...degrade.errors import UserError
from ...degrade.storage.provenance import Json
from ...degrade.tasks import keep_memory
from ...eval.images.restoring import in_fp32
from ...eval.report.table import GRADIENT, VALIDATION, mean_of
from ..runs import checkpoint, pictures
from ..runs.model_file import Weights, write_model
from ..runs.moments import model_file
from ..watching.events import Events
from ..watching.pace import Pace
from ..watching.step_log import StepLog
from .distributed import Asked, Ranks, as_the_leader, check_alike, gathered, joined, wait_for_all
from .finite import Finite
from .memory import out_of_memory
from .trained import Best, Trained
from .training import B, LoopConfig, Renders, Training

N = TypeVar("N", bound=nn.Module)
SPEED = "speed/"  # before the names of what is told of it


def built(make: Callable[[], N], seed: int) -> N:
    """A network with seeded weights; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


# ------------------------------------------------------------------------------------------------------- steps


@contextmanager
def _interruptible() -> Generator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, so that the step under way is finished and saved first."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(*_: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt  # the second time it is meant at once
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave_it_to_the_training(_: int) -> None:
    """In a loader: a scheduler asks the whole job to stop, and the step under way still wants its batch."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


class Interrupted(Exception):
    """A training that was asked to stop, after it was saved; step: how far it is."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


def _puts(batches: "Dataset[B]", device: torch.device) -> Callable[[Any], B]:
    """How a batch comes to the device."""
    if isinstance(batches, Renders):
        return partial(batches.put, device=device)

    def put(batch: B) -> B:
        return batch.to(device)

    return put


def _ahead(loader: "DataLoader[Any]", put: Callable[[Any], B], device: torch.device) -> Iterator[B]:
    """The batches on the device, the next one read and put there while the step of one is under way."""
    coming = iter(loader)
    if device.type != "cuda":
        yield from map(put, coming)
        return
    stream, waiting = torch.cuda.Stream(device), None
    while True:
        before = torch.cuda.current_stream(device).record_event()
        if waiting is not None:
            yield waiting
        batch = next(coming, None)
        if batch is None:
            return
        # it may get the memory of the batch before that one, which a step still reads: nothing else orders the two
        stream.wait_event(before)
        with torch.cuda.stream(stream):
            waiting = put(batch)
        torch.cuda.current_stream(device).wait_stream(stream)


@contextmanager
def own_generator(seed: int) -> Generator[None]:
    """A seeded global generator for the block; the caller's is as it was afterwards."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


@contextmanager
def _arithmetic(config: LoopConfig) -> Generator[None]:
    """How CUDA computes for the block."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = config.cudnn_benchmark
    try:
        with in_fp32(tf32=config.tf32):
            yield
    finally:
        torch.backends.cudnn.benchmark = before


def fit(
    run: Path,
    method: Training[B],
    batches: Callable[[Ranks], "Dataset[B]"],
    config: LoopConfig,
    *,
    device: torch.device,
    whole_config: Json,
    on_step: Callable[[int, dict[str, float]], None],
    spawn: bool,
) -> None:
    """Train the networks of a method into the folder `run`.

    Leaves run/train.parquet (step, name, value: means over log_every steps), run/model.safetensors (the EMA weights)
    and the last checkpoint, from which it can be prolonged. Killed at any moment, the same call goes on from the last
    checkpoint, with the same result; asked to stop (Ctrl-C, SIGTERM), it saves first. batches: of this process among
    several, the batch of each step by its number. on_step: (steps done, means when they are logged), first with the
    steps that a checkpoint holds.

    spawn: start loaders afresh instead of by fork, which readers of object storage do not survive.

    Raises:
        Interrupted: it was asked to stop; everything is saved.
        UserError: the batch cannot be shared out among the processes; the device has not enough memory; or a loss or a
            gradient is no number, and the last checkpoint is from before it.
    """
    if device.type == "cpu":
        keep_memory()
    with joined(device) as ranks, own_generator(config.seed), _arithmetic(config), _interruptible() as asked:
        if config.batch_size % (ranks.count * config.accum_steps):
            raise UserError(
                f"loop.batch_size = {config.batch_size} cannot be shared out among {ranks.count} processes in "
                f"{config.accum_steps} parts each; make it a multiple"
            )
        with closing(Events(run, config, whole_config, wanted=ranks.leads)) as events:
            try:
                _fit(run, method, batches(ranks), config, ranks, asked, device, whole_config, on_step, spawn, events)
            except torch.OutOfMemoryError:
                raise out_of_memory(config, ranks) from None


def _fit(
    run: Path,
    method: Training[B],
    batches: "Dataset[B]",
    config: LoopConfig,
    ranks: Ranks,
    asked: threading.Event,
    device: torch.device,
    whole_config: Json,
    on_step: Callable[[int, dict[str, float]], None],
    spawn: bool,
    events: Events,
) -> None:
    trained, best = Trained(method, config, device), Best(method.choice)
    log, finite = StepLog(device, events), _watch(config, device)
    saved = checkpoint.load_state(run, trained.nets, device)
    start = kept = saved.step if saved is not None else 0
    check_alike(start, f"the last checkpoint in {run}", ranks)
    if saved is not None:
        trained.ema, log.parts = saved.ema, saved.log
        trained.load(saved.state["trained"])
        log.load(saved.state["log"])
        best.load(saved.state["best"])
    weights = [value for net in trained.nets.values() for value in net.state_dict().values()]
    as_the_leader([*weights, *trained.ema.values()], ranks)
    wait_for_all(ranks)  # all have read what the leader removes
    if ranks.leads:
        checkpoint.drop_after(run, start)
        pictures.drop_pictures_after(run, start)
    on_step(start, {})

    def save(step: int) -> None:
        nonlocal kept
        state = {"trained": trained.state(), "log": log.state(ranks), "best": best.state()}
        if ranks.leads:
            log.write(run, step)
            nets, average = trained.nets, trained.ema
            checkpoint.save_state(run, step, nets, average, state, log.parts, keep_every=config.keep_every)
        kept = step
        wait_for_all(ranks)

    def end(step: int) -> None:
        _finish(run, config, log, best.weights or trained.ema, whole_config, best.step or step, ranks)

    if start >= config.steps or (start and best.has_patience and best.is_over):
        end(start)  # it was killed between its last checkpoint and its model
        return

    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=range(start, config.steps),
        num_workers=config.num_workers,
        worker_init_fn=_leave_it_to_the_training,
        multiprocessing_context="spawn" if spawn and config.num_workers else None,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # else it draws from torch's global one
    )
    pace, anybody = Pace(device), Asked(ranks)
    for step, batch in enumerate(pace.timed(_ahead(loader, _puts(batches, device), device)), start + 1):
        terms, norms = trained.step(step - 1, batch, method.losses, ranks)
        finite.look(step, terms | norms)
        log.add(terms | {name: torch.where(torch.isfinite(value), value, 0) for name, value in norms.items()})
        last, stop = step == config.steps, anybody.by_anybody(asked.is_set())
        to_log, to_save = step % config.log_every == 0, _is_saved(config, step)
        to_validate = method.validate is not None and (step % config.validate_every == 0 or last)
        if to_log or to_save or to_validate or last or stop:
            finite.check(ranks, kept)
        figures: dict[str, float] = {}
        if to_validate:
            figures = _validated(run, step, method, trained, ranks, config.show_images, events)
            best.consider(step, figures, trained.ema)
            last = last or (best.has_patience and best.is_over)
        means = log.mean(step, ranks) if to_log or last else {}
        log.note(step, figures)
        told = {name: value for name, value in means.items() if not name.startswith(GRADIENT)}
        if told:
            speed = pace.figures()
            events.figures(step, {f"{SPEED}{name}": value for name, value in speed.items()})
            told |= speed
        on_step(1, told)
        if to_save or stop or last:
            save(step)
        if last:
            end(step)
            return
        if stop:
            raise Interrupted(step)


def _watch(config: LoopConfig, device: torch.device) -> Finite:
    return Finite(device, fp16=config.precision == "fp16")


def _is_saved(config: LoopConfig, step: int) -> bool:
    return step % config.checkpoint_every == 0 or (config.keep_every is not None and step % config.keep_every == 0)


def _finish(
    run: Path, config: LoopConfig, log: StepLog, weights: Weights, whole_config: Json, chosen: int, ranks: Ranks
) -> None:
    """The log whole, and the model: the last average, or the one that was chosen. The last checkpoint stays, so that
    the training can be prolonged."""
    if ranks.leads:
        log_sha256 = checkpoint.merge_log(run, log.parts)
        named = {name: value.cpu().contiguous() for name, value in weights.items()}
        write_model(model_file(run), named, whole_config, chosen, log_sha256)
        checkpoint.tidy(run, config.keep_every)
    wait_for_all(ranks)


def _validated(
    run: Path, step: int, method: Training[Any], trained: Trained, ranks: Ranks, show: int, events: Events
) -> dict[str, float]:
    """The figures of the averaged weights, of which each process measures its part, and pictures of what they make; the
    network has its own again afterwards.
    """
    if method.validate is None:
        return {}
    net = trained.nets[trained.first]
    own = {name: value.clone() for name, value in net.state_dict().items()}
    net.load_state_dict(trained.ema)
    net.eval()
    try:
        with in_fp32():
            if method.show is not None and show and ranks.leads:
                if not (run / "images" / pictures.REFERENCE).exists():
                    pictures.write_pictures(run, pictures.REFERENCE, method.show(None, show))
                made = method.show(net, show)
                pictures.write_pictures(run, pictures.folder_of(step), made)
                events.pictures(step, made)
            values = gathered(method.validate(net, ranks), ranks)
            return {f"{VALIDATION}{name}": mean_of(each) for name, each in values.items()}
    finally:
        net.load_state_dict(own)
        net.train()

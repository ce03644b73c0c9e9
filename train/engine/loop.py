"""The training loop of all methods: batch, losses, steps, EMA, log, checkpoint; the same call goes on where it stopped.

Whatever a step depends on is a function of its number (batch, learning rate) or in the checkpoint (weights, optimisers,
scaler, generators, the sums of the log): a run that was killed and started again has the same losses as one that was
not.
"""

import math
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Protocol, Self, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.optim import Adam
from torch.utils.data import DataLoader, Dataset

from ...degrade.errors import UserError
from ...degrade.storage.provenance import Json
from ...eval.report.table import GRADIENT, VALIDATION
from . import checkpoint
from .checkpoint import Weights
from .distributed import Ranks, agreed, average, average_gradients, joined, wait_for_all
from .finite import Finite
from .schedule import Constant, Schedule, factor_at

N = TypeVar("N", bound=nn.Module)
_LOG = pa.schema([("step", pa.int64()), ("name", pa.string()), ("value", pa.float64())])
_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class LoopConfig(BaseModel):
    """How a training runs, whatever the method.

    batch: samples of a step, over all processes and micro-batches. accumulate: micro-batches of a step. lr_patch_px:
    side of the LR crop. turned: crops are not only mirrored but also turned. warm_up: steps over which the learning
    rate rises. ema: decay a step. precision: of the networks' arithmetic; weights and losses stay fp32. log_every,
    checkpoint_every, validate_every: steps. loaders: processes that read batches (0: the training process).
    tensorboard: write its events too, below RUN/tensorboard.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: Annotated[int, Field(ge=1)] = 70_000
    batch: Annotated[int, Field(ge=1, le=65536)] = 6
    accumulate: Annotated[int, Field(ge=1)] = 1
    lr_patch_px: Annotated[int, Field(ge=8, le=16384)] = 48
    turned: bool = False
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    betas: tuple[float, float] = (0.9, 0.99)
    warm_up: Annotated[int, Field(ge=0)] = 0
    schedule: Schedule = Constant()
    clip: Annotated[float, Field(gt=0)] | None = None
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    channels_last: bool = False
    compile: bool = False
    seed: Annotated[int, Field(ge=0)] = 0
    log_every: Annotated[int, Field(ge=1)] = 100
    checkpoint_every: Annotated[int, Field(ge=1)] = 1000
    validate_every: Annotated[int, Field(ge=1)] = 5000
    loaders: Annotated[int, Field(ge=0, le=256)] = 0
    tensorboard: bool = False

    @model_validator(mode="after")
    def _parts_are_equal(self) -> Self:
        if self.batch % self.accumulate:
            raise ValueError(f"batch = {self.batch} is not a multiple of accumulate = {self.accumulate}; make it one")
        return self


class Batch(Protocol):
    """Samples as tensors, the first axis the samples."""

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        ...

    def parts(self, count: int) -> list[Self]:
        """The same in that many equal parts."""
        ...


B = TypeVar("B", bound=Batch)


@dataclass(frozen=True)
class Choice:
    """The best average by a figure of the validation. patience: validations in a row that are no better end the
    training; none lets it go on to its last step.
    """

    by: str
    better: Literal["higher", "lower"]
    patience: int | None = None


Shared = dict[str, Tensor]  # what one network's losses leave for the next one's, of one micro-batch


@dataclass(frozen=True)
class Method(Generic[B]):
    """What is trained, and by which losses.

    networks: by name; in each step each takes a step of its own Adam, in their order. The first is the one that is
    averaged (EMA), validated and exported. losses: (network, micro-batch, shared) -> named terms, already weighted;
    their sum is minimised, and those that hang on nothing trained are only logged. fixed: networks that losses look
    through and nothing trains. validate: figures of the averaged weights, or none. choice: which of the averages that
    were validated becomes the model; none is the last.
    """

    networks: Mapping[str, nn.Module]
    losses: Callable[[str, B, Shared], dict[str, Tensor]]
    fixed: Sequence[nn.Module] = ()
    validate: Callable[[nn.Module], dict[str, float]] | None = None
    choice: Choice | None = None


def built(make: Callable[[], N], seed: int) -> N:
    """A network with seeded weights; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


# -------------------------------------------------------------------------------------------------------- log


class _Log:
    """Means of the named terms over some steps, in parts that end with the checkpoints."""

    def __init__(self, device: torch.device, events: Any) -> None:
        self.parts: dict[str, str] = {}  # the hash of each part that is written, by its name
        self._device, self._events = device, events
        self._rows: list[tuple[int, str, float]] = []
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def state(self, ranks: Ranks) -> dict[str, Any]:
        """The sums, the same in every process from here on."""
        average(self._sums.values(), ranks)
        return {"count": self._count, "sums": {name: value.cpu() for name, value in self._sums.items()}}

    def load(self, state: Mapping[str, Any]) -> None:
        self._count = state["count"]
        self._sums = {name: value.to(self._device) for name, value in state["sums"].items()}

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Without waiting for the device."""
        self._count += 1
        for name, value in terms.items():
            known = self._sums.get(name)
            self._sums[name] = value.detach().double() if known is None else known + value.detach()

    def mean(self, step: int, ranks: Ranks) -> dict[str, float]:
        """The means since the last ones; they are rows of the log from here on."""
        average(self._sums.values(), ranks)
        means = {name: value.item() / self._count for name, value in self._sums.items()}
        self.note(step, means)
        self._sums, self._count = {}, 0
        return means

    def note(self, step: int, values: Mapping[str, float]) -> None:
        self._rows += [(step, name, value) for name, value in values.items()]
        if self._events is None:
            return
        try:
            for name, value in values.items():
                self._events.add_scalar(name, value, step)
        except OSError as error:  # of its writing thread, which does not say of what
            raise OSError(error.errno, error.strerror, self._events.log_dir) from None

    def write(self, run: Path, step: int) -> None:
        """The rows since the last checkpoint, as the part of the log that ends with this one."""
        columns = [pa.array([row[i] for row in self._rows], field.type) for i, field in enumerate(_LOG)]
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_arrays(columns, schema=_LOG), sink)
        name, sha256 = checkpoint.write_log_part(run, step, sink.getvalue().to_pybytes())
        self.parts[name] = sha256
        self._rows = []


def _events(run: Path, wanted: bool) -> Any:
    if not wanted:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("loop.tensorboard needs the package: pip install 'rwsr[tensorboard]'") from None
    return SummaryWriter(str(run / "tensorboard"))


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


def _ahead(loader: "DataLoader[B]", device: torch.device) -> Iterator[B]:
    """The batches on the device, the next one on its way while one is used."""
    if device.type != "cuda":
        for batch in loader:
            yield batch.to(device)
        return
    stream = torch.cuda.Stream(device)
    waiting: B | None = None
    for batch in loader:
        with torch.cuda.stream(stream):
            coming = batch.to(device)
        if waiting is not None:
            yield waiting
        torch.cuda.current_stream(device).wait_stream(stream)
        waiting = coming
    if waiting is not None:
        yield waiting


class _Best:
    """The best average so far, by the figure of a choice; nothing where there is none."""

    def __init__(self, choice: Choice | None) -> None:
        self._choice = choice
        self.step, self.weights = 0, Weights()
        self._value, self._worse = 0.0, 0

    def state(self) -> dict[str, Any]:
        return {"step": self.step, "value": self._value, "worse": self._worse, "weights": self.weights}

    def load(self, state: Mapping[str, Any]) -> None:
        self.step, self.weights = state["step"], state["weights"]
        self._value, self._worse = state["value"], state["worse"]

    def consider(self, step: int, figures: Mapping[str, float], averaged: Weights) -> None:
        """Keep an average that is better than all before it; raises UserError where the figure is no number."""
        if self._choice is None or not figures:
            return
        value = figures[f"{VALIDATION}{self._choice.by}"]
        if not math.isfinite(value):
            raise UserError(
                f"{self._choice.by} has no value for any of the images (too small or flat), so it cannot choose; set "
                "another selection.by"
            )
        gain = value - self._value if self._choice.better == "higher" else self._value - value
        if gain > 0 or not self.step:
            self.step, self._value, self._worse = step, value, 0
            self.weights = {name: each.detach().cpu().clone() for name, each in averaged.items()}
        else:
            self._worse += 1

    @property
    def has_patience(self) -> bool:
        """Whether the training can end early."""
        return self._choice is not None and self._choice.patience is not None

    @property
    def is_over(self) -> bool:
        """Whether patience has run out."""
        patience = None if self._choice is None else self._choice.patience
        return patience is not None and self._worse >= patience


class _Trained:
    """The networks of a method with all that a step of them changes."""

    def __init__(self, method: Method[Any], config: LoopConfig, device: torch.device) -> None:
        self.nets = dict(method.networks)
        self.first = next(iter(self.nets))
        self._config, self._device = config, device
        for net in method.fixed:
            net.to(device)
        for net in self.nets.values():
            net.to(device).train()
            if config.channels_last:
                net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            if config.compile:
                net.compile()
        self.optimizers = {
            name: Adam([p for p in net.parameters() if p.requires_grad], lr=config.learning_rate, betas=config.betas)
            for name, net in self.nets.items()
        }
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self.ema: Weights = {name: value.detach().clone() for name, value in self.nets[self.first].state_dict().items()}

    def step(
        self, number: int, batch: Batch, losses: Callable[..., dict[str, Tensor]], ranks: Ranks
    ) -> tuple[Shared, Shared]:
        """One step of each network; gives back the terms, each the mean over the micro-batches, and the norm of each
        network's gradient before it is clipped.
        """
        config = self._config
        rate = config.learning_rate * factor_at(config.schedule, number, steps=config.steps, warm_up=config.warm_up)
        parts = batch.parts(config.accumulate)
        shared: list[Shared] = [{} for _ in parts]
        terms: Shared = {}
        norms: Shared = {}
        for name, net in self.nets.items():
            for other_name, other in self.nets.items():
                if other_name != name:
                    other.requires_grad_(False)
            trained = self.optimizers[name].param_groups[0]["params"]
            for value in trained:
                value.requires_grad_(True)
            self.optimizers[name].zero_grad(set_to_none=True)
            for part, kept in zip(parts, shared, strict=True):
                with torch.autocast(self._device.type, _TYPES[config.precision], enabled=config.precision != "fp32"):
                    found = losses(name, part, kept)
                whole = torch.stack([value.float() for value in found.values()]).sum() / len(parts)
                self.scaler.scale(whole).backward()
                for term, value in found.items():
                    terms[term] = terms.get(term, 0) + value.detach() / len(parts)  # type: ignore[operator]
            average_gradients(net, ranks)
            self.scaler.unscale_(self.optimizers[name])
            gradients = [value.grad for value in trained if value.grad is not None]
            norms[f"{GRADIENT}{name}"] = norm = nn.utils.get_total_norm(gradients)
            if config.clip is not None:
                nn.utils.clip_grads_with_norm_(trained, config.clip, norm)
            self.optimizers[name].param_groups[0]["lr"] = rate
            self.scaler.step(self.optimizers[name])
        self.scaler.update()
        with torch.no_grad():
            current = self.nets[self.first].state_dict()
            floats = [name for name, value in self.ema.items() if value.is_floating_point()]
            averaged, now = [self.ema[name] for name in floats], [current[name] for name in floats]
            torch._foreach_lerp_(averaged, now, 1 - config.ema)  # pyright: ignore
        return terms, norms

    def state(self) -> dict[str, Any]:
        """All of it but the networks' weights."""
        cuda = torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None
        return {
            "optimizers": {name: each.state_dict() for name, each in self.optimizers.items()},
            "scaler": self.scaler.state_dict(),
            "cpu_generator": torch.get_rng_state(),
            "cuda_generator": cuda,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        for name, each in self.optimizers.items():
            each.load_state_dict(state["optimizers"][name])
        self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["cpu_generator"])
        if self._device.type == "cuda" and state["cuda_generator"] is not None:
            torch.cuda.set_rng_state(state["cuda_generator"], self._device)


@contextmanager
def _own_generator(seed: int) -> Generator[None]:
    """A seeded global generator for the block; the caller's is as it was afterwards."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def fit(
    run: Path,
    method: Method[B],
    batches: Callable[[Ranks], "Dataset[B]"],
    config: LoopConfig,
    *,
    device: torch.device,
    whole_config: Json,
    on_step: Callable[[int, dict[str, float]], None],
    spawn: bool,
) -> None:
    """Train the networks of a method by Adam into the folder `run`.

    Leaves run/train.parquet (step, name, value: means over log_every steps) and run/model.safetensors (the EMA
    weights). Killed at any moment, the same call goes on from the last checkpoint, with the same result; asked to stop
    (Ctrl-C, SIGTERM), it saves first. batches: of this process among several, the batch of each step by its number.
    on_step: (steps done, means when they are logged), first with the steps that a checkpoint holds.

    spawn: start loaders afresh instead of by fork, which readers of object storage do not survive.

    Raises:
        Interrupted: it was asked to stop; everything is saved.
        UserError: the batch cannot be shared out among the processes; or a loss or a gradient is no number, and the
            last checkpoint is from before it.
    """
    with joined(device) as ranks, _own_generator(config.seed), _interruptible() as asked:
        if config.batch % (ranks.count * config.accumulate):
            raise UserError(
                f"loop.batch = {config.batch} cannot be shared out among {ranks.count} processes in "
                f"{config.accumulate} parts each; make it a multiple"
            )
        _fit(run, method, batches(ranks), config, ranks, asked, device, whole_config, on_step, spawn)


def _fit(
    run: Path,
    method: Method[B],
    batches: "Dataset[B]",
    config: LoopConfig,
    ranks: Ranks,
    asked: threading.Event,
    device: torch.device,
    whole_config: Json,
    on_step: Callable[[int, dict[str, float]], None],
    spawn: bool,
) -> None:
    trained, best = _Trained(method, config, device), _Best(method.choice)
    log, finite = _Log(device, _events(run, config.tensorboard and ranks.leads)), _watch(config, device)
    saved = checkpoint.load_state(run, trained.nets, device)
    start = kept = saved.step if saved is not None else 0
    if saved is not None:
        trained.ema, log.parts = saved.ema, saved.log
        trained.load(saved.state["trained"])
        log.load(saved.state["log"])
        best.load(saved.state["best"])
    wait_for_all(ranks)  # all have read what the leader removes
    if ranks.leads:
        checkpoint.drop_after(run, start)
    on_step(start, {})

    def save(step: int) -> None:
        nonlocal kept
        state = {"trained": trained.state(), "log": log.state(ranks), "best": best.state()}
        if ranks.leads:
            log.write(run, step)
            checkpoint.save_state(run, step, trained.nets, trained.ema, state, log.parts)
        kept = step
        wait_for_all(ranks)

    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=range(start, config.steps),
        num_workers=config.loaders,
        worker_init_fn=_leave_it_to_the_training,
        multiprocessing_context="spawn" if spawn and config.loaders else None,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # else it draws from torch's global one
    )
    for step, batch in enumerate(_ahead(loader, device), start + 1):
        terms, norms = trained.step(step - 1, batch, method.losses, ranks)
        finite.look(step, terms | norms)
        log.add(terms | {name: torch.where(torch.isfinite(value), value, 0) for name, value in norms.items()})
        last, stop = step == config.steps, asked.is_set()
        to_log, to_save = step % config.log_every == 0, step % config.checkpoint_every == 0
        to_validate = method.validate is not None and (step % config.validate_every == 0 or last)
        if to_log or to_save or to_validate or last or stop:
            finite.check(ranks, kept)
        figures: dict[str, float] = {}
        if to_validate:
            figures = _validated(method, trained, ranks)
            best.consider(step, figures, trained.ema)
            last = last or (best.has_patience and agreed(best.is_over, ranks))
        means = log.mean(step, ranks) if to_log or last else {}
        log.note(step, figures)
        on_step(1, {name: value for name, value in means.items() if not name.startswith(GRADIENT)})
        if (to_save or stop) and not last:
            save(step)
        if stop and not last:
            raise Interrupted(step)
        if last:
            _finish(run, log, best.weights or trained.ema, whole_config, step, best.step or step, ranks)
            return


def _watch(config: LoopConfig, device: torch.device) -> Finite:
    return Finite(device, fp16=config.precision == "fp16")


def _finish(run: Path, log: _Log, weights: Weights, whole_config: Json, step: int, chosen: int, ranks: Ranks) -> None:
    """The log whole, and the model: the last average, or the one that was chosen."""
    if ranks.leads:
        log.write(run, step)
        log_sha256 = checkpoint.merge_log(run, log.parts)
        named = {name: value.cpu().contiguous() for name, value in weights.items()}
        checkpoint.write_model(checkpoint.model_file(run), named, whole_config, chosen, log_sha256)
        checkpoint.tidy(run)
    wait_for_all(ranks)


def _validated(method: Method[Any], trained: _Trained, ranks: Ranks) -> dict[str, float]:
    """The figures of the averaged weights; the network has its own again afterwards."""
    if method.validate is None or not ranks.leads:
        return {}
    net = trained.nets[trained.first]
    own = {name: value.clone() for name, value in net.state_dict().items()}
    net.load_state_dict(trained.ema)
    net.eval()
    try:
        return {f"{VALIDATION}{name}": value for name, value in method.validate(net).items()}
    finally:
        net.load_state_dict(own)
        net.train()

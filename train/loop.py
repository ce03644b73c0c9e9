"""The training loop: batch, losses, step, EMA, log, checkpoint; the same call goes on where it stopped."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Self, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..degrade.disk import write_atomic
from . import checkpoint
from .checkpoint import Weights
from .data import GroupBatch, GroupBatches

N = TypeVar("N", bound=nn.Module)
_LOG = pa.schema([("step", pa.int64()), ("name", pa.string()), ("value", pa.float64())])


class LoopConfig(BaseModel):
    """groups: a batch, in groups of five. lr_patch_px: side of the LR crop. ema: decay a step.

    log_every, checkpoint_every: steps. loaders: processes that read batches (0: the training process).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: Annotated[int, Field(ge=1)] = 70_000
    groups: Annotated[int, Field(ge=1)] = 6
    lr_patch_px: Annotated[int, Field(ge=8)] = 48
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    betas: tuple[float, float] = (0.9, 0.99)
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    seed: Annotated[int, Field(ge=0)] = 0
    log_every: Annotated[int, Field(ge=1)] = 100
    checkpoint_every: Annotated[int, Field(ge=1)] = 1000
    loaders: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _log_fits(self) -> Self:
        if self.checkpoint_every % self.log_every:
            raise ValueError(
                f"checkpoint_every = {self.checkpoint_every} is not a multiple of log_every = {self.log_every}, so a "
                "resumed log would differ; make it one"
            )
        return self


def built(make: Callable[[], N], seed: int) -> N:
    """A network with seeded weights; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def _write_log(run: Path, step: int, rows: list[tuple[int, str, float]]) -> None:
    """The terms since the last checkpoint, as the part of the log that ends with this one."""
    columns = [pa.array([row[i] for row in rows], field.type) for i, field in enumerate(_LOG)]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(columns, schema=_LOG), sink)
    write_atomic(run / "log" / f"step-{step:08d}.parquet", sink.getvalue().to_pybytes())


def _merge_log(run: Path) -> None:
    """train.parquet, whole, from the parts."""
    parts = [pq.read_table(path) for path in sorted((run / "log").glob("step-*.parquet"))]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.concat_tables(parts), sink, compression="zstd")
    write_atomic(run / "train.parquet", sink.getvalue().to_pybytes())


def _drop_log_after(run: Path, step: int) -> None:
    for path in (run / "log").glob("step-*.parquet"):
        if int(path.stem.removeprefix("step-")) > step:
            path.unlink()


def is_finished(run: Path) -> bool:
    """Whether the training in a folder has run to its end."""
    return (run / "model.safetensors").exists()


def fit(
    run: Path,
    net: nn.Module,
    losses: Callable[[GroupBatch], dict[str, Tensor]],
    batches: GroupBatches,
    config: LoopConfig,
    *,
    device: torch.device,
    whole_config: BaseModel,
    on_step: Callable[[int, dict[str, float]], None],
    spawn: bool,
) -> None:
    """Train `net` by Adam on the sum of the named terms, into the folder `run`.

    Leaves run/train.parquet (step, name, value: means over log_every steps) and run/model.safetensors (the EMA
    weights). Killed at any moment, the same call goes on from the last checkpoint, with the same result.

    spawn: start loaders afresh instead of by fork, which readers of object storage do not survive.
    """
    net.to(device).train()
    optimizer = torch.optim.Adam(net.parameters(), lr=config.learning_rate, betas=config.betas)
    ema: Weights = {name: value.detach().clone() for name, value in net.state_dict().items()}
    saved = checkpoint.steps_saved(run)
    start = saved[-1] if saved else 0
    if start:
        ema = {name: value.to(device) for name, value in checkpoint.load_state(run, start, net, optimizer).items()}
    _drop_log_after(run, start)
    on_step(start, {})

    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=range(start, config.steps),
        num_workers=config.loaders,
        multiprocessing_context="spawn" if spawn and config.loaders else None,
        generator=torch.Generator(),  # else it draws from torch's global one, which is the caller's
    )
    rows: list[tuple[int, str, float]] = []
    sums: dict[str, float] = {}
    for step, batch in enumerate(loader, start + 1):
        # one step of Adam
        terms = losses(batch.to(device))
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
        with torch.no_grad():
            for name, value in net.state_dict().items():
                ema[name].lerp_(value, 1 - config.ema)
        # log
        values = {name: term.item() for name, term in terms.items()}
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value
        if step % config.log_every == 0 or step == config.steps:
            count = (step - 1) % config.log_every + 1
            rows += [(step, name, total / count) for name, total in sums.items()]
            sums = {}
        on_step(1, values)
        # checkpoint
        if step % config.checkpoint_every == 0 and step < config.steps:
            _write_log(run, step, rows)
            checkpoint.save_state(run, step, net, {name: v.cpu() for name, v in ema.items()}, optimizer)
            rows = []
    _write_log(run, config.steps, rows)
    _merge_log(run)
    checkpoint.write_model(
        run / "model.safetensors",
        {name: v.cpu().contiguous() for name, v in ema.items()},
        whole_config,
        config.steps,
    )
    shutil.rmtree(run / "checkpoints", ignore_errors=True)

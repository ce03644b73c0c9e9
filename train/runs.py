"""One training of any method, from groups or pairs into the folder of a run."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from ..degrade.provenance import sha256
from ..noisebank.bank import NoiseBank
from .checkpoint import check_identity, model_file, read_model, write_identity
from .data import GroupBatch, GroupBatches, GroupSource
from .loop import LoopConfig, Method, fit, is_finished

Stage = Literal[1, 2]
Make = Callable[[GroupSource, Mapping[str, Tensor] | None], Method[GroupBatch]]
Validate = Callable[[nn.Module], dict[str, float]]
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
    noise: NoiseBank | None = None,
    spawn: bool = False,
    validate: Validate | None = None,
) -> bool:
    """Train what `make` makes for these groups, of the weights to start from or of none, into `run`.

    config: all of it, loop and method. start_from: an earlier run, or its model file, whose averaged weights this one
    starts from. noise: a bank of which each LR gets new noise in each step. on_step: called with (steps done, their
    loss terms), first with the steps that a checkpoint holds. False when that was done before.

    Raises:
        UserError: `run` holds another training, or `make` finds that the groups do not fit.
        Interrupted: it was asked to stop, and is saved.
    """
    file = model_file(start_from) if start_from is not None else None
    start = read_model(file).weights if file is not None else None
    identity = data_sha256 if noise is None else sha256(f"{data_sha256} {noise.digest}")
    identity = identity if file is None else sha256(f"{identity} {sha256(file.read_bytes())}")
    whole = config.model_dump(mode="json")
    check_identity(run, whole, identity)
    if is_finished(run):
        return False
    method = replace(make(groups, start), validate=validate)
    batches = partial(
        GroupBatches,
        groups,
        batch=loop.batch,
        lr_patch_px=loop.lr_patch_px,
        turned=loop.turned,
        seed=loop.seed,
        noise=noise,
    )
    batches()  # says what does not fit before the folder is taken
    run.mkdir(parents=True, exist_ok=True)
    write_identity(run, whole, identity)
    fit(
        run,
        method,
        lambda ranks: batches(ranks=ranks),
        loop,
        device=device,
        whole_config=whole,
        on_step=on_step,
        spawn=spawn,
    )
    return True

"""Training states and the log on the disk, whole or not there and bound by their hashes.

SHA-256 tells damage: of a checkpoint's files and the parts of the log before it in its sums.json, of a model's weights
and config in its own metadata, of the log in the model's.
"""

import io
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load, save
from torch import nn

from ...degrade.errors import StoreError
from ...degrade.storage.local import sync_folder, write_atomic
from ...degrade.storage.provenance import Json, sha256
from ...degrade.storage.tables import parsed
from .bound import bound, unbound
from .model_file import SUMS, Weights, check_numbers, damaged, read_model, weights_of
from .moments import checkpoint_at, checkpoint_folder, model_file, moment_of, steps_saved

_KEPT = 2
_LOG = "train.parquet"

LOG = pa.schema([("step", pa.int64()), ("name", pa.string()), ("value", pa.float64())])

_log = logging.getLogger("rwsr")


def read_log(path: Path) -> pa.Table:
    """The log of a run, by its folder or by one of its checkpoints (RUN@20000): step, name, value.

    Of a training that is under way, up to its last checkpoint.

    Raises:
        StoreError: it is missing, or not the one that the training wrote.
    """
    run, moment = moment_of(path)
    if moment is not None or (steps_saved(run) and not is_finished(run)):
        return _merged(run, unbound(checkpoint_at(path) / SUMS)["log"])
    file = run / _LOG
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise StoreError(
            f"{file} does not exist; name the folder of a run that has saved a checkpoint, or finish it with rwsr train"
        ) from None
    wanted = read_model(model_file(run)).log_sha256
    if wanted is not None and sha256(data) != wanted:
        raise damaged(file, "its hash is another")
    try:
        return parsed(data, columns=["step", "name", "value"])
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise StoreError(f"{file} is not the log of a run ({reason}); name the folder of another") from None


def is_finished(run: Path) -> bool:
    """Whether a run's model is there, and whole, and of the steps that the run is to have; where it is not whole but
    checkpoints are, it is not finished.

    Raises:
        StoreError: the model is damaged, and nothing is left to go on from.
    """
    if not run.is_dir() or not model_file(run).exists():
        return False
    try:
        model = read_model(model_file(run))
    except StoreError as error:
        if not steps_saved(run):
            raise
        _log.warning("%s; the training goes on from a checkpoint", error)
        return False
    return steps_of(model.config) == steps_of(unbound(run / "run.json")["config"])


def steps_of(config: Json) -> int | None:
    """How many steps a training has, by its config; None where it does not say."""
    return config.get("loop", {}).get("steps")


def save_state(
    run: Path,
    step: int,
    nets: Mapping[str, nn.Module],
    ema: Weights,
    state: Mapping[str, Any],
    log: Mapping[str, str],
    *,
    keep_every: int | None = None,
) -> None:
    """Everything that the next step depends on; older checkpoints but one are removed afterwards, and those of every
    `keep_every` steps are not.

    state: whatever is not weights, of tensors, numbers, text, lists and dicts. log: the hash of each part of the log
    up to here, by its name.

    Raises:
        StoreError: a weight is no number; nothing is written, nothing removed.
        OSError: the disk is full, say; the older checkpoints are as they were.
    """
    final = checkpoint_folder(run, step)
    sink = io.BytesIO()
    torch.save(dict(state), sink)
    weights = {name: weights_of(net) for name, net in nets.items()}
    weights["ema"] = {name: value.cpu().contiguous() for name, value in ema.items()}
    files = {f"{name}.safetensors": save(check_numbers(each, final)) for name, each in weights.items()}
    files["state.pt"] = sink.getvalue()
    beside = final.with_name(f"{final.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    for name, data in files.items():
        write_atomic(beside / name, data)
    write_atomic(beside / SUMS, bound({"files": {name: sha256(data) for name, data in files.items()}, "log": log}))
    if final.exists():
        shutil.rmtree(final)
    os.replace(beside, final)
    sync_folder(final.parent)
    tidy(run, keep_every, count=_KEPT)


def _read_whole(folder: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """The files of a checkpoint, and the hashes of the parts of the log; raises StoreError where it is not whole."""
    sums = unbound(folder / SUMS)
    files: dict[str, bytes] = {}
    for name, wanted in sums["files"].items():
        try:
            files[name] = (folder / name).read_bytes()
        except OSError as error:
            raise StoreError(f"{folder / name} cannot be read: {error.strerror}") from None
        if sha256(files[name]) != wanted:
            raise StoreError(f"{folder / name} is damaged: its hash is another")
    return files, sums["log"]


@dataclass(frozen=True)
class Saved:
    """A checkpoint: its step, the averaged weights, the state beside them, and the hashes of the log's parts."""

    step: int
    ema: Weights
    state: Json
    log: dict[str, str]


def load_state(run: Path, nets: Mapping[str, nn.Module], device: torch.device) -> Saved | None:
    """The newest checkpoint that is whole, its weights put into the networks; None where there is none at all.

    A damaged one is named in a line (logger `rwsr`), and the one before it is taken.

    Raises:
        StoreError: there are some, and none is whole.
    """
    steps = steps_saved(run)
    for step in reversed(steps):
        try:
            files, log = _read_whole(checkpoint_folder(run, step))
        except StoreError as error:
            _log.warning("checkpoint of step %d: %s; the one before it is looked at", step, error)
            continue
        for name, net in nets.items():
            net.load_state_dict(load(files[f"{name}.safetensors"]))
        ema = {name: value.to(device) for name, value in load(files["ema.safetensors"]).items()}
        state = torch.load(io.BytesIO(files["state.pt"]), weights_only=True, map_location="cpu")
        return Saved(step, ema, state, log)
    if steps:
        raise StoreError(
            f"none of the checkpoints in {run} is whole (see the lines above); remove {run}, and the same command "
            "trains from the start"
        )
    return None


def drop_after(run: Path, step: int) -> None:
    """Remove the checkpoints and the parts of the log that come after a step."""
    for later in (each for each in steps_saved(run) if each > step):
        shutil.rmtree(checkpoint_folder(run, later))
    for path in (run / "log").glob("step-*.parquet"):
        number = path.stem.removeprefix("step-")
        if number.isdigit() and int(number) > step:
            path.unlink()


def write_log_part(run: Path, step: int, data: bytes) -> tuple[str, str]:
    """Put the part of the log that ends with a step in its place; gives its name and hash."""
    path = run / "log" / f"step-{step:08d}.parquet"
    write_atomic(path, data)
    return path.name, sha256(data)


def _merged(run: Path, parts: Mapping[str, str]) -> pa.Table:
    """The parts of a log, by name and hash, as one; a part that is not whole is named and left out."""
    found: list[pa.Table] = []
    for name in sorted(parts):
        path = run / "log" / name
        try:
            data = path.read_bytes()
        except OSError as error:
            _log.warning("%s cannot be read (%s): the log lacks these steps", path, error.strerror)
            continue
        if sha256(data) != parts[name]:
            _log.warning("%s is damaged: the log lacks these steps", path)
            continue
        found.append(parsed(data))
    return pa.concat_tables([LOG.empty_table(), *found])


def merge_log(run: Path, parts: Mapping[str, str]) -> str:
    """train.parquet out of the parts, by name and hash; gives its hash."""
    sink = pa.BufferOutputStream()
    pq.write_table(_merged(run, parts), sink, compression="zstd", write_page_checksum=True)
    whole = sink.getvalue().to_pybytes()
    write_atomic(run / _LOG, whole)
    return sha256(whole)


def tidy(run: Path, keep_every: int | None, *, count: int = 1) -> None:
    """Remove all checkpoints but the last ones, so many of them, and those of every `keep_every` steps."""
    for old in steps_saved(run)[:-count]:
        if not keep_every or old % keep_every:
            shutil.rmtree(checkpoint_folder(run, old))

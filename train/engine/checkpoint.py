"""Training states on the disk, whole or not there and bound by their hashes; the model file that others load; the log.

A damaged checkpoint, model or log is told from a whole one by SHA-256: of a checkpoint's files and the parts of the log
before it in its sums.json, of a model's weights and config in its own metadata, of the log in the model's.
"""

import hashlib
import io
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, load_file, save
from torch import Tensor, nn

from ...degrade.errors import StoreError, UserError
from ...degrade.storage.local import sync_folder, write_atomic
from ...degrade.storage.provenance import Json, canonical, sha256
from ...degrade.storage.tables import parsed

N = TypeVar("N", bound=nn.Module)
_KEPT = 2
_METADATA = "rwsr"
_SUMS = "sums.json"
_LOG = "train.parquet"
Weights = dict[str, Tensor]

_log = logging.getLogger("rwsr")


@dataclass(frozen=True)
class ModelFile:
    """Weights, the config that they were trained under, the step whose average they are, and the hash of the log."""

    weights: Weights
    config: Json
    step: int
    log_sha256: str | None


def weights_of(net: nn.Module) -> Weights:
    """A copy of a network's weights on the CPU."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in net.state_dict().items()}


def start_with(net: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a network the weights of an earlier run; raises UserError where they are of another network."""
    here = {name: list(value.shape) for name, value in net.state_dict().items()}
    there = {name: list(value.shape) for name, value in weights.items()}
    for name in here | there:
        if here.get(name) != there.get(name):
            raise UserError(
                f"--start-from is of another network ({name}: {there.get(name, 'missing')} there, "
                f"{here.get(name, 'missing')} here); name a run of the same method, preset and network keys"
            )
    net.load_state_dict(weights)


def _hash_of(about: Json, weights: Mapping[str, Tensor]) -> str:
    """Of what a model file says of itself, and of the name, type, shape and bytes of each tensor."""
    digest = hashlib.sha256(canonical(about).encode())
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        digest.update(canonical([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write_model(path: Path, weights: Weights, config: Json, step: int, log_sha256: str | None = None) -> None:
    """A flat safetensors file; config, step and hashes in one metadata entry (the library shuffles several).

    Raises:
        StoreError: a weight is no number.
    """
    about: Json = {"config": config, "step": step, "log_sha256": log_sha256}
    metadata = about | {"sha256": _hash_of(about, check_numbers(weights, path))}
    write_atomic(path, save(weights, {_METADATA: json.dumps(metadata)}))


def model_file(path: Path) -> Path:
    """The model file of a finished run, or the file itself."""
    return path / "model.safetensors" if path.is_dir() else path


def _damaged(path: Path, reason: object) -> StoreError:
    return StoreError(
        f"{path} is not what a training wrote ({reason}); copy it again, or remove it and run the command that made it"
    )


def _about(path: Path, metadata: Mapping[str, str]) -> Json:
    """What a model file says of itself; raises StoreError where that is nothing that we write."""
    try:
        value = json.loads(metadata[_METADATA])
        if not isinstance(value, dict):
            raise ValueError("its metadata are others")
        hashes = {"log_sha256", "sha256"} if "sha256" in value else set[str]()  # a file of rwsr 0.1.0 has none
        if value.keys() != {"config", "step"} | hashes or not isinstance(value["config"], dict):
            raise ValueError("its metadata are others")
        return value
    except (ValueError, AttributeError) as error:
        raise _damaged(path, error) from None


def config_of(path: Path) -> Json | None:
    """The config in a model file, whose weights are not read; None where it is no such file.

    Raises:
        StoreError: it is one of ours, and its metadata are damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError):
        return None
    return _about(path, metadata)["config"] if _METADATA in metadata else None


def check_numbers(weights: Weights, path: Path) -> Weights:
    """The weights; raises StoreError where one is not a number."""
    for name, value in weights.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise StoreError(f"{path} holds values that are not numbers ({name}); name another checkpoint")
    return weights


def read_model(path: Path) -> ModelFile:
    """What is in a model file, once its hash is known to be right (a file of rwsr 0.1.0 has none).

    Raises:
        StoreError: the file is missing, damaged, or not one of ours.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if _METADATA not in metadata:
            raise StoreError(f"{path} carries no rwsr config; name a model.safetensors that rwsr train wrote")
        about = _about(path, metadata)
        weights = check_numbers(load_file(path), path)
    except FileNotFoundError:
        if (path.parent / "run.json").exists():
            raise StoreError(f"{path.parent} is not trained to its end; run the command that began it again") from None
        raise StoreError(f"{path} does not exist; name the folder that was --out of rwsr train") from None
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from None
    wanted = about.pop("sha256", None)
    if wanted is not None and wanted != _hash_of(about, weights):
        raise _damaged(path, "its hash is another")
    return ModelFile(weights, about["config"], int(about["step"]), about.get("log_sha256"))


def read_log(run: Path) -> pa.Table:
    """The log of a finished run: step, name, value.

    Raises:
        StoreError: it is missing, or not the one that the training wrote.
    """
    path = run / _LOG
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise StoreError(
            f"{path} does not exist; name the folder of a finished run, or finish it with rwsr train"
        ) from None
    wanted = read_model(model_file(run)).log_sha256
    if wanted is not None and sha256(data) != wanted:
        raise _damaged(path, "its hash is another")
    try:
        return parsed(data, columns=["step", "name", "value"])
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise StoreError(f"{path} is not the log of a run ({reason}); name the folder of another") from None


def is_finished(run: Path) -> bool:
    """Whether a run's model is there, and whole; where it is not whole but checkpoints are, it is not finished.

    Raises:
        StoreError: the model is damaged, and nothing is left to go on from.
    """
    if not model_file(run).exists() or not run.is_dir():
        return False
    try:
        read_model(model_file(run))
    except StoreError as error:
        if not steps_saved(run):
            raise
        _log.warning("%s; the training goes on from a checkpoint", error)
        return False
    return True


def load_trained(path: Path, device: torch.device, what: str, make: Callable[[Any], N]) -> N:
    """The network in a model file, or in the folder of a finished run, ready to restore.

    make: of the config's `network`, with any weights. what: it is, for messages.

    Raises:
        StoreError: the file is missing, damaged, or of another network.
    """
    file = model_file(path)
    model = read_model(file)
    try:
        net = make(model.config["network"])
        net.load_state_dict(model.weights)
    except (ValueError, KeyError, RuntimeError, TypeError) as error:
        said = " ".join(str(error).split())[:200]
        raise StoreError(f"{file} does not hold {what} network: {said}") from None
    return net.to(device).eval().requires_grad_(False)


def _folder(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step-{step:08d}"


def steps_saved(run: Path) -> list[int]:
    """The steps with a checkpoint, in order."""
    names = (path.name.removeprefix("step-") for path in (run / "checkpoints").glob("step-????????") if path.is_dir())
    return sorted(int(name) for name in names if name.isdigit())


def save_state(
    run: Path,
    step: int,
    nets: Mapping[str, nn.Module],
    ema: Weights,
    state: Mapping[str, Any],
    log: Mapping[str, str],
) -> None:
    """Everything that the next step depends on; older checkpoints but one are removed afterwards.

    state: whatever is not weights, of tensors, numbers, text, lists and dicts. log: the hash of each part of the log
    up to here, by its name.

    Raises:
        StoreError: a weight is no number; nothing is written, nothing removed.
        OSError: the disk is full, say; the older checkpoints are as they were.
    """
    final = _folder(run, step)
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
    write_atomic(beside / _SUMS, _bound({"files": {name: sha256(data) for name, data in files.items()}, "log": log}))
    if final.exists():
        shutil.rmtree(final)
    os.replace(beside, final)
    sync_folder(final.parent)
    for old in steps_saved(run)[:-_KEPT]:
        shutil.rmtree(_folder(run, old))


def _bound(value: Mapping[str, Any]) -> bytes:
    """A table as JSON that carries its own hash."""
    return json.dumps({**value, "sha256": sha256(canonical(value))}, indent=1).encode()


def _unbound(path: Path) -> Json:
    """The table that `_bound` wrote; raises StoreError where it is another."""
    try:
        value = json.loads(path.read_bytes())
        wanted = value.pop("sha256")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise StoreError(f"{path} is missing or damaged ({type(error).__name__})") from None
    if wanted != sha256(canonical(value)):
        raise StoreError(f"{path} is damaged: its hash is another")
    return value


def _read_whole(folder: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """The files of a checkpoint, and the hashes of the parts of the log; raises StoreError where it is not whole."""
    sums = _unbound(folder / _SUMS)
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
            files, log = _read_whole(_folder(run, step))
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
        shutil.rmtree(_folder(run, later))
    for path in (run / "log").glob("step-*.parquet"):
        number = path.stem.removeprefix("step-")
        if number.isdigit() and int(number) > step:
            path.unlink()


def write_log_part(run: Path, step: int, data: bytes) -> tuple[str, str]:
    """Put the part of the log that ends with a step in its place; gives its name and hash."""
    path = run / "log" / f"step-{step:08d}.parquet"
    write_atomic(path, data)
    return path.name, sha256(data)


def merge_log(run: Path, parts: Mapping[str, str]) -> str:
    """train.parquet out of the parts, by name and hash; gives its hash. A part that is not whole is named and left
    out."""
    found: list[pa.Table] = []
    for name in sorted(parts):
        path = run / "log" / name
        try:
            data = path.read_bytes()
        except OSError as error:
            _log.warning("%s cannot be read (%s): %s lacks these steps", path, error.strerror, run / _LOG)
            continue
        if sha256(data) != parts[name]:
            _log.warning("%s is damaged: %s lacks these steps", path, run / _LOG)
            continue
        found.append(parsed(data))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.concat_tables(found), sink, compression="zstd", write_page_checksum=True)
    whole = sink.getvalue().to_pybytes()
    write_atomic(run / _LOG, whole)
    return sha256(whole)


def tidy(run: Path) -> None:
    """Remove what a finished run no longer needs: checkpoints, the parts of the log."""
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    shutil.rmtree(run / "log", ignore_errors=True)


def _keys(config: Json, below: str = "") -> Json:
    """Every value by its whole key."""
    found: Json = {}
    for name, value in config.items():
        found |= _keys(value, f"{below}{name}.") if isinstance(value, dict) else {f"{below}{name}": value}
    return found


def check_free(run: Path) -> None:
    """Check that what is there, if anything, is a run, or what is written on the way to one.

    Raises:
        StoreError: it is a file, or a folder of something else.
    """
    if run.exists() and not run.is_dir():
        raise StoreError(f"{run} is a file; name a folder for the run")
    if not run.is_dir() or (run / "run.json").exists():
        return
    foreign = [name for name in sorted(os.listdir(run)) if name != "index.parquet" and not name.endswith(".partial")]
    if foreign:
        raise StoreError(f"{run} holds what is no run ({foreign[0]!r}); name another --out")


def _read_identity(path: Path) -> Json:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        value = None
    if isinstance(value, dict) and value.keys() == {"config", "data_sha256"}:
        return value  # of rwsr 0.1.0
    try:
        return _unbound(path)
    except StoreError as error:
        raise StoreError(f"{error}; copy it again, or remove {path.parent} and train from the start") from None


def check_identity(run: Path, config: Json, data_sha256: str) -> None:
    """Check that a folder holds no training, or this one.

    Raises:
        StoreError: it holds a training of another config or on other data, or something else.
    """
    check_free(run)
    path = run / "run.json"
    if not path.exists():
        return
    known = _read_identity(path)
    before, now = _keys(known["config"]), _keys(config)
    other = [name for name in now | before if now.get(name) != before.get(name)]
    if other:
        said = f"{other[0]} was {json.dumps(before.get(other[0]))}, now {json.dumps(now.get(other[0]))}"
        raise StoreError(f"{run} holds a training of another config ({said}); use another --out, or remove {run}")
    if known["data_sha256"] != data_sha256:
        raise StoreError(f"{run} is of other data, or starts from another model; use another --out, or remove {run}")


def write_identity(run: Path, config: Json, data_sha256: str) -> None:
    """Note what this run trains."""
    write_atomic(run / "run.json", _bound({"config": config, "data_sha256": data_sha256}))

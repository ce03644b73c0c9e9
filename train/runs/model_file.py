"""The file of a trained model: its weights by their published names, and what they are of."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, load_file, save
from torch import Tensor, nn

from ...degrade.errors import StoreError, UserError
from ...degrade.progress import say
from ...degrade.storage.former import training_now
from ...degrade.storage.local import write_atomic
from ...degrade.storage.lock import is_leftover
from ...degrade.storage.provenance import FORMATS, Json, canonical, check_format, sha256
from .bound import unbound
from .moments import AVERAGE, LAST, model_file, steps_saved

N = TypeVar("N", bound=nn.Module)
Weights = dict[str, Tensor]
SUMS = "sums.json"  # of a checkpoint: the hash of each of its files
_METADATA = "rwsr"
_UNNUMBERED = 5  # the format of models and runs that say none


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


def start_with(
    net: nn.Module, weights: Mapping[str, Tensor], *, partly: bool = False, option: str = "--start-from"
) -> None:
    """Give a network the weights of an earlier run or a file. partly: those that fit, and say which do not.

    Raises:
        UserError: they are of another network, or none of them fits.
    """
    here = {name: list(value.shape) for name, value in net.state_dict().items()}
    there = {name: list(value.shape) for name, value in weights.items()}
    other = [name for name in here | there if here.get(name) != there.get(name)]
    if other and not partly:
        name = other[0]
        raise UserError(
            f"{option} is of another network ({name}: {there.get(name, 'missing')} there, "
            f"{here.get(name, 'missing')} here); name one of the same network keys, or take what fits with "
            "--start-partly"
        )
    taken = {name: value for name, value in weights.items() if name in here and name not in other}
    if not taken:
        raise UserError(f"nothing in {option} fits this network; name another file, or its network keys")
    if other:
        say(f"note: of {option} {len(taken)} tensors are taken{_of('missing there', here.keys() - there.keys())}"
            f"{_of('of other sizes', set(other) & here.keys() & there.keys())}"
            f"{_of('not in this network', there.keys() - here.keys())}")  # fmt: skip
    net.load_state_dict(taken, strict=False)


def _of(what: str, names: Collection[str]) -> str:
    """`; 3 missing there, as conv_first.weight`."""
    return f"; {len(names)} {what}, as {min(names)}" if names else ""


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
    write_atomic(path, model_bytes(path, weights, config, step, log_sha256))


def model_bytes(path: Path, weights: Weights, config: Json, step: int, log_sha256: str | None = None) -> bytes:
    """What `write_model` writes."""
    about: Json = {"format": FORMATS["model"], "config": config, "step": step, "log_sha256": log_sha256}
    metadata = about | {"sha256": _hash_of(about, check_numbers(weights, path))}
    return save(weights, {_METADATA: json.dumps(metadata)})


def damaged(path: Path, reason: object) -> StoreError:
    return StoreError(
        f"{path} is not what a training wrote ({reason}); copy it again, or remove it and run the command that made it"
    )


def _about(path: Path, metadata: Mapping[str, str]) -> Json:
    """What a model file says of itself; raises StoreError where that is nothing that we write."""
    try:
        value = json.loads(metadata[_METADATA])
        if not isinstance(value, dict):
            raise ValueError("its metadata are others")
        if value.keys() - {"format"} != {"config", "step", "log_sha256", "sha256"}:
            raise ValueError("its metadata are others")
        if not isinstance(value["config"], dict):
            raise ValueError("its config is no table")
    except (ValueError, AttributeError) as error:
        raise damaged(path, error) from None
    _format_of(value, path)
    return value


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
    return config_now(_about(path, metadata), path) if _METADATA in metadata else None


def config_now(about: Json, path: Path) -> Json:
    """The config in what a model file, or a .pth of ours, says of itself, by the names of now.

    Raises:
        StoreError: it is of a format that this version does not know.
    """
    return about["config"] if _format_of(about, path) == FORMATS["model"] else training_now(about["config"])


def _format_of(about: Json, path: Path) -> int:
    number = about.get("format", _UNNUMBERED)
    check_format(number, "model", str(path))
    return number


def write_run(out: Path, weights: Weights, config: Json) -> Path:
    """A run of weights that no training of ours made: `out`/model.safetensors, which it gives. The same run once more
    is left as it is.

    Raises:
        UserError: `out` holds something else.
    """
    file = out / "model.safetensors"
    if file.is_file() and file.read_bytes() == model_bytes(file, weights, config, 0):
        return file
    if out.exists() and (not out.is_dir() or not all(is_leftover(each.name) for each in out.iterdir())):
        raise UserError(f"--out {out} is not empty; name a new folder")
    out.mkdir(parents=True, exist_ok=True)
    write_model(file, weights, config, 0)
    return file


def written_run(out: Path, config: Json) -> Path | None:
    """The file of a run that is there already, where it was written with that config."""
    file = out / "model.safetensors"
    return file if file.is_file() and read_model(file).config == config else None


def check_numbers(weights: Weights, path: Path) -> Weights:
    """The weights; raises StoreError where one is not a number."""
    for name, value in weights.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise StoreError(f"{path} holds values that are not numbers ({name}); name another checkpoint")
    return weights


def read_model(path: Path) -> ModelFile:
    """What is in a model file, or in a checkpoint by the file of its averaged weights, once its hash is known to be
    right.

    Raises:
        StoreError: the file is missing, damaged, or not one of ours.
    """
    if path.name == AVERAGE and (path.parent / SUMS).exists():
        return _read_average(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if _METADATA not in metadata:
            raise StoreError(f"{path} carries no rwsr config; name a model.safetensors that rwsr train wrote")
        about = _about(path, metadata)
        weights = check_numbers(load_file(path), path)
    except FileNotFoundError:
        raise _missing(path) from None
    except (SafetensorError, OSError) as error:
        raise damaged(path, error) from None
    if about.pop("sha256") != _hash_of(about, weights):
        raise damaged(path, "its hash is another")
    return ModelFile(weights, config_now(about, path), int(about["step"]), about["log_sha256"])


def _missing(path: Path) -> StoreError:
    run = path.parent
    if not (run / "run.json").exists():
        return StoreError(f"{path} does not exist; name the folder that was --out of rwsr train")
    steps = steps_saved(run)
    now = f"; {run}@{LAST} is what it is at step {steps[-1]}" if steps else ""
    return StoreError(f"{run} is not trained to its end; run the command that began it again{now}")


def checked_weights(path: Path) -> Weights:
    """The weights in a file of a checkpoint, once its hash is known to be right; raises StoreError."""
    sums = unbound(path.parent / SUMS)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise damaged(path, error.strerror) from None
    if sha256(data) != sums["files"].get(path.name):
        raise damaged(path, "its hash is another")
    return check_numbers(load(data), path)


def _read_average(path: Path) -> ModelFile:
    """The averaged weights of a checkpoint, with the config in run.json."""
    weights, known = checked_weights(path), unbound(path.parents[2] / "run.json")
    return ModelFile(weights, config_now(known, path), int(path.parent.name[len("step-") :]), None)


def config_by(path: Path, method: str, what: str) -> Json:
    """The config of a run, or a checkpoint of one, that a method trained; raises StoreError where another did.

    what: such a run is, for the message.
    """
    config = read_model(model_file(path)).config
    if config.get("method") != method:
        raise StoreError(f"{path} is no {what}; name a run of `rwsr train {method}`")
    return config


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

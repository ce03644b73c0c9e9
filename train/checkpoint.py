"""Training states on the disk: whole folders or nothing, and the model file that others load."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ..degrade.disk import sync_folder, write_atomic
from ..degrade.errors import StoreError, UserError
from ..degrade.provenance import Json

N = TypeVar("N", bound=nn.Module)
_KEPT = 2
_METADATA = "rwsr"
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class ModelFile:
    """Weights and the config that they were trained under."""

    weights: Weights
    config: Json


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


def write_model(path: Path, weights: Weights, config: Json, step: int) -> None:
    """A flat safetensors file; config and step in one metadata entry (the library shuffles several)."""
    metadata = {_METADATA: json.dumps({"config": config, "step": step})}
    write_atomic(path, save(weights, metadata))


def model_file(path: Path) -> Path:
    """The model file of a finished run, or the file itself."""
    return path / "model.safetensors" if path.is_dir() else path


def config_of(path: Path) -> Json | None:
    """The config in a model file, whose weights are not read; None where it is no such file."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError):
        return None
    return json.loads(metadata[_METADATA])["config"] if _METADATA in metadata else None


def read_step(run: Path) -> int:
    """The step whose average the model of a finished run is."""
    with safe_open(model_file(run), framework="pt") as file:
        return int(json.loads((file.metadata() or {})[_METADATA])["step"])


def check_numbers(weights: Weights, path: Path) -> Weights:
    """The weights; raises StoreError where one is not a number."""
    for name, value in weights.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise StoreError(f"{path} holds values that are not numbers ({name}); name another checkpoint")
    return weights


def read_model(path: Path) -> ModelFile:
    """The weights and config in a model file.

    Raises:
        StoreError: the file is missing, damaged, or not one of ours.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if _METADATA not in metadata:
            raise StoreError(f"{path} carries no rwsr config; name a model.safetensors that rwsr train wrote")
        return ModelFile(check_numbers(load_file(path), path), json.loads(metadata[_METADATA])["config"])
    except FileNotFoundError:
        if (path.parent / "run.json").exists():
            raise StoreError(f"{path.parent} is not trained to its end; run the command that began it again") from None
        raise StoreError(f"{path} does not exist; name the folder that was --out of rwsr train") from None
    except (SafetensorError, OSError) as error:
        raise StoreError(f"{path} is not a whole safetensors file ({error}); train again or copy it again") from None


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
    except (ValueError, KeyError, RuntimeError) as error:
        raise StoreError(f"{file} does not hold {what} network: {str(error).splitlines()[0]}") from None
    return net.to(device).eval().requires_grad_(False)


def _folder(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step-{step:08d}"


def steps_saved(run: Path) -> list[int]:
    """The steps with a checkpoint, in order."""
    return sorted(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").glob("step-????????"))


def save_state(run: Path, step: int, nets: Mapping[str, nn.Module], ema: Weights, state: Mapping[str, Any]) -> None:
    """Everything that the next step depends on; older checkpoints but one are removed afterwards.

    state: whatever is not weights, of tensors, numbers, text, lists and dicts.
    """
    final = _folder(run, step)
    beside = final.with_name(f"{final.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    for name, net in nets.items():
        write_atomic(beside / f"{name}.safetensors", save(weights_of(net)))
    write_atomic(beside / "ema.safetensors", save({name: value.cpu().contiguous() for name, value in ema.items()}))
    torch.save(dict(state), beside / "state.pt")
    with open(beside / "state.pt", "rb") as file:
        os.fsync(file.fileno())
    if final.exists():
        shutil.rmtree(final)
    os.replace(beside, final)
    sync_folder(final.parent)
    for old in steps_saved(run)[:-_KEPT]:
        shutil.rmtree(_folder(run, old))


def load_state(
    run: Path, step: int, nets: Mapping[str, nn.Module], device: torch.device
) -> tuple[Weights, dict[str, Any]]:
    """Put a checkpoint's weights into the networks; gives back the EMA weights on the device, and the rest."""
    folder = _folder(run, step)
    for name, net in nets.items():
        net.load_state_dict(load_file(folder / f"{name}.safetensors"))
    ema = {name: value.to(device) for name, value in load_file(folder / "ema.safetensors").items()}
    return ema, torch.load(folder / "state.pt", weights_only=True, map_location="cpu")


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


def check_identity(run: Path, config: Json, data_sha256: str) -> None:
    """Check that a folder holds no training, or this one.

    Raises:
        StoreError: it holds a training of another config or on other data, or something else.
    """
    check_free(run)
    path = run / "run.json"
    if not path.exists():
        return
    known = json.loads(path.read_text())
    before, now = _keys(known["config"]), _keys(config)
    other = [name for name in now | before if now.get(name) != before.get(name)]
    if other:
        said = f"{other[0]} was {json.dumps(before.get(other[0]))}, now {json.dumps(now.get(other[0]))}"
        raise StoreError(f"{run} holds a training of another config ({said}); use another --out, or remove {run}")
    if known["data_sha256"] != data_sha256:
        raise StoreError(f"{run} is of other data, or starts from another model; use another --out, or remove {run}")


def write_identity(run: Path, config: Json, data_sha256: str) -> None:
    """Note what this run trains."""
    identity = {"config": config, "data_sha256": data_sha256}
    write_atomic(run / "run.json", json.dumps(identity, indent=1).encode())

"""Training states on the disk: whole folders or nothing, and the model file that others load."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.optim import Optimizer

from ..degrade.disk import sync_folder, write_atomic
from ..degrade.errors import StoreError
from ..degrade.provenance import Json

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


def write_model(path: Path, weights: Weights, config: BaseModel, step: int) -> None:
    """A flat safetensors file; config and step in one metadata entry (the library shuffles several)."""
    metadata = {_METADATA: json.dumps({"config": config.model_dump(mode="json"), "step": step})}
    write_atomic(path, save(weights, metadata))


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
        return ModelFile(load_file(path), json.loads(metadata[_METADATA])["config"])
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist; name the folder that was --out of rwsr train") from None
    except (SafetensorError, OSError) as error:
        raise StoreError(f"{path} is not a whole safetensors file ({error}); train again or copy it again") from None


def _folder(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step-{step:08d}"


def steps_saved(run: Path) -> list[int]:
    """The steps with a checkpoint, in order."""
    return sorted(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").glob("step-????????"))


def save_state(run: Path, step: int, net: nn.Module, ema: Weights, optimizer: Optimizer) -> None:
    """Everything that the next step depends on; older checkpoints but one are removed afterwards."""
    final = _folder(run, step)
    beside = final.with_name(f"{final.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    write_atomic(beside / "model.safetensors", save(weights_of(net)))
    write_atomic(beside / "ema.safetensors", save(ema))
    torch.save(optimizer.state_dict(), beside / "optimizer.pt")
    with open(beside / "optimizer.pt", "rb") as file:
        os.fsync(file.fileno())
    os.replace(beside, final)
    sync_folder(final.parent)
    for old in steps_saved(run)[:-_KEPT]:
        shutil.rmtree(_folder(run, old))


def load_state(run: Path, step: int, net: nn.Module, optimizer: Optimizer) -> Weights:
    """Put a checkpoint into the network and the optimiser; gives back the EMA weights."""
    folder = _folder(run, step)
    net.load_state_dict(load_file(folder / "model.safetensors"))
    optimizer.load_state_dict(torch.load(folder / "optimizer.pt", weights_only=True, map_location="cpu"))
    return load_file(folder / "ema.safetensors")


def write_identity(run: Path, config: BaseModel, data_sha256: str) -> None:
    """Note what this run trains, or check that it is what an earlier start noted.

    Raises:
        StoreError: the folder holds a training of another config or on other data.
    """
    identity = {"config": config.model_dump(mode="json"), "data_sha256": data_sha256}
    path = run / "run.json"
    if not path.exists():
        write_atomic(path, json.dumps(identity, indent=1).encode())
    elif json.loads(path.read_text()) != identity:
        raise StoreError(f"{run} holds a training of another config or store; use another --out, or remove {run}")

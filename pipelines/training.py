"""Train as a plain call on folders."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..degrade.errors import UserError
from ..degrade.places import Place
from ..degrade.samples import GROUPS
from ..degrade.shards import open_store
from ..eval.restore import pick_device
from ..train import mmrealsr
from .config import compose, compose_values
from .console import progress

_PRESETS = {"mm-realsr-net": mmrealsr.published, "mm-realsr-net-tiny": mmrealsr.tiny}


def compose_config(
    preset: str, *, config: Path | None, sets: Sequence[str], steps: int | None, seed: int | None
) -> mmrealsr.TrainConfig:
    """The training config of a preset, changed by a file, `--set`s and options; raises UserError."""
    loop = {name: value for name, value in (("steps", steps), ("seed", seed)) if value is not None}
    return compose(_PRESETS[preset](), config=config, sets=sets, loop=loop or None)


def compose_values_of(preset: str, values: Mapping[str, Any]) -> mmrealsr.TrainConfig:
    """The training config of a preset with some keys changed; raises UserError."""
    if preset not in _PRESETS:
        raise UserError(f"preset {preset} is unknown; known here: {', '.join(_PRESETS)}")
    return compose_values(_PRESETS[preset](), values)


def train_run(out: Path, store_folder: Place, config: mmrealsr.TrainConfig) -> bool:
    """Train into the folder `out`; False when that was done before. Raises UserError."""
    store = open_store(store_folder, GROUPS)
    with progress("train", config.loop.steps) as advance:

        def on_step(steps: int, terms: Mapping[str, float]) -> None:
            advance(steps, " ".join(f"{name} {value:.4f}" for name, value in terms.items()))

        return mmrealsr.train(out, store, config, pick_device(), on_step)

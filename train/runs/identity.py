"""What a run is of: one folder holds one config and one set of data."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...degrade.errors import StoreError
from ...degrade.storage.local import write_atomic
from ...degrade.storage.lock import is_leftover
from ...degrade.storage.provenance import FORMATS, Json
from .bound import bound, unbound
from .model_file import config_now
from .moments import steps_saved

_STEPS = "loop.steps"
_COMPUTING = ("num_workers", "checkpointing", "tf32", "cudnn_benchmark")
_WATCHING = ("log_every", "checkpoint_every", "keep_every", "validate_every", "show_images", "tensorboard", "wandb")
_INDEXES = ("index.parquet", "photographs.parquet")  # which are written before
_FREE = {_STEPS, *(f"loop.{name}" for name in (*_COMPUTING, *_WATCHING))}  # what changes nothing that came before
_BRANCHES = ("loop.learning_rate", "loop.schedule", "loop.warmup_steps", "loop.clip")


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
    foreign = [name for name in sorted(os.listdir(run)) if name not in _INDEXES and not is_leftover(name)]
    if foreign:
        raise StoreError(f"{run} holds what is no run ({foreign[0]!r}); name another --out")


def _read_identity(path: Path) -> Json:
    known = unbound(path)
    if known.get("format") != FORMATS["run"]:
        raise StoreError(
            f"{path.parent} is a run of an earlier format, whose model is read, but which this rwsr does not go on "
            f"with (now {FORMATS['run']}); use another --out, or remove {path.parent}"
        )
    return known


@dataclass(frozen=True)
class Changes:
    """What of a config is other than when a training was begun or last went on, by its whole key: (before, now)."""

    step: int
    values: Mapping[str, tuple[Any, Any]]
    is_branch: bool

    @property
    def prolongs(self) -> bool:
        """Whether there are more steps than before."""
        before, now = self.values.get(_STEPS, (0, 0))
        return now > before

    @property
    def text(self) -> str:
        """The keys with both values, for a person."""
        return ", ".join(f"{name} was {json.dumps(a)}, now {json.dumps(b)}" for name, (a, b) in self.values.items())


def check_identity(
    run: Path,
    config: Json,
    data_sha256: str,
    *,
    branch: bool = False,
    schedule_needs_steps: bool = False,
    completed: Callable[[Json], Json] = lambda known: known,
) -> Changes | None:
    """Check that a folder holds no training, or this one, or this one under keys that may change on the way.

    branch: that learning rate, schedule, warm-up and clipping may change too. schedule_needs_steps: whether other steps
    are another schedule. completed: a config of before with the keys that have come since.

    Raises:
        StoreError: it holds a training of another config or on other data, or something else.
    """
    check_free(run)
    path = run / "run.json"
    if not path.exists():
        return None
    known = _read_identity(path)
    before, now = _keys(completed(known["config"])), _keys(config)
    other = [name for name in now | before if now.get(name) != before.get(name)]
    values = {name: (before.get(name), now.get(name)) for name in other}
    branching = [name for name in other if _branches(name, schedule_needs_steps)]
    fixed = [name for name in other if name not in _FREE and name not in branching]
    step = max(steps_saved(run), default=0)
    changes = Changes(step, values, bool(branching))
    if fixed:
        said = Changes(step, {fixed[0]: values[fixed[0]]}, False).text
        mend = f"use another --out, or remove {run}"
        if {"loop.precision", "loop.channels_last"}.issuperset(fixed):
            mend = f"--set loop.precision={before['loop.precision']} --set loop.channels_last="
            mend += f"{json.dumps(before['loop.channels_last'])} goes on with it (published presets: NAME-fp32)"
        raise StoreError(f"{run} holds a training of another config ({said}); {mend}")
    if known["data_sha256"] != data_sha256:
        raise StoreError(f"{run} is of other data, or starts from another model; use another --out, or remove {run}")
    if branching and not branch:
        said = Changes(step, {name: values[name] for name in branching}, True).text
        raise StoreError(
            f"{run} holds a training under another rate or schedule ({said}); --branch goes on from step "
            f"{step} with this one, which is recorded, or use another --out"
        )
    return changes if other else None


def _branches(name: str, schedule_needs_steps: bool) -> bool:
    return name.startswith(_BRANCHES) or (name == _STEPS and schedule_needs_steps)


def check_steps(run: Path, steps: int, changes: Changes | None, *, finished: bool) -> None:
    """Check that so many steps are left for what is changed.

    Raises:
        StoreError: the training is farther already, or was done by an rwsr that kept no state at its end.
    """
    if changes is None:
        return
    saved = steps_saved(run)
    before, _ = changes.values.get(_STEPS, (steps, steps))
    if saved and steps < saved[-1]:
        raise StoreError(
            f"{run} is at step {saved[-1]} already, more than {steps}; its checkpoints are {_names(run, saved)}"
        )
    if finished and not saved and steps > before:
        raise StoreError(f"{run} has no state to go on from; name it with --start-from and another --out")
    if finished and changes.is_branch and steps <= before:
        raise StoreError(f"{run} is trained to its end; name more --steps for it to go on under another rate")


def _names(run: Path, steps: Sequence[int]) -> str:
    return ", ".join(f"{run}@{step}" for step in steps)


def write_identity(run: Path, config: Json, data_sha256: str, changes: Changes | None = None) -> None:
    """Note what this run trains, and what was changed on the way."""
    path = run / "run.json"
    history = _read_identity(path).get("changes", []) if path.exists() else []
    if changes is not None:
        values = {name: list(both) for name, both in changes.values.items()}
        history = [*history, {"step": changes.step, "branch": changes.is_branch, "keys": values}]
    about: Json = {"format": FORMATS["run"], "config": config, "data_sha256": data_sha256}
    write_atomic(path, bound(about | ({"changes": history} if history else {})))


def config_of_run(run: Path) -> Json:
    """The config that a run is under now, by the names of now; raises StoreError."""
    return config_now(unbound(run / "run.json"), run)


def changes_of(run: Path) -> list[Json]:
    """What was changed of a training on the way: at which step, whether it is a branch, its keys with both values."""
    return list(unbound(run / "run.json").get("changes", []))

"""What a run is of: one folder holds one config and one set of data."""

import json
import os
from pathlib import Path

from ...degrade.errors import StoreError
from ...degrade.storage.local import write_atomic
from ...degrade.storage.lock import is_leftover
from ...degrade.storage.provenance import FORMATS, Json
from .checkpoint import bound, unbound


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
    foreign = [name for name in sorted(os.listdir(run)) if name != "index.parquet" and not is_leftover(name)]
    if foreign:
        raise StoreError(f"{run} holds what is no run ({foreign[0]!r}); name another --out")


def _read_identity(path: Path) -> Json:
    try:
        known = unbound(path)
    except StoreError as error:
        raise StoreError(f"{error}; copy it again, or remove {path.parent} and train from the start") from None
    if known.get("format") != FORMATS["run"]:
        raise StoreError(
            f"{path.parent} is a run of an earlier format, whose model is read, but which this rwsr does not go on "
            f"with (now {FORMATS['run']}); use another --out, or remove {path.parent}"
        )
    return known


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
    write_atomic(run / "run.json", bound({"format": FORMATS["run"], "config": config, "data_sha256": data_sha256}))

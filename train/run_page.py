"""The sections of a page that say what a training is, how far it is, what it learned and what it makes of images."""

import json
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from ..degrade.images.decode import decode
from ..degrade.images.pixels import encode_png
from ..degrade.storage.provenance import Json
from ..eval.report import plots
from ..eval.report.page import Part, Picture, Section, Strip, Table
from .runs.checkpoint import is_finished, read_log, steps_of
from .runs.identity import changes_of, config_of_run
from .runs.moments import moment_of, steps_saved
from .runs.pictures import REFERENCE, read_pictures

_MOST_SHOWN = 8  # steps of one image


def is_under_way(path: Path) -> bool:
    """Whether a run is not trained to its end yet."""
    run, moment = moment_of(path)
    return moment is None and not is_finished(run)


def training_sections(path: Path) -> list[Section]:
    """Of a run, by its folder or a checkpoint (RUN@20000); raises StoreError."""
    run, _ = moment_of(path)
    log = read_log(path)
    config, changes = config_of_run(run), changes_of(run)
    done = max(log["step"].to_pylist(), default=0)
    body: list[Part] = [_about(run, config, done, finished=not is_under_way(path))]
    if log.num_rows:
        body.append(Picture(plots.loss_curves(log), "The losses while training, and what was measured meanwhile."))
    sections = [Section(f"Training: {run.name}", tuple(_told(change) for change in changes), body)]
    pictures = read_pictures(run)
    strips = [strip for name in pictures if (strip := _strip(name, pictures, done)) is not None]
    if strips:
        text = "The middle of some held-out images: LR, enlarged, what the averaged weights made of it, and HR."
        sections.append(Section(f"Images while training: {run.name}", (text,), strips))
    return sections


def _about(run: Path, config: Json, done: int, *, finished: bool) -> Table:
    loop, network = config.get("loop", {}), config.get("network", {})
    rows = {
        "method": config.get("method", ""),
        "network": network.get("arch", ""),
        "steps": f"{done:,} of {steps_of(config) or done:,}{'' if finished else ', under way'}",
        "batch": loop.get("batch_size", ""),
        "LR crop": f"{loop['lr_patch_px']} px" if "lr_patch_px" in loop else "",
        "learning rate": loop.get("learning_rate", ""),
        "checkpoints": ", ".join(f"{run.name}@{step}" for step in steps_saved(run)),
    }
    return Table(("", ""), tuple((name, str(value)) for name, value in rows.items() if value != ""))


def _told(change: Json) -> str:
    keys = ", ".join(f"{name} from {json.dumps(a)} to {json.dumps(b)}" for name, (a, b) in change["keys"].items())
    return f"At step {change['step']} {'it branched' if change['branch'] else 'it went on'}: {keys}."


def _strip(name: str, pictures: Mapping[str, Mapping[str, bytes]], done: int) -> Strip | None:
    """LR, some of the steps up to now, and HR, of one image; of LR and HR themselves there is none."""
    steps = {int(folder.removeprefix("step-")): png for folder, png in pictures[name].items() if folder != REFERENCE}
    steps = {step: png for step, png in steps.items() if step <= done}
    if not steps:
        return None
    numbers = list(steps)
    chosen = np.unique(np.linspace(0, len(steps) - 1, min(_MOST_SHOWN, len(steps))).round().astype(int)).tolist()
    crops = [(steps[numbers[i]], f"step {numbers[i]:,}") for i in chosen]
    lr, hr = (pictures.get(f"{name}.{role}", {}).get(REFERENCE) for role in ("lr", "hr"))
    if lr is not None:
        crops.insert(0, (_enlarged(lr, crops[0][0]), "LR, nearest"))
    return Strip((*crops, *([(hr, "HR")] if hr is not None else [])), name)


def _enlarged(lr: bytes, sr: bytes) -> bytes:
    height, width = decode(sr).pixels.shape[:2]
    found = cv2.resize(decode(lr).pixels, (width, height), interpolation=cv2.INTER_NEAREST)
    return encode_png(np.asarray(found, dtype=np.uint8))

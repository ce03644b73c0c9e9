"""Train, restore and evaluate as plain calls on folders and files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..degrade.disk import write_atomic
from ..degrade.errors import ImageError, UserError
from ..degrade.image import decode, encode_png, read_bytes
from ..degrade.places import Place
from ..degrade.provenance import sha256
from ..degrade.samples import GROUPS
from ..degrade.shards import Store, open_store
from ..degrade.verify import digest
from ..eval import report
from ..eval.protocols import evaluate
from ..eval.restore import Model, bicubic_model, pick_device, restore
from ..eval.tensors import to_pixels, to_tensor
from ..train import mmrealsr
from .config import compose, compose_values
from .console import progress

_PRESETS = {"mm-realsr-net": mmrealsr.published, "mm-realsr-net-tiny": mmrealsr.tiny}
BICUBIC = "bicubic"


@dataclass(frozen=True)
class Restored:
    """A restored image and the scores that it was restored under."""

    path: Path
    blur: float
    noise: float


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


def restore_files(
    images: Sequence[Path], model: Path, out: Path, *, blur: float | None, noise: float | None
) -> tuple[list[Restored], list[tuple[Path, str]]]:
    """Restore each image into `out`/NAME.png; gives back what was written, and what was left out and why."""
    device = pick_device()
    net = mmrealsr.load(model, device)
    done: list[Restored] = []
    failed: list[tuple[Path, str]] = []
    with progress("restore", len(images)) as advance:
        for path in images:
            try:
                pixels = decode(read_bytes(path)).pixels
                lr = to_tensor(pixels)[None]
                scores = mmrealsr.chosen_scores(net, lr.to(device), blur=blur, noise=noise)
                sr = restore(lambda x, s=scores: net.restore(x, s), lr, device)
                target = out / f"{path.stem}.png"
                if any(one.path == target for one in done):
                    target = out / f"{path.name}.png"
                write_atomic(target, encode_png(to_pixels(sr[0])))
                done.append(Restored(target, *(float(score) for score in scores[0])))
            except ImageError as error:
                failed.append((path, error.reason))
            advance(1, "")
    return done, failed


def eval_config(store: Store, models: Mapping[str, Path]) -> report.EvalConfig:
    """What a measurement of these models on that store depends on."""
    hashes = {name: sha256(mmrealsr.model_file(path).read_bytes()) for name, path in models.items()}
    return report.EvalConfig(store_digest=digest(store), models={BICUBIC: ""} | hashes)


def evaluate_store(store: Store, models: Mapping[str, Path], out: Place) -> list[report.MetricRow]:
    """Measure named models, and bicubic, on a store into the report `out`; gives back its rows.

    Raises:
        UserError: a model or the store is missing or damaged.
    """
    device = pick_device()
    callables: dict[str, Model] = {BICUBIC: bicubic_model(int(store.attributes["scale"]))}
    callables |= {name: mmrealsr.load(path, device) for name, path in models.items()}
    rows: list[report.MetricRow] = []
    with progress("evaluate", store.layout.num_samples) as advance:
        for found in evaluate(store, callables, device):
            rows += found
            advance(1, "")
    report.write(out, rows, eval_config(store, models))
    return rows


def means_of(rows: Sequence[report.MetricRow]) -> dict[str, dict[str, float]]:
    """The mean of each metric over all images of each model."""
    names, metrics = (list(dict.fromkeys(getattr(row, key) for row in rows)) for key in ("model", "metric"))
    return {name: {metric: report.mean(rows, model=name, metric=metric) for metric in metrics} for name in names}

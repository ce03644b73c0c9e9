"""What the demo measures of its tiny model, and the images that it restores."""

from collections.abc import Sequence
from pathlib import Path

from ...degrade.errors import StoreError
from ...degrade.images.pixels import encode_png
from ...degrade.storage.local import write_atomic
from ...degrade.storage.location import sha256
from ...degrade.storage.shards.reader import ShardReader
from ...degrade.storage.shards.store import Store
from ...degrade.storage.shards.verify import digest
from ...eval import measure as evaluation
from ...eval.images.restoring import bicubic, pick_device, restore
from ...eval.images.sets import of_folders, of_store
from ...eval.images.tensors import to_pixels, to_tensor
from ...eval.protocols import restoration, udem_curves
from ...eval.protocols.base import BICUBIC
from ...eval.report import table as report
from ...train.files.open import open_restorer
from ...train.networks import mm_realsr
from ...train.runs.moments import model_file
from ..evaluate import open_subjects

MODEL = "MM-RealSR (tiny)"
FOLLOWS = 0.5  # the least Spearman correlation of a score that follows its degradation
STRENGTHS = (0.0, 0.5, 1.0)


def first_of_each_source(store: Store) -> dict[str, int]:
    """Source file name -> its first sample."""
    names = store.manifest()["source"].to_pylist()
    return {Path(name).stem: names.index(name) for name in sorted(set(names))}


def _restore_examples(out: Path, store: Store, net: mm_realsr.MMRealSR) -> None:
    """One BASE member of each held-out photograph: LR, bicubic, restored by its own scores and by chosen ones, HR."""
    device = pick_device()
    for name, sample in first_of_each_source(store).items():
        pixels = ShardReader(store, "lr").read([sample])[0][mm_realsr.BASE]
        lr = to_tensor(pixels)[None]
        images = {
            "lr": pixels,
            "bicubic": to_pixels(bicubic(lr, 4)[0]),
            "restored": to_pixels(restore(net, lr, device)[0]),
            "hr": ShardReader(store, "hr").read([sample])[0],
        }
        for strength in STRENGTHS:
            scores = mm_realsr.chosen_scores(net, lr.to(device), blur=strength, noise=strength)
            sr = restore(lambda x, s=scores: net(x, s), lr, device)
            images[f"strength-{strength:.1f}"] = to_pixels(sr[0])
        for kind, image in images.items():
            write_atomic(out / "restored" / f"{name}_{kind}.png", encode_png(image))


def _measured(out: Path, store: Store) -> list[report.MetricRow] | None:
    """The rows of an earlier run, where they are of this very model and store."""
    try:
        rows = report.read(out / "metrics.parquet")
    except StoreError:
        return None
    config = report.config_of(rows)
    same = config.models.get(MODEL) == sha256(model_file(out / "run"))
    whole = set(config.protocols) == {restoration.RESTORATION, udem_curves.UDEM_CURVES}
    return rows if same and whole and digest(store) in config.data.values() else None


def _summary(rows: Sequence[report.MetricRow]) -> str:
    ours, base = (report.mean(rows, model=name, metric="psnr-y") for name in (MODEL, BICUBIC))
    return f"PSNR-Y {ours:.2f} dB against bicubic's {base:.2f} dB"


def measure(out: Path, store: Store) -> tuple[list[report.MetricRow], str, bool]:
    """metrics.parquet and restored/ of the trained model; False when they were there already."""
    known = _measured(out, store)
    if known is not None:
        return known, _summary(known), False
    (out / "metrics.parquet").unlink(missing_ok=True)
    net = open_restorer(out / "run", pick_device()).modulated
    assert net is not None
    _restore_examples(out, store, net)
    subjects, report_at = open_subjects({MODEL: out / "run"}, pick_device()), out / "metrics.parquet"
    photographs = of_folders(None, out / "photos/held-out", 1)
    evaluation.measure(udem_curves.PROTOCOL, photographs, subjects, udem_curves.UdemOptions(), report_at)
    evaluation.measure(restoration.PROTOCOL, of_store(store), subjects, restoration.RestorationOptions(), report_at)
    rows = report.read(out / "metrics.parquet")
    return rows, _summary(rows), True

"""A store as folders of PNG files, in the convention that BasicSR, neosr and traiNNer read.

OUT/hr/000000.png, OUT/lr/000000.png    pairs; of groups a folder for each member instead of lr
OUT/meta_info.txt                       BasicSR's meta_info_file: name and shape of each HR
OUT/meta_info_lr.txt                    Real-ESRGAN's pairs: "hr/000000.png, lr/000000.png"; one file a member
OUT/manifest.parquet                    the store's: what was drawn for each sample
OUT/export.json                         which store this is; written last
"""

import json
from functools import partial
from pathlib import Path

import numpy as np

from .errors import StoreError, UserError
from .images.pixels import I64, encode_png
from .manifest import in_use
from .progress import progress
from .storage.local import write_atomic
from .storage.location import is_empty, remove_partials
from .storage.lock import only_builder
from .storage.provenance import canonical
from .storage.shards.reader import ShardReader
from .storage.shards.store import Store
from .storage.shards.verify import digest
from .tasks import Run

_MARK = "export.json"
_END = b"\x00\x00\x00\x00IEND\xae\x42\x60\x82"  # of every PNG


def _name(sample: int) -> str:
    return f"{sample:06d}.png"


def _is_whole(path: Path) -> bool:
    """Whether a PNG is there to its end."""
    try:
        with open(path, "rb") as file:
            file.seek(-len(_END), 2)
            return file.read() == _END
    except OSError:
        return False


def _write_samples(samples: I64, store: Store, out: Path) -> int:
    """The files of some samples that are not there yet; each is whole or absent."""
    members: list[str] = store.attributes["members"]
    written = 0
    for sample in samples.tolist():
        paths = [out / folder / _name(sample) for folder in ("hr", *members)]
        if all(_is_whole(path) for path in paths):
            continue
        hr, lr = (ShardReader(store, name).read([sample])[0] for name in ("hr", "lr"))
        for path, pixels in zip(paths, (hr, *lr), strict=True):
            write_atomic(path, encode_png(pixels))
        written += 1
    return written


def _claim(out: Path, identity: str) -> None:
    """Take an empty folder, or one that an export of the same store began."""
    mark = out / _MARK
    if mark.is_file():
        try:
            found = json.loads(mark.read_text())["store"]
        except (ValueError, KeyError, TypeError):
            raise StoreError(f"{mark} is damaged; use another --out") from None
        if found != identity:
            raise UserError(f"{out} holds an export of another store; use another --out")
        return
    if not is_empty(out):
        raise UserError(f"{out} is not an empty folder; use another --out")
    write_atomic(mark, canonical({"store": identity, "done": False}).encode())


def export(store: Store, out: Path, run: Run) -> tuple[int, int]:
    """Write every sample in use; gives back how many there are, and how many this run wrote. Interrupted, it goes on.

    Raises:
        UserError: `out` holds something else.
        StoreError: the store is damaged.
    """
    out = out.absolute()  # so that a worker elsewhere finds it
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is not an empty folder; use another --out")
    out.mkdir(parents=True, exist_ok=True)
    with only_builder(out):
        return _export(store, out, run)


def _export(store: Store, out: Path, run: Run) -> tuple[int, int]:
    identity = digest(store)
    _claim(out, identity)
    remove_partials(out)
    samples = in_use(store)
    written = 0
    stops = np.arange(store.layout.samples_per_shard, store.layout.num_samples, store.layout.samples_per_shard)
    tasks = np.split(samples, np.searchsorted(samples, stops))
    with progress("export", len(samples)) as advance:
        for outcome in run(partial(_write_samples, store=store, out=out), tasks):
            if outcome.error is not None:
                raise outcome.error
            written += outcome.result or 0
            advance(len(outcome.task), "")
    height, width, channels = store.layout.array("hr").sample_shape
    shapes = "".join(f"{_name(sample)} ({height},{width},{channels})\n" for sample in samples)
    write_atomic(out / "meta_info.txt", shapes.encode())
    for member in store.attributes["members"]:
        pairs = "".join(f"hr/{_name(sample)}, {member}/{_name(sample)}\n" for sample in samples)
        write_atomic(out / f"meta_info_{member}.txt", pairs.encode())
    for name in store.layout.manifests:
        write_atomic(out / name, (store.path / name).read_bytes())
    write_atomic(out / _MARK, canonical({"store": identity, "done": True}).encode())
    return len(samples), written

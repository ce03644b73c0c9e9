"""Groups read at random by rwsr's reader and by others', in one run on the same groups; warm, and cold from the disk.

    pip install mosaicml-streaming webdataset lmdb
    python benchmarks/readers.py [--groups N] [--folder FOLDER]

Groups of 256 px, 258 KB of uint8 each, in batches of 16 at random; webdataset, which only streams, in its order. A
memmap is the limit of who checks nothing, one with the crc32c of each sample of who does. What is not installed is left
out, by name. FOLDER should be on the disk that cold reads are asked of. Exits 1 where a promise is not kept.
"""

import argparse
import io
import itertools
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import zarr
from commands import promise

from rwsr.degrade.images.pixels import U8
from rwsr.degrade.recipes.store_config import GROUPS, store_preset
from rwsr.degrade.storage.provenance import provenance
from rwsr.degrade.storage.shards.checksum import crc32c
from rwsr.degrade.storage.shards.layout import ArraySpec, Layout
from rwsr.degrade.storage.shards.reader import ShardReader
from rwsr.degrade.storage.shards.store import open_store
from rwsr.degrade.storage.shards.writer import begin, finish, prepare, shard_writer

ARRAYS = (ArraySpec("hr", (256, 256, 3)), ArraySpec("lr", (5, 64, 64, 3)))
BATCH = 16
PER_SHARD = 128
CHECKED = "memmap and crc32c"
Batch = tuple[U8, U8]


@dataclass(frozen=True)
class Reader:
    """A way to read: its name, its files, and what reads a batch of groups by their numbers."""

    name: str
    files: Sequence[Path]
    read: Callable[[list[int]], Batch]


def group(number: int) -> Batch:
    """The images of a group, noise that nothing can compress."""
    rng = np.random.default_rng(number)
    hr, lr = (rng.integers(0, 256, spec.sample_shape, dtype=np.uint8) for spec in ARRAYS)
    return hr, lr


def stacked(groups: Iterable[Batch]) -> Batch:
    hr, lr = zip(*groups, strict=True)
    return np.stack(hr), np.stack(lr)


# ------------------------------------------------------------------------------------------------ the ways to read


def ours(folder: Path, count: int) -> Reader:
    path = folder / "rwsr.zarr"
    layout = Layout(count, PER_SHARD, ARRAYS)
    store = begin(path, layout, provenance(GROUPS, store_preset("mm-realsr"), ""), attributes={})
    plan: Any = pa.schema([("first", pa.int64()), ("stop", pa.int64())])
    prepare(store, plan, lambda: [plan.empty_table()])
    for shard in range(layout.num_shards):
        with shard_writer(store, shard) as writer:
            for number in layout.rows(shard):
                hr, lr = group(number)
                writer.add(hr=hr, lr=lr)
            writer.add_rows(pa.table({"sample": list(layout.rows(shard))}))
    finish(store)
    readers = [ShardReader(open_store(path, GROUPS), spec.name) for spec in ARRAYS]
    files = [path / layout.shard_name(spec, shard) for spec in ARRAYS for shard in range(layout.num_shards)]
    return Reader("rwsr", files, lambda batch: (readers[0].read(batch), readers[1].read(batch)))


def by_zarr(folder: Path, files: Sequence[Path]) -> Reader:
    store: Any = zarr.open_group(folder / "rwsr.zarr", mode="r")
    return Reader("zarr-python", files, lambda batch: stacked((store["hr"][i], store["lr"][i]) for i in batch))


def memmaps(folder: Path, count: int) -> list[Reader]:
    maps: list[Any] = []
    files = [folder / f"{spec.name}.raw" for spec in ARRAYS]
    for at, (spec, file) in enumerate(zip(ARRAYS, files, strict=True)):
        with open(file, "wb") as opened:
            for number in range(count):
                opened.write(group(number)[at].tobytes())
        maps.append(np.memmap(file, dtype=np.uint8, mode="r", shape=(count, *spec.sample_shape)))
    sums = [[crc32c(group(number)[at]) for number in range(count)] for at in range(len(ARRAYS))]

    def plain(batch: list[int]) -> Batch:
        return maps[0][batch], maps[1][batch]

    def checked(batch: list[int]) -> Batch:
        found = plain(batch)
        for images, of in zip(found, sums, strict=True):
            assert all(crc32c(image) == of[i] for image, i in zip(images, batch, strict=True))
        return found

    return [Reader("memmap", files, plain), Reader(CHECKED, files, checked)]


def by_lmdb(folder: Path, count: int) -> Reader:
    lmdb: Any = import_module("lmdb")
    env: Any = lmdb.open(str(folder / "lmdb"), map_size=2**40)
    with env.begin(write=True) as out:
        for number in range(count):
            out.put(b"%08d" % number, b"".join(image.tobytes() for image in group(number)))
    env.close()
    env = lmdb.open(str(folder / "lmdb"), readonly=True, lock=False, readahead=False)
    size = ARRAYS[0].sample_bytes

    def read(batch: list[int]) -> Batch:
        hr, lr = (np.empty((len(batch), *spec.sample_shape), dtype=np.uint8) for spec in ARRAYS)
        with env.begin(buffers=True) as values:
            for i, number in enumerate(batch):
                value = np.frombuffer(values.get(b"%08d" % number), dtype=np.uint8)
                hr[i].reshape(-1)[:], lr[i].reshape(-1)[:] = value[:size], value[size:]
        return hr, lr

    return Reader("LMDB, raw", [folder / "lmdb/data.mdb"], read)


def by_png(folder: Path, count: int) -> Reader:
    (folder / "png").mkdir()
    for number in range(count):
        hr, lr = group(number)
        cv2.imwrite(str(folder / f"png/{number}.png"), hr)
        for i, member in enumerate(lr):
            cv2.imwrite(str(folder / f"png/{number}_{i}.png"), member)

    def one(number: int) -> Batch:
        hr: Any = cv2.imread(str(folder / f"png/{number}.png"))
        lr: Any = [cv2.imread(str(folder / f"png/{number}_{i}.png")) for i in range(len(ARRAYS[1].sample_shape) + 1)]
        return hr, np.stack(lr)

    return Reader("PNG files, OpenCV", list((folder / "png").iterdir()), lambda batch: stacked(map(one, batch)))


def by_streaming(folder: Path, count: int) -> Reader:
    streaming: Any = import_module("streaming")
    at = folder / "mds"
    columns = {spec.name: f"ndarray:uint8:{','.join(map(str, spec.sample_shape))}" for spec in ARRAYS}
    with streaming.MDSWriter(out=str(at), columns=columns, size_limit=2**25) as out:
        for number in range(count):
            hr, lr = group(number)
            out.write({"hr": hr, "lr": lr})
    found: Any = streaming.StreamingDataset(local=str(at), shuffle=False, batch_size=BATCH)

    def one(number: int) -> Batch:
        sample = found[number]
        return sample["hr"], sample["lr"]

    return Reader("MosaicML streaming", list(at.glob("*.mds")), lambda batch: stacked(map(one, batch)))


def by_webdataset(folder: Path, count: int) -> Reader:
    webdataset: Any = import_module("webdataset")
    files: list[Path] = []
    for start in range(0, count, PER_SHARD):
        files.append(folder / f"{start:08d}.tar")
        with tarfile.open(files[-1], "w") as out:
            for number in range(start, min(start + PER_SHARD, count)):
                for spec, image in zip(ARRAYS, group(number), strict=True):
                    told = tarfile.TarInfo(f"{number:08d}.{spec.name}.npy")
                    sink = io.BytesIO()
                    np.save(sink, image)
                    told.size = sink.tell()
                    out.addfile(told, io.BytesIO(sink.getvalue()))
    found: Any = webdataset.WebDataset([str(file) for file in files], shardshuffle=False)
    decoded = itertools.cycle(found.decode().to_tuple("hr.npy", "lr.npy"))
    return Reader("webdataset, in order", files, lambda batch: stacked(next(decoded) for _ in batch))


# ------------------------------------------------------------------------------------------------ measuring


def us_of(reader: Reader, batches: Sequence[list[int]]) -> list[float]:
    """Microseconds a group, of each batch."""
    times: list[float] = []
    for batch in batches:
        started = time.perf_counter()
        reader.read(batch)
        times.append(1e6 * (time.perf_counter() - started) / len(batch))
    return times


def forget(reader: Reader) -> None:
    """Let the system forget what it keeps of the files, as long as nobody has looked at them through a map."""
    os.sync()
    for file in reader.files:
        with open(file, "rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def right(reader: Reader, count: int) -> bool:
    """Whether it gives the groups that were written."""
    if "in order" in reader.name:
        return True  # it has been read from already
    batch = [5, count - 1, 0, 5]
    hr, lr = stacked(map(group, batch))
    found = reader.read(batch)
    return np.array_equal(found[0], hr) and np.array_equal(found[1], lr)


def readers_of(folder: Path, count: int) -> list[Reader]:
    mine = ours(folder, count)
    found = [*memmaps(folder, count), mine, by_zarr(folder, mine.files), by_png(folder, count)]
    for make in (by_lmdb, by_streaming, by_webdataset):
        try:
            found.append(make(folder, count))
        except ImportError as error:
            print(f"left out: {make.__name__.removeprefix('by_')} ({error})")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=2048)
    parser.add_argument("--folder", type=Path)
    told = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(dir=told.folder) as folder:
        found = readers_of(Path(folder), told.groups)
        order = np.random.default_rng(0).permutation(told.groups)[: told.groups // BATCH * BATCH].reshape(-1, BATCH)
        batches = order.tolist()
        cold: dict[str, float] = {}
        for reader in found:
            if reader.name != CHECKED:  # whose files the one before it has read
                forget(reader)
                cold[reader.name] = float(np.mean(us_of(reader, batches[:32])))
        wrong = [reader.name for reader in found if not right(reader, told.groups)]
        assert not wrong, wrong
        warm: dict[str, list[float]] = {reader.name: [] for reader in found}
        for turn in range(6):
            for reader in found:
                slow = reader.name.startswith(("zarr", "PNG"))
                times = us_of(reader, batches[:8] if slow else batches)
                if turn:  # the first brings all into memory
                    warm[reader.name] += times
    print(f"{'':24}{'us a group, best':>18}{'median':>10}{'of a memmap':>14}{'cold, mean':>12}")
    limit = float(np.percentile(warm["memmap"], 5))
    for name, times in warm.items():
        best = float(np.percentile(times, 5))
        of_disk = f"{cold[name]:12.0f}" if name in cold else ""
        print(f"{name:24}{best:18.1f}{median(times):10.1f}{limit / best:14.2f}{of_disk}")
    ours_best, checked = (float(np.percentile(warm[name], 5)) for name in ("rwsr", CHECKED))
    kept = [
        promise(f"random groups: {limit / ours_best:.2f} of a memmap (promised: 0.8)", limit / ours_best >= 0.8),
        promise(f"of a memmap that checks as well: {checked / ours_best:.2f}", True),
    ]
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()

"""What noise banks promise: a scan little dearer than decoding, two workers, flat memory, a quick second choice.

    python benchmarks/noisebank.py [FOLDER ...]

Measures the images of each FOLDER; without any, PNG and JPEG files of two megapixels made from scikit-image's
photographs. Exits 1 when a promise is not kept.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pyarrow as pa

from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.listing import IndexConfig, listed
from rwsr.degrade.storage import tables
from rwsr.degrade.storage.provenance import provenance
from rwsr.noisebank import tiles
from rwsr.noisebank.scan import scan_set
from rwsr.noisebank.set_scan import KIND, ScanConfig, SetScan, scan_grids
from rwsr.noisebank.tiles import TileGrid
from rwsr.pipelines.executors import runner

RWSR = Path(sys.executable).with_name("rwsr")
CONFIG = ScanConfig(grids=scan_grids([TileGrid()]))
PHOTOGRAPHS = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png", "ihc.png")


def make_photographs(folder: Path, suffix: str, count: int, *, height: int = 1400, width: int = 1432) -> None:
    """Photographs enlarged and with grain, so that they take the bytes of a camera's (PNG: some 1.6 a pixel)."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    sources = [decode((files("skimage") / "data" / name).read_bytes()).pixels for name in PHOTOGRAPHS]
    for i in range(count):
        large = cv2.resize(sources[i % len(sources)], (width, height), interpolation=cv2.INTER_CUBIC)
        grain = rng.normal(0, 0.8, large.shape)
        pixels = np.clip(large + grain, 0, 255).astype(np.uint8)
        options = [cv2.IMWRITE_JPEG_QUALITY, 92] if suffix == ".jpg" else []
        cv2.imwrite(str(folder / f"{i:04d}{suffix}"), pixels[..., ::-1], options)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def scan_once(folder: Path, workers: int) -> float:
    """The time of a whole scan: list, read, hash, decode, measure, write both tables."""
    with tempfile.TemporaryDirectory() as out:
        found = SetScan("target", Path(out) / "target")
        return seconds(lambda: scan_set([folder], found, CONFIG, IndexConfig(), runner(workers)))


def decode_once(paths: list[Path]) -> float:
    """The time that OpenCV takes to decode the files in one thread, and do nothing with them."""
    cv2.setNumThreads(1)
    started = time.perf_counter()
    for path in paths:
        cv2.imread(str(path), cv2.IMREAD_COLOR)
    return time.perf_counter() - started


def measure_scan(folder: Path) -> bool:
    """Print a folder's ratios, from the best of five rounds that take turns; whether both are kept."""
    paths = [row.file for row in listed([folder], IndexConfig())]
    megapixels = sum(image.shape[0] * image.shape[1] for image in map(cv2.imread, map(str, paths))) / 1e6
    rounds = [(decode_once(paths), scan_once(folder, 1), scan_once(folder, 2)) for _ in range(5)]
    opencv, one, two = (min(each[i] for each in rounds) for i in range(3))
    weight = sum(path.stat().st_size for path in paths) / megapixels / 1e6
    print(f"{folder}: {len(paths)} images, {megapixels:.0f} MP, {weight:.2f} bytes a pixel")
    print(f"  OpenCV decodes in {1000 * opencv / megapixels:.2f} ms/MP")
    print(f"  scan / decode: {one / opencv:.2f} (promised: 1.25)")
    print(f"  one worker / two: {one / two:.2f} (promised: 1.7)")
    return one / opencv <= 1.25 and one / two >= 1.7


def peak_mib(folder: Path) -> float:
    """The peak memory of `rwsr noisebank build`, scan and all, as a process of its own."""
    with tempfile.TemporaryDirectory() as out:
        code = (
            "import subprocess, resource, sys\n"
            "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        command = [RWSR, "noisebank", "build", "--target", folder, "--out", Path(out) / "bank", "--workers", "2"]
        found = subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True, text=True)
        return int(found.stdout) / 1024


def measure_memory(folder: Path) -> bool:
    """Print the peak memory for 50 and for 1,000 images, medians of five runs; whether it is flat."""
    make_photographs(folder / "some", ".jpg", 50, height=700, width=716)
    make_photographs(folder / "many", ".jpg", 1000, height=700, width=716)
    some, many = (median(peak_mib(folder / name) for _ in range(5)) for name in ("some", "many"))
    print(f"peak memory: {some:.0f} MiB for 50 images, {many:.0f} MiB for 1,000: {many / some:.2f} (promised: 1.15)")
    return many / some <= 1.15


def make_tiles(found: SetScan, num_images: int, tiles_each: int) -> None:
    """A scan of made-up statistics."""
    found.folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    config = ScanConfig(grids=(TileGrid(),))
    with tables.writer(found.tiles, tiles.SCHEMA, provenance(KIND, config, "")) as writer:
        for first in range(0, num_images, 32):
            images = range(first, min(first + 32, num_images))
            number = np.repeat(np.arange(len(images), dtype=np.int32), tiles_each)
            columns: dict[str, object] = {
                name: pa.DictionaryArray.from_arrays(number, [f"{i:064x}" for i in images])
                for name in ("source", "source_sha256")
            }
            for name in ("y", "x"):
                columns[name] = rng.integers(0, 8, len(number)) * 256
            columns["size"] = np.full(len(number), 256)
            for field in list(tiles.SCHEMA)[5:]:
                columns[field.name] = rng.gamma(1, 60, len(number))
            columns["clipped"] = np.zeros(len(number))
            arrays = [pa.array(columns[field.name], field.type) for field in tiles.SCHEMA]
            writer.write_table(pa.Table.from_arrays(arrays, schema=tiles.SCHEMA))


def measure_choice(folder: Path) -> bool:
    """Print how long another quantile takes over a million tiles, the start of the command included."""
    make_tiles(SetScan("target", folder / "target"), 5000, 200)
    command = [RWSR, "noisebank", "yield", folder, "--quantile", "0.013", "--min-mean", "0", "--json"]
    taken = min(seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)) for _ in range(3))
    print(f"another quantile over 1,000,000 tiles: {taken:.2f} s (promised: 2 s)")
    return taken < 2


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        folders = [Path(name) for name in sys.argv[1:]]
        if not folders:
            folders = [Path(made) / name for name in ("png", "jpeg")]
            make_photographs(folders[0], ".png", 24)
            make_photographs(folders[1], ".jpg", 48)
        kept = [measure_scan(folder) for folder in folders]
        kept += [measure_memory(Path(made) / "memory"), measure_choice(Path(made) / "choice")]
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()

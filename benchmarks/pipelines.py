"""What the pipelines promise: Dask's workers earn their keep, a scheduler of flat memory, cheap tracking.

    python benchmarks/pipelines.py [dask|memory|track ...]

All by the real command on scikit-image's photographs. Exits 1 when a promise is not kept.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from statistics import median

from dask.distributed import LocalCluster

from rwsr.degrade import build_store
from rwsr.degrade.config import compose
from rwsr.degrade.images import sources
from rwsr.degrade.recipes.store_config import store_preset
from rwsr.pipelines.executors import runner

_PEAK = """
import resource, sys
from rwsr.pipelines import cli
sys.argv = ["rwsr", *sys.argv[1:]]
try:
    cli.root(standalone_mode=False)
finally:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def photographs(folder: Path) -> Path:
    """Some photographs to draw from."""
    folder.mkdir()
    for name in ("astronaut.png", "coffee.png", "chelsea.png", "motorcycle_left.png", "rocket.jpg"):
        (folder / name).write_bytes((files("skimage") / "data" / name).read_bytes())
    return folder


def throughput(folder: Path) -> bool:
    """Two workers of a Dask cluster that runs already, against serial, on the same shards; interleaved rounds."""
    config = compose(store_preset("mm-realsr"), hr_size_px=256, num_samples=1024, shard_mib=4)
    rows = sources.index([folder / "photos"], folder / "i.parquet", sources.IndexConfig(), runner(2))
    planned = build_store.plan(config, rows)
    begun = time.monotonic()
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:
        on_dask = runner(1, cluster.scheduler_address)
        ways = {"serial": runner(1), "2 threads": runner(2), "2 Dask workers": on_dask}
        first = build_store.plan(compose(config, num_samples=64), rows)
        build_store.build(folder / "first.zarr", first, on_dask)  # the workers import what they need
        started = time.monotonic() - begun
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(3):
            for name, executor in ways.items():
                begun = time.monotonic()
                build_store.build(folder / f"{name}-{number}.zarr", planned, executor)
                seconds[name].append(time.monotonic() - begun)
    serial = median(seconds["serial"])
    print(f"{config.num_samples} groups of 256 px in {planned.layout.num_shards} shards:")
    for name, each in seconds.items():
        print(f"  {name}: {median(each):.1f} s, {serial / median(each):.2f} times serial")
    print(f"  starting the cluster, and its first build of 64 groups: {started:.1f} s")
    return serial / median(seconds["2 Dask workers"]) >= 1.6


def memory(folder: Path) -> bool:
    """The peak of the process that plans, schedules and finishes, for 1,000 and for 100,000 samples."""
    peaks: dict[int, float] = {}
    for samples in (1_000, 100_000):
        out = folder / f"{samples}.zarr"
        arguments = ["degrade", "build", "--preset", "bicubic", "--source", str(folder / "photos"), "--out", str(out)]
        settings = ["--samples", str(samples), "--hr-size", "64", "--set", "shard_mib=1", "--dask", "local"]
        found = subprocess.run(
            [sys.executable, "-c", _PEAK, *arguments, *settings, "--workers", "2"],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks[samples] = int(found.stderr.split("peak")[-1]) / 1024
        size = {each.name: each.stat().st_size / samples for each in out.glob("*.parquet")}
        num_files = sum(1 for each in out.rglob("*") if each.is_file())
        print(
            f"{samples:,} pairs: peak {peaks[samples]:.0f} MiB, {num_files:,} files, manifest "
            f"{size['manifest.parquet']:.0f} and marks {size['commits.parquet']:.1f} bytes a sample"
        )
    print(f"100,000 against 1,000: {peaks[100_000] / peaks[1_000]:.2f} times the memory")
    return peaks[100_000] / peaks[1_000] <= 1.15


def track(folder: Path) -> bool:
    """What --track adds: with a fresh Prefect home, whose database is made first, and after that."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = plain | {"PREFECT_HOME": str(folder / "prefect")}
    build = [
        sys.executable,
        "-m",
        "rwsr",
        "degrade",
        "build",
        "--preset",
        "mm-realsr",
        "--samples",
        "200",
    ]
    build += ["--source", str(folder / "photos"), "--hr-size", "128", "--json", "--out"]
    seconds: dict[str, list[float]] = {"": [], "--track": []}
    for number in range(4):
        for option, taken in seconds.items():
            out = folder / f"t{option}{number}.zarr"
            begun = time.monotonic()
            done = subprocess.run(
                [*build, str(out), *([option] if option else [])], env=environment, check=True, capture_output=True
            )
            taken.append(time.monotonic() - begun)
            assert json.loads(done.stdout)["rendered"] == 200
    bare = median(seconds[""])
    first, later = seconds["--track"][0] - bare, median(seconds["--track"][1:]) - bare
    print(f"--track adds {first:.1f} s the first time, {later:.1f} s after that (promised: 15)")
    return first <= 15 and later <= 15


def main() -> None:
    """Measure the parts that are named, or all."""
    parts = {"dask": throughput, "memory": memory, "track": track}
    chosen = sys.argv[1:] or list(parts)
    with tempfile.TemporaryDirectory() as name:
        photographs(Path(name) / "photos")
        kept = [parts[each](Path(name)) for each in chosen]
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()

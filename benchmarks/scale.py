"""Ten thousand to ten million groups on one machine: what a build, its end, its reader and its sampler take.

    python benchmarks/scale.py OUT [--most N] [--workers N] [--keep]

All is real but the rendering: the plan and shards are those of groups of 256 px (the samples of a shard too), the rows
of the manifest are drawn, written, merged and read as always; only the images are of one and sixteen pixels, so that
ten million groups take some 8 GB. There is a source for ten groups. A build of a million is killed and goes on. What
was measured says what a build of real images would take on a cluster. Writes OUT/scale.html, and figures as Parquet.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import ipc

sys.path.insert(0, str(Path(__file__).parents[1]))

from rwsr.degrade import build_store
from rwsr.degrade.config import compose
from rwsr.degrade.fill_store import fill, layout_of
from rwsr.degrade.images import sources
from rwsr.degrade.images.listing import IndexConfig
from rwsr.degrade.images.rows import Rows, SourceRow
from rwsr.degrade.manifest import manifest_schema, to_row
from rwsr.degrade.quality.group_order import Measure
from rwsr.degrade.recipes.mm_realsr import ROLES
from rwsr.degrade.recipes.store_config import GROUPS, StoreConfig, store_preset
from rwsr.degrade.samples import Rendered, Source, draw_sample, make
from rwsr.degrade.storage.location import place
from rwsr.degrade.storage.provenance import sha256
from rwsr.degrade.storage.shards.commits import Commit
from rwsr.degrade.storage.shards.layout import ArraySpec
from rwsr.degrade.storage.shards.parts import ROWS_AT_ONCE
from rwsr.degrade.storage.shards.reader import ShardReader
from rwsr.degrade.storage.shards.store import Store, open_store
from rwsr.degrade.storage.shards.verify import digest
from rwsr.degrade.storage.shards.writer import shard_writer
from rwsr.degrade.tasks import Outcome, Run, serial
from rwsr.eval.report.page import Picture, Section, Table, page
from rwsr.eval.report.plots import BLUE, GRAY, ORANGE, Plot, new_figure, to_plot
from rwsr.pipelines.executors import runner
from tests.loopback import CREDENTIALS, Trouble, free_port, new_bucket, start_s3

CONFIG = compose(store_preset("mm-realsr"), hr_size_px=256)
ARRAYS = (ArraySpec("hr", (4, 4, 3)), ArraySpec("lr", (5, 1, 1, 3)))
POOL = 8192  # rows that are drawn; a row group of the manifest has as many
BATCH = 16
_IN_ORDER = ((5.1, 5.2), (4.3, 5.4), (5.5, 6.6), (6.7, 0.0), (3.8, 7.9))  # detail and noise of the members of a group
KILLED = 10**6


@dataclass(frozen=True)
class Measured:
    """Of a store of so many groups. own_s: what the building process itself computed; end_s: after the last shard was
    made. build_mib, read_mib: memory of its own of the process that builds, and of one that trains.
    """

    groups: int
    sources: int
    shards: int
    index_s: float
    plan_s: float
    build_s: float
    own_s: float
    end_s: float
    open_s: float
    step_ms: float
    read_ms: float
    cold_read_ms: float
    build_mib: float
    read_mib: float
    files: int
    most_in_folder: int
    gib: float
    digest: str


# ------------------------------------------------------------------------------------------------ what stands in


def synthetic(count: int) -> Iterator[SourceRow]:
    """Photographs that nobody reads."""
    for i in range(count):
        name = f"{i // 1000:05d}/{i:08d}.png"
        yield SourceRow("/photographs", name, sha256(name), 3 * 10**6, i, "PNG", "RGB", 2040, 1356)


def write_pool(file: Path) -> None:
    """Rows as a build of mm-realsr draws them."""
    rows: list[dict[str, Any]] = []
    measured = {role: Measure(*of) for role, of in zip(ROLES, _IN_ORDER, strict=True)}
    nothing = np.empty(0, dtype=np.uint8)
    for i in range(POOL):
        source = Source(sha256(str(i)), 2040, 1356)
        rows.append(
            to_row(i, "", source, draw_sample(CONFIG, source, i, 0, None), Rendered(nothing, nothing, measured))
        )
    table = pa.Table.from_pylist(rows, schema=manifest_schema(CONFIG.recipe)).combine_chunks()
    with ipc.new_file(str(file), table.schema) as writer:
        writer.write_table(table)


@cache
def pool(file: str) -> pa.Table:
    return ipc.open_file(pa.memory_map(file)).read_all()


def stand_in(store: Store, config: StoreConfig, shard: int) -> Commit:
    """A shard as `fill_shard` writes it, of images that take no time."""
    samples, planned = store.layout.rows(shard), store.plan_of(shard)
    sizes = [min(samples.stop, stop) - max(samples.start, first) for first, stop in
             zip(planned["first"].to_pylist(), planned["stop"].to_pylist(), strict=True)]  # fmt: skip
    of = np.repeat(np.arange(len(sizes)), sizes)
    rows = pool(f"{store.path}/../pool.arrow").take(pa.array(np.arange(samples.start, samples.stop) % POOL))
    for name, values in (
        ("sample", pa.array(np.arange(samples.start, samples.stop))),
        ("source", planned["path"].take(pa.array(of))),
        ("source_sha256", planned["sha256"].take(pa.array(of))),
    ):
        rows = rows.set_column(rows.schema.get_field_index(name), name, values)
    rng = np.random.default_rng(shard)
    with shard_writer(store, shard) as writer:
        images = {a.name: rng.integers(0, 256, (len(samples), *a.sample_shape), dtype=np.uint8) for a in ARRAYS}
        for i in range(len(samples)):
            writer.add(**{name: each[i] for name, each in images.items()})
        for start in range(0, len(samples), ROWS_AT_ONCE):
            writer.add_rows(rows.slice(start, ROWS_AT_ONCE).combine_chunks())
    return writer.commit


def without_rows(store: Store, config: StoreConfig, shard: int) -> Commit:
    """The same without what was drawn."""
    rows = [{"sample": sample} for sample in store.layout.rows(shard)]
    store.plan_of(shard)
    with shard_writer(store, shard) as writer:
        for _ in rows:
            writer.add(**{a.name: np.zeros(a.sample_shape, dtype=np.uint8) for a in ARRAYS})
        writer.add_rows(pa.Table.from_pylist(rows, schema=manifest_schema(config.recipe)))
    return writer.commit


# ------------------------------------------------------------------------------------------------ measuring


class Memory:
    """The most memory of its own that this process had while it was watched; that of mapped files, others can have."""

    def __init__(self) -> None:
        self.peak_mib, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.peak_mib = max(self.peak_mib, anonymous_mib())

    def end(self) -> float:
        self._over.set()
        self._thread.join()
        return self.peak_mib


def anonymous_mib() -> float:
    text = Path("/proc/self/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0]) / 1024


@contextmanager
def timed(into: dict[str, float], name: str) -> Generator[None]:
    started = time.perf_counter()
    yield
    into[name] = time.perf_counter() - started


def ending(run: Run, ended: list[float]) -> Run:
    """The same, which notes when the last shard was made."""

    def runs(function: Callable[..., Any], tasks: Sequence[Any]) -> Iterator[Outcome[Any, Any]]:
        for outcome in run(function, tasks):
            ended[:] = [time.perf_counter()]
            yield outcome

    return runs


def planned_of(folder: Path, groups: int, took: dict[str, float]) -> build_store.Plan:
    """The plan of a store of so many groups, out of an index."""
    index = folder / "index.parquet"
    with timed(took, "index_s"):
        if not index.is_file():
            sources.write(index, Rows.of(synthetic(max(1, groups // 10))), IndexConfig())
    with timed(took, "plan_s"):
        config = compose(CONFIG, num_samples=groups)
        plan = build_store.plan(config, sources.read(index))
    return replace(plan, layout=replace(layout_of(config), arrays=ARRAYS))


def forget(store: Store) -> None:
    """Let the system forget what it keeps of the shards in memory."""
    for spec in store.layout.arrays:
        for shard in range(store.layout.num_shards):
            with open(f"{store.path}/{store.layout.shard_name(spec, shard)}", "rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_ms(store: Store, batches: Iterable[list[int]]) -> float:
    readers = [ShardReader(store, spec.name) for spec in store.layout.arrays]
    times: list[float] = []
    for batch in batches:
        started = time.perf_counter()
        for reader in readers:
            reader.read(batch)
        times.append(time.perf_counter() - started)
    return 1000 * median(times)


def measure(folder: Path, groups: int, workers: int) -> Measured:
    """Build a store, and read from it."""
    memory, took, ended = Memory(), dict[str, float](), list[float]()
    plan = planned_of(folder, groups, took)
    own = time.process_time()
    with timed(took, "build_s"):
        fill(folder / "s.zarr", plan, stand_in, ending(runner(workers), ended), title="groups")
    took["own_s"], took["end_s"] = time.process_time() - own, time.perf_counter() - ended[0]
    build_mib = memory.end()
    memory = Memory()
    from rwsr.train.data.batches import GroupBatches, StoredGroups  # and with it torch

    with timed(took, "open_s"):
        store = open_store(folder / "s.zarr", GROUPS)
        batches = GroupBatches(StoredGroups(store), batch_size=BATCH, lr_patch_px=1, seed=0)
        batches.samples(0)  # the order of the first epoch is drawn here
    steps: list[float] = []
    for step in range(1, min(200, groups // BATCH)):
        started = time.perf_counter()
        batches[step]
        steps.append(time.perf_counter() - started)
    rng = np.random.default_rng(0)
    some = [rng.integers(0, groups, BATCH).tolist() for _ in range(200)]
    warm = read_ms(store, some)
    forget(store)
    cold = read_ms(store, some)
    folders = [(Path(where), names) for where, _, names in os.walk(str(store.path))]
    return Measured(
        groups=groups,
        sources=len(plan.rows),
        shards=store.layout.num_shards,
        **{name: round(value, 3) for name, value in took.items()},
        step_ms=round(1000 * median(steps), 3),
        read_ms=round(warm, 3),
        cold_read_ms=round(cold, 3),
        build_mib=round(build_mib, 1),
        read_mib=round(memory.end(), 1),
        files=sum(len(names) for _, names in folders),
        most_in_folder=max(len(names) for _, names in folders),
        gib=round(sum((where / name).stat().st_size for where, names in folders for name in names) / 2**30, 3),
        digest=digest(store),
    )


def in_process(*arguments: object) -> Any:
    """This file with other arguments, alone in a process; what it prints last, as JSON."""
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@dataclass(frozen=True)
class OfSources:
    """Of so many images: listed (here made up), duplicates looked for, written as an index, read, planned, and the plan
    of a store of as many groups written. mib: memory of its own of the process.
    """

    sources: int
    listed_s: float
    duplicates_s: float
    write_s: float
    read_s: float
    plan_s: float
    tables_s: float
    mib: float


def measure_sources(folder: Path, count: int) -> OfSources:
    memory, took = Memory(), dict[str, float]()
    with timed(took, "listed_s"):
        rows = Rows.of(synthetic(count))
    with timed(took, "duplicates_s"):
        rows = sources.mark_duplicates(rows)
    with timed(took, "write_s"):
        sources.write(folder / "index.parquet", rows, IndexConfig())
    with timed(took, "read_s"):
        rows = sources.read(folder / "index.parquet")
    with timed(took, "plan_s"):
        plan = build_store.plan(compose(CONFIG, num_samples=count), rows)
    with timed(took, "tables_s"), pq.ParquetWriter(folder / "plan.parquet", plan.schema) as writer:
        for table in plan.tables():
            writer.write_table(table)
    return OfSources(count, **{name: round(each, 3) for name, each in took.items()}, mib=round(memory.end(), 1))


# ------------------------------------------------------------------------------------------------ killed


@dataclass(frozen=True)
class Resumed:
    """Of a build that was killed: at how many shards each time, and whether its end is that of one that was not."""

    groups: int
    killed_at: tuple[int, ...]
    same_digest: bool


def killed_and_resumed(folder: Path, groups: int, workers: int, wanted: str) -> Resumed:
    rng, at = random.Random(0), list[int]()
    marks = folder / "s.zarr/building/commits"
    shards = layout_of(compose(CONFIG, num_samples=groups)).num_shards
    for part in (0.2, 0.5, 0.8):
        process = subprocess.Popen(
            [sys.executable, __file__, folder, "--only-build", str(groups), "--workers", str(workers)],
            stdout=subprocess.DEVNULL,
        )
        stop = int(part * shards) + rng.randrange(20)
        while process.poll() is None and (not marks.is_dir() or sum(1 for _ in marks.iterdir()) < stop):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        at.append(sum(1 for _ in marks.glob("*.json")) if marks.is_dir() else shards)
    found = in_process(folder, "--only-build", groups, "--workers", workers)
    return Resumed(groups, tuple(at), found == wanted)


# ------------------------------------------------------------------------------------------------ a cluster


@dataclass(frozen=True)
class Cluster:
    """What a build on a cluster is reckoned from; times measured here, the rest assumed and said."""

    machines: int = 16
    cores: int = 16
    latency_ms: float = 30
    put_mib_s: float = 100


def render_ms() -> float:
    """Of a group of 256 px, drawn, rendered and measured, on one core here."""
    from importlib.resources import files

    from rwsr.degrade.images.decode import decode

    pixels = decode((files("skimage") / "data" / "motorcycle_left.png").read_bytes()).pixels
    source = Source("motorcycle", pixels.shape[1], pixels.shape[0])
    times: list[float] = []
    for sample in range(60):
        started = time.perf_counter()
        make(CONFIG, source, pixels, sample)
        times.append(time.perf_counter() - started)
    return 1000 * float(np.mean(times[10:]))


def requests_s(folder: Path, latency_ms: float) -> float:
    """What the requests of a shard take on object storage that answers so late, by moto: of tiny files, one after
    another.
    """
    port = free_port()
    server = start_s3(port)
    late = Trouble(port, delay_s=latency_ms / 1000)
    try:
        os.environ.update(CREDENTIALS | {"AWS_ENDPOINT_URL": late.url})
        took: list[float] = []
        for shards in (2, 10):
            plan = planned_of(folder, 16 * shards, {})
            plan = replace(plan, layout=replace(plan.layout, samples_per_shard=16))
            started = time.perf_counter()
            fill(place(new_bucket(port)) / "s.zarr", plan, without_rows, serial, title="groups")
            took.append(time.perf_counter() - started)
        return (took[1] - took[0]) / 8
    finally:
        late.close()
        server.terminate()
        server.wait()


def reckoned(last: Measured, groups: int, at: Cluster, requests: float) -> list[tuple[str, str]]:
    """What a whole build takes, by its parts."""
    layout = layout_of(compose(CONFIG, num_samples=groups))
    one = render_ms()
    workers = at.machines * at.cores
    shard_mib = sum(spec.stored_bytes for spec in layout.arrays) * layout.samples_per_shard / 2**20
    render_s = one / 1000 * layout.samples_per_shard
    put_s = requests + shard_mib / at.put_mib_s
    rounds = -(-layout.num_shards // workers)
    total = rounds * (render_s + put_s) + last.index_s + last.plan_s + last.end_s
    return [
        ("groups", f"{groups:,} in {layout.num_shards:,} shards of {layout.samples_per_shard} ({shard_mib:.0f} MiB)"),
        ("a group, one core (measured)", f"{one:.1f} ms"),
        ("a shard, rendered", f"{render_s:.0f} s"),
        (f"its requests, {at.latency_ms:g} ms late each (measured by moto)", f"{requests:.2f} s"),
        (f"all of its putting, at {at.put_mib_s:g} MiB/s a worker", f"{put_s:.1f} s"),
        (f"rounds on {at.machines} machines of {at.cores} cores", f"{rounds}"),
        ("index, plan and end (measured, of the largest)", f"{last.index_s + last.plan_s + last.end_s:.0f} s"),
        (
            "the coordinator computes for a shard (measured); so many workers' shards it can take",
            f"{1000 * last.own_s / last.shards:.0f} ms; {render_s * last.shards / last.own_s:,.0f}",
        ),
        ("all", f"{total / 60:.0f} min; of it rendering {100 * rounds * render_s / total:.0f} %"),
    ]


# ------------------------------------------------------------------------------------------------ all of it


def plots(found: Sequence[Measured]) -> Plot:
    """Wall, memory, files and the times of a reader over the size."""
    sizes = [each.groups for each in found]
    figure, axes = new_figure(13, 3.4, 4)
    panels = [
        ("seconds", {"build": "build_s", "index and plan": "plan_s", "end": "end_s", "open": "open_s"}),
        ("memory, MiB", {"of a build": "build_mib", "of a training": "read_mib"}),
        ("files", {"all": "files", "in a folder at most": "most_in_folder"}),
        ("ms", {"a training step of 16": "step_ms", "16 groups, warm": "read_ms", "16 groups, cold": "cold_read_ms"}),
    ]
    for ax, (title, lines) in zip(axes, panels, strict=True):
        for (name, key), colour in zip(lines.items(), (BLUE, ORANGE, GRAY, "#5a9e6f"), strict=False):
            ax.plot(sizes, [getattr(each, key) for each in found], "o-", color=colour, label=name)
        ax.set_xscale("log")
        ax.set_title(title)
        ax.set_xlabel("groups")
        if title in ("seconds", "files"):
            ax.set_yscale("log")
        else:
            ax.set_ylim(0)
        ax.legend(frameon=False, fontsize=8)
    return to_plot(figure)


def write(
    out: Path,
    found: Sequence[Measured],
    of_sources: Sequence[OfSources],
    resumed: Resumed | None,
    cluster: list[tuple[str, str]],
) -> None:
    pq.write_table(pa.Table.from_pylist([asdict(each) for each in found]), out / "scale.parquet")
    pq.write_table(pa.Table.from_pylist([asdict(each) for each in of_sources]), out / "sources.parquet")
    columns = [name for name in asdict(found[0]) if name != "digest"]
    rows = tuple(tuple(f"{getattr(each, name):,}" for name in columns) for each in found)
    sections = [
        Section(
            "By the number of groups",
            (),
            [
                Picture(plots(found), "Wall, memory, files and a reader by the number of groups."),
                Table(tuple(columns), rows),
            ],
        )
    ]
    names = tuple(asdict(of_sources[0]))
    cells = tuple(tuple(f"{getattr(each, name):,}" for name in names) for each in of_sources)
    sections.append(Section("By the number of images", (), [Table(names, cells)]))
    if resumed is not None:
        same = "the same as" if resumed.same_digest else "OTHER than"
        at = ", ".join(map(str, resumed.killed_at))
        text = f"{resumed.groups:,} groups, killed at {at} shards: the digest is {same} that of one that was not."
        sections.append(Section("Killed and gone on with", (text,)))
    sections.append(Section("On a cluster, reckoned", (), [Table(("what", "takes"), tuple(cluster))]))
    (out / "scale.html").write_bytes(page("rwsr at scale", "benchmarks/scale.py", sections))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--most", type=int, default=10**7)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="the largest store stays as OUT/kept.zarr")
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--only-sources", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--only-build", type=int, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.only is not None:
        print(json.dumps(asdict(measure(told.out, told.only, told.workers))))
        return
    if told.only_sources is not None:
        print(json.dumps(asdict(measure_sources(told.out, told.only_sources))))
        return
    if told.only_build is not None:
        plan = planned_of(told.out, told.only_build, {})
        store, _ = fill(told.out / "s.zarr", plan, stand_in, runner(told.workers), title="groups")
        print(json.dumps(digest(store)))
        return
    found: list[Measured] = []
    of_sources: list[OfSources] = []
    resumed = None
    told.out.mkdir(parents=True, exist_ok=True)
    pool_at = told.out / "pool.arrow"
    write_pool(pool_at)
    for groups in (10**4, 10**5, 10**6, 10**7):
        if groups > told.most:
            break
        with tempfile.TemporaryDirectory(dir=told.out) as folder:
            shutil.copy(pool_at, folder)
            found.append(Measured(**in_process(folder, "--only", groups, "--workers", told.workers)))
            print(found[-1], flush=True)
            if told.keep and groups * 10 > told.most:
                shutil.move(f"{folder}/s.zarr", told.out / "kept.zarr")
        with tempfile.TemporaryDirectory(dir=told.out) as folder:
            of_sources.append(OfSources(**in_process(folder, "--only-sources", groups)))
            print(of_sources[-1], flush=True)
        if groups == min(KILLED, told.most):
            with tempfile.TemporaryDirectory(dir=told.out) as folder:
                shutil.copy(pool_at, folder)
                resumed = killed_and_resumed(Path(folder), groups, told.workers, found[-1].digest)
                print(resumed, flush=True)
    at = Cluster()
    with tempfile.TemporaryDirectory(dir=told.out) as folder:
        cluster = reckoned(found[-1], 10**7, at, requests_s(Path(folder), at.latency_ms))
    for what, takes in cluster:
        print(f"{what}: {takes}")
    pool_at.unlink()
    write(told.out, found, of_sources, resumed, cluster)
    sys.exit(0 if resumed is None or resumed.same_digest else 1)


if __name__ == "__main__":
    main()

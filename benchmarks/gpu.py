"""What is promised of CUDA, measured on the GPU of this machine within eight minutes: a page and a Parquet file.

    python benchmarks/gpu.py OUT [--basicsr CLONE] [--small]

Steps a second of the presets in fp32 and as they are trained, the share of a step that waits for data, memory against
what was computed for it, rendering on the device, restoring, and the losses of the CPU and of CUDA side by side.
CLONE: of BasicSR (github.com/XPixelGroup/BasicSR), to be compared with. --small: the same of small networks, on the CPU
where there is no GPU; nothing is promised of it. Exits 1 where a promise is not kept.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from basicsr_peer import degradation, step
from commands import rwsr
from torch import Tensor
from training_cost import without_files

from rwsr.degrade.build_store import plan
from rwsr.degrade.config import compose, to_yaml
from rwsr.degrade.images import sources
from rwsr.degrade.images.listing import IndexConfig
from rwsr.degrade.recipes.store_config import store_preset
from rwsr.degrade.storage.location import place
from rwsr.degrade.tasks import serial
from rwsr.eval.images.restoring import name_of
from rwsr.eval.images.tiling import restore_pixels, tile_of
from rwsr.eval.report.page import Section, Table, page
from rwsr.train.compose import method_of
from rwsr.train.data.batches import GroupBatch, GroupBatches
from rwsr.train.data.imagined import ImaginedGroups
from rwsr.train.data.of_training import live, stored
from rwsr.train.data.on_the_fly import LiveGroups
from rwsr.train.engine.distributed import Ranks, local_device
from rwsr.train.engine.loop import _arithmetic, fit  # noqa: PLC2701 - what a step is measured under
from rwsr.train.engine.memory import GIB, cost_of
from rwsr.train.engine.trained import Trained
from rwsr.train.methods.base import Given
from rwsr.train.networks.mm_realsr import MMRealSR, MMRealSRConfig
from rwsr.train.on_device.batches import PlannedBatches

PUBLISHED = (
    "real-esrnet",
    "esrgan-psnr",
    "mm-realsr-code",
    "mm-realsr-code-gan",
    "cunet",
    "rwsr-edl",
    "hr-aware-pretrain",
)
SMALL = ("mm-realsr-small", "cunet-small")
PHOTOGRAPHS = ("astronaut.png", "coffee.png", "hubble_deep_field.jpg", "retina.jpg", "motorcycle_left.png")
BUDGET_S = 480.0


@dataclass(frozen=True)
class Figure:
    """value: in a unit; against: what it is held against; promised: at least, or (where it begins with <) at most."""

    part: str
    what: str
    value: float
    unit: str
    against: str = ""
    promised: str = ""

    @property
    def kept(self) -> bool:
        if not self.promised:
            return True
        limit = float(self.promised.lstrip("<>= "))
        return self.value <= limit if self.promised.startswith("<") else self.value >= limit


class Bench:
    """The figures so far, and the time that is left for more."""

    def __init__(self, device: torch.device, small: bool) -> None:
        self.device, self.small = device, small
        self.figures: list[Figure] = []
        self._until = time.monotonic() + BUDGET_S

    @property
    def left_s(self) -> float:
        return self._until - time.monotonic()

    def add(self, part: str, what: str, value: float, unit: str, against: str = "", promised: str = "") -> None:
        """A figure; what is promised is of a GPU and of published sizes."""
        figure = Figure(part, what, value, unit, against, "" if self.small else promised)
        self.figures.append(figure)
        mark = "" if figure.kept else "  MISSED"
        print(f"{part}: {what}: {value:.4g} {unit} {against} {figure.promised}{mark}".rstrip(), flush=True)

    def seconds(self, run: Callable[[], Any], most_s: float) -> float:
        """The median of as many runs as fit, after two."""
        for _ in range(1 if self.small else 2):
            run()
        self.wait()
        found: list[float] = []
        until = time.monotonic() + min(0.3 if self.small else most_s, max(1.0, self.left_s))
        while not found or (time.monotonic() < until and len(found) < 50):
            began = time.perf_counter()
            run()
            self.wait()
            found.append(time.perf_counter() - began)
        return median(found)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


# ------------------------------------------------------------------------------------------------------- steps


def _method(name: str, loop: dict[str, Any]) -> tuple[Any, Any, Callable[[], Any]]:
    """The config of a preset, what it learns from, and how its networks are made."""
    config = method_of(name).presets[name].config
    config = config.model_copy(update={"loop": config.loop.model_copy(update=loop)})
    groups = ImaginedGroups(config)

    def make() -> Any:
        start = config.network.build().state_dict() if config.needs_start else None
        return method_of(name).build(config, Given(groups, start))

    return config, groups, make


def _batch(groups: ImaginedGroups, count: int, px: int, device: torch.device) -> GroupBatch:
    torch.manual_seed(0)
    like = groups.batch(count, px)
    made = GroupBatch(torch.rand_like(like.hr), torch.rand_like(like.lr), torch.rand_like(like.condition), like.keys)
    return made.to(device)


def steps(bench: Bench, name: str) -> None:
    """A preset in fp32 and as it is trained, on one batch that is there already; and its memory."""
    best = {} if bench.small else {"precision": "bf16", "channels_last": True}
    ways = {"fp32": {"precision": "fp32", "channels_last": False}, "best": best, "compiled": best | {"compile": True}}
    fp32 = 0.0
    for way, loop in ways.items():
        if bench.left_s < 60 or (way == "compiled" and bench.device.type == "cpu"):
            continue
        try:
            seconds = _step(bench, f"{name}, {way}", _method(name, loop), counts=way != "compiled")
        except torch.OutOfMemoryError:
            print(f"{name}, {way}: no memory left")
            continue
        fp32 = fp32 or seconds
        bench.add("steps", f"{name}, {way}", 1 / seconds, "steps/s", f"{fp32 / seconds:.2f} times fp32")


def _step(bench: Bench, what: str, of: tuple[Any, ImaginedGroups, Callable[[], Any]], *, counts: bool) -> float:
    """Seconds of a step, in as many parts as fit. counts: its memory is a figure too."""
    config, groups, make = of
    cost = cost_of(make, groups.batch(2, config.loop.lr_patch_px), config.loop)
    parts = _parts_that_fit(bench, cost, config.loop.batch_size)
    loop = config.loop.model_copy(update={"accum_steps": parts})
    if bench.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(bench.device)
    method = make()
    trained = Trained(method, loop, bench.device)
    batch = _batch(groups, loop.batch_size, loop.lr_patch_px, bench.device)
    with _arithmetic(loop):
        seconds = bench.seconds(lambda: trained.step(0, batch, method.losses, Ranks()), 8)
    if counts and bench.device.type == "cuda":
        taken = torch.cuda.max_memory_allocated(bench.device)
        counted = _at(cost, loop.batch_size).bytes_in(parts)
        more = f"{taken / GIB:.1f} GiB" + (f" in {parts} parts" if parts > 1 else "")
        bench.add("memory", what, taken / counted, "of the computed", more, "<= 1.0")
    return seconds


def _at(cost: Any, samples: int) -> Any:
    """A cost of two samples as one of so many."""
    return type(cost)(cost.fixed, cost.saved * samples // 2, cost.flop * samples // 2)


def _parts_that_fit(bench: Bench, cost: Any, samples: int) -> int:
    if bench.device.type != "cuda":
        return 1
    _, total = torch.cuda.mem_get_info(bench.device)
    return next(
        (n for n in range(1, samples + 1) if samples % n == 0 and _at(cost, samples).bytes_in(n) < 0.9 * total), samples
    )


def against_basicsr(bench: Bench, clone: Path) -> None:
    """The RRDB at the paper's size: ours as the preset trains, and compiled, against BasicSR's in fp32 eager."""
    name = "mm-realsr-small" if bench.small else "real-esrnet"
    config, groups, make = _method(name, {} if bench.small else {"compile": True})
    if bench.small:
        config, groups, make = _method("real-esrnet-fp32", {"batch_size": 2, "lr_patch_px": 16})
    batch = _batch(groups, config.loop.batch_size, config.loop.lr_patch_px, bench.device)
    theirs = bench.seconds(step(clone, batch.lr[:, 0], batch.hr), 20)
    method = make()
    trained = Trained(method, config.loop, bench.device)
    with _arithmetic(config.loop):
        ours = bench.seconds(lambda: trained.step(0, batch, method.losses, Ranks()), 20)
    bench.add("steps", "RRDB, ours", theirs / ours, "times BasicSR's fp32", f"{1 / theirs:.2f} steps/s", ">= 3")


# -------------------------------------------------------------------------------------------------------- data


def _photographs(work: Path) -> Path:
    """scikit-image's, as files."""
    folder = work / "photographs"
    folder.mkdir()
    for name in PHOTOGRAPHS:
        (folder / name).write_bytes(files("skimage").joinpath("data", name).read_bytes())
    return folder


def waiting(bench: Bench, photographs: Path, work: Path) -> None:
    """How much longer a step is that reads its batch, from a store and rendered on the device, than one that has it."""
    preset, name = "mm-realsr-small" if bench.small else "mm-realsr-code", "mm-realsr-stage-1"
    px = 64 if bench.small else 256
    rwsr("degrade", "build", "--preset", name, "--source", photographs, "--hr-size", px, "--samples", 64, "--out",
         work / "groups.zarr")  # fmt: skip
    recipe = work / "recipe.yaml"
    recipe.write_text(to_yaml(compose(store_preset(name), hr_size_px=px)))
    rendered = live([place(str(photographs))], recipe, work, preset=name, on_device=True).groups
    count, workers = (8, 0) if bench.small else (60, 6)
    for what, source in (("a store", stored(place(str(work / "groups.zarr"))).groups), ("rendered there", rendered)):
        loop = {"num_workers": workers, "steps": count, "checkpoint_every": 10**6, "log_every": 10**6}
        loop |= {"batch_size": 2, "lr_patch_px": 12} if bench.small else {}
        config, groups, _ = _method(preset, loop)
        times = dict(_loop_times(bench, config, groups, source))
        share = 1 - times["held"] / times["read"]
        bench.add("waiting", what, max(0.0, share), "of a step", f"{1000 * times['read']:.0f} ms a step", "<= 0.05")


def _loop_times(bench: Bench, config: Any, groups: ImaginedGroups, source: Any) -> Iterator[tuple[str, float]]:
    loop = config.loop
    plain = GroupBatches(source, batch_size=loop.batch_size, lr_patch_px=loop.lr_patch_px, seed=0)
    read = PlannedBatches(plain, source) if isinstance(source, LiveGroups) else plain
    one = _batch(groups, loop.batch_size, loop.lr_patch_px, torch.device("cpu"))
    for name, batches, workers in (("held", [one] * loop.steps, 0), ("read", read, loop.num_workers)):
        ends: list[float] = []

        def on_step(_: int, __: dict[str, float], ends: list[float] = ends) -> None:
            bench.wait()
            ends.append(time.perf_counter())

        with tempfile.TemporaryDirectory() as run:
            method = method_of("mm-realsr-small").build(config, Given(groups))
            told = loop.model_copy(update={"num_workers": workers})
            fit(Path(run), method, lambda _, batches=batches: batches, told, device=bench.device,
                whole_config=config.model_dump(mode="json"), on_step=on_step, spawn=False)  # fmt: skip
        after = ends[len(ends) // 3 :]
        yield name, (after[-1] - after[0]) / (len(after) - 1)


def rendering(bench: Bench, photographs: Path, clone: Path | None) -> None:
    """Pairs and groups a second on the device, against the CPU's of one thread and BasicSR's own on the device."""
    count, px = (4, 128) if bench.small else (48, 400)
    pairs = _rendering(bench, photographs, "real-esrgan", count, px)
    _rendering(bench, photographs, "mm-realsr", count, 64 if bench.small else 256)
    if clone is not None:
        theirs = count / bench.seconds(degradation(clone, count, px, bench.device), 15)
        bench.add("rendering", "real-esrgan, ours", pairs / theirs, "times BasicSR's", f"{theirs:.0f} pairs/s", ">= 5")


def _rendering(bench: Bench, photographs: Path, preset: str, count: int, px: int) -> float:
    config = compose(store_preset(preset), hr_size_px=px)
    with tempfile.TemporaryDirectory() as folder:
        rows = sources.index([place(str(photographs))], place(f"{folder}/i.parquet"), IndexConfig(role="hr"), serial)
    groups = LiveGroups(plan(config, rows), 1, on_device=True)
    plain = GroupBatches(groups, batch_size=count, lr_patch_px=config.lr_size_px, seed=0)
    planned = PlannedBatches(plain, groups)
    batch = planned[0]
    rate = count / bench.seconds(lambda: planned.put(batch, bench.device), 15)
    few = list(range(max(2, count // 8)))
    began = time.perf_counter()
    groups.read(few)
    by_cpu = len(few) / (time.perf_counter() - began)
    bench.add("rendering", f"{preset}, {px} px", rate, "samples/s", f"{rate / by_cpu:.1f} times a thread of the CPU")
    differs = _differs(planned.put(batch, bench.device).lr, plain[0].to(torch.device("cpu")).lr)
    bench.add("rendering", f"{preset}: LR values that are not the CPU's", differs, "of all", "", "<= 0.01")
    return rate


def _differs(found: Tensor, wanted: Tensor) -> float:
    return float(((found.cpu() - wanted).abs() > 0.5 / 255).float().mean())


# ---------------------------------------------------------------------------------------------- restoring, losses


def restoring(bench: Bench) -> None:
    """Megapixels of SR a second of the published RRDB, whatever its weights."""
    for half in (False, True) if bench.device.type == "cuda" else (False,):
        _restoring(bench, half=half)


def _restoring(bench: Bench, *, half: bool) -> None:
    blocks, side = (1, 64) if bench.small else (23, 1024)
    net = MMRealSR(MMRealSRConfig(modulated=False, num_block=blocks)).to(bench.device).eval()
    image = (torch.rand(side, side, 3) * 255).byte().numpy()
    tile = tile_of(bench.device)
    took = bench.seconds(lambda: restore_pixels(net, image, 4, bench.device, tile_px=tile, half=half), 15)
    what = f"RRDB-{blocks} x4, {'fp16' if half else 'fp32'}"
    bench.add("restoring", what, 16 * side**2 / took / 1e6, "MP/s of SR")


def losses(bench: Bench) -> None:
    """Twenty steps on the CPU and on the device, in fp32 on the same batches."""
    config, groups, make = _method("mm-realsr-small", {"batch_size": 2, "lr_patch_px": 16, "tf32": False})
    found: list[list[float]] = []
    for device in (torch.device("cpu"), bench.device):
        method = make()
        trained = Trained(method, config.loop, device)
        values: list[float] = []
        with _arithmetic(config.loop):
            for number in range(20):
                torch.manual_seed(number)
                like = groups.batch(2, 16)
                batch = GroupBatch(torch.rand_like(like.hr), torch.rand_like(like.lr), like.condition, like.keys)
                terms, _ = trained.step(number, batch.to(device), method.losses, Ranks())
                values.append(float(sum(terms.values())))
        found.append(values)
    apart = max(abs(a - b) / abs(a) for a, b in zip(*found, strict=True))
    bench.add("losses", "the CPU's and the device's, 20 steps", apart, "apart at most", "", "<= 0.001")


# -------------------------------------------------------------------------------------------------------- page


def write(bench: Bench, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    name = f"{name_of(bench.device)}, torch {torch.__version__}"
    rows = [asdict(each) | {"kept": each.kept, "on": name} for each in bench.figures]
    pq.write_table(pa.Table.from_pylist(rows), out / "gpu.parquet")
    sections: list[Section] = []
    for part in dict.fromkeys(each.part for each in bench.figures):
        lines = tuple(
            (each.what, f"{each.value:.4g}", each.unit, each.against, each.promised + ("" if each.kept else ": missed"))
            for each in bench.figures
            if each.part == part
        )
        sections.append(Section(part, (), (Table(("what", "measured", "unit", "beside", "promised"), lines),)))
    (out / "gpu.html").write_bytes(page(f"rwsr on {name}", "benchmarks/gpu.py", sections))
    print(f"wrote {out / 'gpu.parquet'} and {out / 'gpu.html'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--basicsr", type=Path, default=None, help="a clone of BasicSR to compare with")
    parser.add_argument("--small", action="store_true", help="small networks, on the CPU where there is no GPU")
    told = parser.parse_args()
    if told.out.exists() and not told.out.is_dir():
        sys.exit(f"{told.out} is a file; name a folder")
    if told.basicsr is not None and not (told.basicsr / "basicsr/models/realesrgan_model.py").is_file():
        sys.exit(f"{told.basicsr} is no clone of BasicSR; name one")
    device = local_device()
    if device.type == "cpu" and not told.small:
        sys.exit("this machine has no CUDA; --small measures small networks on its CPU")
    for patch in without_files():
        patch.start()
    bench = Bench(device, told.small)
    with tempfile.TemporaryDirectory() as folder:
        photographs = _photographs(Path(folder))
        losses(bench)
        rendering(bench, photographs, told.basicsr)
        waiting(bench, photographs, Path(folder))
        if told.basicsr is not None:
            against_basicsr(bench, told.basicsr)
        restoring(bench)
        for name in SMALL if told.small else PUBLISHED:
            steps(bench, name)
    write(bench, told.out)
    sys.exit(0 if all(each.kept for each in bench.figures) else 1)


if __name__ == "__main__":
    main()

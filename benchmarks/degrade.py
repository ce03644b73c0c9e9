"""What the degradation engine promises: cheap groups and pairs, two workers, flat memory, an order.

    python benchmarks/degrade.py [FOLDER ...]

Draws from the images of each FOLDER that are at least 400 pixels on their shorter side; without any, from
scikit-image's photographs. Exits 1 when a promise is not kept, but for the order of noise, whose limits
degrade/README.md explains.
"""

import itertools
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from statistics import median
from subprocess import run

import cv2
import numpy as np
from commands import rwsr

from rwsr.degrade.config import compose
from rwsr.degrade.errors import UserError
from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.pixels import F32, U8, encode_png
from rwsr.degrade.ops.render import apply_all, render_all
from rwsr.degrade.quality.group_order import disorders, twin
from rwsr.degrade.quality.pixel_measures import measure_pixels
from rwsr.degrade.quality.registration import registration
from rwsr.degrade.recipes import PRESETS
from rwsr.degrade.recipes.mm_realsr import ROLES, Role
from rwsr.degrade.recipes.store_config import StoreConfig, store_preset
from rwsr.degrade.samples import Source, draw_sample, make, render
from rwsr.degrade.tasks import keep_memory

HR_PX = 400
PHOTOGRAPHS = (
    "astronaut.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "retina.jpg",
    "motorcycle_left.png",
    "rocket.jpg",
)
GROUPS_CONFIG = compose(store_preset("mm-realsr"), hr_size_px=HR_PX)


class FlatBank:
    """A bank without noise: registration is of the geometry."""

    digest, size_px, num_patches = "none", 512, 1

    def crop(self, patch: int, y: int, x: int, height: int, width: int) -> F32:
        return np.zeros((height, width, 3), dtype=np.float32)


def photographs(folders: list[str]) -> list[tuple[Source, U8]]:
    """(identity, pixels) of every image that is large enough."""
    paths = [path for folder in folders for path in sorted(Path(folder).rglob("*")) if path.is_file()]
    if not folders:
        paths = [Path(str(files("skimage") / "data" / name)) for name in PHOTOGRAPHS]
    found: list[tuple[Source, U8]] = []
    for path in paths:
        try:
            pixels = decode(path.read_bytes()).pixels
        except UserError:
            continue
        if min(pixels.shape[:2]) >= HR_PX:
            found.append((Source(path.name, pixels.shape[1], pixels.shape[0]), pixels))
    return found


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def best(work: Callable[[], object], times: int = 9) -> float:
    return min(seconds(work) for _ in range(times))


def one_group(images: list[tuple[Source, U8]], sample: int) -> None:
    source, pixels = images[sample % len(images)]
    render(draw_sample(GROUPS_CONFIG, source, sample, 0, None), pixels)


def unmeasured_group(images: list[tuple[Source, U8]], sample: int) -> None:
    source, pixels = images[sample % len(images)]
    drawn = draw_sample(GROUPS_CONFIG, source, sample, 0, None)
    crop = np.ascontiguousarray(pixels[drawn.y : drawn.y + HR_PX, drawn.x : drawn.x + HR_PX])
    apply_all(crop, list(drawn.members.values()))


def cost(images: list[tuple[Source, U8]], groups: int = 60) -> bool:
    """A group against one filter2D of 21x21 taps on an HR crop, in turns."""
    image = np.random.default_rng(0).random((HR_PX, HR_PX, 3)).astype(np.float32)
    kernel = np.random.default_rng(1).random((21, 21))
    for sample in range(10):
        one_group(images, sample)
    measured: list[float] = []
    bare: list[float] = []
    for turn in range(5):
        limit = best(lambda: cv2.filter2D(image, -1, kernel))
        some = range(turn * groups, (turn + 1) * groups)
        measured.append(seconds(lambda some=some: [one_group(images, i) for i in some]) / groups / limit)
        bare.append(seconds(lambda some=some: [unmeasured_group(images, i) for i in some]) / groups / limit)
    print(
        f"one group, drawn and rendered: {median(bare):.2f} filter2D of 21x21 (promised: 4); turns {np.round(bare, 2)}"
    )
    print(f"  with the measuring of its order: {median(measured):.2f}; turns {np.round(measured, 2)}")
    return median(bare) <= 4


def pairs(images: list[tuple[Source, U8]], count: int = 40) -> bool:
    """A real-esrgan pair of 400 px, sharpened by a pyramid and by the published taps, in turns; and a group of 256."""
    keep_memory()
    quick = compose(store_preset("real-esrgan"), hr_size_px=HR_PX)
    ways = {
        "real-esrgan, 400 px": quick,
        "the same by all taps": compose(quick, sets=["recipe.usm.gaussian=truncated"]),
        "mm-realsr, 256 px": compose(store_preset("mm-realsr"), hr_size_px=256),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(5):
        some = range(turn * count, (turn + 1) * count)
        for name, config in ways.items():
            times[name].append(seconds(lambda config=config, some=some: _make(images, config, some)) / count)
    for name, each in times.items():
        print(f"{name}: {1000 * median(each):.1f} ms; turns {np.round(1000 * np.array(each), 1)}")
    quick_s, whole_s, _ = (median(each) for each in times.values())
    print(f"  a pair takes {quick_s / whole_s:.2f} of the time that it takes by all taps (promised: 0.8)")
    return quick_s <= 0.8 * whole_s


def _make(images: list[tuple[Source, U8]], config: StoreConfig, samples: Sequence[int]) -> None:
    for sample in samples:
        source, pixels = images[sample % len(images)]
        make(config, source, pixels, sample)


def two_workers(images: list[tuple[Source, U8]], folder: Path, serial_s: float = 60) -> bool:
    """A build of a minute by the command, start and end and all, on one worker and on two."""
    photos = folder / "photos"
    photos.mkdir()
    for number, (_, pixels) in enumerate(images):
        (photos / f"{number}.png").write_bytes(encode_png(pixels))
    config = compose(store_preset("mm-realsr"), hr_size_px=256)
    each = seconds(lambda: _make(images, config, range(40))) / 40
    told = ("degrade", "build", "--preset", "mm-realsr", "--hr-size", "256", "--set", "shard_mib=4", "--source", photos)
    told = (*told, "--samples", round(serial_s / each))

    def build(workers: int) -> float:
        out = folder / f"{workers}.zarr"
        return seconds(lambda: rwsr(*map(str, told), "--workers", str(workers), "--out", str(out)))

    alone, both = build(1), build(2)
    print(f"two workers: {alone / both:.2f} times one, {alone:.0f} and {both:.0f} s all in (promised: 1.85)")
    return alone / both >= 1.85


def memory(folder: Path) -> bool:
    """Peak memory of `rwsr degrade build` for 100 and for 1,500 groups."""
    photos = folder / "photos"
    photos.mkdir()
    for name in PHOTOGRAPHS:
        (photos / name).write_bytes((files("skimage") / "data" / name).read_bytes())
    script = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    peaks: list[float] = []
    for samples in (100, 1500):
        command = [str(Path(sys.executable).with_name("rwsr")), "degrade", "build", "--preset", "mm-realsr"]
        command += ["--source", str(photos), "--out", str(folder / f"{samples}.zarr"), "--samples", str(samples)]
        command += ["--hr-size", "128", "--set", "shard_mib=2"]
        found = run([sys.executable, "-c", script, *command], check=True, capture_output=True, text=True)
        peaks.append(int(found.stdout) / 1024)
    print(f"memory: {peaks[0]:.0f} MiB for 100 groups, {peaks[1]:.0f} MiB for 1,500: {peaks[1] / peaks[0]:.2f}")
    return peaks[1] / peaks[0] <= 1.15


def order(images: list[tuple[Source, U8]], groups: int = 1000) -> bool:
    """The order of first draws, by the build's own measures and by the pixels alone."""
    kinds: Counter[str] = Counter()
    columns = {name: i for i, name in enumerate(ROLES)}
    gains, noises = np.empty((groups, len(ROLES))), np.empty((groups, len(ROLES)))
    in_order = np.empty(groups, dtype=bool)
    for sample in range(groups):
        source, pixels = images[sample % len(images)]
        rendered = render(draw_sample(GROUPS_CONFIG, source, sample, 0, None), pixels)
        assert rendered.measured is not None
        found = disorders(rendered.measured)
        kinds.update(found)
        in_order[sample] = not found
        for role, lr in zip(ROLES, rendered.lr, strict=True):
            pixel = measure_pixels(rendered.hr, lr)
            gains[sample, columns[role]], noises[sample, columns[role]] = pixel.gain, pixel.noise
    share = {name: 100 * (1 - kinds[name] / groups) for name in ("blur", "noise", "worst-blur", "worst-noise")}
    print(
        f"order of {groups} groups before rejection, against noiseless twins: "
        + ", ".join(f"{name} {value:.1f} %" for name, value in share.items())
        + f"; all four {100 * in_order.mean():.1f} %"
    )
    base, blurrier, noisier, worst = (columns[r] for r in (Role.BASE, Role.BLURRIER, Role.NOISIER, Role.WORST))
    holds = {
        "blur": gains[:, blurrier] < gains[:, base],
        "noise": noises[:, noisier] > noises[:, base],
        "worst-blur": gains[:, worst] <= gains[:, [base, blurrier, noisier]].min(axis=1),
        "worst-noise": noises[:, worst] >= noises[:, [base, blurrier, noisier]].max(axis=1),
    }
    for text, chosen in (("before rejection", slice(None)), ("of those that the build accepts", in_order)):
        print(
            f"  by the pixels alone, {text}: "
            + ", ".join(f"{name} {100 * held[chosen].mean():.1f} %" for name, held in holds.items())
        )
    return min(share["blur"], share["noise"], 100 * holds["blur"].mean()) >= 99


def aligned(pairs: int = 200) -> bool:
    good = True
    for preset in PRESETS:
        config: StoreConfig = store_preset(preset)
        bank = FlatBank() if config.wants_bank else None
        errors: list[float] = []
        for sample in range(pairs):
            drawn = draw_sample(config, Source("any", 2000, 2000), sample, 0, bank)
            for steps in drawn.members.values():
                chain = twin(steps)
                found = registration(lambda places, c=chain: render_all(places, [c])[0], config.hr_size_px)
                errors.append(found.error)
        good &= float(np.mean(errors)) <= 0.05
        print(
            f"registration of {preset}: mean {np.mean(errors):.4f}, largest {np.max(errors):.3f} HR px (promised: 0.05)"
        )
    return good


_OTHER_PROCESSOR = {
    "OPENCV_IPP": "disabled",
    "OPENCV_CPU_DISABLE": "AVX512-SKX,AVX2,FMA3,AVX,FP16",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX",
    "JSIMD_FORCENONE": "1",
}


def render_some(folders: list[str], out: Path, samples: int = 40) -> None:
    """The LR images of some samples of each preset that needs no bank, as arrays."""
    images = photographs(folders)
    arrays: dict[str, U8] = {}
    for preset in PRESETS:
        config = compose(store_preset(preset), hr_size_px=256)
        if not config.wants_bank:
            drawn = (
                (draw_sample(config, source, i, 0, None), pixels)
                for i, (source, pixels) in zip(range(samples), itertools.cycle(images))
            )
            arrays[preset] = np.stack([render(draw, pixels).lr for draw, pixels in drawn])
    np.savez(out, **arrays)


def processors(folders: list[str], folder: Path) -> None:
    """How far the same draws differ on a processor without the vector instructions of this one."""
    for name, environment in (("here", {}), ("there", _OTHER_PROCESSOR)):
        command = [sys.executable, __file__, "--render", str(folder / f"{name}.npz"), *folders]
        run(command, check=True, env=os.environ | environment, capture_output=True)
    here, there = (np.load(folder / f"{name}.npz") for name in ("here", "there"))
    for preset in here:
        apart = np.abs(here[preset].astype(int) - there[preset])
        print(
            f"without vector instructions, {preset}: {100 * (apart > 0).mean():.4f} % of the values differ, "
            f"{100 * (apart > 1).mean():.4f} % by more than one level, by {apart.max()} at most"
        )


def main() -> int:
    cv2.setNumThreads(1)
    if sys.argv[1:2] == ["--render"]:
        render_some(sys.argv[3:], Path(sys.argv[2]))
        return 0
    images = photographs(sys.argv[1:])
    print(f"{len(images)} photographs")
    kept = [cost(images), pairs(images)]
    with tempfile.TemporaryDirectory() as name:
        kept += [two_workers(images, Path(name)), memory(Path(name))]
        processors(sys.argv[1:], Path(name))
    kept += [order(images), aligned()]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())

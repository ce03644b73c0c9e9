"""Where the time of an evaluation goes: 100 paired images by PSNR, SSIM and LPIPS.

    RWSR_WEIGHTS=FOLDER python benchmarks/evaluation.py HR_FOLDER MODEL [--lpips alex|vgg|squeeze] [--images 100]

Promised: at least 80 % in the networks (the model's and LPIPS's) and in decoding. Also: how long tiles take against the
whole image, and how much memory they hold. Exits 1 when the promise is not kept.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rwsr.eval.images import sets as image_sets
from rwsr.eval.images.restoring import pick_device
from rwsr.eval.images.tiling import restore_pixels
from rwsr.eval.metrics import lpips_dists, ready
from rwsr.eval.protocols.base import Setup, Subject
from rwsr.eval.protocols.restoration import evaluate
from rwsr.train.files.open import open_restorer
from rwsr.train.subjects import subject_of

SPENT: dict[str, float] = {}


def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its time added up under a name."""

    def call(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            SPENT[name] = SPENT.get(name, 0.0) + time.perf_counter() - started

    return call


def share(folder: Path, model: Path, net: str, count: int) -> bool:
    """Evaluate, and print where the time went."""
    device = pick_device()
    restorer = open_restorer(model, device)
    with tempfile.TemporaryDirectory() as name:
        for path in sorted(each for each in folder.rglob("*") if each.suffix in (".png", ".jpg", ".bmp"))[:count]:
            (Path(name) / path.name).symlink_to(path.resolve())
        image_sets.decode = timed("decoding", image_sets.decode)  # type: ignore[assignment]
        lpips_dists.Lpips.forward = timed("LPIPS", lpips_dists.Lpips.forward)  # type: ignore[method-assign]
        found, missing = ready(["psnr-y", "ssim-y", f"lpips-{net}"], scale=restorer.scale, border=None, device=device)
        assert not missing, missing
        subject = subject_of(restorer)
        subject = Subject(subject.name, timed("model", subject.model), subject.checkpoint, subject.setting)
        images = image_sets.of_folders(Path(name), None, restorer.scale)
        started = time.perf_counter()
        rows = [row for _, part in evaluate(Setup(images, [subject], device), found) for row in part]
        whole = time.perf_counter() - started
    inside = sum(SPENT.values()) / whole
    print(f"{len(rows) // 3} images, {restorer.name}: {whole:.1f} s")
    for part, seconds in SPENT.items():
        print(f"  {part}: {100 * seconds / whole:.1f} %")
    print(f"networks and decoding: {100 * inside:.1f} % (promised: 80 %)")
    return inside >= 0.8


def tiles(model: Path) -> None:
    """A large image whole and in tiles: time and the most memory held."""
    device = pick_device()
    restorer = open_restorer(model, device)
    pixels = np.random.default_rng(0).integers(0, 255, (600, 800, 3)).astype(np.uint8)
    for tile in (256, 0):
        run = partial(restore_pixels, restorer.net, pixels, restorer.scale, device, tile_px=tile)
        started = time.perf_counter()
        run()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"800x600, {f'tiles of {tile} px' if tile else 'whole'}: {time.perf_counter() - started:.1f} s, "
            f"{peak:.0f} MiB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--lpips", choices=("alex", "vgg", "squeeze"), default="alex")
    parser.add_argument("--images", type=int, default=100)
    wanted = parser.parse_args()
    kept = share(wanted.folder, wanted.model, wanted.lpips, wanted.images)
    tiles(wanted.model)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()

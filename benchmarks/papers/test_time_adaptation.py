"""SRTTA, small: a network that learned of clean LR gains where LR was blurred, noisy or coded, and loses nothing else.

    python benchmarks/papers/test_time_adaptation.py PHOTOGRAPHS HELD_OUT CLEAN_LR [WORK] [--images N]

Trains an EDSR of scale 2 on bicubic LR and a classifier on corrupted LR; then measures, for each corruption of DIV2K-C
and each mixture, PSNR (Y) of the network and of what it becomes. CLEAN_LR: images that nothing befell, as Set5's LR.
WORK is kept when named. On one core an hour; exits 1 when a promise is not kept.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from commands import promise, rwsr

from rwsr.eval.report import table

KINDS = ("original", "gaussian-blur", "defocus-blur", "gaussian-noise", "poisson-noise", "speckle-noise", "jpeg",
         "blur-noise", "noise-jpeg", "blur-noise-jpeg")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("photographs", "held_out", "clean_lr"):
        parser.add_argument(name, type=Path)
    parser.add_argument("work", type=Path, nargs="?")
    parser.add_argument("--images", type=int, default=12)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = told.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        recipe = work / "x2.yaml"
        recipe.write_text("recipe: {kind: downscale, scale: 2}\nhr_size_px: 128\n")
        edsr, classifier, adapting = work / "edsr", work / "classifier", work / "adapting"
        network = ("arch=edsr", "scale=2", "num_feat=32", "num_block=6", "img_range=1")
        loop = ("batch_size=8", "lr_patch_px=32", "learning_rate=0.0005", "ema_decay=0.99")
        keys = [part for name in network for part in ("--set", f"network.{name}")]
        keys += [part for name in loop for part in ("--set", f"loop.{name}")]
        rwsr("train", "sr", "--preset", "psnr-fp32", "--source", told.photographs, "--recipe", recipe, "--out", edsr,
             "--steps", "2500", *keys)  # fmt: skip
        rwsr("degrade", "build", "--preset", "corruptions", "--source", told.photographs, "--hr-size", "192",
             "--samples", "3000", "--out", work / "corrupted.zarr")  # fmt: skip
        rwsr("train", "corruption-classifier", "--preset", "corruption-classifier-small", "--store",
             work / "corrupted.zarr", "--out", classifier)  # fmt: skip
        if not (adapting / "model.safetensors").exists():
            rwsr("train", "srtta", "--preset", "srtta-small", "--model", edsr, "--classifier", classifier, "--clean",
                 told.clean_lr, "--out", adapting)  # fmt: skip
        gains: dict[str, float] = {}
        for kind in KINDS:
            store, out = work / f"test-{kind}.zarr", work / f"{kind}.parquet"
            rwsr("degrade", "build", "--preset", "corruptions", "--source", told.held_out, "--hr-size", "256",
                 "--samples", told.images, "--seed", "1", "--set", f'recipe.kinds=["{kind}"]',
                 "--out", store)  # fmt: skip
            rwsr("eval", "restoration", "--store", store, "--model", f"before={edsr}", "--model", f"after={adapting}",
                 "--metric", "psnr-y", "--out", out)  # fmt: skip
            found: dict[str, list[float]] = {}
            for row in table.read(out):
                found.setdefault(row.model, []).append(row.value)
            before, after = (float(np.mean(found[name])) for name in ("before", "after"))
            gains[kind] = after - before
            print(f"{kind}: {before:.2f} dB, adapted {after:.2f} dB", flush=True)
        noisy = [kind for kind in KINDS if "noise" in kind or kind == "jpeg"]
        mean = float(np.mean([gains[kind] for kind in KINDS if kind != "original"]))
        kept = promise(f"gain over all corruptions {mean:+.2f} dB (promised: more than 0)", mean > 0)
        for kind in noisy:
            kept &= promise(f"{kind}: {gains[kind]:+.2f} dB (promised: more than 0)", gains[kind] > 0)
        clean = gains["original"]
        kept &= promise(f"original: {clean:+.2f} dB (promised: loses at most 0.1)", clean > -0.1)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()

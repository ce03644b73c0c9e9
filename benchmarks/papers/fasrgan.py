"""FASRGAN, small: after its training SR looks better, and its map tells pixels of SR from those of photographs.

    python benchmarks/papers/fasrgan.py PHOTOGRAPHS HELD_OUT [WORK]

Trains ESRGAN's generator small by pixels, then FASRGAN from it, on bicubic LR; measures both on held-out photographs,
and how likely the map finds pixels of photographs and of SR to be photographed. Printed alone: how what it takes for
made up goes with the error, by blocks of 8 px (Spearman). WORK is kept when named. On one core ten minutes; exits 1
when a promise is not kept.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

sys.path.insert(0, str(Path(__file__).parents[1]))

from commands import promise, rwsr

from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.pixels import middle
from rwsr.eval.images.restoring import smaller
from rwsr.eval.images.tensors import to_tensor
from rwsr.eval.report import table
from rwsr.train.files.open import judge_weights, open_restorer
from rwsr.train.methods.baselines.fasrgan import PRESETS
from rwsr.train.networks.baselines.fasrgan import FineGrainedDiscriminator

METRICS = ("psnr-y", "lpips-squeeze")
SIDE_PX = 96  # of what the discriminator is made for


def seen(run: Path, files: list[Path]) -> tuple[float, float, float]:
    """How likely pixels of the middle of photographs, and of SR of them, are photographed; and Spearman between what
    looks made up in SR and its error, by blocks of 8 px.
    """
    config = PRESETS["fasrgan-small"].config
    judge = FineGrainedDiscriminator(SIDE_PX, config.discriminator_feats, published_eps=config.published_eps)
    judge.load_state_dict(judge_weights(run)[0])
    net = open_restorer(run, torch.device("cpu")).net
    with torch.no_grad():
        hr = torch.stack([to_tensor(middle(decode(path.read_bytes()).pixels, SIDE_PX)) for path in files])
        sr = net(smaller(hr, 4).clamp(0, 1))
        real, fake = (judge(each)[1].sigmoid() for each in (hr, sr))  # in batches, as its norms were trained
    blocks = [
        torch.nn.functional.avg_pool2d(each.mean(dim=1, keepdim=True), 8).flatten().tolist()
        for each in (1 - fake, (sr - hr).abs())
    ]
    return real.mean().item(), fake.mean().item(), float(np.asarray(spearmanr(*blocks))[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("photographs", "held_out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("work", type=Path, nargs="?")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = told.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        recipe, test = work / "x4.yaml", work / "test.zarr"
        recipe.write_text("recipe: {kind: downscale, scale: 4}\nhr_size_px: 160\n")
        network = PRESETS["fasrgan-small"].config.network.model_dump(exclude_defaults=True)
        keys = [part for name, value in network.items() for part in ("--set", f"network.{name}={value}".lower())]
        quick = ("batch_size=8", "lr_patch_px=24", "learning_rate=0.0005", "ema_decay=0.995")
        keys += [part for each in quick for part in ("--set", f"loop.{each}")]
        start = ("--source", told.photographs, "--recipe", recipe)
        rwsr(
            "train", "mm-realsr", "--preset", "esrgan-psnr-fp32", *start, "--steps", 1500, *keys, "--out", work / "psnr"
        )
        rwsr("train", "fasrgan", "--preset", "fasrgan-small", *start, "--start-from", work / "psnr", "--steps", 600,
             "--out", work / "fasrgan")  # fmt: skip
        rwsr("degrade", "build", "--preset", "bicubic", "--source", told.held_out, "--hr-size", 256, "--samples", 20,
             "--seed", 1, "--out", test)  # fmt: skip
        models = [part for name in ("psnr", "fasrgan") for part in ("--model", f"{name}={work / name}")]
        metrics = [part for name in METRICS for part in ("--metric", name)]
        rwsr("eval", "restoration", "--store", test, *models, *metrics, "--out", work / "metrics.parquet")
        found: dict[tuple[str, str], list[float]] = {}
        for row in table.read(work / "metrics.parquet"):
            found.setdefault((row.model, row.metric), []).append(row.value)
        means = {key: float(np.mean(values)) for key, values in found.items()}
        for name in ("psnr", "fasrgan"):
            print(f"{name}: " + ", ".join(f"{metric} {means[name, metric]:.4g}" for metric in METRICS))
        gain = means["psnr", "lpips-squeeze"] - means["fasrgan", "lpips-squeeze"]
        kept = promise(f"FASRGAN's LPIPS is lower than its start's by {gain:.4f} (promised: more than 0)", gain > 0)
        files = sorted(each for each in told.held_out.iterdir() if each.is_file())[:16]
        real, fake, rho = seen(work / "fasrgan", files)
        print(f"what its map takes for made up goes with the error: {rho:.3f}")
        said = f"pixels of photographs are photographed by {real:.3f}, of SR by {fake:.3f} (promised: less)"
        kept &= promise(said, fake < real)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()

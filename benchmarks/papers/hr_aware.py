"""What HR-aware's small preset does: figures 7 and 8 in small, and table 1 on photographs of one unknown camera.

    python benchmarks/papers/hr_aware.py PHOTOGRAPHS HELD_OUT MODEL [WORK] [--seeds N]

    PHOTOGRAPHS   the reconstruction networks, and a small SR model of our own, are trained on
    HELD_OUT      degraded by one camera that nothing knows of; models are fine-tuned on its LR, and measured on its HR
    MODEL         a published SR model to fine-tune beside our own

WORK is kept when named, and a second run goes on in it. RWSR_WEIGHTS must hold SqueezeNet and LPIPS-squeeze: they
stand in for CLIP RN50, AlexNet and VGG-19. Each seed has networks of its own. On two cores some three hours; exits 1
when a promise is not kept.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from commands import promise, rwsr

from rwsr.eval.protocols import far, reconstruction
from rwsr.eval.report import ablation
from rwsr.eval.report import table as report
from rwsr.eval.report.sweeps import spearman

OWN = {  # a model that has seen second-order degradations, by L1
    "network.num_feat": "32",
    "network.num_block": "3",
    "network.num_grow_ch": "16",
    "network.init_as_nearest": "true",
    "loop.batch_size": "8",
    "loop.lr_patch_px": "24",
    "loop.learning_rate": "5e-4",
    "loop.use_rot90": "true",
    "loop.schedule": "{kind: cosine}",
    "loop.ema_decay": "0.99",
    "losses.perceptual.weight": "0",
    "losses.gan.weight": "0",
}
GENTLE = {  # second-order, but with little noise and JPEG: what a small network can learn
    "recipe.first.resize_range": "[0.25,1]",
    "recipe.first.noise_sigma_255": "[0.1,5]",
    "recipe.first.poisson_scale": "[0.05,0.3]",
    "recipe.first.jpeg_quality": "[75,95]",
    "recipe.second.resize_range": "[0.5,1]",
    "recipe.second.noise_sigma_255": "[0.1,5]",
    "recipe.second.poisson_scale": "[0.05,0.3]",
    "recipe.second.jpeg_quality": "[75,95]",
}
FIGURE_7 = {"neither": ("network.controller=null", "network.far=null"), "controller": ("network.far=null",)}
OWN_RATE = "2e-5"  # learned by L1, it hardly moves at the preset's 2e-6
ROWS = ("self-training", "LWay", "HR-aware")
AS_PRETRAINED = "controller around 1 - HQI"


def keys_of(option: str, values: Mapping[str, str]) -> list[str]:
    """The options that set those keys."""
    return [part for name, value in values.items() for part in (option, f"{name}={value}")]


def run(photographs: Path, held_out: Path, model: Path, seeds: int, work: Path) -> None:
    """Build, train, fine-tune, measure."""
    built = ("--preset", "real-esrgan-nousm", "--set", "hr_size_px=128", *keys_of("--set", GENTLE))
    pairs, out = work / "pairs.zarr", work / "figures.parquet"
    rwsr("degrade", "build", *built, "--set", "num_samples=2000", "--source", photographs, "--out", pairs)
    own = ("--preset", "esrgan-psnr", "--steps", "1500", *keys_of("--set", OWN))
    rwsr("train", "mm-realsr", "--store", pairs, "--out", work / "own", *own)
    told = (
        "--small",
        "--photos",
        photographs,
        "--test",
        held_out,
        "--simulate-camera",
        "soft",
        "--seeds",
        str(seeds),
        "--workers",
        "2",
    )
    told += tuple(keys_of("--set", {f"pairs:{name}": value for name, value in GENTLE.items()}))
    told += tuple(part for row in ROWS for part in ("--row", row))
    table = ("paper", "hr-aware", "table1", *told)
    faster = ("--set", f"hr-aware:loop.learning_rate={OWN_RATE}")
    rwsr(*table, "--model", work / "own", *faster, "--out", work / "table-own")
    trained, again = (work / f"table-{name}/reconstructions" for name in ("own", "published"))
    shutil.copytree(trained, again, dirs_exist_ok=True)  # the networks are of no SR model
    rwsr(*table, "--model", f"published={model}", "--out", work / "table-published")
    networks = work / "figure-7"
    for name, changes in FIGURE_7.items():
        sets = [part for each in changes for part in ("--set", each)]
        pretrain = ("--preset", "hr-aware-pretrain-small", "--seed", "0", *sets)
        rwsr("train", "hr-aware-pretrain", "--store", pairs, *pretrain, "--out", networks / f"{name}-0")
    test = work / "held-out.zarr"
    rwsr("degrade", "build", *built, "--set", "num_samples=60", "--source", held_out, "--out", test)
    named = [part for name in FIGURE_7 for part in ("--reconstruction", f"{name}={networks / f'{name}-0'}")]
    metrics = ("--metric", "psnr-rgb", "--metric", "lpips-squeeze")
    rwsr("eval", "reconstruction", "--store", test, *named, *metrics, "--out", out)
    as_pretrained = ("--strength", "1-hqi", "--reconstruction", f"{AS_PRETRAINED}={networks / 'controller-0'}")
    rwsr("eval", "reconstruction", "--store", test, *as_pretrained, *metrics, "--out", out)
    rwsr("eval", "far", "--images", held_out, "--reconstruction", trained / "hr-aware-0", "--out", out)
    rwsr("report", "--metrics", out, "--out", work / "figures.html")


def judge(work: Path, seeds: int) -> bool:
    """Print every figure; whether all promises are kept."""
    rows, kept = report.read(work / "figures.parquet"), True
    print("\nfigure 7: the reconstruction of LR from i LR enlarged and 1 - i HR")
    for metric in ("psnr-rgb", "lpips-squeeze"):
        better = 1 if metric == "psnr-rgb" else -1
        found = reconstruction.reconstructions(rows, metric)
        gains = {name: better * (sweep.means[-1] - sweep.means[0]) for name, sweep in found.items()}
        for name, sweep in found.items():
            print(
                f"{name}: {metric} {' '.join(f'{value:.4g}' for value in sweep.means)}, "
                f"Spearman {better * spearman(sweep.means):.3f}"
            )
        gained = ", ".join(f"{name} {gain:.3g}" for name, gain in gains.items())
        kept &= promise(f"{metric} gained by HR that is LR: {gained}", gains["controller"] < gains["neither"])
    print("\nfigure 8: FAR, area under curve, SqueezeNet in place of CLIP RN50")
    for kind in far.degradations():
        area = far.area_of(rows, "hr-aware-0", kind)
        kept &= promise(f"{kind}: {area:.3f}", area > 0.5)
    print("\ntable 1")
    for model in ("own", "published"):
        measured = report.read(work / f"table-{model}/metrics.parquet")
        runs = {"before": [f"{model}-before"]} | {
            name: [f"{model}-{name}-{seed}" for seed in range(seeds)] for name in ("self-training", "lway", "hr-aware")
        }
        for metric in ("psnr-y", "ssim-y", "lpips-squeeze"):
            found = ablation.ablation(measured, runs, metric)
            said = ", ".join(f"{name} {found.mean(name):.4f} ± {found.spread(name):.4f}" for name in runs)
            print(f"{model}: {metric}: {said}")
            if metric == "lpips-squeeze":
                kept &= promise(f"{model}: HR-aware better than before", found.holds("hr-aware", "before"))
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("photographs", "held_out", "model"):
        parser.add_argument(name, type=Path)
    parser.add_argument("work", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=3)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = told.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        run(told.photographs, told.held_out, told.model, told.seeds, work)
        kept = judge(work, told.seeds)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()

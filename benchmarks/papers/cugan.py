"""What the small preset of CUGAN learns: table 2 of the paper, distance to single levels, modulation, interpolation.

    python benchmarks/papers/cugan.py PHOTOGRAPHS HELD_OUT CBSD68 [WORK] [--singles R,SIGMA ...]

    PHOTOGRAPHS   trained on
    HELD_OUT      only measured: the sweep of z, steering, interpolation
    CBSD68        only measured: the eight settings of table 2

Each of --singles trains the network that is told nothing on one degradation, as long as the one that is told; by
default two, of table 2's eight. WORK is kept when named, and a second run goes on in it. On two cores some 40 minutes,
8 of them the network that is told; exits 1 when a promise is not kept.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from commands import promise, rwsr

from rwsr.eval.protocols import cugan_tables, interpolation, modulation, steering
from rwsr.eval.report import table
from rwsr.eval.report.published import beside
from rwsr.eval.report.sweeps import largest_step, spearman, sweep_of

UNET_RATE = 1e-3  # where no gate weighs the residuals, the preset's rate diverges
DISTANCE_DB, Z_APART, STEP = 0.22, 0.1, 0.5  # promised: at most


def run(photographs: Path, held_out: Path, cbsd68: Path, singles: list[tuple[float, float]], work: Path) -> Path:
    """Build, train, evaluate; the report."""
    build = ("degrade", "build", "--preset", "cugan", "--source", photographs, "--hr-size", "96", "--samples", "2000")
    train = ("train", "cugan", "--preset", "cunet-small")
    pairs, test, out = work / "pairs.zarr", work / "held-out.zarr", work / "metrics.parquet"
    rwsr(*build, "--out", pairs)
    rwsr(*build[:4], "--source", held_out, "--hr-size", "128", "--samples", "40", "--seed", "1", "--out", test)
    rwsr(*train, "--store", pairs, "--out", work / "mse")
    rwsr(
        "train",
        "cugan",
        "--preset",
        "cugan-small",
        "--store",
        pairs,
        "--start-from",
        work / "mse",
        "--out",
        work / "gan",
    )
    models: list[str | Path] = ["--model", work / "mse"]
    for r, sigma in singles:
        name = f"r{r:g}-sigma{sigma:g}"
        rwsr(*build, "--set", f"recipe.fixed_level=[{r:g},{sigma:g}]", "--out", work / f"{name}.zarr")
        blind = ("--set", "network.conditioned=false", "--set", f"loop.learning_rate={UNET_RATE}")
        blind = (*blind, "--out", work / f"unet-{name}")
        rwsr(*train, "--store", work / f"{name}.zarr", *blind)
        models += ["--model", work / f"unet-{name}"]
    rwsr("eval", "cugan", "--images", cbsd68, *models, "--out", out)
    rwsr("eval", "steering", "--images", held_out, "--model", work / "mse", "--model", work / "gan", "--out", out)
    rwsr("eval", "modulation", "--store", test, "--model", work / "mse", "--by", "psnr-rgb", "--out", out)
    metrics = ("--metric", "psnr-rgb", "--metric", "lpips-squeeze")
    rwsr(
        "eval",
        "interpolation",
        "--model",
        work / "gan",
        "--model",
        work / "mse",
        "--store",
        test,
        *metrics,
        "--out",
        out,
    )
    rwsr("report", "--metrics", out, "--run", work / "mse", "--out", work / "report.html")
    return out


def judge(out: Path) -> bool:
    """Print every figure; whether all promises are kept."""
    rows = table.read(out)
    settings = [row for row in rows if row.protocol == cugan_tables.CUGAN]
    paper = {each.member: each.value for each in beside("CBSD68", ["psnr-rgb"], cugan_tables.CUGAN)
             if each.method == "CUnet"}  # fmt: skip
    distances = cugan_tables.modulation_distances(settings, "psnr-rgb").get("mse", {})
    kept = True
    print("\nPSNR-RGB      degraded   ours  paper (6.5M parameters, a GPU)   distance to the Unet of that level")
    for member, published in paper.items():
        degraded, ours = (table.mean(settings, model=model, member=member) for model in ("degraded", "mse"))
        name = f"unet-{member.replace(' ', '-')}"
        said = ""
        if any(row.model == name for row in settings):
            said = f"{distances[member]:+.2f} dB"
            kept &= distances[member] <= DISTANCE_DB
            said += f" (promised: {DISTANCE_DB})" if distances[member] <= DISTANCE_DB else "  MISSED"
        print(f"{member:<12} {degraded:9.2f} {ours:6.2f} {published:6.2f} {ours - published:+6.2f}   {said}")
    for model in ("mse", "gan"):
        for each in steering.steering_of(rows, model):
            kept &= promise(
                f"{model} told more {each.told}: {steering.METRICS[each.told]} {each.values[0]:.2f} to "
                f"{each.values[-1]:.2f} gray levels, Spearman {each.spearman:.3f} (promised: 1), largest step "
                f"{each.largest_step:.2f} of all (promised: {STEP})",
                each.spearman > 0.999 and each.largest_step <= STEP,
            )
    for metric in ("psnr-rgb", "lpips-squeeze"):
        sweep = sweep_of(rows, interpolation.INTERPOLATION, metric)
        if sweep is not None:
            rank, step = spearman(sweep.means), largest_step(sweep.means)
            rises = " (promised: 1)" if metric == "psnr-rgb" else ""
            kept &= promise(
                f"{metric} from GAN to MSE: {sweep.means[0]:.4f} to {sweep.means[-1]:.4f}, Spearman {rank:.3f}{rises}, "
                f"largest step {step:.2f} of all (promised: {STEP})",
                (rank > 0.999 or not rises) and step <= STEP,
            )
    blur, noise = modulation.mean_distances(modulation.best_and_true(rows, "mse", "psnr-rgb"))
    kept &= promise(
        f"best z of 121 by PSNR: {blur:.3f} of blur and {noise:.3f} of noise from the true one (promised: {Z_APART})",
        max(blur, noise) <= Z_APART,
    )
    return kept


def _pair(text: str) -> tuple[float, float]:
    r, _, sigma = text.partition(",")
    return float(r), float(sigma)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("photographs", "held_out", "cbsd68"):
        parser.add_argument(name, type=Path)
    parser.add_argument("work", type=Path, nargs="?")
    parser.add_argument("--singles", type=_pair, nargs="*", default=[(0, 50), (4, 0)])
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = told.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        kept = judge(run(told.photographs, told.held_out, told.cbsd68, told.singles, work))
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()

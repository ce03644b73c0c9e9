"""What CUGAN is compared with, trained small: CResMD, AdaFM, CFSNet and Dynamic-Net do what their papers are about.

    python benchmarks/papers/modulation_baselines.py PHOTOGRAPHS HELD_OUT [WORK] [--steps N] [--only METHOD ...]

CResMD, told more noise or more blur, takes away more of it, step by step. AdaFM, CFSNet and Dynamic-Net are trained at
two levels of noise alone; on images of noise between the two, a network between them beats both ends, and the best one
wanders from the start to the end as the noise does. WORK is kept when named, and a second run goes on in it. On two
cores about an hour and a half; exits 1 when a promise is not kept.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from commands import promise, rwsr

from rwsr.eval.protocols import steering
from rwsr.eval.report import table

STARTS = {"adafm": 15, "cfsnet": 25, "dynamic-net": 15}
END = 50


def build(photographs: Path, work: Path, preset: str, name: str, *more: str, samples: int = 2000) -> Path:
    """A store of pairs of 96 px."""
    out = work / f"{name}.zarr"
    rwsr("degrade", "build", "--preset", preset, "--source", photographs, "--hr-size", "96", "--samples", samples,
         "--out", out, *more)  # fmt: skip
    return out


def fixed(sigma: float) -> tuple[str, str]:
    """The keys of one level of noise."""
    return "--set", f"recipe.fixed_level=[0,{sigma}]"


def train(method: str, preset: str, store: Path, work: Path, steps: int | None, *more: str | Path) -> Path:
    """A run of a preset."""
    out = work / preset
    limit = () if steps is None else ("--steps", steps)
    rwsr("train", method, "--preset", preset, "--store", store, "--out", out, *limit, *more)
    return out


def along(rows: list[table.MetricRow]) -> Mapping[float, float]:
    """The mean over images of the metric at each noise score, where the blur score is 0."""
    found: dict[float, list[float]] = {}
    for row in rows:
        told = json.loads(row.setting)
        if told["blur"] == 0:
            found.setdefault(told["noise"], []).append(row.value)
    return {noise: sum(values) / len(values) for noise, values in sorted(found.items())}


def between(method: str, photographs: Path, held_out: Path, work: Path, steps: int | None) -> bool:
    """Train a method of two levels, and look for the best network between them at several noises."""
    start = STARTS[method]
    stores = {sigma: build(photographs, work, "cugan", f"sigma{sigma}", *fixed(sigma)) for sigma in (start, END)}
    main = train(method, f"{method}-small", stores[start], work, steps)
    tuned = train(method, f"{method}-tuned-small", stores[END], work, steps, "--start-from", main)
    best: list[float] = []
    kept = True
    for sigma in (start, (start + END) // 2, END):
        test = build(held_out, work, "cugan", f"test-sigma{sigma}", *fixed(sigma), "--seed", "1", samples=16)
        out = work / f"{method}-{sigma}.parquet"
        rwsr("eval", "modulation", "--store", test, "--model", tuned, "--by", "psnr-rgb", "--out", out)
        rows = [row for row in table.read(out) if row.metric == "psnr-rgb" and "noise" in row.setting]
        means = along(rows)
        best.append(max(means, key=means.__getitem__))
        ends = (min(means, key=lambda z: abs(z - start / END)), 1.0)
        print(f"{method}, sigma {sigma}: " + ", ".join(f"{z:g}: {value:.2f}" for z, value in means.items()))
        if sigma not in stores:
            gain = means[best[-1]] - max(means[end] for end in ends)
            said = f"{method}: on noise of {sigma} the best network between beats both ends by {gain:.2f} dB"
            kept &= promise(f"{said} (promised: more than 0)", gain > 0)
    said = f"{method}: the best score wanders {', '.join(f'{z:g}' for z in best)} (promised: rises)"
    return promise(said, best[0] < best[1] < best[2]) and kept


def cresmd(photographs: Path, held_out: Path, work: Path, steps: int | None) -> bool:
    """Train it, and turn what it is told."""
    store = build(photographs, work, "cresmd", "light")
    run = train("cresmd", "cresmd-small", store, work, steps)
    out = work / "cresmd.parquet"
    rwsr("eval", "steering", "--images", held_out, "--model", run, "--out", out)
    kept = True
    for each in steering.steering_of(table.read(out), run.name):
        kept &= promise(
            f"CResMD told more {each.told}: {steering.METRICS[each.told]} {each.values[0]:.2f} to "
            f"{each.values[-1]:.2f} gray levels, Spearman {each.spearman:.3f} (promised: 1)",
            each.spearman > 0.999,
        )
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("photographs", "held_out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("work", type=Path, nargs="?")
    parser.add_argument("--steps", type=int, help="of every training, instead of the presets'")
    parser.add_argument("--only", nargs="*", default=["cresmd", *STARTS], help="of cresmd, adafm, cfsnet, dynamic-net")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = told.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        kept = True
        for method in told.only:
            given = (told.photographs, told.held_out, work, told.steps)
            kept &= cresmd(*given) if method == "cresmd" else between(method, *given)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()

"""What the small preset learns on photographs: UDEM curves with and without anchors, steering, PSNR-Y against bicubic.

    python benchmarks/papers/mmrealsr.py PHOTOGRAPHS HELD_OUT [WORK]     # some 20 minutes on two cores

PHOTOGRAPHS are trained on, HELD_OUT only measured. WORK is kept when named, and a second run goes on in it. Exits 1
when a promise is not kept.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from commands import rwsr

from rwsr.eval.protocols import steering, udem_curves
from rwsr.eval.report import table


def measure(photographs: Path, held_out: Path, work: Path) -> bool:
    """Build, train, evaluate; print every figure; whether all promises are kept."""
    groups, test = work / "groups.zarr", work / "test.zarr"
    build = ("degrade", "build", "--preset", "mm-realsr", "--set", "shard_mib=8")
    rwsr(*build, "--source", photographs, "--hr-size", "128", "--samples", "2000", "--out", groups)
    rwsr(*build, "--source", held_out, "--hr-size", "256", "--samples", "40", "--seed", "1", "--out", test)
    train = ("train", "mm-realsr", "--store", groups, "--preset", "mm-realsr-small")
    with_anchor, without = work / "run", work / "run-no-anchor"
    rwsr(*train, "--out", with_anchor)
    rwsr(*train, "--out", without, "--set", "losses.anchor=0")
    models = ("--model", with_anchor, "--model", without)
    out = work / "metrics.parquet"
    rwsr("eval", "udem-curves", "--images", held_out, *models, "--out", out)
    rwsr("eval", "steering", "--images", held_out, "--model", with_anchor, "--out", out)
    rwsr("eval", "restoration", "--store", test, "--model", with_anchor, "--out", out)
    rwsr("report", "--metrics", out, "--run", with_anchor, "--out", work / "report.html")

    rows = table.read(out)
    kept = True
    print()
    for name, run in (("with anchors", with_anchor), ("without", without)):
        for each in udem_curves.curves_of(rows, run.name):
            print(
                f"{name}: {each.degradation}: Spearman {each.spearman:.3f}, dynamic range {each.dynamic_range:.3f}"
                + (" (promised: 0.97)" if run == with_anchor else "")
            )
            kept &= run != with_anchor or each.spearman >= 0.97
    for each in steering.steering_of(rows, with_anchor.name):
        print(
            f"told more {each.told}: {steering.METRICS[each.told]} {each.values[0]:.2f} to {each.values[-1]:.2f} gray "
            f"levels, Spearman {each.spearman:.3f}" + (" (promised: 1)" if each.told == "noise" else "")
        )
        kept &= each.told != "noise" or each.spearman > 0.999
    gain = {}
    for member in ("base", "blurrier", "noisier", "clean", "worst", None):
        only = {} if member is None else {"member": member}
        bicubic, ours = (
            table.mean(rows, model=model, metric="psnr-y", **only) for model in ("bicubic", with_anchor.name)
        )
        gain[member] = ours - bicubic
        print(f"PSNR-Y {member or 'all':>9}: bicubic {bicubic:.2f}, ours {ours:.2f}, {gain[member]:+.2f} dB")
    return kept and gain[None] > 0


def main() -> None:
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    photographs, held_out = map(Path, sys.argv[1:3])
    if len(sys.argv) == 4:
        work = Path(sys.argv[3])
        work.mkdir(parents=True, exist_ok=True)
        kept = measure(photographs, held_out, work)
    else:
        with tempfile.TemporaryDirectory() as folder:
            kept = measure(photographs, held_out, Path(folder))
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()

"""What the demo promises: its time, the second run's time, PSNR-Y against bicubic, and scores that rise with the level.

    python benchmarks/demo.py [OUT]        # OUT is kept when named; it must not hold a demo yet

Exits 1 when a promise is not kept.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rwsr.eval.protocols import udem_curves
from rwsr.eval.report import table

RWSR = Path(sys.executable).with_name("rwsr")


def seconds(*arguments: str | Path) -> float:
    """The wall-clock time of a command."""
    started = time.perf_counter()
    subprocess.run([RWSR, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def measure(out: Path) -> bool:
    """Run the demo twice, the help five times, and print every figure; whether all promises are kept."""
    first, second = seconds("demo", out), seconds("demo", out)
    help_seconds = min(seconds("--help") for _ in range(5))
    rows = table.read(out / "metrics.parquet")
    scores = [row for row in rows if row.protocol == udem_curves.UDEM_CURVES]
    rows = [row for row in rows if row.protocol != udem_curves.UDEM_CURVES and row.model != "lanczos"]
    bicubic, ours = dict.fromkeys(row.model for row in rows)
    print(f"\ndemo: {first:.0f} s, again {second:.1f} s (promised: 480 s, seconds)")
    print(f"rwsr --help: {help_seconds:.2f} s (promised: 0.5 s)")
    members = [*dict.fromkeys(row.member for row in rows), None]
    gains: dict[str | None, float] = {}
    for member in members:
        only = {} if member is None else {"member": member}
        values = [table.mean(rows, model=model, metric="psnr-y", **only) for model in (bicubic, ours)]
        gains[member] = values[1] - values[0]
        print(f"PSNR-Y {member or 'all':>9}: bicubic {values[0]:.2f}, ours {values[1]:.2f}, {gains[member]:+.2f} dB")
    found = [curve for curve in udem_curves.curves_of(scores, ours) if curve.degradation != "jpeg"]
    for curve in found:
        print(
            f"{curve.degradation} score: Spearman {curve.spearman:.3f} over {len(curve.levels)} levels (promised: 0.9)"
        )
    rising = all(curve.spearman >= 0.9 for curve in found)
    return first <= 480 and second <= 60 and help_seconds <= 0.5 and gains[None] > 0 and gains["base"] > 0 and rising


def main() -> None:
    if len(sys.argv) > 1:
        kept = measure(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            kept = measure(Path(folder) / "demo")
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()

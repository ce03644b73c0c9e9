"""What several benchmarks do: run `rwsr` commands, and say whether a promise is kept."""

import subprocess
import sys
import time
from pathlib import Path

RWSR = Path(sys.executable).with_name("rwsr")


def rwsr(*arguments: str | Path) -> None:
    """Run a command, which says what it does."""
    print("rwsr", *arguments, flush=True)
    started = time.perf_counter()
    subprocess.run([RWSR, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    print(f"  {time.perf_counter() - started:.0f} s", flush=True)


def promise(text: str, kept: bool) -> bool:
    """Print a figure with whether it is as promised."""
    print(text + ("" if kept else "  MISSED"))
    return kept

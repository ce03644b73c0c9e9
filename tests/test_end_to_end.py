"""`rwsr demo` goes the whole way, and a second time finds all done."""

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

RWSR = Path(sys.executable).with_name("rwsr")
STAGES = ("sources", "noise bank", "degrade", "train", "evaluate", "report")


def _demo(out: Path) -> list[str]:
    command = [RWSR, "demo", out, "--steps", "30"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return [*result.stderr.splitlines(), *result.stdout.splitlines()]


@pytest.mark.slow
def test_the_demo_goes_the_whole_way_and_then_is_done(tmp_path: Path) -> None:
    """One line a stage, every file that it names, a page with its pictures inside; again: nothing to do."""
    out = tmp_path / "demo"
    said = _demo(out)
    for stage in STAGES:
        assert any(line.startswith(stage) for line in said), stage
    named = [line.strip() for line in said[said.index("made:") + 1 :] if line.startswith("  ")]
    assert len(named) == 9 and all(Path(name).exists() for name in named)
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 8 + 4 and "://" not in page  # four plots have a dark form too
    metrics = pq.read_table(out / "metrics.parquet").to_pylist()
    assert len(metrics) == 24 * 5 * 2 * 3 + 3 * 3 * 20 * 2 and {row["source"] for row in metrics} == {
        "chelsea.png",
        "retina.jpg",
        "rocket.jpg",
    }
    trained_on = set(pq.read_table(out / "groups.zarr/manifest.parquet", columns=["source"])["source"].to_pylist())
    assert not trained_on & {row["source"] for row in metrics}
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix in (".html", ".safetensors")}
    again = _demo(out)
    assert "all is done already" in again
    assert {path: path.stat().st_mtime_ns for path in written} == written

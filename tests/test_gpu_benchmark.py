"""The benchmark of CUDA runs where there is none, at small size, so that it can be run where there is one."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

BENCHMARK = Path(__file__).parents[1] / "benchmarks/gpu.py"
HIDDEN = os.environ | {"CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.slow
def test_all_that_is_promised_of_cuda_is_measured(tmp_path: Path) -> None:
    told = (sys.executable, BENCHMARK, tmp_path, "--small")
    said = subprocess.run(told, capture_output=True, text=True, timeout=600, env=HIDDEN)
    assert said.returncode == 0, said.stderr
    rows = pq.read_table(tmp_path / "gpu.parquet").to_pylist()
    assert {row["part"] for row in rows} == {"losses", "rendering", "waiting", "restoring", "steps"}
    assert all(row["kept"] and row["value"] >= 0 and row["on"].startswith("cpu, torch ") for row in rows)
    by_what = {row["what"]: row["value"] for row in rows}
    assert by_what["the CPU's and the device's, 20 steps"] == 0
    assert by_what["real-esrgan: LR values that are not the CPU's"] < 0.02
    page = (tmp_path / "gpu.html").read_text()
    assert "samples/s" in page and "times a thread of the CPU" in page


def test_without_cuda_it_says_what_to_do(tmp_path: Path) -> None:
    said = subprocess.run((sys.executable, BENCHMARK, tmp_path), capture_output=True, text=True, env=HIDDEN)
    assert said.returncode == 1 and "this machine has no CUDA; --small measures small networks" in said.stderr

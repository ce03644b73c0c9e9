"""The recipes for clusters, run as far as one machine can: SLURM's commands are played, Kubernetes' containers run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..loopback import free_port

RECIPES = Path(__file__).parents[2] / "examples/cluster"
_SBATCH = """#!/bin/sh
echo "$1" >> "$(dirname "$0")/submitted"
grep "^#SBATCH" "$1" >> "$(dirname "$0")/directives"
cp "$1" "$(dirname "$0")/job.$$.sh"
sh "$(dirname "$0")/job.$$.sh" > "$(dirname "$0")/job.$$.log" 2>&1 &
echo "Submitted batch job $!"
"""
_SCANCEL = """#!/bin/sh
for job in "$@"; do
    echo "$job" >> "$(dirname "$0")/cancelled"
    pkill -P "$job"
    kill "$job"
done
"""


@pytest.fixture
def ended() -> Iterator[list[subprocess.Popen[Any]]]:
    """Processes that are over with the test."""
    started: list[subprocess.Popen[Any]] = []
    yield started
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _build(photos: Path, out: Path, address: str) -> str:
    command = [sys.executable, "-m", "rwsr", "degrade", "build", "--preset", "bicubic", "--source", str(photos)]
    command += ["--out", str(out), "--hr-size", "64", "--samples", "40", "--set", "shard_mib=0.05", "--dask", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_cluster_on_slurm_starts_jobs_for_a_build_and_ends_them(
    photos: Path, tmp_path: Path, ended: list[subprocess.Popen[Any]]
) -> None:
    """sbatch runs the job's script on this machine: none before there is work, some while there is, none after."""
    played = tmp_path / "slurm"
    played.mkdir()
    for name, text in (("sbatch", _SBATCH), ("scancel", _SCANCEL)):
        (played / name).write_text(text)
        (played / name).chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, RECIPES / "slurm.py", "--jobs", "2", "--cores", "1", "--memory", "2GB", "--interface", "lo",
         "--queue", "cpu", "--walltime", "00:30:00", "--scratch", tmp_path, "--directive=--exclusive"],
        env=os.environ | {"PATH": f"{played}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, process_group=0,
    )  # fmt: skip
    ended.append(process)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address.startswith("tcp://127.0.0.1:") and not (played / "submitted").exists()
    assert "rendered 40 pairs" in _build(photos, tmp_path / "s.zarr", address)
    jobs = (played / "submitted").read_text().split()
    assert 1 <= len(jobs) <= 2
    told = (played / "directives").read_text()
    assert "#SBATCH -p cpu" in told and "#SBATCH -t 00:30:00" in told and "#SBATCH --exclusive" in told
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    for _ in range(100):
        if (played / "cancelled").exists():
            break
        time.sleep(0.1)
    assert (played / "cancelled").exists()


@pytest.mark.slow
def test_the_containers_of_the_kubernetes_recipe_work_together(
    photos: Path, tmp_path: Path, ended: list[subprocess.Popen[Any]]
) -> None:
    """Their very arguments, with places of this machine for those of a cluster."""
    cluster, autoscaler, job = yaml.safe_load_all((RECIPES / "kubernetes.yaml").read_text())
    parts = cluster["spec"]
    assert autoscaler["spec"]["cluster"] == cluster["metadata"]["name"] == "rwsr"
    [scheduler], [worker] = (parts[name]["spec"]["containers"] for name in ("scheduler", "worker"))
    [build] = job["spec"]["template"]["spec"]["containers"]
    assert {each["image"] for each in (scheduler, worker, build)} == {"IMAGE"}
    port = str(free_port())
    address = f"tcp://127.0.0.1:{port}"
    environment = os.environ | {"DASK_SCHEDULER_ADDRESS": address, "DASK_WORKER_NAME": "one"}

    def start(args: list[str], **changed: str) -> subprocess.Popen[Any]:
        named = [changed.get(each, each).replace("$(DASK_WORKER_NAME)", "one") for each in args]
        process = subprocess.Popen(
            [sys.executable, "-m", *named], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            process_group=0,
        )  # fmt: skip
        ended.append(process)
        return process

    start(scheduler["command"], **{"8786": port, ":8787": f"127.0.0.1:{free_port()}"})
    start(worker["command"])
    places = {
        "s3://data/photos": str(photos),
        "s3://data/groups.zarr": str(tmp_path / "groups.zarr"),
        "10000000": "6",
        f"tcp://{cluster['metadata']['name']}-scheduler.default.svc:8786": address,
    }
    assert places.keys() <= set(build["command"])
    made = start([*build["command"], "--hr-size", "64"], **places)
    assert made.wait(120) == 0 and (tmp_path / "groups.zarr/commits.parquet").is_file()

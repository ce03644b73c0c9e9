"""Each way of running tasks, on a Dask cluster that somebody started by hand too."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from rwsr.degrade.tasks import Run
from rwsr.pipelines.executors import runner
from rwsr.pipelines.processes import on_processes

from ..loopback import free_port

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """A function that starts a `dask` command; what still runs is ended after the tests."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def scheduler(start: Start) -> str:
    port = str(free_port())
    start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
    return f"tcp://127.0.0.1:{port}"


def worker(start: Start, address: str) -> subprocess.Popen[bytes]:
    return start("worker", address, "--nworkers", "1", "--nthreads", "1", "--host", "127.0.0.1", "--no-dashboard")


@pytest.fixture(scope="module")
def cluster(start: Start) -> str:
    """The address of a scheduler with two workers, as somebody starts them by hand."""
    address = scheduler(start)
    for _ in range(2):
        worker(start, address)
    return address


@pytest.fixture(params=["serial", "threads", "dask", "cluster", "processes"])
def executor(request: pytest.FixtureRequest) -> Run:
    """Each way of running tasks."""
    ways = {
        "serial": runner(1),
        "threads": runner(3),
        "dask": runner(2, "local"),
        "processes": partial(on_processes, 2, pays_s=0),
    }
    return ways.get(request.param) or runner(1, request.getfixturevalue("cluster"))

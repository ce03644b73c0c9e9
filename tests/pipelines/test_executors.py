"""Serial, threads and Dask run the same tasks to the same outcomes; an error ends its own task only."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from rwsr.degrade import build_store
from rwsr.degrade.config import compose
from rwsr.degrade.errors import UserError
from rwsr.degrade.images import sources
from rwsr.degrade.recipes.store_config import store_preset
from rwsr.degrade.tasks import Run
from rwsr.pipelines.cli.main import root
from rwsr.pipelines.executors import _client, _Cluster, runner

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


def _scheduler(start: Start) -> str:
    port = str(free_port())
    start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
    return f"tcp://127.0.0.1:{port}"


def _worker(start: Start, address: str) -> subprocess.Popen[bytes]:
    return start("worker", address, "--nworkers", "1", "--nthreads", "1", "--host", "127.0.0.1", "--no-dashboard")


@pytest.fixture(scope="module")
def cluster(start: Start) -> str:
    """The address of a scheduler with two workers, as somebody starts them by hand."""
    address = _scheduler(start)
    for _ in range(2):
        _worker(start, address)
    return address


@pytest.fixture(params=["serial", "threads", "dask", "cluster"])
def executor(request: pytest.FixtureRequest) -> Run:
    """Each way of running tasks."""
    ways = {"serial": runner(1), "threads": runner(3), "dask": runner(2, "local")}
    return ways.get(request.param) or runner(1, request.getfixturevalue("cluster"))


def _square(task: int, offset: int) -> int:
    if task == 3:
        raise ValueError("three is not for me")
    return task * task + offset


def _die(task: int) -> int:
    if task == 1:
        os._exit(9)
    return task


@pytest.mark.slow
def test_every_task_has_its_outcome(executor: Run) -> None:
    """All results arrive, and the one error stays with its task."""
    outcomes = {o.task: o for o in executor(partial(_square, offset=1), range(12))}
    assert sorted(outcomes) == list(range(12))
    assert {t: o.result for t, o in outcomes.items() if o.error is None} == {t: t * t + 1 for t in range(12) if t != 3}
    assert str(outcomes[3].error) == "three is not for me"


@pytest.mark.slow
def test_no_tasks_is_no_outcome(executor: Run) -> None:
    """An empty list ends at once."""
    assert list(executor(partial(_square, offset=0), [])) == []


@pytest.mark.slow
def test_a_task_that_kills_its_worker_is_an_error_of_its_own() -> None:
    """Dask starts the worker again, gives up on that task, and finishes the others."""
    outcomes = {o.task: o for o in runner(2, "local")(_die, range(4))}
    assert isinstance(outcomes[1].error, UserError) and "the worker died each time" in str(outcomes[1].error)
    assert [outcomes[t].result for t in (0, 2, 3)] == [0, 2, 3]


def test_threads_take_tasks_as_they_go() -> None:
    """A long list is not submitted at once: no more than twice the threads are ahead of the reader."""
    taken: list[int] = []

    class Tasks(list[int]):
        def __iter__(self) -> Iterator[int]:
            for i in super().__iter__():
                taken.append(i)
                yield i

    outcomes = runner(2)(partial(_square, offset=0), Tasks(range(100)))
    next(outcomes)
    assert len(taken) <= 4
    assert len(list(outcomes)) == 99


def _fails_twice(task: int, folder: Path, error: type[Exception]) -> int:
    tries = folder / f"{task}.{error.__name__}"
    tries.write_bytes(tries.read_bytes() + b"x" if tries.exists() else b"x")
    if len(tries.read_bytes()) < 3:
        raise error("not now")
    return task


@pytest.mark.slow
def test_what_may_pass_is_tried_again_and_what_may_not_is_not(executor: Run, tmp_path: Path) -> None:
    """The network's errors three times in all; a wrong value, or a full disk, once."""
    [passed] = executor(partial(_fails_twice, folder=tmp_path, error=ConnectionError), [1])
    [stayed] = executor(partial(_fails_twice, folder=tmp_path, error=PermissionError), [1])
    assert passed.result == 1 and isinstance(stayed.error, PermissionError)
    assert len((tmp_path / "1.PermissionError").read_bytes()) == 1


@pytest.mark.slow
def test_a_store_is_the_same_bytes(
    executor: Run, photos: Path, tmp_path: Path, tree: Callable[[Path], dict[str, bytes]]
) -> None:
    """Serial is the specification, to the byte of every file."""
    config = compose(store_preset("mm-realsr"), hr_size_px=64, num_samples=30, shard_mib=0.1)
    planned = build_store.plan(
        config, sources.index([photos], tmp_path / "i.parquet", sources.IndexConfig(), runner(1))
    )
    build_store.build(tmp_path / "serial.zarr", planned, runner(1))
    build_store.build(tmp_path / "other.zarr", planned, executor)
    assert tree(tmp_path / "other.zarr") == tree(tmp_path / "serial.zarr")


def _slowly(task: int, folder: Path) -> int:
    (folder / f"{task}.{time.monotonic_ns()}").touch()
    time.sleep(0.2)
    return task


@pytest.mark.slow
def test_a_lost_worker_costs_only_what_it_was_doing(start: Start, tmp_path: Path) -> None:
    """Two workers, one killed in the middle: every task has its result, and few ran twice."""
    address = _scheduler(start)
    workers = [_worker(start, address) for _ in range(2)]
    done: list[int] = []
    for outcome in runner(1, address)(partial(_slowly, folder=tmp_path), range(20)):
        done.append(outcome.result if outcome.result is not None else -1)
        if len(done) == 6:
            os.killpg(workers[0].pid, signal.SIGKILL)
    assert sorted(done) == list(range(20))
    assert 20 <= len(list(tmp_path.iterdir())) <= 22


@pytest.mark.slow
def test_a_scheduler_that_is_not_there_is_named() -> None:
    """With what to start."""
    with pytest.raises(UserError, match="no Dask scheduler answers at tcp://127.0.0.1:.*dask scheduler"):
        list(runner(1, f"tcp://127.0.0.1:{free_port()}")(_die, [0]))


@pytest.mark.slow
def test_a_scheduler_that_goes_away_is_named(start: Start, tmp_path: Path) -> None:
    """Instead of waiting for it for ever."""
    port = str(free_port())
    scheduler = start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
    _worker(start, f"tcp://127.0.0.1:{port}")
    with pytest.raises(UserError, match="went away"):
        for _ in runner(1, f"tcp://127.0.0.1:{port}")(partial(_slowly, folder=tmp_path), range(20)):
            if scheduler.poll() is None:
                os.killpg(scheduler.pid, signal.SIGKILL)
                scheduler.wait()


@pytest.mark.slow
def test_a_cluster_without_workers_is_told_of(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line says what it waits for; the tasks run once there is one."""
    monkeypatch.setattr("rwsr.pipelines.executors._LOOK_S", 0.5)
    address = _scheduler(start)
    outcomes = runner(1, address)(partial(_square, offset=0), [2])
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        _worker(start, address)

    monkeypatch.setattr("rwsr.pipelines.executors.say", say)
    assert [outcome.result for outcome in outcomes] == [4]
    assert len(said) == 1 and f"{address} has no workers; waiting for one" in said[0]


@pytest.mark.slow
def test_workers_in_another_folder_find_relative_places(
    start: Start, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a person names from the folder they are in, workers that were started elsewhere read and write."""
    address = _scheduler(start)
    monkeypatch.chdir("/")
    _worker(start, address)
    monkeypatch.chdir(tmp_path)
    build = ["degrade", "build", "--preset", "bicubic", "--source", "photos", "--samples", "6", "--hr-size", "64"]
    bank = ["noisebank", "build", "--target", "photos", "--size", "32"]
    for command in ([*build, "--out", "s.zarr"], [*bank, "--out", "b.zarr"], ["store", "verify", "s.zarr"]):
        result = CliRunner().invoke(root, [*command, "--dask", address])
        assert result.exit_code == 0, result.output
    assert (tmp_path / "s.zarr/commits.parquet").is_file() and (tmp_path / "b.zarr/commits.parquet").is_file()


_INTRUDER = """
import sys
from distributed import Client, Security
own = Security.temporary() if sys.argv[2] == "own certificate" else None
Client(sys.argv[1], timeout="3s", security=own).submit(print, 1).result(timeout=3)
print("ran code")
"""


@pytest.mark.slow
def test_nobody_else_on_the_machine_can_hand_code_to_a_local_cluster() -> None:
    """Whoever knows its port: neither without encryption, nor by it without the certificate."""
    with _client(_Cluster(1, "local")) as client:
        address = client.scheduler.address  # pyright: ignore
        assert address.startswith("tls://127.0.0.1:") and client.submit(sum, [1, 2]).result() == 3
        for guess in (address, address.replace("tls://", "tcp://")):
            for having in ("no certificate", "own certificate"):
                command = [sys.executable, "-c", _INTRUDER, guess, having]
                intruder = subprocess.run(command, capture_output=True, text=True)
                assert intruder.returncode != 0 and "ran code" not in intruder.stdout

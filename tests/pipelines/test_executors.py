"""Threads and Dask in trouble: workers and schedulers that die, are lost, or are not there."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Timer

import pytest
from click.testing import CliRunner
from distributed import Client

from rwsr.degrade.errors import UserError
from rwsr.pipelines.cli.main import root
from rwsr.pipelines.executors import _client, _Cluster, runner

from ..loopback import free_port
from .conftest import Start, scheduler, worker
from .test_run_conformance import square


def _die(task: int) -> int:
    if task == 1:
        os._exit(9)
    return task


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

    outcomes = runner(2)(partial(square, offset=0), Tasks(range(100)))
    next(outcomes)
    assert len(taken) <= 4
    assert len(list(outcomes)) == 99


def _slowly(task: int, folder: Path) -> int:
    (folder / f"{task}.{time.monotonic_ns()}").touch()
    time.sleep(0.2)
    return task


@pytest.mark.slow
def test_a_lost_worker_costs_only_what_it_was_doing(start: Start, tmp_path: Path) -> None:
    """Two workers, one killed in the middle: every task has its result, and few ran twice."""
    address = scheduler(start)
    workers = [worker(start, address) for _ in range(2)]
    done: list[int] = []
    for outcome in runner(1, address)(partial(_slowly, folder=tmp_path), range(20)):
        done.append(outcome.result if outcome.result is not None else -1)
        if len(done) == 6:
            os.killpg(workers[0].pid, signal.SIGKILL)
    assert sorted(done) == list(range(20))
    assert 20 <= len(list(tmp_path.iterdir())) <= 22


@pytest.mark.slow
def test_what_a_worker_does_not_come_to_an_end_with_another_does_too(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of three is stopped in the middle, as where its disk does not answer: nothing waits for it, nothing is given
    back twice.
    """
    for name, value in (("_LOOK_S", 0.5), ("_PATIENCE_S", 1.5)):
        monkeypatch.setattr(f"rwsr.pipelines.executors.{name}", value)
    said: list[str] = []
    monkeypatch.setattr("rwsr.pipelines.executors.say", said.append)
    address = scheduler(start)
    workers = [worker(start, address) for _ in range(3)]
    done: list[int | None] = []
    for outcome in runner(1, address)(partial(_slowly, folder=tmp_path), range(20)):
        done.append(outcome.result)
        if len(done) == 6:
            os.killpg(workers[0].pid, signal.SIGSTOP)
    assert sorted(done) == list(range(20))  # type: ignore[type-var]
    told = [line for line in said if "is given what another has been at for" in line]
    assert 1 <= len(told) <= 3
    os.killpg(workers[0].pid, signal.SIGCONT)


def _stops_then(task: int) -> int:
    """The worker of task 0 stops once it has handed its word back that it is done."""
    if task == 0:
        Timer(0.5, os.kill, (os.getpid(), signal.SIGSTOP)).start()
    return task


@pytest.mark.slow
def test_what_a_worker_has_done_and_does_not_hand_over_another_does_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asked for the result before its worker stopped."""
    monkeypatch.setattr("rwsr.pipelines.executors._PATIENCE_S", 1.5)
    said: list[str] = []
    monkeypatch.setattr("rwsr.pipelines.executors.say", said.append)
    address = scheduler(start)
    for _ in range(2):
        worker(start, address)
    with Client(address) as client:
        client.wait_for_workers(2, timeout=30)
    done: list[int | None] = []
    for outcome in runner(1, address)(_stops_then, [1, 2, 3, 0]):
        done.append(outcome.result)
        if len(done) == 1:
            time.sleep(2)
    assert sorted(done) == [0, 1, 2, 3]  # type: ignore[type-var]
    assert done[0] == 0 or any("does not hand over what it has done" in line for line in said)


@pytest.mark.slow
def test_workers_that_come_later_get_their_share(start: Start, tmp_path: Path) -> None:
    """A cluster that adapts itself: one worker at first, a second while it works."""
    address = scheduler(start)
    worker(start, address)
    by: set[str] = set()
    for number, outcome in enumerate(runner(1, address)(_where, range(24))):
        by.add(str(outcome.result))
        if number == 3:
            worker(start, address)
    assert len(by) == 2


def _where(task: int) -> int:
    time.sleep(0.3)
    return os.getpid()


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
    worker(start, f"tcp://127.0.0.1:{port}")
    with pytest.raises(UserError, match="went away"):
        for _ in runner(1, f"tcp://127.0.0.1:{port}")(partial(_slowly, folder=tmp_path), range(20)):
            if scheduler.poll() is None:
                os.killpg(scheduler.pid, signal.SIGKILL)
                scheduler.wait()


@pytest.mark.slow
def test_a_cluster_without_workers_is_told_of(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line says what it waits for; the tasks run once there is one."""
    monkeypatch.setattr("rwsr.pipelines.executors._LOOK_S", 0.5)
    address = scheduler(start)
    outcomes = runner(1, address)(partial(square, offset=0), [2])
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        worker(start, address)

    monkeypatch.setattr("rwsr.pipelines.executors.say", say)
    assert [outcome.result for outcome in outcomes] == [4]
    assert len(said) == 1 and f"{address} has no workers; waiting for one" in said[0]


@pytest.mark.slow
def test_workers_in_another_folder_find_relative_places(
    start: Start, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a person names from the folder they are in, workers that were started elsewhere read and write."""
    address = scheduler(start)
    monkeypatch.chdir("/")
    worker(start, address)
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

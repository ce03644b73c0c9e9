"""Threads that hand over to processes: when, and what becomes of processes that die."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from rwsr.degrade.errors import UserError
from rwsr.pipelines import processes
from rwsr.pipelines.processes import on_processes


def _whose(task: int) -> int:
    time.sleep(0.1)
    return os.getpid()


@pytest.mark.slow
def test_long_work_goes_over_to_processes_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(processes, "say", said.append)
    found = [outcome.result for outcome in on_processes(2, _whose, range(120))]
    assert len(found) == 120 and found[0] == os.getpid() != found[-1]
    assert len(set(found)) == 3 and found.count(os.getpid()) < 110
    assert len(said) == 1 and "s of work are left, on 2 processes" in said[0]
    assert all(child.pid not in found for child in psutil.Process().children(recursive=True))


def test_short_work_stays_on_threads() -> None:
    found = [outcome.result for outcome in on_processes(3, _whose, range(12))]
    assert found == [os.getpid()] * 12


def _die(task: int, parent: int) -> int:
    time.sleep(0.05)
    if task == 70 and os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


@pytest.mark.slow
def test_a_task_that_kills_its_process_is_an_error_of_its_own() -> None:
    """Those that were under way beside it are done again."""
    outcomes = {each.task: each for each in on_processes(2, partial(_die, parent=os.getpid()), range(100), pays_s=0)}
    assert sorted(outcomes) == list(range(100))
    assert isinstance(outcomes[70].error, UserError) and "died each time" in str(outcomes[70].error)
    assert [outcomes[task].result for task in range(100) if task != 70] == [task for task in range(100) if task != 70]


@pytest.mark.slow
def test_processes_that_cannot_start_leave_it_to_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_begin", _fails)
    found = [outcome.result for outcome in on_processes(2, _whose, range(30), pays_s=0)]
    assert found == [os.getpid()] * 30


def _fails() -> None:
    raise OSError("no")


_BUILD = """
import sys
from functools import partial
sys.path.insert(0, sys.argv[1])
from rwsr.pipelines.processes import on_processes
import rwsr_slow
if __name__ == "__main__":
    for outcome in on_processes(2, rwsr_slow.slow, range(1000), pays_s=0):
        print(outcome.result, flush=True)
"""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A program whose processes work, in a session of its own."""
    (tmp_path / "rwsr_slow.py").write_text(
        "import os, time\n\ndef slow(task):\n    time.sleep(0.05)\n    return os.getpid()\n"
    )
    (tmp_path / "main.py").write_text(_BUILD)
    program = subprocess.Popen(
        (sys.executable, tmp_path / "main.py", tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    yield program
    if program.poll() is None:
        os.killpg(program.pid, signal.SIGKILL)
    program.communicate()


def _workers(program: "subprocess.Popen[str]") -> set[int]:
    """Once they work."""
    assert program.stdout is not None
    found: set[int] = set()
    for line in program.stdout:
        if line.strip().isdigit() and int(line) != program.pid:
            found.add(int(line))
        if len(found) == 2:
            break
    return found


def _gone(numbers: set[int]) -> bool:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if not any(psutil.pid_exists(each) and psutil.Process(each).status() != "zombie" for each in numbers):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_processes_end_with_the_one_that_started_them(started: "subprocess.Popen[str]", number: signal.Signals) -> None:
    found = _workers(started)
    assert len(found) == 2
    started.send_signal(number)
    assert _gone(found)


@pytest.mark.slow
def test_ctrl_c_ends_it_once_what_is_under_way_is_done(started: "subprocess.Popen[str]") -> None:
    """It reaches the whole group, of which the processes leave it to the one that started them."""
    found = _workers(started)
    os.killpg(started.pid, signal.SIGINT)
    _, said = started.communicate(timeout=30)
    assert "KeyboardInterrupt" in said and "BrokenProcessPool" not in said and said.count("Traceback") == 1
    assert _gone(found)


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.2, 0.5, 0.8])
def test_ctrl_c_while_they_start_leaves_none_half_started(started: "subprocess.Popen[str]", after_s: float) -> None:
    """The first tasks are done by then."""
    assert started.stdout is not None and started.stdout.readline()
    time.sleep(after_s)
    os.killpg(started.pid, signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert not any(error in said for error in ("FileNotFoundError", "EOFError", "BrokenProcessPool", "forkserver.py"))


def test_it_is_what_workers_mean() -> None:
    from rwsr.pipelines.executors import runner

    run = runner(2)
    assert isinstance(run, partial) and run.func is on_processes

"""Serial, threads and Dask run the same tasks to the same outcomes; an error ends its own task only."""

import os
from collections.abc import Iterator
from functools import partial

import pytest

from rwsr.pipelines.executors import Executor, run

EXECUTORS = [Executor(1), Executor(3), Executor(2, "local")]


def _square(task: int, offset: int) -> int:
    if task == 3:
        raise ValueError("three is not for me")
    return task * task + offset


def _die(task: int) -> int:
    if task == 1:
        os._exit(9)
    return task


@pytest.mark.parametrize("executor", EXECUTORS, ids=["serial", "threads", "dask"])
def test_every_task_has_its_outcome(executor: Executor) -> None:
    """All results arrive, and the one error stays with its task."""
    outcomes = {o.task: o for o in run(partial(_square, offset=1), range(12), executor)}
    assert sorted(outcomes) == list(range(12))
    assert {t: o.result for t, o in outcomes.items() if o.error is None} == {t: t * t + 1 for t in range(12) if t != 3}
    assert str(outcomes[3].error) == "three is not for me"


@pytest.mark.parametrize("executor", EXECUTORS, ids=["serial", "threads", "dask"])
def test_no_tasks_is_no_outcome(executor: Executor) -> None:
    """An empty list ends at once."""
    assert list(run(partial(_square, offset=0), [], executor)) == []


def test_a_task_that_kills_its_worker_is_an_error_of_its_own() -> None:
    """Dask starts the worker again, gives up on that task, and finishes the others."""
    outcomes = {o.task: o for o in run(_die, range(4), Executor(2, "local"))}
    assert "KilledWorker" in type(outcomes[1].error).__name__
    assert [outcomes[t].result for t in (0, 2, 3)] == [0, 2, 3]


def test_threads_take_tasks_as_they_go() -> None:
    """A long list is not submitted at once: no more than twice the threads are ahead of the reader."""
    taken: list[int] = []

    class Tasks(list[int]):
        def __iter__(self) -> Iterator[int]:
            for i in super().__iter__():
                taken.append(i)
                yield i

    outcomes = run(partial(_square, offset=0), Tasks(range(100)), Executor(2))
    next(outcomes)
    assert len(taken) <= 4
    assert len(list(outcomes)) == 99

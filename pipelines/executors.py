"""Runs a function over tasks: serially, on threads, or on a local Dask cluster; results as they come.

The serial executor is the specification. A task is a small frozen value; the function is importable by name
(or a functools.partial of one), so that a task never carries an array.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import cv2

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Executor:
    """How tasks are run: on `workers` threads (1 is serial), or on as many Dask processes."""

    workers: int = 1
    dask: Literal["local"] | None = None


@dataclass(frozen=True)
class Outcome(Generic[T, R]):
    """What became of a task: a result, or the error that it ended with."""

    task: T
    result: R | None = None
    error: Exception | None = None


def _attempt(function: Callable[[T], R], task: T) -> Outcome[T, R]:
    try:
        return Outcome(task, result=function(task))
    except Exception as error:
        return Outcome(task, error=error)


def _serial(function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[Outcome[T, R]]:
    for task in tasks:
        yield _attempt(function, task)


def _threads(function: Callable[[T], R], tasks: Sequence[T], workers: int) -> Iterator[Outcome[T, R]]:
    """At most twice as many tasks as threads are under way, so that results do not pile up."""
    todo = iter(tasks)
    running: set[Future[Outcome[T, R]]] = set()
    with ThreadPoolExecutor(workers) as pool:
        try:
            while True:
                for task in todo:
                    running.add(pool.submit(_attempt, function, task))
                    if len(running) >= 2 * workers:
                        break
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in running:
                future.cancel()


def _dask_local(function: Callable[[T], R], tasks: Sequence[T], workers: int) -> Iterator[Outcome[T, R]]:
    """One single-threaded process a worker, on loopback; a task that kills its worker is an error of its own.

    The scheduler blames a dead worker on every task that was waiting for it. So the blamed ones are run again at
    the end, one at a time: only a task that kills a worker while alone has killed it.
    """
    from dask.distributed import Client, KilledWorker, LocalCluster, as_completed

    todo = iter(tasks)
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,  # pyright: ignore[reportArgumentType]
            silence_logs=50,
        ) as cluster,
        Client(cluster) as client,
    ):
        running: dict[Any, T] = {}
        blamed: list[T] = []
        arrivals = as_completed()

        def submit(task: T) -> Any:
            return client.submit(_attempt, function, task, pure=False, retries=2)

        def submit_next() -> None:
            for task in todo:
                future = submit(task)
                running[future] = task
                arrivals.add(future)
                return

        for _ in range(2 * workers):
            submit_next()
        for future in arrivals:
            task = running.pop(future)
            error = future.exception()
            if isinstance(error, KilledWorker):
                blamed.append(task)
            else:
                yield Outcome(task, error=error) if error is not None else future.result()
            future.release()
            submit_next()
        for task in blamed:
            future = submit(task)
            error = future.exception()
            yield Outcome(task, error=error) if error is not None else future.result()
            future.release()


def run(function: Callable[[T], R], tasks: Sequence[T], executor: Executor) -> Iterator[Outcome[T, R]]:
    """The outcome of each task, in the order in which they end; an error ends its own task only."""
    cv2.setNumThreads(1)  # the tasks are the threads: OpenCV's own would only fight them for the cores
    if executor.dask == "local":
        return _dask_local(function, tasks, executor.workers)
    if executor.workers == 1:
        return _serial(function, tasks)
    return _threads(function, tasks, executor.workers)

"""Runs a function over tasks, serially or on threads; results as they come, an error as the outcome of its task.

The serial way is the specification. A task is a small frozen value; the function is importable by name (or a
functools.partial of one), so that it may run elsewhere and a task never carries an array.
"""

import ctypes
import errno
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache, partial
from typing import Generic, Protocol, TypeVar

import cv2
import psutil

T = TypeVar("T")
R = TypeVar("R")

_M_TRIM_THRESHOLD, _KEPT_BYTES = -1, 2**28  # of malloc.h
_M_MMAP_THRESHOLD, _LARGE_BYTES = -3, 2**25  # the greatest that glibc takes
_ATTEMPTS, _FIRST_PAUSE_S = 3, 1.0
_PASSING = {errno.EIO, errno.ESTALE, errno.EAGAIN, errno.EBUSY, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN}


def cores() -> int:
    """The cores that this process may use."""
    process = psutil.Process()
    affinity = process.cpu_affinity() if hasattr(process, "cpu_affinity") else None  # macOS has none
    return len(affinity) if affinity else psutil.cpu_count() or 1


@cache
def keep_memory() -> None:
    """Let this process keep freed memory for the next arrays of the same size, for as long as it lives.

    Else glibc gives those of some hundred KiB and more back to the system, and asks for them again: a training step on
    the CPU had 34,000 page faults and took 1.37 times as long; rendering in Dask's workers, which are started with
    MALLOC_TRIM_THRESHOLD_=65536, twice.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's; others have no such habit
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


@dataclass(frozen=True)
class Outcome(Generic[T, R]):
    """What became of a task: a result, or the error that it ended with."""

    task: T
    result: R | None = None
    error: Exception | None = None


class Run(Protocol):
    """A way to run: the outcome of each task, in the order in which they end; an error ends its own task only."""

    def __call__(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[Outcome[T, R]]: ...


def may_pass(error: Exception) -> bool:
    """Whether an error is of the kind that is often gone a moment later: the network's or a network disk's."""
    return isinstance(error, ConnectionError | TimeoutError) or (isinstance(error, OSError) and error.errno in _PASSING)


def attempt(function: Callable[[T], R], task: T) -> Outcome[T, R]:
    """Run a task, again a little later where its error may pass, three times at most."""
    cv2.setNumThreads(1)  # the tasks are the threads: OpenCV's own would only fight them for the cores
    keep_memory()
    for attempt in range(_ATTEMPTS):
        try:
            return Outcome(task, result=function(task))
        except Exception as error:
            if attempt == _ATTEMPTS - 1 or not may_pass(error):
                return Outcome(task, error=error)
            time.sleep(_FIRST_PAUSE_S * 2**attempt)
    raise AssertionError("the last attempt returns")


def serial(function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[Outcome[T, R]]:
    """One after the other."""
    for task in tasks:
        yield attempt(function, task)


def threads(workers: int) -> Run:
    """On so many threads; on one, serially."""
    return serial if workers == 1 else partial(_on_threads, workers)


def _on_threads(workers: int, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[Outcome[T, R]]:
    """At most twice as many tasks as threads are under way, so that results do not pile up."""
    todo = iter(tasks)
    running: set[Future[Outcome[T, R]]] = set()
    with ThreadPoolExecutor(workers) as pool:
        try:
            while True:
                for task in todo:
                    running.add(pool.submit(attempt, function, task))
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

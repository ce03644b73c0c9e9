"""Runs a function over tasks: serially, on threads, or on Dask; results as they come.

The serial executor is the specification. A task is a small frozen value; the function is importable by name
(or a functools.partial of one), so that a task never carries an array.
"""

import ctypes
import errno
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import cv2

from ..degrade.errors import UserError
from .console import say

if TYPE_CHECKING:
    from dask.distributed import Client

T = TypeVar("T")
R = TypeVar("R")

LOCAL = "local"
_ATTEMPTS, _FIRST_PAUSE_S = 3, 1.0
_PASSING = {errno.EIO, errno.ESTALE, errno.EAGAIN, errno.EBUSY, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN}
_M_TRIM_THRESHOLD, _KEPT_BYTES = -1, 2**28  # of malloc.h
_M_MMAP_THRESHOLD, _LARGE_BYTES = -3, 2**25  # the greatest that glibc takes
_LOOK_S = 10.0  # how often a cluster without workers is looked at


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Executor:
    """How tasks are run: on `workers` threads (1 is serial), or on Dask.

    dask: `local`, as many processes of this machine as `workers`; or the address of a scheduler, all of its workers.
    """

    workers: int = 1
    dask: str | None = None


@dataclass(frozen=True)
class Outcome(Generic[T, R]):
    """What became of a task: a result, or the error that it ended with."""

    task: T
    result: R | None = None
    error: Exception | None = None


def may_pass(error: Exception) -> bool:
    """Whether an error is of the kind that is often gone a moment later: the network's or a network disk's."""
    return isinstance(error, ConnectionError | TimeoutError) or (isinstance(error, OSError) and error.errno in _PASSING)


@cache
def _keep_memory() -> None:
    """Let a Dask worker keep freed memory for the next image, as every other process does.

    Dask starts its workers with MALLOC_TRIM_THRESHOLD_=65536, under which each array of an image is given back to the
    system and asked for again: rendering took twice as long.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's; others have no such habit
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def _attempt_on_dask(function: Callable[[T], R], task: T) -> Outcome[T, R]:
    _keep_memory()
    return _attempt(function, task)


def _attempt(function: Callable[[T], R], task: T) -> Outcome[T, R]:
    """Run a task, again a little later where its error may pass, three times at most."""
    cv2.setNumThreads(1)  # the tasks are the threads: OpenCV's own would only fight them for the cores
    for attempt in range(_ATTEMPTS):
        try:
            return Outcome(task, result=function(task))
        except Exception as error:
            if attempt == _ATTEMPTS - 1 or not may_pass(error):
                return Outcome(task, error=error)
            time.sleep(_FIRST_PAUSE_S * 2**attempt)
    raise AssertionError("the last attempt returns")


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


@contextmanager
def _client(executor: Executor) -> Generator["Client"]:
    """A Dask client: of a cluster on loopback that lives as long as the block, or of the scheduler at an address.

    The cluster on loopback talks by TLS with certificates that it makes for itself: other users of the machine, who can
    reach its port, cannot hand it code to run.
    """
    from dask.distributed import Client, LocalCluster

    if executor.dask == LOCAL:
        with (
            LocalCluster(
                n_workers=executor.workers,
                threads_per_worker=1,
                host="127.0.0.1",
                security=True,
                dashboard_address="127.0.0.1:0",
                silence_logs=50,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(executor.dask, timeout="10s")
    except (OSError, ValueError) as error:
        raise UserError(
            f"no Dask scheduler answers at {executor.dask} ({' '.join(str(error).split())}); start one with "
            "`dask scheduler`, or use --dask local"
        ) from None
    with client:
        yield client


@contextmanager
def _scheduler_there(executor: Executor) -> Generator[None]:
    """What Dask raises once its scheduler is gone, as one line."""
    from dask.distributed import CancelledError
    from distributed.client import FuturesCancelledError
    from distributed.comm.core import CommClosedError

    try:
        yield
    except (CancelledError, CommClosedError, FuturesCancelledError, TimeoutError):
        raise UserError(f"the Dask scheduler at {executor.dask} went away; start it, and run again") from None
    except OSError as error:
        if "Timed out trying to connect" not in str(error):
            raise
        raise UserError(f"the Dask scheduler at {executor.dask} went away; start it, and run again") from None


def _nthreads(client: Any) -> dict[str, int]:
    """The threads of each worker; dask annotates it for both of its ways to be called."""
    return client.nthreads()


def _told(error: BaseException, where: str | None) -> Exception:
    """An error of Dask's own as one that a person can act on; any other as it is."""
    from dask.distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return UserError(
            "the worker died each time that it was rendered (out of memory, perhaps); give workers more memory, or "
            "lower shard_mib"
        )
    if isinstance(error, ImportError):
        return UserError(f"a worker of {where} cannot import what it should run ({error}); install rwsr there")
    return error if isinstance(error, Exception) else UserError(str(error))


def _dask(function: Callable[[T], R], tasks: Sequence[T], executor: Executor) -> Iterator[Outcome[T, R]]:
    """At most twice as many tasks as the workers have threads are known to the scheduler; results go as they come.

    The scheduler blames a dead worker on every task that was waiting for it. So the blamed ones are run again at
    the end, one at a time: only a task that kills a worker while alone has killed it.
    """
    from dask.distributed import KilledWorker
    from dask.distributed import TimeoutError as DaskTimeout
    from dask.distributed import wait as wait_for

    todo = iter(tasks)
    with _client(executor) as client, _scheduler_there(executor):
        running: dict[Any, T] = {}
        blamed: list[T] = []
        told = False

        def submit(task: T) -> Any:
            return client.submit(_attempt_on_dask, function, task, pure=False, retries=2)

        def fill() -> None:
            wanted = 2 * max(1, sum(_nthreads(client).values()))
            if len(running) < wanted:
                for task in todo:
                    running[submit(task)] = task
                    if len(running) == wanted:
                        return

        def first_done() -> list[Any]:
            nonlocal told
            while True:
                try:
                    ended: Any = wait_for(list(running), timeout=_LOOK_S, return_when="FIRST_COMPLETED")
                    return list(ended.done)
                except DaskTimeout:
                    if not _nthreads(client) and not told:
                        say(f"{executor.dask} has no workers; waiting for one (dask worker {executor.dask})")
                        told = True

        def outcome(future: Any, task: T) -> Outcome[T, R]:
            error = future.exception()
            return future.result() if error is None else Outcome(task, error=_told(error, executor.dask))

        fill()
        while running:
            for future in first_done():
                task = running.pop(future)
                if future.status == "error" and isinstance(future.exception(), KilledWorker):
                    blamed.append(task)
                else:
                    yield outcome(future, task)
                future.release()
            fill()
        for task in blamed:
            running = {submit(task): task}
            [future] = first_done()
            yield outcome(future, task)
            future.release()


def run(function: Callable[[T], R], tasks: Sequence[T], executor: Executor) -> Iterator[Outcome[T, R]]:
    """The outcome of each task, in the order in which they end; an error ends its own task only."""
    if executor.dask is not None:
        return _dask(function, tasks, executor)
    if executor.workers == 1:
        return _serial(function, tasks)
    return _threads(function, tasks, executor.workers)

"""Runs a function over tasks on threads, and on processes once they pay: Python does one thing at a time in each."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait as wait_for
from os import _exit
from threading import Thread, current_thread, main_thread
from typing import Any, TypeVar

from ..degrade.errors import UserError
from ..degrade.progress import say
from ..degrade.tasks import Outcome, attempt, serial

T = TypeVar("T")
R = TypeVar("R")

PAYS_S = 4.0  # of work that is left for each: starting a process takes a second of that
_START_S = 30.0


def _begin() -> None:
    """In a process of tasks: Ctrl-C is for the one that started it, and it ends with that one, however that goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait_for([parent.sentinel])
        _exit(1)

    Thread(target=watch, daemon=True).start()


def _ready() -> None:
    pass


class _Pool:
    """Processes that are started beside the threads, and taken from when they are there."""

    def __init__(self, workers: int, function: Callable[..., Any]) -> None:
        context = multiprocessing.get_context(_method())
        if _method() == "forkserver":
            context.set_forkserver_preload([_module_of(function)])  # type: ignore[attr-defined]
        self._pool = ProcessPoolExecutor(workers, context, _begin)
        self._started = [self._pool.submit(_ready) for _ in range(workers)]

    @property
    def is_there(self) -> bool:
        """Whether all have started; where one could not, never."""
        return all(each.done() and each.exception() is None for each in self._started)

    def submit(self, function: Callable[[T], R], task: T) -> "Future[Outcome[T, R]]":
        return self._pool.submit(attempt, function, task)

    def close(self) -> None:
        """Once they have started: one that is on its way would not find what it is told by."""
        wait(self._started, timeout=_START_S)
        self._pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _not_interrupted() -> Generator[None]:
    """Ctrl-C is heard after the block: half a start cannot be taken back."""
    if current_thread() is not main_thread() or signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):
        yield
        return
    heard: list[int] = []

    def hear(number: int, _: object) -> None:
        heard.append(number)

    before = signal.signal(signal.SIGINT, hear)
    can_block = hasattr(signal, "pthread_sigmask")
    if can_block:  # also for what is started, before it can ignore the signal; the tracker would unblock it here
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if can_block:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, before)
    if heard:
        signal.raise_signal(signal.SIGINT)


def _method() -> str:
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def _module_of(function: Any) -> str:
    """Where a function, or what a functools.partial is of, is defined."""
    return getattr(function, "func", function).__module__


class _Running:
    """What is under way, on threads or processes."""

    def __init__(self, workers: int, function: Callable[[Any], Any]) -> None:
        self._workers, self._function = workers, function
        self._threads = ThreadPoolExecutor(workers)
        self._pool: _Pool | None = None
        self.tasks: dict[Future[Any], Any] = {}

    @property
    def has_room(self) -> bool:
        return len(self.tasks) < 2 * self._workers

    def warm(self) -> None:
        """Start the processes; threads go on until they are there."""
        if self._pool is None:
            with _not_interrupted():
                self._pool = _Pool(self._workers, self._function)

    def submit(self, task: Any) -> None:
        try:
            if self._pool is not None and self._pool.is_there:
                self.tasks[self._pool.submit(self._function, task)] = task
                return
        except BrokenProcessPool:  # one died a moment ago, which whoever waits for its task will hear
            pass
        self.tasks[self._threads.submit(attempt, self._function, task)] = task

    def restart(self) -> list[Any]:
        """After a process died: which tasks were under way on processes, one of which it may have been."""
        lost = [task for future, task in self.tasks.items() if _is_broken(future)]
        self.tasks = {future: task for future, task in self.tasks.items() if not _is_broken(future)}
        if self._pool is not None:
            self._pool.close()
            self._pool = None
            self.warm()
        return lost

    def close(self) -> None:
        for future in self.tasks:
            future.cancel()
        self._threads.shutdown()
        if self._pool is not None:
            self._pool.close()


def _is_broken(future: "Future[Any]") -> bool:
    return future.done() and isinstance(future.exception(), BrokenProcessPool)


def on_processes(
    workers: int, function: Callable[[T], R], tasks: Sequence[T], *, pays_s: float = PAYS_S
) -> Iterator[Outcome[T, R]]:
    """At most twice as many tasks as workers are under way. The first are done by threads; where what they took says
    that processes pay (pays_s: seconds of work that are left), those take over once they have started.

    A process that dies (out of memory, perhaps) may have died of any task that was under way: these are done again at
    the end, each alone; only one that kills its process then has killed it.
    """
    if workers == 1 or len(tasks) == 1:
        yield from serial(function, tasks)
        return
    todo, blamed, done, began = iter(tasks), list[T](), 0, time.perf_counter()
    running, warm = _Running(workers, function), False
    try:
        while True:
            for task in todo:
                running.submit(task)
                if not running.has_room:
                    break
            if not running.tasks:
                break
            ended, _ = wait(running.tasks, return_when=FIRST_COMPLETED)
            if any(_is_broken(future) for future in ended):
                wait(running.tasks, timeout=5)
                blamed += running.restart()
                continue
            for future in ended:
                del running.tasks[future]
                done += 1
                yield future.result()
            left_s = (time.perf_counter() - began) / max(1, done) * (len(tasks) - done)
            if not warm and left_s > pays_s:
                say(f"note: some {left_s:.0f} s of work are left, on {workers} processes")
                running.warm()
                warm = True
    finally:
        running.close()
    for task in blamed:
        yield _alone(function, task)


def _alone(function: Callable[[T], R], task: T) -> Outcome[T, R]:
    pool: _Pool | None = None
    try:
        with _not_interrupted():
            pool = _Pool(1, function)
        return pool.submit(function, task).result()
    except BrokenProcessPool:
        return Outcome(
            task,
            error=UserError(
                "the process that made it died each time (out of memory, perhaps); use fewer --workers, or lower "
                "shard_mib"
            ),
        )
    finally:
        if pool is not None:
            pool.close()

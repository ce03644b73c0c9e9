"""Runs a function over tasks on Dask; results as they come."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..degrade.errors import UserError
from ..degrade.progress import say
from ..degrade.tasks import Outcome, Run, attempt
from .processes import on_processes

if TYPE_CHECKING:
    from dask.distributed import Client

T = TypeVar("T")
R = TypeVar("R")

LOCAL = "local"
_LOOK_S = 10.0  # how often a cluster is looked at in which nothing ends
_PATIENCE, _PATIENCE_S = 3.0, 20.0  # times what a task takes usually, but so long: what takes longer is done twice


@dataclass(frozen=True)
class _Cluster:
    """dask: `local`, as many processes of this machine as `workers`; or the address of a scheduler."""

    workers: int
    dask: str


@contextmanager
def _client(at: _Cluster) -> Generator["Client"]:
    """A Dask client: of a cluster on loopback that lives as long as the block, or of the scheduler at an address.

    The cluster on loopback talks by TLS with certificates that it makes for itself: other users of the machine, who can
    reach its port, cannot hand it code to run.
    """
    from dask.distributed import Client, LocalCluster

    if at.dask == LOCAL:
        with (
            LocalCluster(
                n_workers=at.workers,
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
        client = Client(at.dask, timeout="10s")
    except (OSError, ValueError) as error:
        raise UserError(
            f"no Dask scheduler answers at {at.dask} ({' '.join(str(error).split())}); start one with "
            "`dask scheduler`, or use --dask local"
        ) from None
    with client:
        yield client


@contextmanager
def _scheduler_there(at: _Cluster) -> Generator[None]:
    """What Dask raises once its scheduler is gone, as one line."""
    from dask.distributed import CancelledError
    from distributed.client import FuturesCancelledError
    from distributed.comm.core import CommClosedError

    try:
        yield
    except (CancelledError, CommClosedError, FuturesCancelledError, TimeoutError):
        raise UserError(f"the Dask scheduler at {at.dask} went away; start it, and run again") from None
    except OSError as error:
        if "Timed out trying to connect" not in str(error):
            raise
        raise UserError(f"the Dask scheduler at {at.dask} went away; start it, and run again") from None


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


class _Running(Generic[T, R]):
    """What a cluster has under way: tasks by their futures, and since when."""

    def __init__(self, client: "Client", function: Callable[[T], R], where: str) -> None:
        self._client, self._function, self._where = client, function, where
        self.tasks: dict[Any, T] = {}
        self._since: dict[Any, float] = {}
        self._took: list[float] = []
        self._twins: dict[Any, Any] = {}  # of a task that was given to another worker too
        self._told = False

    @property
    def room(self) -> int:
        """For how many tasks more: two for each thread, so that no thread waits, and a cluster that adapts grows."""
        return max(0, 2 * max(1, sum(_nthreads(self._client).values())) - len(self.tasks))

    def submit(self, task: T, workers: list[str] | None = None) -> Any:
        future = self._client.submit(attempt, self._function, task, pure=False, workers=workers)
        self.tasks[future], self._since[future] = task, time.monotonic()
        return future

    def ended(self) -> "Iterator[Outcome[T, R]]":
        """What becomes of the tasks that end next, KilledWorker as Dask has it; of none where none has for a while."""
        from dask.distributed import TimeoutError as DaskTimeout
        from dask.distributed import wait as wait_for

        try:
            found: Any = wait_for(list(self.tasks), timeout=_LOOK_S, return_when="FIRST_COMPLETED")
        except DaskTimeout:
            if not _nthreads(self._client) and not self._told:
                say(f"{self._where} has no workers; waiting for one (dask worker {self._where})")
                self._told = True
            return
        for future in found.done:
            if future in self.tasks and (outcome := self._taken(future)) is not None:
                yield outcome

    def _taken(self, future: Any) -> Outcome[T, R] | None:
        """What became of a task; none where it is still to be waited for, by its twin or another worker."""
        outcome = self._outcome(future)
        task, took = self.tasks.pop(future), time.monotonic() - self._since.pop(future)
        twin = self._twins.pop(future, None)
        if twin is not None:
            del self._twins[twin]
        if outcome is None or (outcome.error is not None and twin is not None):
            if twin is None:
                self._again(future, task)
            return None
        if twin is not None:
            del self.tasks[twin], self._since[twin]
            twin.cancel()
        self._took.append(took)
        future.release()
        return outcome

    def _outcome(self, future: Any) -> Outcome[T, R] | None:
        """None where the worker that has it does not hand it over."""
        from dask.distributed import KilledWorker

        error = None if future.status == "finished" else future.exception()
        if error is not None:
            killed = isinstance(error, KilledWorker)
            return Outcome(self.tasks[future], error=error if killed else _told(error, self._where))
        try:
            return future.result(timeout=_PATIENCE_S)
        except TimeoutError:
            return None

    def _again(self, future: Any, task: T) -> None:
        """Have another worker do what one has done that does not hand it over; wait for it where there is no other."""
        has: Any = self._client.who_has([future])
        holders = {worker for each in has.values() for worker in each}
        others = sorted(_nthreads(self._client).keys() - holders)
        if not others:
            self.tasks[future], self._since[future] = task, time.monotonic()
            return
        say(f"note: {', '.join(holders)} does not hand over what it has done; {others[0]} does it again")
        self.submit(task, [others[0]])
        future.cancel()

    def double(self) -> None:
        """Give tasks that take far longer than others did to workers that have nothing to do: whichever is done first
        counts. A task makes the same bytes wherever it runs.
        """
        if not self._took:
            return
        patience = max(_PATIENCE_S, _PATIENCE * median(self._took))
        busy: Any = self._client.processing()
        idle = [worker for worker, keys in busy.items() if not keys]
        for future, since in list(self._since.items()):
            if not idle or time.monotonic() - since < patience:
                return  # those after it were begun later
            if future not in self._twins:
                worker = idle.pop()
                say(f"note: {worker} is given what another has been at for {time.monotonic() - since:.0f} s")
                twin = self.submit(self.tasks[future], [worker])
                self._twins |= {future: twin, twin: future}


def _dask(at: _Cluster, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[Outcome[T, R]]:
    """At most twice as many tasks as the workers have threads are known to the scheduler; results go as they come.

    The scheduler blames a dead worker on every task that was waiting for it. So the blamed ones are run again at
    the end, one at a time: only a task that kills a worker while alone has killed it.
    """
    from dask.distributed import KilledWorker

    todo = iter(tasks)
    with _client(at) as client, _scheduler_there(at):
        running = _Running[T, R](client, function, at.dask)
        blamed: list[T] = []
        while True:
            room = running.room
            some = list(islice(todo, room))
            for task in some:
                running.submit(task)
            if not running.tasks:
                break
            if len(some) < room:  # there is no more to do
                running.double()
            for outcome in running.ended():
                if isinstance(outcome.error, KilledWorker):
                    blamed.append(outcome.task)
                else:
                    yield outcome
        for task in blamed:
            running.submit(task)
            while running.tasks:
                for outcome in running.ended():
                    error = outcome.error
                    killed = isinstance(error, KilledWorker)
                    yield replace(outcome, error=_told(error, at.dask)) if killed else outcome


def runner(workers: int = 1, dask: str | None = None) -> Run:
    """How tasks are run: on `workers` threads, and processes where these pay (1 is serial), or on Dask.

    dask: `local`, as many processes of this machine as `workers`; or the address of a scheduler, all of its workers.
    """
    return partial(on_processes, workers) if dask is None else partial(_dask, _Cluster(workers, dask))

"""Runs a function over tasks on Dask; results as they come."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..degrade.errors import UserError
from ..degrade.progress import say
from ..degrade.tasks import Outcome, Run, attempt
from .processes import on_processes

if TYPE_CHECKING:
    from dask.distributed import Client

T = TypeVar("T")
R = TypeVar("R")

LOCAL = "local"
_LOOK_S = 10.0  # how often a cluster without workers is looked at


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


def _dask(at: _Cluster, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[Outcome[T, R]]:
    """At most twice as many tasks as the workers have threads are known to the scheduler; results go as they come.

    The scheduler blames a dead worker on every task that was waiting for it. So the blamed ones are run again at
    the end, one at a time: only a task that kills a worker while alone has killed it.
    """
    from dask.distributed import KilledWorker
    from dask.distributed import TimeoutError as DaskTimeout
    from dask.distributed import wait as wait_for

    todo = iter(tasks)
    with _client(at) as client, _scheduler_there(at):
        running: dict[Any, T] = {}
        blamed: list[T] = []
        told = False

        def submit(task: T) -> Any:
            return client.submit(attempt, function, task, pure=False)

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
                        say(f"{at.dask} has no workers; waiting for one (dask worker {at.dask})")
                        told = True

        def outcome(future: Any, task: T) -> Outcome[T, R]:
            error = future.exception()
            return future.result() if error is None else Outcome(task, error=_told(error, at.dask))

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


def runner(workers: int = 1, dask: str | None = None) -> Run:
    """How tasks are run: on `workers` threads, and processes where these pay (1 is serial), or on Dask.

    dask: `local`, as many processes of this machine as `workers`; or the address of a scheduler, all of its workers.
    """
    return partial(on_processes, workers) if dask is None else partial(_dask, _Cluster(workers, dask))

"""One builder at a time on object storage: an object that its holder writes anew every few seconds.

A holder that was killed stops writing; whoever comes next watches for a while, then takes the lease over. On the
machine where it was killed it is taken over at once. Shards are the same bytes whoever renders them, so a lease
lost to a long pause costs work, never the store.
"""

import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass

from ..errors import BusyError, StoreError
from .machine import is_running, machine
from .object_store import ObjectPath

LEASE_SECONDS = 20.0


@dataclass(frozen=True)
class _Holder:
    token: str
    host: str
    machine: str
    pid: int
    beat: int

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()


def _busy(path: ObjectPath, holder: _Holder) -> BusyError:
    return BusyError(
        f"{path.parent} is being built by another process ({holder.pid} on {holder.host}); "
        "wait for it, or use another --out"
    )


def _is_dead(holder: _Holder, me: _Holder) -> bool:
    """Known only of processes that have their numbers from where we have ours; one that has our own number is gone.

    Two containers may have one host name and equal numbers, so the name alone says nothing.
    """
    return holder.machine == me.machine and (holder.pid == me.pid or not is_running(holder.pid))


def _read(path: ObjectPath) -> tuple[_Holder, str] | None:
    try:
        data, version = path.read_version()
        return _Holder(**json.loads(data)), version
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise StoreError(f"{path} is not a lease of ours; remove it and build again") from None


def _take(path: ObjectPath, me: _Holder, wait: Callable[[], None]) -> str:
    """The version of the lease once it is ours; `wait` is called before another's is watched."""
    watched: str | None = None
    since = 0.0
    while True:
        version = path.write_new(me.encode(), over=watched if watched and time.monotonic() >= since else None)
        if version is not None:
            return version
        found = _read(path)
        if found is None:
            watched = None
            continue
        holder, current = found
        if holder.token == me.token:  # our own request, whose answer was lost
            return current
        if _is_dead(holder, me):
            watched, since = current, 0.0
            continue
        if watched is None:
            wait()
            watched, since = current, time.monotonic() + LEASE_SECONDS
        elif current != watched:
            raise _busy(path, holder)
        time.sleep(LEASE_SECONDS / 20)


@contextmanager
def lease(path: ObjectPath, wait: Callable[[], None]) -> Generator[Callable[[], None]]:
    """Hold the lease in an object for one building process; gives a check that raises once it was lost.

    wait: called once where another seems to hold it, before it is watched for `LEASE_SECONDS`.

    Raises:
        BusyError: another process is building.
    """
    me = _Holder(secrets.token_hex(8), platform.node(), machine(), os.getpid(), 0)
    version = _take(path, me, wait)
    ended, lost = threading.Event(), threading.Event()

    def beat() -> None:
        nonlocal version
        number = 0
        while not ended.wait(LEASE_SECONDS / 5):
            number += 1
            try:
                renewed = path.write_new(_Holder(me.token, me.host, me.machine, me.pid, number).encode(), over=version)
                if renewed is None:  # another's by now; or ours, and the answer to an earlier beat was lost
                    holder, renewed = _read(path) or (None, "")
                    if holder is None or holder.token != me.token:
                        raise StoreError("lost")
                version = renewed
            except OSError:
                continue  # the server does not answer: try again at the next beat
            except StoreError:
                lost.set()
                return

    def check() -> None:
        if lost.is_set():
            raise StoreError(f"{path.parent} was taken over by another build, this one paused for too long; run again")

    thread = threading.Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield check
    finally:
        ended.set()
        thread.join()
        if not lost.is_set():
            with suppress(OSError):  # it runs out by itself
                path.unlink(missing_ok=True)

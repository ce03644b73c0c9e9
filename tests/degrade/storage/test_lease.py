"""On object storage one builder at a time holds a lease; that of a dead one is taken over."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from rwsr.degrade.errors import StoreError
from rwsr.degrade.storage import lease as lease_module
from rwsr.degrade.storage.lease import lease
from rwsr.degrade.storage.object_store import ObjectPath


@pytest.fixture
def path(s3: Callable[[], ObjectPath], monkeypatch: pytest.MonkeyPatch) -> ObjectPath:
    """Where a lease lies; leases run out after a second."""
    monkeypatch.setattr(lease_module, "LEASE_SECONDS", 1.0)
    return s3() / "store/lease.json"


def _held_by(path: ObjectPath, host: str, pid: int, where: str = "elsewhere") -> None:
    holder = {"token": "other", "host": host, "machine": where, "pid": pid, "beat": 0}
    path.write_bytes(json.dumps(holder).encode())


def _never() -> None:
    raise AssertionError("there was nothing to wait for")


@pytest.mark.slow
def test_a_lease_is_held_and_given_back(path: ObjectPath) -> None:
    """For longer than it lasts without a beat; and nothing is left."""
    with lease(path, _never) as check:
        time.sleep(1.6)
        check()
        assert json.loads(path.read_text())["beat"] >= 4
    assert not path.exists()


_HOLD = """
import sys, time
from rwsr.degrade.storage import lease
from rwsr.degrade.storage.object_store import ObjectPath
lease.LEASE_SECONDS = 1.0
with lease.lease(ObjectPath.parse(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_living_builder_is_named_and_a_killed_one_replaced_at_once(path: ObjectPath) -> None:
    """A real process holds it; after SIGKILL there is nothing to wait for on the same machine."""
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    waited: list[int] = []
    with pytest.raises(StoreError, match=rf"another process \({holder.pid} on {platform.node()}\)"):
        with lease(path, lambda: waited.append(1)):
            pass
    assert waited == [1]
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with lease(path, _never) as check:
        check()


@pytest.mark.slow
def test_a_container_with_our_name_and_number_is_not_taken_for_dead(path: ObjectPath) -> None:
    """Host name and process number are equal there, and it lives: it is watched, never robbed at once."""
    _held_by(path, platform.node(), os.getpid(), "other namespace")
    waited: list[float] = []
    with lease(path, lambda: waited.append(time.monotonic())):
        assert len(waited) == 1 and time.monotonic() - waited[0] >= 1.0


@pytest.mark.slow
def test_a_silent_builder_of_another_machine_is_replaced_after_a_while(path: ObjectPath) -> None:
    """Whether it lives is told by its beats alone."""
    _held_by(path, "elsewhere", 1)
    waited: list[float] = []
    with lease(path, lambda: waited.append(time.monotonic())) as check:
        assert len(waited) == 1 and time.monotonic() - waited[0] >= 1.0
        check()


@pytest.mark.slow
def test_a_builder_that_lost_its_lease_is_told(path: ObjectPath) -> None:
    """Whoever was suspended for so long that another took over must not go on."""
    with pytest.raises(StoreError, match="taken over by another build"), lease(path, _never) as check:
        _held_by(path, "elsewhere", 1)
        time.sleep(0.6)
        check()
    assert json.loads(path.read_text())["token"] == "other"


def test_what_is_no_lease_is_named(path: ObjectPath) -> None:
    """Nobody's file is overwritten."""
    path.write_bytes(b"dear diary")
    with pytest.raises(StoreError, match="not a lease of ours"), lease(path, _never):
        pass

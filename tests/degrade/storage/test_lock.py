"""A folder is held by one process on a disk, and by none once that has ended, however."""

import multiprocessing
import os
import subprocess
import sys
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from rwsr.degrade.errors import BusyError, StoreError
from rwsr.degrade.storage import location
from rwsr.degrade.storage.lock import LOCK, only_builder


def _linger(begun: Event) -> None:
    begun.set()
    time.sleep(60)


def test_a_child_that_lives_longer_does_not_hold_its_parents_folder(tmp_path: Path) -> None:
    """As the loaders of a training that was killed, for some seconds."""
    context = multiprocessing.get_context("fork")
    begun = context.Event()
    with only_builder(tmp_path):
        child = context.Process(target=_linger, args=(begun,))
        child.start()
        assert begun.wait(30)
    try:
        with only_builder(tmp_path):
            pass
    finally:
        child.kill()
        child.join()


def test_a_folder_is_held_by_one(tmp_path: Path) -> None:
    """And free again afterwards."""
    with only_builder(tmp_path), pytest.raises(BusyError, match="in use by another process"), only_builder(tmp_path):
        pass
    with only_builder(tmp_path):
        pass


def test_what_a_killed_process_left_holds_nothing(tmp_path: Path) -> None:
    """Its file is there still, and the folder counts as empty."""
    script = (
        "import os, sys; from pathlib import Path; from rwsr.degrade.storage.lock import only_builder\n"
        "with only_builder(Path(sys.argv[1])): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", script, tmp_path]).returncode == 9
    assert os.listdir(tmp_path) == [LOCK] and location.is_empty(tmp_path)
    with only_builder(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_the_folder_of_the_user_stays_and_ours_goes(tmp_path: Path) -> None:
    """Where nothing was put into it."""
    (tmp_path / "theirs").mkdir()
    for name in ("theirs", "ours"):
        with only_builder(tmp_path / name):
            pass
    assert os.listdir(tmp_path) == ["theirs"]


def test_a_lock_that_is_none_is_named(tmp_path: Path) -> None:
    """A folder or a link in its place, and a file of the folder held alone beside the folder itself."""
    (tmp_path / LOCK).mkdir()
    with pytest.raises(StoreError, match="is no lock but a link or a folder; remove it"), only_builder(tmp_path):
        pass
    (tmp_path / LOCK).rmdir()
    (tmp_path / LOCK).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="remove it"), only_builder(tmp_path):
        pass
    (tmp_path / LOCK).unlink()
    with only_builder(tmp_path), only_builder(tmp_path, "m.parquet"):
        with pytest.raises(BusyError, match="m.parquet is in use"), only_builder(tmp_path, "m.parquet"):
            pass

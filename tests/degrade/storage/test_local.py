"""Files are whole or not there, under any name, never through a link; what killed runs left is removed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rwsr.degrade.storage import local
from rwsr.degrade.storage.local import write_atomic, write_new
from rwsr.degrade.storage.location import written
from rwsr.degrade.storage.machine import machine


@pytest.mark.parametrize("name", ["a" * 255, "\u732b" * 85, "x.png"])
def test_any_name_that_the_disk_takes_is_written(tmp_path: Path, name: str) -> None:
    """255 bytes, in any letters: what stands beside it meanwhile is shorter."""
    write_atomic(tmp_path / name, b"1")
    with written(tmp_path / name) as beside:
        assert len(os.fsencode(beside.name)) <= 255
        beside.write_bytes(b"2")
    assert (tmp_path / name).read_bytes() == b"2" and os.listdir(tmp_path) == [name]


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    """Somebody who guesses its name gets nothing of theirs, or of mine, overwritten."""
    mine = tmp_path / "mine"
    mine.write_text("my own")
    for write in (write_atomic, write_new):
        local._partial(tmp_path / "out").symlink_to(mine)
        write(tmp_path / "out", b"data")
        assert mine.read_text() == "my own" and not (tmp_path / "out").is_symlink()
        (tmp_path / "out").unlink()
    local._partial(tmp_path / "out").symlink_to(mine)
    with written(tmp_path / "out") as beside:
        beside.write_bytes(b"data")
    assert mine.read_text() == "my own" and (tmp_path / "out").read_bytes() == b"data"


def test_what_killed_runs_left_half_written_is_removed(tmp_path: Path) -> None:
    """Of this machine, by processes that are gone; not of others, nor of those that live."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    kept = {f"a.ff.{machine()}-{os.getppid()}.partial", f"a.ff.elsewher-{dead.pid}.partial", "b.partial"}
    for name in (*kept, f"a.ff.{machine()}-{dead.pid}.partial"):
        (tmp_path / name).touch()
    local._tidied.cache_clear()
    write_atomic(tmp_path / "new", b"1")
    assert set(os.listdir(tmp_path)) == {*kept, "new"}

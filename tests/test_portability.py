"""rwsr imports and works where Unix's own modules are not there: on Windows, and macOS."""

import subprocess
import sys
from pathlib import Path

import pytest

_HIDDEN = ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog")
_OF_UNIX = ("fork", "forkpty", "getuid", "geteuid", "getpgid", "killpg", "pread", "preadv", "pwrite", "sendfile")
_OF_UNIX += ("sched_getaffinity", "register_at_fork", "statvfs", "sysconf", "uname", "O_NOFOLLOW", "O_DIRECTORY")

_SCRIPT = f"""
import importlib, os, pkgutil, sys
from pathlib import Path

import cv2, dask, distributed, filelock, matplotlib.pyplot, numpy, prefect, psutil, pyarrow.parquet, scipy, skimage
import nicegui.ui, torch, torch.multiprocessing, uvicorn, zarr  # theirs; ours is hidden from what it must not use

for name in {_HIDDEN}:
    sys.modules[name] = None
for name in {_OF_UNIX}:
    if hasattr(os, name):
        delattr(os, name)

import rwsr
for module in pkgutil.walk_packages(rwsr.__path__, "rwsr."):
    if module.name.split(".")[1] not in ("tests", "benchmarks", "__main__"):
        importlib.import_module(module.name)

from rwsr.degrade.storage.machine import is_running
from rwsr.degrade.storage.shards.reader import ShardReader
from rwsr.degrade.tasks import cores
from rwsr.pipelines.cli.main import root

assert is_running(os.getpid()) and cores() >= 1
root(["degrade", "build", "--preset", "mm-realsr", "--source", sys.argv[1], "--out", sys.argv[2], "--samples", "2",
      "--hr-size", "64", "--workers", "2"], standalone_mode=False)
root(["store", "verify", sys.argv[2]], standalone_mode=False)
"""


@pytest.mark.slow
def test_nothing_of_unix_is_needed(photos: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, photos, tmp_path / "store.zarr"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0 and "is whole" in done.stdout, done.stderr[-2000:]

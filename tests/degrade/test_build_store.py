"""Stores have the same bytes for any executor and after kill -9; bad sources never stop them."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rwsr.degrade import build_store
from rwsr.degrade.config import compose
from rwsr.degrade.errors import UserError
from rwsr.degrade.images import sources
from rwsr.degrade.images.decode import decode
from rwsr.degrade.quality.render_again import render_again
from rwsr.degrade.recipes.mm_realsr import ROLES
from rwsr.degrade.recipes.store_config import GROUPS, StoreConfig, store_preset
from rwsr.degrade.storage.shards.reader import ShardReader
from rwsr.degrade.storage.shards.store import open_store
from rwsr.degrade.tasks import Run
from rwsr.noisebank.bank import NoiseBank
from rwsr.pipelines.executors import runner

Tree = Callable[[Path], dict[str, bytes]]
CONFIG = compose(store_preset("mm-realsr"), hr_size_px=64, num_samples=30, shard_mib=0.05)


def _groups(photos: Path, out: Path, executor: Run, config: StoreConfig = CONFIG) -> int:
    rows = sources.index([photos], out.with_suffix(".index.parquet"), sources.IndexConfig(), executor)
    return build_store.build(out, build_store.plan(config, rows), executor)[1]


@pytest.mark.slow
@pytest.mark.parametrize("executor", [runner(2), runner(2, "local")], ids=["threads", "dask"])
def test_a_store_is_the_same_for_any_executor(photos: Path, tmp_path: Path, tree: Tree, executor: Run) -> None:
    """Serial is the specification: threads and Dask processes give its bytes."""
    assert _groups(photos, tmp_path / "1.zarr", runner(1)) == 30
    assert _groups(photos, tmp_path / "2.zarr", executor) == 30
    assert tree(tmp_path / "1.zarr") == tree(tmp_path / "2.zarr")


@pytest.mark.slow
def test_a_finished_store_is_left_as_it_is(photos: Path, tmp_path: Path) -> None:
    """The second build renders nothing and touches no shard."""
    out = tmp_path / "s.zarr"
    _groups(photos, out, runner(2))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("c/**/*")}
    assert _groups(photos, out, runner(2)) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("c/**/*")} == before


@pytest.mark.slow
def test_a_store_holds_what_its_manifest_says(photos: Path, tmp_path: Path) -> None:
    """HR is the crop of the source at the box, and each sample renders again to the stored bytes."""
    out = tmp_path / "s.zarr"
    _groups(photos, out, runner(2))
    store = open_store(out, GROUPS)
    assert len(store.manifest()) == 30 and store.attributes["members"] == list(ROLES)
    for sample in (0, 13, 29):
        row = store.manifest().slice(sample, 1).to_pylist()[0]
        source = decode((photos / row["source"]).read_bytes()).pixels
        crop = source[row["y"] : row["y"] + 64, row["x"] : row["x"] + 64]
        assert np.array_equal(ShardReader(store, "hr").read([sample])[0], crop)
        assert render_again(store, sample, [], open_bank=NoiseBank.open)[1]


@pytest.mark.slow
def test_samples_are_shared_out_evenly(photos: Path, tmp_path: Path) -> None:
    """30 samples of 4 photographs are 7 or 8 each."""
    _groups(photos, tmp_path / "s.zarr", runner(1))
    names = open_store(tmp_path / "s.zarr", GROUPS).manifest()["source"].to_pylist()
    assert sorted(names.count(name) for name in set(names)) == [7, 7, 8, 8]


@pytest.mark.slow
def test_a_sample_that_was_tampered_with_is_not_equal(photos: Path, tmp_path: Path) -> None:
    """Rendering beside the arrays of another seed says that they differ."""
    _groups(photos, tmp_path / "a.zarr", runner(1))
    _groups(photos, tmp_path / "b.zarr", runner(1), compose(CONFIG, seed=1))
    for name in ("hr", "lr"):
        shutil.rmtree(tmp_path / "a.zarr" / name)
        (tmp_path / "b.zarr" / name).rename(tmp_path / "a.zarr" / name)
    assert not render_again(open_store(tmp_path / "a.zarr", GROUPS), 3, [], open_bank=NoiseBank.open)[1]


@pytest.mark.slow
def test_another_seed_is_another_store(photos: Path, tmp_path: Path) -> None:
    """The seed reaches boxes and degradations; --out of another config is refused."""
    _groups(photos, tmp_path / "a.zarr", runner(1))
    with pytest.raises(UserError, match="seed was 0, now 1"):
        _groups(photos, tmp_path / "a.zarr", runner(1), compose(CONFIG, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("executor", [runner(2), runner(2, "local")], ids=["threads", "dask"])
def test_a_source_that_changed_fails_its_shards_only(photos: Path, tmp_path: Path, tree: Tree, executor: Run) -> None:
    """The error names the file; after mending it, the same build ends with the same bytes."""
    rows = sources.index([photos], tmp_path / "i.parquet", sources.IndexConfig(), runner(1))
    planned = build_store.plan(CONFIG, rows)
    build_store.build(tmp_path / "whole.zarr", planned, runner(1))
    kept = (photos / "d.png").read_bytes()
    (photos / "d.png").write_bytes(kept + b"x")
    with pytest.raises(UserError, match=r"d\.png changed since it was indexed"):
        build_store.build(tmp_path / "s.zarr", planned, executor)
    committed = len(list((tmp_path / "s.zarr/building/commits").iterdir()))
    assert 0 < committed < planned.layout.num_shards
    (photos / "d.png").write_bytes(kept)
    build_store.build(tmp_path / "s.zarr", planned, runner(2))
    assert tree(tmp_path / "s.zarr") == tree(tmp_path / "whole.zarr")


def test_images_smaller_than_the_crop_are_counted(photos: Path, tmp_path: Path) -> None:
    """They are left out of the plan; when none is left, the mend is named."""
    rows = sources.index([photos], tmp_path / "i.parquet", sources.IndexConfig(), runner(1))
    small = build_store.plan(compose(CONFIG, hr_size_px=180), rows).too_small
    assert [row.path for row in small] == ["b.png"]
    with pytest.raises(UserError, match="lower hr_size_px"):
        build_store.plan(compose(CONFIG, hr_size_px=400), rows)


def _command(photos: Path, out: Path) -> list[str]:
    settings = ["--samples", "400", "--hr-size", "64", "--set", "shard_mib=0.05", "--workers", "2"]
    return [sys.executable, "-m", "rwsr", "degrade", "build", "--preset", "mm-realsr"] + [
        *("--source", str(photos), "--out", str(out)),
        *settings,
    ]


@pytest.mark.slow
def test_killed_and_resumed_is_the_same_as_uninterrupted(photos: Path, tmp_path: Path, tree: Tree) -> None:
    """A real process, killed with SIGKILL at several moments of its work, then run to its end."""
    whole, broken = tmp_path / "whole.zarr", tmp_path / "broken.zarr"
    subprocess.run(_command(photos, whole), check=True, capture_output=True)
    killed = 0
    for wanted in (1, 4, 9):
        process = subprocess.Popen(_command(photos, broken), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list(broken.glob("building/commits/*.json"))) < wanted:
            time.sleep(0.002)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed >= 2 and len(list(broken.glob("hr/c.*"))) < len(list(whole.glob("hr/c.*")))
    subprocess.run(_command(photos, broken), check=True, capture_output=True)
    assert tree(broken) == tree(whole)


@pytest.mark.slow
def test_a_full_disk_ends_in_one_line_and_leaves_no_half_file(photos: Path, tmp_path: Path) -> None:
    """A write that the system refuses (here by a limit on file sizes) is named; nothing half-written keeps its name."""
    out = tmp_path / "s.zarr"
    limited = ["bash", "-c", 'ulimit -f 40; exec "$@"', "_", *_command(photos, out)]
    result = subprocess.run(limited, capture_output=True, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert not list(out.rglob("*.partial")) and not list(out.glob("hr/c/*/0/0/0"))

"""What is taken out of a store: PNG folders that other trainers read, and the quality report."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from rwsr.degrade.errors import UserError
from rwsr.degrade.export_store import export
from rwsr.degrade.storage.lock import only_builder
from rwsr.degrade.storage.shards.reader import ShardReader
from rwsr.eval.store_page import measure_store, write_quality
from rwsr.pipelines.executors import runner

from ..builders import tiny_store
from ..commands import rwsr


def test_pairs_become_folders_with_equal_names(photos: Path, tmp_path: Path) -> None:
    """hr/ and lr/ hold the stored pixels; meta_info.txt names each with its shape; the manifest comes along."""
    store, out = tiny_store(photos, tmp_path / "p.zarr", "bicubic"), tmp_path / "png"
    assert export(store, out, runner(2)) == (12, 12)
    for name in ("hr", "lr"):
        files = sorted((out / name).iterdir())
        assert [file.name for file in files] == [f"{i:06d}.png" for i in range(12)]
        stored = ShardReader(store, name).read(range(12)).reshape(12, *np.asarray(Image.open(files[0])).shape)
        assert all(
            np.array_equal(np.asarray(Image.open(file)), image) for file, image in zip(files, stored, strict=True)
        )
    assert (out / "meta_info.txt").read_text().splitlines()[3] == "000003.png (64,64,3)"
    assert (out / "meta_info_lr.txt").read_text().splitlines()[3] == "hr/000003.png, lr/000003.png"
    assert pq.read_table(out / "manifest.parquet").num_rows == 12


@pytest.mark.slow
def test_an_export_goes_on_where_it_stopped(photos: Path, tmp_path: Path) -> None:
    """Only what is missing is written again; a finished one writes nothing."""
    store, out = tiny_store(photos, tmp_path / "g.zarr", "mm-realsr"), tmp_path / "png"
    export(store, out, runner(1))
    shutil.rmtree(out / "worst")
    (out / "hr/000002.png.1.partial").write_bytes(b"x")
    assert export(store, out, runner(1)) == (12, 12) and not list(out.rglob("*.partial"))
    assert export(store, out, runner(1)) == (12, 0)
    assert json.loads((out / "export.json").read_text())["done"] is True


def test_an_export_never_mixes_stores_or_folders(photos: Path, tmp_path: Path) -> None:
    """A folder of another store, or of something else, is refused."""
    store = tiny_store(photos, tmp_path / "p.zarr", "bicubic")
    export(store, tmp_path / "png", runner(1))
    with pytest.raises(UserError, match="export of another store"):
        export(tiny_store(photos, tmp_path / "q.zarr", "bicubic", "seed=1"), tmp_path / "png", runner(1))
    with pytest.raises(UserError, match="is not an empty folder"):
        export(store, photos, runner(1))


@pytest.mark.slow
def test_flagged_groups_are_not_exported(photos: Path, tmp_path: Path) -> None:
    """What readers leave out is left out here too."""
    store = tiny_store(photos, tmp_path / "g.zarr", "mm-realsr", "recipe.order_check=flag", "seed=3")
    names = store.manifest(columns=["disorder"])["disorder"].to_pylist()
    ordered = [f"{i:06d}.png" for i, found in enumerate(names) if not found]
    assert export(store, tmp_path / "png", runner(1))[0] == len(ordered) < 12
    assert sorted(file.name for file in (tmp_path / "png/noisier").iterdir()) == ordered


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["mm-realsr", "bsrgan", "cugan", "bicubic"])
def test_the_report_is_the_same_for_any_number_of_workers(preset: str, photos: Path, tmp_path: Path) -> None:
    """A page and a table, byte for byte; a row for each member of each measured sample."""
    store = tiny_store(photos, tmp_path / "s.zarr", preset)
    pages: list[list[bytes]] = []
    for workers in (1, 2):
        written = write_quality(store, tmp_path / "quality.html", 5, runner(workers))
        pages.append([path.read_bytes() for path in written])
    assert pages[0] == pages[1]
    text = pages[0][0].decode()
    assert "Registration" in text and "ok, but smaller than a crop of 64 px" in text
    assert ("BLURRIER has less fine detail" in text) == (preset == "mm-realsr")
    table = pq.read_table(tmp_path / "quality.parquet")
    assert table.num_rows == 5 * len(store.attributes["members"])


def test_the_measurements_are_those_of_the_images(photos: Path, tmp_path: Path) -> None:
    """Bicubic pairs: all detail, no noise to speak of, no shift."""
    table = measure_store(tiny_store(photos, tmp_path / "p.zarr", "bicubic"), 12, runner(1))
    assert np.median(np.asarray(table["gain"])) > 0.9 and np.asarray(table["registration_error"]).max() < 1e-4


def test_a_file_that_was_cut_is_exported_again(photos: Path, tmp_path: Path) -> None:
    """The second run writes it; while another exports there, it is refused."""
    store = tmp_path / "p.zarr"
    rwsr("degrade", "build", "--preset", "bicubic", "--source", photos, "--out", store, "--hr-size", 64, "--samples", 4)
    out = tmp_path / "png"
    rwsr("store", "export", store, "--out", out)
    whole = (out / "lr/000002.png").read_bytes()
    (out / "lr/000002.png").write_bytes(whole[:100])
    assert "1 were written now" in rwsr("store", "export", store, "--out", out)
    assert (out / "lr/000002.png").read_bytes() == whole
    with only_builder(out):
        assert "in use by another process" in rwsr("store", "export", store, "--out", out, code=1)

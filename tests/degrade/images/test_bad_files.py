"""Whatever lies in a folder, a build goes on: each bad file is a row with a status and a reason; none is missing."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ...pipelines.cli.test_main import rwsr
from . import bad_files

Tree = Callable[[Path], dict[str, bytes]]


def _photos(folder: Path, photos: Path) -> None:
    """The good photographs, sorted before and after the bad files."""
    folder.mkdir()
    for i, path in enumerate(sorted(photos.rglob("*.png"))):
        (folder / f"{'0z'[i % 2]}{i}.png").write_bytes(path.read_bytes())


@pytest.mark.slow
def test_every_bad_file_is_in_the_index_with_a_reason(photos: Path, tmp_path: Path) -> None:
    """Over ninety kinds, by the real command: exit code 3 and one line each."""
    _photos(tmp_path / "folder", photos)
    expected = bad_files.spoil(tmp_path / "folder/bad")
    result = rwsr("sources", "index", tmp_path / "folder", "--out", tmp_path / "i.parquet", "--workers", "2", code=3)
    rows = {row["path"]: row for row in pq.read_table(tmp_path / "i.parquet").to_pylist()}
    assert len(expected) >= 80 and len(rows) == len(expected) + 4
    wrong = {
        name: (rows[f"bad/{name}"]["status"], rows[f"bad/{name}"]["reason"])
        for name, statuses in expected.items()
        if rows[f"bad/{name}"]["status"] not in statuses or not rows[f"bad/{name}"]["reason"]
    }
    assert wrong == {}
    # libpng itself speaks of a PNG whose checksums are right and whose content is wrong
    lines = [line for line in result.stderr.splitlines() if not line.startswith("libpng error: ")]
    assert len(lines) == len(expected) and all(line.startswith("left out: ") for line in lines)


@pytest.mark.slow
def test_a_bank_is_the_same_with_and_without_bad_files(photos: Path, tmp_path: Path, tree: Tree) -> None:
    """The patches are those of the good photographs; the bad ones are counted."""
    _photos(tmp_path / "clean", photos)
    _photos(tmp_path / "dirty", photos)
    bad_files.spoil(tmp_path / "dirty/bad")
    build = ("noisebank", "build", "--size", "16", "--target")
    rwsr(*build, tmp_path / "clean", "--out", tmp_path / "clean.zarr")
    said = rwsr(*build, tmp_path / "dirty", "--out", tmp_path / "dirty.zarr", "--json", code=3)
    assert json.loads(said.stdout)["counts"]["ok"] == 4 and json.loads(said.stdout)["counts"]["not-an-image"] > 10
    assert tree(tmp_path / "clean.zarr") == tree(tmp_path / "dirty.zarr")


@pytest.mark.slow
def test_links_out_of_the_folder_are_followed_when_told(photos: Path, tmp_path: Path) -> None:
    """Off, the link is a row; on, the photographs behind it are."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a.png").write_bytes((photos / "a.png").read_bytes())
    (tmp_path / "folder/linked").symlink_to(photos)
    index = ("sources", "index", tmp_path / "folder", "--out", tmp_path / "i.parquet")
    assert f"links to {photos}, outside of" not in rwsr(*index, "--follow-links", code=3).stderr
    assert len(pq.read_table(tmp_path / "i.parquet")) == 5
    assert f"links to {photos}; name that folder too" in rwsr(*index, code=3).stderr
    assert pq.read_table(tmp_path / "i.parquet")["status"].to_pylist() == ["ok", "outside"]


@pytest.mark.slow
def test_a_folder_of_nothing_but_bad_files_is_an_error(tmp_path: Path) -> None:
    """One line each, and one that says that nothing is left."""
    bad_files.spoil(tmp_path / "bad")
    said = rwsr("noisebank", "build", "--target", tmp_path / "bad", "--out", tmp_path / "b.zarr", code=1)
    assert said.stderr.splitlines()[-1].startswith("error: no image is as large as a tile of 256 px")
    assert not (tmp_path / "b.zarr").exists()


@pytest.mark.slow
def test_max_pixels_is_the_limit(photos: Path, tmp_path: Path) -> None:
    """Lowered, larger photographs are left out by name; the bank is built of the others."""
    build = ("noisebank", "build", "--target", photos, "--size", "16", "--out", tmp_path / "b.zarr")
    said = rwsr(*build, "--max-pixels", "50000", code=3).stderr
    assert "left out: too-large" in said and "raise --max-pixels" in said

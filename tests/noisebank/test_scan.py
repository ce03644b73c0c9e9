"""A scan keeps what it measured of unchanged images, and is the same bytes as one that starts from nothing."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from rwsr.degrade.errors import UserError
from rwsr.degrade.images.listing import IndexConfig
from rwsr.degrade.images.rows import SourceRow
from rwsr.noisebank.scan import scan
from rwsr.noisebank.set_scan import ScanConfig
from rwsr.noisebank.tiles import TileGrid
from rwsr.pipelines.executors import runner

from ..conftest import scene

Tree = Callable[[Path], dict[str, bytes]]
CONFIG = ScanConfig(grids=(TileGrid(size=32, stride=32), TileGrid(size=16, stride=16)))


def _scan(photos: Path, out: Path, config: ScanConfig = CONFIG) -> list[SourceRow]:
    return scan(out, [photos], [], config, IndexConfig(), runner(2))[1]


def _spoil(path: Path) -> None:
    """Other bytes of the same size and time: whoever reads the file again finds it damaged."""
    state = path.stat()
    path.write_bytes(b"x" * state.st_size)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def _more(photos: Path) -> None:
    Image.fromarray(scene(9, 200, 200)).save(photos / "aa.png")


def _changed(photos: Path) -> None:
    Image.fromarray(scene(8, 160, 170)).save(photos / "b.png")


def _fewer(photos: Path) -> None:
    (photos / "a.png").unlink()


def _copied(photos: Path) -> None:
    shutil.copy(photos / "d.png", photos / "below/a-copy.png")


def _damaged(photos: Path) -> None:
    (photos / "c.png").write_bytes(b"no image")


@pytest.mark.parametrize("change", [_more, _changed, _fewer, _copied, _damaged])
def test_a_scan_of_changed_folders_is_as_one_from_nothing(
    photos: Path, tmp_path: Path, tree: Tree, change: Callable[[Path], None]
) -> None:
    """Images that came, changed, went, were copied or are no images: the same tables, to the byte."""
    _scan(photos, tmp_path / "scan")
    change(photos)
    _scan(photos, tmp_path / "scan")
    _scan(photos, tmp_path / "new")
    assert tree(tmp_path / "scan") == tree(tmp_path / "new")


def test_a_scan_is_not_made_among_other_things(photos: Path, tmp_path: Path) -> None:
    """A folder of photographs, say; one that holds a scan goes on."""
    with pytest.raises(UserError, match=r"holds what is no scan \('.*'\); name another --out"):
        _scan(photos, photos)
    _scan(photos, tmp_path / "scan")
    _scan(photos, tmp_path / "scan")


def test_unchanged_images_are_not_read_again(photos: Path, tmp_path: Path) -> None:
    """An image that came is measured; the others, spoilt without their size and time, would be named."""
    _scan(photos, tmp_path / "scan")
    for name in ("a.png", "b.png", "below/c.png", "d.png"):
        _spoil(photos / name)
    _more(photos)
    rows = _scan(photos, tmp_path / "scan")
    assert [row.status for row in rows] == ["ok"] * 5


def test_an_original_that_goes_leaves_its_copy(photos: Path, tmp_path: Path, tree: Tree) -> None:
    """A duplicate has no tiles in the table: they are measured when it becomes the first of its kind."""
    shutil.copy(photos / "a.png", photos / "z.png")
    _scan(photos, tmp_path / "scan")
    (photos / "a.png").unlink()
    rows = _scan(photos, tmp_path / "scan")
    _scan(photos, tmp_path / "new")
    assert {row.path: row.status for row in rows}["z.png"] == "ok"
    assert tree(tmp_path / "scan") == tree(tmp_path / "new")


def test_other_grids_are_measured_anew(photos: Path, tmp_path: Path, tree: Tree) -> None:
    """Fewer are there already while the files are the same; with other files the scan has those that are asked for."""
    fewer = ScanConfig(grids=CONFIG.grids[:1])
    _scan(photos, tmp_path / "scan")
    before = tree(tmp_path / "scan")
    _scan(photos, tmp_path / "scan", fewer)
    assert tree(tmp_path / "scan") == before
    _more(photos)
    _scan(photos, tmp_path / "scan", fewer)
    _scan(photos, tmp_path / "new", fewer)
    assert tree(tmp_path / "scan") == tree(tmp_path / "new")

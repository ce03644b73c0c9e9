"""Every file below a folder is a row: usable, or with the reason why not."""

import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from rwsr.degrade.errors import UserError
from rwsr.degrade.images import sources
from rwsr.degrade.images.listing import IndexConfig
from rwsr.degrade.images.rows import SourceRow
from rwsr.degrade.tasks import Run
from rwsr.pipelines.console import printable
from rwsr.pipelines.executors import runner

CONFIG, SERIAL = IndexConfig(), runner(1)


def spoil(folder: Path) -> dict[str, str]:
    """Put bad files among the photographs; gives back the status that each must get."""
    whole = (folder / "a.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("I am no image")
    (folder / "nothing.jpg").write_bytes(b"")
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.new("F", (100, 100)).save(folder / "float.tif")
    os.symlink(folder / "gone.png", folder / "dangling.png")
    os.mkfifo(folder / "pipe.png")
    shutil.copy(folder / "a.png", folder / "z-copy.png")
    Image.new("L", (20_000, 20_000)).save(folder / "bomb.png")
    return {
        "cut.png": "damaged",
        "text.png": "not-an-image",
        "nothing.jpg": "empty",
        "dot.png": "too-small",
        "float.tif": "unsupported-mode",
        "dangling.png": "unreadable",
        "pipe.png": "unreadable",
        "z-copy.png": "duplicate",
        "bomb.png": "too-large",
    }


def _index(folder: Path, out: Path, config: IndexConfig = CONFIG, executor: Run = SERIAL) -> list[SourceRow]:
    return sources.index([folder], out, config, executor)


@pytest.mark.slow
def test_bad_files_are_rows_with_a_status(photos: Path, tmp_path: Path) -> None:
    """Nine kinds of bad file are named in the table; the four photographs stay usable."""
    expected = spoil(photos) | dict.fromkeys(("a.png", "b.png", "below/c.png", "d.png"), "ok")
    out = tmp_path / "index.parquet"
    _index(photos, out)
    table = pq.read_table(out).to_pylist()
    assert {row["path"]: row["status"] for row in table} == expected
    assert all(row["reason"] and "\n" not in row["reason"] for row in table if row["status"] != "ok")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_unreadable(photos: Path, tmp_path: Path) -> None:
    """The system's refusal is the reason."""
    (photos / "a.png").chmod(0)
    row = next(row for row in _index(photos, tmp_path / "i.parquet") if row.path == "a.png")
    assert row.status == "unreadable" and "Permission" in row.reason


def test_the_order_is_that_of_the_names(photos: Path, tmp_path: Path) -> None:
    """Sorted paths, however the file system lists them and however many workers look."""
    one = _index(photos, tmp_path / "1.parquet")
    two = _index(photos, tmp_path / "2.parquet", executor=runner(2))
    assert [row.path for row in one] == ["a.png", "b.png", "below/c.png", "d.png"] and one == two


def test_odd_names_are_no_trouble(photos: Path, tmp_path: Path) -> None:
    """Spaces, line breaks, emoji, 200 letters, and bytes that are no UTF-8: a row each, printable on one line."""
    data = (photos / "a.png").read_bytes()
    for i, name in enumerate(("a b.png", "line\nbreak.png", "\U0001f4f7.png", "x" * 200 + ".png")):
        (photos / name).write_bytes(data + bytes(i + 1))
    (photos / os.fsdecode(b"latin-\xe9.png")).write_bytes(data)
    rows = _index(photos, tmp_path / "i.parquet")
    bad = [row for row in rows if row.status != "ok"]
    assert len(rows) == 9 and [row.reason for row in bad] == ["its name is not UTF-8; rename it"]
    assert "\n" not in "".join(printable(row.file) for row in rows)


def test_a_folder_named_twice_counts_once(photos: Path, tmp_path: Path) -> None:
    """And a folder inside another adds duplicates only, which are marked."""
    twice = sources.index([photos, photos / "below/.."], tmp_path / "1.parquet", CONFIG, SERIAL)
    nested = sources.index([photos, photos / "below"], tmp_path / "2.parquet", CONFIG, SERIAL)
    assert len(twice) == 4 and sorted(row.status for row in nested) == ["duplicate", "ok", "ok", "ok", "ok"]


def test_a_circle_of_links_ends(photos: Path, tmp_path: Path) -> None:
    """A folder that links to its own parent is walked once."""
    os.symlink(photos, photos / "below" / "again")
    assert len(_index(photos, tmp_path / "i.parquet")) == 4


def test_an_unchanged_file_is_not_read_again(photos: Path, tmp_path: Path) -> None:
    """A second index takes over what has the same size and time, and reads what changed."""
    out = tmp_path / "i.parquet"
    first = {row.path: row for row in _index(photos, out)}
    state = (photos / "b.png").stat()
    junk = b"x" * state.st_size
    (photos / "b.png").write_bytes(junk)  # the same size, and below the same time: must not be noticed
    os.utime(photos / "b.png", ns=(state.st_atime_ns, state.st_mtime_ns))
    (photos / "d.png").write_bytes(b"changed")
    second = {row.path: row for row in _index(photos, out)}
    assert second["a.png"] == first["a.png"] and second["b.png"] == first["b.png"]
    assert second["d.png"].status == "not-an-image"


def test_another_config_reads_everything_again(photos: Path, tmp_path: Path) -> None:
    """What was large enough under one limit need not be under another."""
    out = tmp_path / "i.parquet"
    _index(photos, out)
    rows = _index(photos, out, IndexConfig(min_side_px=170))
    assert {row.path: row.status for row in rows}["b.png"] == "too-small"


@pytest.mark.parametrize(("name", "says"), [("nowhere", "is not a folder"), ("empty", "no image below")])
def test_a_wrong_folder_is_named(photos: Path, tmp_path: Path, name: str, says: str) -> None:
    """A missing folder and one without images are different mistakes, also beside a good one."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=says):
        _index(tmp_path / name, tmp_path / "i.parquet")
    with pytest.raises(UserError, match=f"{tmp_path / name} {says}|{says} {tmp_path / name}"):
        sources.listed([photos, tmp_path / name], IndexConfig())


def test_usable_sources_are_ordered_by_content(photos: Path, tmp_path: Path) -> None:
    """Renaming a file leaves the order, and is another set, as manifests name files; moving the folder is not."""
    before = _index(photos, tmp_path / "1.parquet")
    (photos / "a.png").rename(photos / "zz.png")
    after = _index(photos, tmp_path / "2.parquet")
    assert [r.sha256 for r in sources.usable(before)] == [r.sha256 for r in sources.usable(after)]
    assert sources.sources_sha256(before) != sources.sources_sha256(after)
    photos.rename(tmp_path / "moved")
    moved = _index(tmp_path / "moved", tmp_path / "3.parquet")
    assert sources.sources_sha256(moved) == sources.sources_sha256(after)

"""Rows of an index are a sequence like a list of them, in memory or on the disk; their order by content is exact."""

import gc
import hashlib
import pickle
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rwsr.degrade.images import rows as rows_module
from rwsr.degrade.images import sources
from rwsr.degrade.images.listing import IndexConfig, listed
from rwsr.degrade.images.rows import Rows, SourceRow, concat
from rwsr.degrade.tasks import Outcome

COUNT = 300


@pytest.fixture(params=["memory", "disk"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 7 rows, of which 4 may stay in memory, sorted by up to 16 of them; or the usual."""
    if request.param == "disk":
        for name, value in (("_BATCH", 7), ("_IN_MEMORY", 28), ("_AT_ONCE", 16)):
            monkeypatch.setattr(rows_module, name, value)


def _some() -> list[SourceRow]:
    """A third of them are not usable; some have the content of another, a few all that of one."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(COUNT):
        content = int(rng.integers(0, 200)) if i % 5 else 1
        sha256 = hashlib.sha256(str(content).encode()).hexdigest()
        status = ("ok", "ok", "damaged")[int(rng.integers(3))]
        found.append(SourceRow("/r", f"{i:04d}.png", sha256, i, i, "PNG", "RGB", i + 1, 2 * i, status=status))
    return found


def _mapped() -> int:
    return Path("/proc/self/maps").read_text().count("rwsr-rows-")


def test_they_are_a_sequence(few: None) -> None:
    expected = _some()
    rows = Rows.of(iter(expected))
    assert len(rows) == COUNT and list(rows) == expected and rows == expected and rows != expected[1:]
    assert [rows[i] for i in (0, 6, 7, COUNT - 1, -1)] == [expected[i] for i in (0, 6, 7, COUNT - 1, -1)]
    assert rows[5:23] == expected[5:23] and not rows[9:9] and rows[-3:] == expected[-3:]
    for beyond in (COUNT, -COUNT - 1):
        with pytest.raises(IndexError):
            rows[beyond]
    assert pickle.loads(pickle.dumps(rows)) == expected and Rows.of(rows) is rows
    assert not Rows() and len(Rows.of([])) == 0 and list(concat([rows[:3], [], expected[3:5]])) == expected[:5]
    assert rows.numbers("width").tolist() == [row.width for row in expected]


def test_some_of_them_are_chosen_in_their_order(few: None) -> None:
    expected = _some()
    rows = Rows.of(expected)
    assert rows.where([row.width % 3 == 0 for row in expected]) == [row for row in expected if row.width % 3 == 0]
    assert rows.with_status("damaged") == [row for row in expected if row.status == "damaged"]
    assert len(rows.where([False] * COUNT)) == 0


def test_they_are_sorted_by_content_as_python_does(few: None) -> None:
    """Those of one content in their order; a hash that is none is kept too."""
    expected = [*_some(), replace(_some()[0], sha256="zz", status="ok"), replace(_some()[0], sha256="", status="ok")]
    good = sorted((row for row in expected if row.status == "ok"), key=lambda row: row.sha256)
    assert sources.usable(Rows.of(expected)) == good
    digest = hashlib.sha256("".join(f"{row.sha256} {row.path}\n" for row in good).encode()).hexdigest()
    assert sources.sources_sha256(expected) == digest


def test_the_first_of_a_content_is_the_one_that_counts(few: None) -> None:
    expected, first = [], {}
    for row in _some():
        original = first.setdefault(row.sha256, row) if row.status == "ok" else row
        if original is not row:
            row = replace(row, status="duplicate", reason=f"same bytes as {original.file}")
        expected.append(row)
    assert sum(row.status == "duplicate" for row in expected) > 50
    assert sources.mark_duplicates(_some()) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="it looks at the maps of the process")
def test_their_file_has_no_name_and_goes_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "_IN_MEMORY", 28)
    monkeypatch.setattr(rows_module, "_BATCH", 7)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = _mapped()
    rows = Rows.of(_some())
    part = rows[10:20]
    assert _mapped() > before and not list(tmp_path.iterdir())
    del rows
    assert part == _some()[10:20]
    del part
    gc.collect()
    assert _mapped() == before


def test_they_are_written_and_read(few: None, tmp_path: Path) -> None:
    sources.write(tmp_path / "i.parquet", _some(), IndexConfig())
    assert sources.read(tmp_path / "i.parquet") == _some()


def test_files_come_by_their_paths_and_are_taken_in_that_order(photos: Path, tmp_path: Path, few: None) -> None:
    """Folders whose names go on as those of files do; whatever order they are looked at in."""
    for name in ("a.png", "a/b.png", "a-b/c.png", "a/a/z.png", "a0/x.png", "A/y.png", "a/b/c.png", "b.png"):
        file = tmp_path / "set" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes((photos / "a.png").read_bytes() + name.encode())
    config = IndexConfig()
    paths = [row.path for row in listed([tmp_path / "set"], config)]
    assert paths == sorted(path.relative_to(tmp_path / "set").as_posix() for path in (tmp_path / "set").rglob("*.png"))

    def backwards(function: object, tasks: object) -> Iterator[Outcome]:  # type: ignore[type-arg]
        for task in reversed(list(tasks)):  # type: ignore[call-overload]
            yield Outcome(task, function(task))  # type: ignore[operator]

    once = sources.index([tmp_path / "set"], tmp_path / "a.parquet", config)
    assert [row.path for row in once] == paths and {row.status for row in once} == {"ok"}
    (tmp_path / "set/a/new.png").write_bytes((photos / "a.png").read_bytes())
    (tmp_path / "set/b.png").unlink()
    again = sources.index([tmp_path / "set"], tmp_path / "a.parquet", config, backwards)  # type: ignore[arg-type]
    assert again == sources.index([tmp_path / "set"], tmp_path / "b.parquet", config)
    assert [row.path for row in again] == sorted([*paths[:-1], "a/new.png"])


def test_what_is_unchanged_is_not_read_again(tmp_path: Path, few: None) -> None:
    """By place, size and time, whatever order the earlier index has; what only the others made of it is forgotten."""
    old = [replace(row, status="duplicate", reason="as b") if row.status == "damaged" else row for row in _some()]
    old[4] = replace(old[4], status="too-small", reason="as it is")
    old[5] = replace(old[5], sha256="", status="unreadable")
    sources.write(tmp_path / "i.parquet", old[::-1], IndexConfig())
    now = [SourceRow("/r", row.path, bytes=row.bytes, modified_ns=row.modified_ns) for row in old]
    now[7] = replace(now[7], modified_ns=99999)
    known, at = sources.unchanged(Rows.of(now), tmp_path / "i.parquet", IndexConfig())
    assert np.flatnonzero(at < 0).tolist() == [5, 7]
    for number, found in enumerate(at.tolist()):
        if found >= 0:
            kept = sources.as_alone(known[found])
            assert kept == replace(old[number], status=kept.status, reason=kept.reason)
            assert (kept.status, kept.reason) == (("too-small", "as it is") if number == 4 else ("ok", ""))

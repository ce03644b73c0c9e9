"""A store made larger by the command that built it, with more samples: the first ones stay, byte for byte."""

from pathlib import Path

import numpy as np
import pytest

from rwsr.degrade import build_store, fill_store
from rwsr.degrade.config import compose
from rwsr.degrade.errors import StoreError, UserError
from rwsr.degrade.fill_store import as_grown
from rwsr.degrade.images import sources
from rwsr.degrade.images.rows import Rows
from rwsr.degrade.recipes.store_config import StoreConfig, store_preset
from rwsr.degrade.storage import location
from rwsr.degrade.storage.shards.inspect import problems
from rwsr.degrade.storage.shards.reader import ShardReader
from rwsr.degrade.storage.shards.store import Store
from rwsr.degrade.storage.shards.verify import digest
from rwsr.degrade.tasks import serial

from ..commands import rwsr
from .pairs.trees import TREES

CONFIG = compose(
    store_preset("bicubic"), hr_size_px=64, num_samples=10, shard_mib=0.05
)  # shards of four: the last has two


@pytest.fixture
def rows(photos: Path, tmp_path: Path) -> Rows:
    return sources.index([photos], tmp_path / "index.parquet", sources.IndexConfig())


def _build(out: Path, rows: Rows, config: StoreConfig) -> tuple[Store, int]:
    return build_store.build(out, build_store.plan(as_grown(out, config), rows))


def _more(count: int) -> StoreConfig:
    return compose(CONFIG, num_samples=count)


def _held(store: Store, count: int) -> tuple[np.ndarray, np.ndarray, list[object]]:
    samples = list(range(count))
    return (
        ShardReader(store, "hr").read(samples),
        ShardReader(store, "lr").read(samples),
        store.manifest().slice(0, count).to_pylist(),
    )


@pytest.mark.slow
def test_the_first_samples_stay_and_only_what_comes_is_rendered(rows: Rows, tmp_path: Path) -> None:
    """Twice; each source serves its share of what comes; the same command again does nothing."""
    before = _held(_build(tmp_path / "a.zarr", rows, CONFIG)[0], 10)
    store, rendered = _build(tmp_path / "a.zarr", rows, _more(19))
    assert rendered == 11 and store.layout.num_samples == 19  # nine, and two of the shard that had room
    for a, b in zip(before, _held(store, 10), strict=True):
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
    assert not problems(tmp_path / "a.zarr", serial) and _build(tmp_path / "a.zarr", rows, _more(19))[1] == 0
    again, _ = _build(tmp_path / "a.zarr", rows, _more(30))
    assert StoreConfig.model_validate(again.provenance.values).grown_from == (10, 19)
    for a, b in zip(before, _held(again, 10), strict=True):
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
    names = [row["source"] for row in again.manifest().to_pylist()]
    counts = [{name: names[a:b].count(name) for name in set(names)} for a, b in ((0, 10), (10, 19), (19, 30))]
    assert all(max(of.values()) - min(of.values()) <= 1 for of in counts)


def test_it_is_the_store_that_its_config_builds_at_once(rows: Rows, tmp_path: Path) -> None:
    """Where somebody else builds by the config that it carries; one that has not grown says nothing of it."""
    first, _ = _build(tmp_path / "a.zarr", rows, CONFIG)
    assert "grown_from" not in first.provenance.config
    grown, _ = _build(tmp_path / "a.zarr", rows, _more(19))
    config = StoreConfig.model_validate(grown.provenance.values)
    at_once, _ = build_store.build(tmp_path / "b.zarr", build_store.plan(config, rows))
    assert digest(at_once) == digest(grown)


@pytest.mark.slow
def test_it_may_be_killed_anywhere_on_the_way(rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each file that is written: the same command ends at the same store."""
    _build(tmp_path / "whole.zarr", rows, CONFIG)
    wanted = digest(_build(tmp_path / "whole.zarr", rows, _more(15))[0])
    write, stops = location.write, 0
    for stop in range(100):
        out = tmp_path / f"{stop}.zarr"
        _build(out, rows, CONFIG)
        written = 0

        def dies(path: Path, data: bytes, stop: int = stop) -> None:
            nonlocal written
            written += 1
            if written > stop:
                raise KeyboardInterrupt
            write(path, data)

        monkeypatch.setattr(location, "write", dies)
        try:
            _build(out, rows, _more(15))
            break
        except KeyboardInterrupt:
            stops += 1
        finally:
            monkeypatch.setattr(location, "write", write)
        assert digest(_build(out, rows, _more(15))[0]) == wanted, stop
    assert stops > 8


def test_one_that_grows_out_of_its_shards_is_told_of_them(
    rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps them, where one that is begun as large has fewer."""
    for module in ("fill_store", "storage.shards.layout"):
        monkeypatch.setattr(f"rwsr.degrade.{module}.MOST_SHARDS", 3)
    said: list[str] = []
    monkeypatch.setattr(fill_store, "say", said.append)
    store, _ = _build(tmp_path / "a.zarr", rows, CONFIG)
    assert (store.layout.num_shards, store.layout.samples_per_shard) == (3, 4) and not said
    assert _build(tmp_path / "a.zarr", rows, _more(19))[0].layout.samples_per_shard == 4
    [line] = said
    assert line.startswith("note: a store that began with 10 samples has shards of 4, and keeps them: 5 files of each")
    large, _ = _build(tmp_path / "b.zarr", rows, _more(19))
    assert large.layout.samples_per_shard == 8 and len(said) == 1


def test_its_manifest_may_become_several_files(rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of twelve rows each: one holds ten samples and not nineteen; nothing of what was is left."""
    monkeypatch.setattr("rwsr.degrade.storage.shards.layout._ROWS_PER_MANIFEST", 12)
    out = tmp_path / "a.zarr"
    before = _build(out, rows, CONFIG)[0].manifest()
    assert (out / "manifest.parquet").is_file()
    grown, _ = _build(out, rows, _more(19))
    assert sorted(path.name for path in out.glob("manifest*")) == ["manifest-0000.parquet", "manifest-0001.parquet"]
    assert grown.manifest().slice(0, 10).to_pylist() == before.to_pylist() and not problems(out, serial)


def test_what_cannot_grow_is_told(rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _build(tmp_path / "a.zarr", rows, CONFIG)
    with pytest.raises(StoreError, match="num_samples was 10, now 9"):
        _build(tmp_path / "a.zarr", rows, _more(9))
    with pytest.raises(StoreError, match="holds a build of another config"):
        _build(tmp_path / "a.zarr", rows, compose(_more(20), seed=1))
    with pytest.raises(UserError, match=r"grown_from = \[10, 10\] does not rise to num_samples = 12"):
        compose(_more(12), grown_from=[10, 10])

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fill_store, "render_missing", dies)
    with pytest.raises(KeyboardInterrupt):
        _build(tmp_path / "b.zarr", rows, CONFIG)
    monkeypatch.undo()
    with pytest.raises(StoreError, match="is unfinished; build it with --samples 10 first, and then with more"):
        _build(tmp_path / "b.zarr", rows, _more(20))


@pytest.mark.slow
def test_both_kinds_grow_by_the_command(photos: Path, tmp_path: Path) -> None:
    build = ("degrade", "build", "--preset", "mm-realsr", "--source", photos, "--out", tmp_path / "g.zarr",
             "--hr-size", 64, "--set", "shard_mib=0.1", "--samples")  # fmt: skip
    rwsr(*build, 6)
    assert "rendered" in rwsr(*build, 9) and "holds 9" in rwsr(*build, 9)
    TREES["folders"][0](tmp_path / "set")
    pairs = ("pairs", "build", "--source", tmp_path / "set", "--out", tmp_path / "p.zarr", "--hr-size", 64, "--samples")
    rwsr(*pairs, 3)
    assert "holds 8" in rwsr(*pairs, 8)
    assert "all pairs were there already" in rwsr(*pairs, 8)
    for name in ("g.zarr", "p.zarr"):
        assert "is whole" in rwsr("store", "verify", tmp_path / name)

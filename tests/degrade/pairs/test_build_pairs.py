"""Stores of real pairs: what is cut is what the files hold, at one place; the same whoever builds, however often."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from rwsr.degrade import fill_store
from rwsr.degrade.config import compose
from rwsr.degrade.errors import StoreError, UserError
from rwsr.degrade.images.read import read_source
from rwsr.degrade.pairs.build_pairs import PairPlan, build_pairs, pairs_preset, plan_pairs
from rwsr.degrade.pairs.listing import PairFiles, list_pairs
from rwsr.degrade.pairs.shifts import shifts_of
from rwsr.degrade.quality.render_again import render_again
from rwsr.degrade.recipes.store_config import PAIRS
from rwsr.degrade.storage.shards.reader import ShardReader
from rwsr.degrade.storage.shards.store import Store, open_store
from rwsr.degrade.storage.shards.verify import digest
from rwsr.degrade.storage.shards.writer import ShardWriter
from rwsr.degrade.tasks import threads
from rwsr.noisebank.bank import NoiseBank

from .trees import TREES, photograph, save, smaller

SMALL = ("hr_size_px=64", "shard_mib=0.05")


def _plan(tmp_path: Path, folder: Path, *sets: str, num_samples: int = 12) -> PairPlan:
    listed = list_pairs(PairFiles([folder]), tmp_path / "index.parquet")
    config = compose(pairs_preset(listed.scale), sets=[*SMALL, *sets], num_samples=num_samples)
    return plan_pairs(config, listed.pairs)


def _stored(store: Store) -> tuple[np.ndarray, np.ndarray, list[dict[str, object]]]:
    samples = list(range(store.layout.num_samples))
    return ShardReader(store, "hr").read(samples), ShardReader(store, "lr").read(samples), store.manifest().to_pylist()


def test_samples_are_what_the_files_hold_at_one_place(tmp_path: Path) -> None:
    TREES["folders"][0](tmp_path / "set")
    store, cut = build_pairs(tmp_path / "a.zarr", _plan(tmp_path, tmp_path / "set"))
    hr, lr, rows = _stored(store)
    assert cut == 12 and hr.shape == (12, 64, 64, 3) and lr.shape == (12, 1, 32, 32, 3)
    assert {row["source"] for row in rows} == {"hr/000001.png", "hr/000002.png"}
    places = set()
    for i, row in enumerate(rows):
        big = read_source(tmp_path / "set", row["source"], row["source_sha256"])
        small = read_source(tmp_path / "set", row["lr_source"], row["lr_sha256"])
        y, x = row["lr_y"], row["lr_x"]
        assert (row["y"], row["x"]) == (2 * y, 2 * x) and Path(row["source"]).name == Path(row["lr_source"]).name
        assert np.array_equal(hr[i], big[2 * y : 2 * y + 64, 2 * x : 2 * x + 64])
        assert np.array_equal(lr[i, 0], small[y : y + 32, x : x + 32])
        assert abs(row["shift_y"]) < 0.1 and abs(row["shift_x"]) < 0.1 and row["similarity"] > 0.95
        assert render_again(store, i, [], open_bank=NoiseBank.open)[1]
        places.add((row["source"], y, x))
    assert len(places) > 8
    assert open_store(tmp_path / "a.zarr", PAIRS).attributes["scale"] == 2


def test_any_number_of_workers_and_interruptions_make_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TREES["folders"][0](tmp_path / "set")
    planned = _plan(tmp_path, tmp_path / "set")
    whole = digest(build_pairs(tmp_path / "a.zarr", planned)[0])
    assert digest(build_pairs(tmp_path / "b.zarr", planned, threads(2))[0]) == whole
    once = fill_store.shard_writer

    def dies_at_the_third(store: Store, shard: int) -> AbstractContextManager[ShardWriter]:
        if shard == 2:
            raise KeyboardInterrupt
        return once(store, shard)

    monkeypatch.setattr(fill_store, "shard_writer", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        build_pairs(tmp_path / "c.zarr", planned)
    monkeypatch.undo()
    store, cut = build_pairs(tmp_path / "c.zarr", planned)
    assert 0 < cut < 12 and digest(store) == whole
    assert build_pairs(tmp_path / "c.zarr", planned)[1] == 0


def _displaced(folder: Path, moves: Sequence[tuple[int, int]]) -> None:
    """LR that shows what lies (y, x) HR pixels further."""
    for i, (y, x) in enumerate(moves):
        wide = photograph(i, 240, 240)
        save(folder / f"hr/{i}.png", wide[20:212, 20:212])
        save(folder / f"lr/{i}.png", smaller(wide[20 + y : 212 + y, 20 + x : 212 + x], 2))


def test_lr_that_lies_elsewhere_is_told_and_brought_back(tmp_path: Path) -> None:
    """As measured: a warning. By shift: HR is taken that much further, at a border LR so far inside that HR has it too,
    and what is left is next to nothing.
    """
    _displaced(tmp_path / "set", [(6, -4), (0, 0)])
    told = shifts_of(build_pairs(tmp_path / "a.zarr", _plan(tmp_path, tmp_path / "set"))[0])
    assert told.num_far == 6 and told.far == "lr/0.png" and told.most == pytest.approx(np.hypot(6, 4), abs=0.2)
    assert "more than half an LR pixel apart: 6 (most of lr/0.png)" in told.lines[1]
    planned = _plan(tmp_path, tmp_path / "set", "recipe.align=shift")
    store, _ = build_pairs(tmp_path / "b.zarr", planned)
    hr, lr, rows = _stored(store)
    left = shifts_of(store)
    assert left.num_far == 0 and left.most is not None and left.most < 0.5
    assert any(row["x"] == 0 or row["y"] == 128 for row in rows)  # some lie at the border of HR
    for i in range(len(rows)):
        apart = np.abs(smaller(hr[i], 2).astype(int) - lr[i, 0].astype(int)).mean()
        assert apart < 2, (i, rows[i])
        assert render_again(store, i, [], open_bank=NoiseBank.open)[1]


def test_files_of_two_scenes_are_told(tmp_path: Path) -> None:
    for i in range(2):
        save(tmp_path / f"set/hr/{i}.png", photograph(i))
        save(tmp_path / f"set/lr/{i}.png", smaller(photograph(i + 10 * i), 2))
    found = shifts_of(build_pairs(tmp_path / "a.zarr", _plan(tmp_path, tmp_path / "set"))[0])
    assert found.num_unlike == 6 and found.unlike == "lr/1.png"
    assert "LR is like no part of HR nearby: 6 (most of lr/1.png)" in " ".join(found.lines)


def test_what_cannot_be_built_is_told(tmp_path: Path) -> None:
    TREES["folders"][0](tmp_path / "set")
    with pytest.raises(UserError, match="none of 2 pairs has an LR of at least 64 px"):
        _plan(tmp_path, tmp_path / "set", "hr_size_px=128")
    with pytest.raises(UserError, match="source_scales and pad_small are for degraded images"):
        _plan(tmp_path, tmp_path / "set", "pad_small=true")
    listed = list_pairs(PairFiles(hr=tmp_path / "set/lr", lr=tmp_path / "set/hr"), tmp_path / "index.parquet")
    with pytest.raises(UserError, match="no pair is left for scale 1 .* are HR and LR exchanged"):
        plan_pairs(pairs_preset(listed.scale), listed.pairs)
    planned = _plan(tmp_path, tmp_path / "set")
    build_pairs(tmp_path / "a.zarr", planned)
    with pytest.raises(StoreError, match="holds a build of another config"):
        build_pairs(tmp_path / "a.zarr", _plan(tmp_path, tmp_path / "set", num_samples=13))
    save(tmp_path / "set/lr/000001.png", photograph(9)[:48, :64])
    with pytest.raises(UserError, match="changed since it was indexed"):
        build_pairs(tmp_path / "b.zarr", planned)

"""Stores of others: what their metadata say is what was committed, and no name in them leads out of a folder."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from rwsr.degrade.build_store import open_samples
from rwsr.degrade.errors import StoreError
from rwsr.degrade.quality.render_again import _find_source
from rwsr.degrade.storage import tables
from rwsr.degrade.storage.shards.verify import digest
from rwsr.eval.images.sets import of_store
from rwsr.train.data.batches import StoredGroups
from rwsr.train.data.datasets import GroupDataset

from ...commands import rwsr
from ...conftest import scene


@pytest.fixture
def store(photos: Path, tmp_path: Path) -> Path:
    """Four pairs."""
    out = tmp_path / "pairs.zarr"
    rwsr("degrade", "build", "--preset", "bicubic", "--source", photos, "--out", out, "--hr-size", 64, "--samples", 4)
    return out


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs of one photograph, for tests that copy what they break."""
    root = tmp_path_factory.mktemp("built")
    (root / "photos").mkdir()
    Image.fromarray(scene(0, 100, 100)).save(root / "photos/a.png")
    out = root / "pairs.zarr"
    rwsr("degrade", "build", "--preset", "bicubic", "--source", root / "photos", "--out", out, "--hr-size", 64,
         "--samples", 2)  # fmt: skip
    return out


def _edit(store: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = store / "zarr.json"
    value = json.loads(path.read_text())
    change(value["attributes"]["rwsr"])
    path.write_text(json.dumps(value))


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "the scale": lambda r: r["attributes"].update(scale=2),
    "the members": lambda r: r["attributes"].update(members=["ls"]),
    "members that lead out": lambda r: r["attributes"].update(members=["../../mine/hr"]),
    "an absolute member": lambda r: r["attributes"].update(members=["/tmp/x"]),
    "the bank": lambda r: r["attributes"].update(bank="ff"),
    "an array that leads out": lambda r: r["layout"]["arrays"][1].update(name="../../etc"),
    "no samples": lambda r: r["layout"].update(num_samples=0),
    "no shard": lambda r: r["layout"].update(samples_per_shard=0),
    "a layout that is none": lambda r: r.update(layout=[]),
    "attributes that are none": lambda r: r.update(attributes=[1]),
    "a provenance that is none": lambda r: r.update(provenance="x"),
    "another config": lambda r: r["provenance"]["config"].update(seed=7),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("command", ["verify", "export", "info"])
def test_what_was_not_committed_is_refused(built: Path, tmp_path: Path, edit: str, command: str) -> None:
    """By every command, in a line; nothing is written outside of --out."""
    store = Path(shutil.copytree(built, tmp_path / "pairs.zarr"))
    mine = tmp_path / "mine/hr"
    mine.mkdir(parents=True)
    (mine / "000000.png").write_text("my own picture")
    _edit(store, EDITS[edit])
    out = ("--out", tmp_path / "work/png") if command == "export" else ()
    said = rwsr("store", command, store, *out, code=1)
    assert "\n" not in said and str(store) in said
    assert [path.name for path in mine.iterdir()] == ["000000.png"]
    assert (mine / "000000.png").read_text() == "my own picture"


def test_the_digest_binds_what_readers_label_by(store: Path, photos: Path, tmp_path: Path) -> None:
    """A store whose arrays are the same bytes under another description has another digest."""
    before = digest(open_samples(store))
    other = tmp_path / "other.zarr"
    shutil.copytree(store, other)
    assert digest(open_samples(other)) == before
    _edit(other, lambda r: r["attributes"].update(scale=2))
    with pytest.raises(StoreError, match="zarr.json is not what was committed"):
        digest(open_samples(other))


def test_a_sources_path_does_not_lead_out() -> None:
    """Of the manifest; its folders may be anywhere."""
    name = "../../etc/passwd"
    with pytest.raises(StoreError, match="outside of its folder"):
        _find_source(name, "", [Path("/tmp")])


def test_a_list_of_images_does_not_lead_out(tmp_path: Path, photos: Path) -> None:
    """A distilled list of somebody else."""
    path = tmp_path / "b.zarr.distilled.parquet"
    rwsr(
        "noisebank",
        "build",
        "--target",
        photos,
        "--auxiliary",
        photos / "below",
        "--out",
        tmp_path / "b.zarr",
        "--size",
        32,
    )
    table, made = pq.read_table(path), tables.read_provenance(path, "distilled-list")
    rows = [{"set": "a", "root": "/tmp", "path": "../etc/x", "sha256": "0", "width": 9, "height": 9, "num_patches": 1}]
    tables.write(path, table.from_pylist(rows, schema=table.schema), made)
    said = rwsr(
        "degrade",
        "build",
        "--preset",
        "bicubic",
        "--source",
        photos,
        "--distilled",
        path,
        "--out",
        tmp_path / "s.zarr",
        code=1,
    )
    assert "outside of /tmp" in said


def test_two_sets_with_one_name_are_told_apart_by_content(tmp_path: Path) -> None:
    """Both have a 0001.png: a sample is rendered again from the one that it was made of."""
    for seed, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        Image.fromarray(scene(seed, 100, 100)).save(tmp_path / name / "0001.png")
    out = tmp_path / "p.zarr"
    rwsr("degrade", "build", "--preset", "bicubic", "--source", tmp_path / "a", "--source", tmp_path / "b",
         "--out", out, "--hr-size", 64, "--samples", 4)  # fmt: skip
    for sample in range(4):
        assert "equals" in rwsr("store", "render", out, sample, "--out", tmp_path / f"{sample}.png")


def test_a_file_that_changed_under_the_same_size_and_time_is_read_again_when_told(photos: Path, tmp_path: Path) -> None:
    """Bit rot, or rsync -t: the build names it, and --rehash indexes it anew."""
    build = ("degrade", "build", "--preset", "bicubic", "--source", photos, "--hr-size", 64, "--samples", 4)
    out = tmp_path / "p.zarr"
    rwsr(*build, "--out", out)
    shutil.rmtree(out)
    file = photos / "a.png"
    state = file.stat()
    Image.fromarray(scene(9, 200, 260)).save(file)
    old, size = tmp_path / "p.zarr.index.parquet", file.stat().st_size
    rows = [row | {"bytes": size} if row["path"] == "a.png" else row for row in pq.read_table(old).to_pylist()]
    table, made = pq.read_table(old), tables.read_provenance(old, "sources-index")
    tables.write(old, table.from_pylist(rows, schema=table.schema), made)
    os.utime(file, ns=(state.st_mtime_ns, state.st_mtime_ns))
    said = rwsr(*build, "--out", out, code=1)
    assert "changed since it was indexed" in said and "--rehash" in said
    shutil.rmtree(out)
    rwsr(*build, "--out", out, "--rehash")


def test_groups_that_no_draw_brings_in_order_are_left_out_by_every_reader(photos: Path, tmp_path: Path) -> None:
    """A flat photograph has no blur to order: it is named, and its groups are served to nobody."""
    Image.fromarray(np.full((120, 120, 3), 255, np.uint8)).save(photos / "flat.png")
    out = tmp_path / "g.zarr"
    said = rwsr("degrade", "build", "--preset", "mm-realsr", "--source", photos, "--out", out, "--hr-size", 64,
                "--samples", 10, "--set", "recipe.max_draws=3")  # fmt: skip
    assert "2 are not in order (flat.png): readers leave them out" in said
    made = open_samples(out)
    flat = {i for i, name in enumerate(made.manifest(columns=["source"])["source"].to_pylist()) if name == "flat.png"}
    assert len(flat) == 2
    assert not flat & set(StoredGroups(made).in_use)
    assert len(GroupDataset(out)) == 8 and len(GroupDataset(out, disordered=True)) == 10
    assert not flat & {item.sample for source in of_store(made).items for item in source.read()}
    rwsr("store", "export", out, "--out", tmp_path / "png")
    assert not flat & {int(path.stem) for path in (tmp_path / "png/hr").iterdir()}

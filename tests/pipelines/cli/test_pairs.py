"""Real pairs from the command: each data set as its authors lay it out, built, trained on, measured and looked at."""

from pathlib import Path

import pytest
import yaml

from rwsr.eval.report import table

from ...commands import rwsr
from ...degrade.pairs.trees import TREES, photograph, save

SMALL = ("--samples", 6, "--hr-size", 64, "--set", "shard_mib=0.05")
NET = (
    *("--preset", "real-esrnet", "--steps", 5, "--set", "network.num_feat=4", "--set", "network.num_block=1"),
    *("--set", "network.num_grow_ch=4", "--set", "loop.batch_size=2", "--set", "loop.lr_patch_px=16"),
    *("--set", "loop.log_every=1", "--set", "losses.sharpen_target=false"),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", TREES)
def test_a_data_set_is_built_trained_on_and_measured(name: str, tmp_path: Path) -> None:
    make, scale, count, options = TREES[name]
    make(tmp_path / "set")
    built = rwsr("pairs", "build", "--source", tmp_path / "set", "--out", tmp_path / "p.zarr", *SMALL, *options)
    assert f": {count} pairs of scale {scale}" in built and "shift between HR and LR" in built
    rwsr("train", "mm-realsr", "--store", tmp_path / "p.zarr", "--out", tmp_path / "run", *NET,
         "--set", f"network.scale={scale}")  # fmt: skip
    metrics = tmp_path / "m.parquet"
    rwsr("eval", "restoration", "--store", tmp_path / "p.zarr", "--model", tmp_path / "run", "--out", metrics)
    rows = [row for row in table.read(metrics) if row.model == "run" and row.metric == "psnr-y"]
    assert len(rows) == 6 and all(row.value > 0 for row in rows)


@pytest.mark.slow
def test_the_store_is_looked_at_like_any_other(tmp_path: Path) -> None:
    """info, verify, render, export (which is pairs again), report, and the same command again."""
    TREES["folders"][0](tmp_path / "set")
    command = ("pairs", "build", "--source", tmp_path / "set", "--out", tmp_path / "p.zarr", *SMALL)
    assert "cut 6 pairs" in rwsr(*command)
    assert "all pairs were there already" in rwsr(*command)
    assert "recipe real-pairs, seed 0, scale 2" in rwsr("store", "info", tmp_path / "p.zarr")
    assert "is whole" in rwsr("store", "verify", tmp_path / "p.zarr")
    assert "equals" in rwsr("store", "render", tmp_path / "p.zarr", 3, "--out", tmp_path / "sample")
    rwsr("store", "export", tmp_path / "p.zarr", "--out", tmp_path / "png")
    again = rwsr("pairs", "build", "--source", tmp_path / "png", "--out", tmp_path / "q.zarr", *SMALL)
    assert "6 pairs of scale 2" in again
    lines = rwsr("store", "report", tmp_path / "p.zarr", "--out", tmp_path / "page.html", "--samples", 3)
    page = (tmp_path / "page.html").read_text()
    assert "page.parquet" in lines and "LR beside HR, as they are stored" in page and "Drawn parameters" not in page


def test_mistakes_are_told(tmp_path: Path) -> None:
    save(tmp_path / "photos/a.png", photograph(1))
    build = ("pairs", "build", "--out", tmp_path / "p.zarr", *SMALL)
    assert "is no layout of pairs" in rwsr(*build, "--source", tmp_path / "photos", code=1)
    assert "name both" in rwsr(*build, "--hr", tmp_path / "photos", code=1)
    TREES["drealsr"][0](tmp_path / "set")
    told = rwsr(*build, "--source", tmp_path / "set", "--set", "recipe.scale=2", code=1)
    assert told == "recipe.scale = 2, but the pairs are of scale 4; name another with --scale (scale: in a pipeline)"
    degraded = ("degrade", "build", "--source", tmp_path / "photos", "--out", tmp_path / "d.zarr")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"recipe": {"kind": "real-pairs", "scale": 2}, "hr_size_px": 64}))
    assert "use `rwsr pairs build`" in rwsr(*degraded, "--config", tmp_path / "c.yaml", code=1)


@pytest.mark.slow
def test_files_that_are_left_out_are_named(tmp_path: Path) -> None:
    """Exit code 3, a line each; the rest is built."""
    TREES["folders"][0](tmp_path / "set")
    save(tmp_path / "set/hr/alone.png", photograph(5))
    text = rwsr("pairs", "build", "--source", tmp_path / "set", "--out", tmp_path / "p.zarr", *SMALL, code=3)
    assert "left out: no-partner" in text and "cut 6 pairs" in text

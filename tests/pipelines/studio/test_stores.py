"""The tab Stores in a browser: samples by their manifest, made again, verified, and drawn as their recipe says."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rwsr.degrade.build_store import open_samples
from rwsr.degrade.storage.shards.reader import ShardReader
from rwsr.pipelines.studio.tabs import browsing

from ...builders import tiny_store
from ...commands import rwsr
from ...conftest import scene


def test_the_table_has_every_sample_and_every_number_that_was_drawn(photos: Path, tmp_path: Path) -> None:
    """Of groups, pairs and real pairs; each number is that of the manifest's own steps."""
    groups = tiny_store(photos, tmp_path / "g.zarr", "mm-realsr", num_samples=5, hr_size_px=96).path
    samples = browsing.Samples(groups)
    samples.read()
    assert [row["sample"] for row in samples.rows] == list(range(5)) and samples.members[0] == "base"
    first = samples.store.manifest_of(0).to_pylist()[0]
    quality = next(step["quality"] for step in first["base"] if step["op"] == "jpeg")
    assert samples.rows[0]["base: JPEG quality"] == quality and samples.rows[0]["source"] == first["source"]
    assert {"sample", "source", "x", "y", "disorder"} <= set(samples.columns)
    shown = samples.shown(3)
    assert [name for name, _, _ in shown.images] == ["HR", *samples.members]
    hr = ShardReader(open_samples(groups), "hr").read([3])[0]
    assert np.array_equal(shown.images[0][1], hr) and any("JPEG" in line for line in shown.images[1][2])
    again = samples.again(3)
    assert again.equal and all((pixels == 128).all() for _, pixels in again.differences)
    assert samples.problems() == []


def test_what_was_drawn_is_what_the_recipe_draws(photos: Path, tmp_path: Path) -> None:
    """As shares that sum up to one; of a level that is fixed both are in one bar."""
    store = tiny_store(
        photos, tmp_path / "c.zarr", "cugan", "recipe.fixed_level=[0, 30]", num_samples=40, hr_size_px=96
    )
    samples = browsing.Samples(store.path)
    samples.read()
    found = {each.name: each for each in samples.histograms()}
    noise = next(each for name, each in found.items() if "noise" in name)
    assert max(noise.store) == max(noise.law) == 1 and noise.store.index(1) == noise.law.index(1)
    free = browsing.Samples(tiny_store(photos, tmp_path / "f.zarr", "cugan", num_samples=400, hr_size_px=96).path)
    free.read()
    for each in free.histograms():
        assert sum(each.store) == pytest.approx(1, abs=1e-3) and sum(each.law) == pytest.approx(1, abs=1e-3)
        gap = np.abs(np.cumsum(each.store) - np.cumsum(each.law)).max()  # Kolmogorov and Smirnov's
        assert gap < 1.63 * (1 / 400 + 1 / 3000) ** 0.5 + 0.02, each.name


def test_real_pairs_have_no_law(tmp_path: Path) -> None:
    for folder, side in (("hr", 128), ("lr", 32)):
        (tmp_path / folder).mkdir()
        Image.fromarray(scene(1, 128, 128)).resize((side, side)).save(tmp_path / folder / "a.png")
    rwsr("pairs", "build", "--hr", tmp_path / "hr", "--lr", tmp_path / "lr", "--out", tmp_path / "p.zarr", "--scale", 4,
         "--samples", 2, "--hr-size", 64)  # fmt: skip
    samples = browsing.Samples(tmp_path / "p.zarr")
    samples.read()
    assert len(samples.rows) == 2 and "similarity" in samples.columns and samples.histograms() == []
    assert samples.shown(1).images[1][0] == "lr" and samples.again(0).equal


@pytest.mark.slow
def test_samples_are_filtered_made_again_and_verified(studio, photos: Path, tmp_path: Path) -> None:
    store = tiny_store(photos, tmp_path / "c.zarr", "cugan", num_samples=24, hr_size_px=96).path
    here = studio("--store", store)
    here.page.get_by_role("tab", name="Stores").click()
    here.at("which").wait_for(timeout=30_000)
    assert "24 pairs" in here.at("store-line").inner_text().replace("pair-store", "pairs")
    rows = here.page.locator(".at-grid .ag-center-cols-container [role=row]")
    here.until(lambda: rows.count() >= 5, "no rows")
    rows.nth(2).click()
    here.until(lambda: "sample 2," in here.at("which").inner_text(), "another sample is not shown")
    box = here.page.locator(".at-grid .ag-floating-filter-input input").nth(0)
    box.fill("17")
    here.until(lambda: rows.count() == 1, "the filter takes more than one")
    rows.nth(0).click()
    here.until(lambda: "sample 17," in here.at("which").inner_text(), "the filtered sample is not shown")
    here.at("again").click()
    here.page.get_by_text("made again it is equal to the bit").wait_for()
    here.at("drawn").click()
    here.at("histogram").wait_for(timeout=30_000)
    here.at("verify").click()
    here.page.get_by_text("is whole: every byte is what was committed").wait_for()
    shard = next(path for path in (store / "lr").rglob("*") if path.is_file() and path.name != "zarr.json")
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(bytes(data))
    here.at("verify").click()
    here.page.get_by_text("is not what was committed").first.wait_for()
    shutil.rmtree(store)
    here.at("open-store").click()
    here.page.locator(".q-notification", has_text="c.zarr").first.wait_for()
    assert here.at("which").is_visible()

"""The tab Noise banks in a browser: a box is dragged over all tiles, and what is saved builds the same bank."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml

from rwsr.noisebank.bank import NoiseBank
from rwsr.noisebank.cati import CatiRule
from rwsr.pipelines.studio.tabs import sifting

from ...commands import rwsr


@pytest.fixture
def bank(photos: Path, tmp_path: Path) -> Path:
    rwsr("noisebank", "build", "--target", photos, "--out", tmp_path / "bank.zarr", "--size", 32, "--stride", 16,
         "--quantile", 0.1)  # fmt: skip
    return tmp_path / "bank.zarr"


def test_what_a_rule_takes_is_what_a_bank_of_it_holds(bank: Path) -> None:
    """The same patches, counts and interval, from the tables alone; a box around the interval takes no fewer."""
    tiles = sifting.Tiles(sifting.scan_of(bank))
    rule, made = CatiRule(quantile=0.1), NoiseBank.open(bank)
    found = tiles.taken(rule)
    assert found.count == made.num_patches and found.interval == made.cati
    assert sum(count for _, count in found.sources) == made.num_patches
    pieces = tiles.pieces(rule, 1000)
    assert len(pieces) == made.num_patches
    kept = {each.tobytes() for each in made.patches.read(list(range(made.num_patches)))}
    assert {each.pixels.tobytes() for each in pieces} == kept
    assert found.interval is not None
    assert tiles.taken(sifting.box_of(found.interval)).count >= found.count
    looks = sifting.looks(pieces)
    assert looks is not None and looks.num_patches == len(pieces) and sifting.looks([]) is None
    dots = tiles.dots()["target"]
    assert dots.total == tiles.tables["target"].num_rows >= len(dots.mean) > 0 and min(dots.variance) > 0


@pytest.mark.slow
def test_a_dragged_box_is_a_rule_that_builds_the_same_bank(studio, bank: Path, photos: Path, tmp_path: Path) -> None:
    here = studio(photos, "--bank", bank)
    here.page.get_by_role("tab", name="Noise banks").click()
    here.at("piece").wait_for(timeout=30_000)
    before = here.at("taken").inner_text()
    assert here.at("rule").inner_text().startswith("CATI: variance ") and "target: " in before
    here.at("strata").locator("input").fill("4")
    here.until(lambda: here.at("rule").inner_text().count("variance") > 1, "strata span no more")
    here.at("strata").locator("input").fill("1")
    here.until(lambda: here.at("taken").inner_text() == before, "one band is not as before")
    shape = here.page.locator(".at-plot .shapelayer path").first
    here.until(lambda: shape.count() == 1 and shape.bounding_box() is not None, "no box is drawn")
    box = shape.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    here.page.mouse.move(*middle)
    here.page.mouse.down()
    here.page.mouse.move(middle[0], middle[1] - 25, steps=6)
    here.page.mouse.up()
    here.until(lambda: here.at("rule").inner_text().startswith("variance "), "dragging makes no box")
    here.until(lambda: here.at("taken").inner_text() != before, "the box takes what the interval takes")
    taken = int(here.at("taken").inner_text().split("target: ")[1].split(" of ")[0].replace(",", ""))
    here.at("save-rule").click()
    here.at("wrote-rule").wait_for()
    rule = yaml.safe_load((here.out / "rules/bank.yaml").read_text())["rule"]
    assert rule["kind"] == "box" and rule["variance"][0] < rule["variance"][1]
    words = shlex.split(here.at("line-of-shell").inner_text())
    here.at("build-bank").click()
    here.page.locator(".at-bank-line", has_text="patches of 32 px").wait_for(timeout=30_000)
    rwsr(*words[1:-1], tmp_path / "by-command.zarr")
    ours, theirs = (NoiseBank.open(each) for each in (here.out / "banks/bank.zarr", tmp_path / "by-command.zarr"))
    assert ours.digest == theirs.digest and ours.num_patches == taken
    low, high = rule["variance"]
    assert np.all((np.asarray(ours.table["variance"]) >= low) & (np.asarray(ours.table["variance"]) <= high))
    assert here.page.locator(".at-covariance").is_visible() and here.at("sources").inner_text()


@pytest.mark.slow
def test_photographs_are_scanned_and_what_is_none_is_told(studio, photos: Path, tmp_path: Path) -> None:
    here = studio()
    here.page.get_by_role("tab", name="Noise banks").click()
    here.at("where").wait_for()
    where = here.at("where").locator("input")
    (tmp_path / "empty").mkdir()
    for text, says in (("", "name a bank"), (tmp_path / "none", "is neither a bank"), (tmp_path / "empty", "no image")):
        where.fill(str(text))
        where.press("Enter")
        here.page.locator(".q-notification", has_text=says).first.wait_for()
    where.fill(str(photos))
    here.at("open").click()
    here.at("piece").wait_for(timeout=30_000)
    assert "of " in here.at("taken").inner_text()
    before = here.at("taken").inner_text()
    here.choose("size", "32")
    here.until(lambda: here.at("taken").inner_text() != before, "another size takes the same")
    here.until(lambda: "32" in here.at("size").inner_text(), "no other size")

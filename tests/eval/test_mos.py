"""`rwsr eval mos`: a page that says nothing of what is what, and the means of what people rated on it."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest

from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.pixels import encode_png

from ..commands import rwsr
from ..conftest import scene


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name, change in (("HR", 0), ("secretive", 9), ("reticent", 30)):
        (tmp_path / name).mkdir()
        for seed in range(2):
            pixels = np.clip(scene(seed, 96, 120).astype(int) + change, 0, 255).astype(np.uint8)
            (tmp_path / name / f"{seed}{'' if name == 'HR' else '_x4'}.png").write_bytes(encode_png(pixels))
    return tmp_path


def _page(folders: Path, *more: object, code: int = 0) -> str:
    methods = [part for name in ("secretive", "reticent") for part in ("--method", f"{name}={folders / name}")]
    return rwsr("eval", "mos", "page", "--hr", folders / "HR", *methods, "--patches", 4, "--side", 48,
                "--out", folders / "page.html", *more, code=code)  # fmt: skip


def test_the_page_is_blind_and_whole(folders: Path) -> None:
    """Every patch of every method once, beside the right original; no name, no address, the same again."""
    assert "8 pairs" in _page(folders)
    text = (folders / "page.html").read_text()
    key = json.loads((folders / "page.html.key.json").read_text())
    assert not re.search("secretive|reticent", text) and not re.search(r"https?://", text)
    originals = json.loads(re.search(r"const originals = (.*);\n", text)[1])  # type: ignore[index]
    items = json.loads(re.search(r"const items = (.*);\n", text)[1])  # type: ignore[index]
    assert len(items) == 8 and {each["id"] for each in items} == set(key["items"])
    for each in items:
        about = key["items"][each["id"]]
        patch, original = (
            decode(base64.b64decode(png)).pixels.astype(int) for png in (each["png"], originals[each["patch"]])
        )
        part = slice(about["y"], about["y"] + 48), slice(about["x"], about["x"] + 48)
        np.testing.assert_array_equal(original, decode((folders / "HR" / about["image"]).read_bytes()).pixels[part])
        brighter = {"secretive": 9, "reticent": 30}[about["method"]]
        np.testing.assert_array_equal(patch, np.clip(original + brighter, 0, 255))
    _page(folders)
    assert (folders / "page.html").read_text() == text


def test_the_means_are_those_of_the_ratings(folders: Path) -> None:
    """By hand: each method's own, of all people, with the standard error; best first."""
    _page(folders)
    key = json.loads((folders / "page.html.key.json").read_text())
    files = []
    given: dict[str, list[int]] = {"secretive": [], "reticent": []}
    for rater in range(2):
        scores = {}
        for number, (item, about) in enumerate(key["items"].items()):
            scores[item] = (1 if about["method"] == "secretive" else 3) + (number + rater) % 2
            given[about["method"]].append(scores[item])
        files.append(folders / f"ratings-{rater}.json")
        files[-1].write_text(json.dumps({"page": key["page"], "rater": f"r{rater}", "scores": scores}))
    told = rwsr("eval", "mos", "means", folders / "page.html.key.json", *files, "--out", folders / "mos.html", "--json")
    found = json.loads(told)["means"]
    assert [each["method"] for each in found] == ["secretive", "reticent"]
    for each in found:
        values = given[each["method"]]
        assert each["mean"] == pytest.approx(np.mean(values)) and (each["ratings"], each["raters"]) == (8, 2)
        assert each["half_width"] == pytest.approx(1.96 * np.std(values, ddof=1) / np.sqrt(8))
    assert f"{np.mean(given['secretive']):.3f}" in (folders / "mos.html").read_text()


def test_what_is_wrong_is_said(folders: Path) -> None:
    _page(folders)
    key = folders / "page.html.key.json"
    told = json.loads(key.read_text())
    item = next(iter(told["items"]))
    means = ("eval", "mos", "means", key)
    for number, (values, said) in enumerate((
        ({"page": "another", "rater": "a", "scores": {}}, "rates another page"),
        ({"page": told["page"], "rater": "a", "scores": {item: 6}}, "no score of 0 to 5"),
        ({"page": told["page"], "rater": "a", "scores": {"x": 1}}, "which is no item of this page"),
        ({"page": told["page"], "rater": "a", "scores": {}}, "hold no rating"),
        ([], "is no file of ratings"),
    )):  # fmt: skip
        at = folders / f"{number}.json"
        at.write_text(json.dumps(values))
        assert said in rwsr(*means, at, code=1)
    good = folders / "good.json"
    good.write_text(json.dumps({"page": told["page"], "rater": "a", "scores": {item: 1}}))
    (folders / "copy.json").write_text(good.read_text())
    assert "are both of a" in rwsr(*means, good, folders / "copy.json", code=1)
    assert "is no key of a page" in rwsr("eval", "mos", "means", good, good, code=1)
    (folders / "reticent/1_x4.png").unlink()
    assert "has no image called 1" in _page(folders, code=1)
    (folders / "reticent/1_x4.png").write_bytes(encode_png(scene(1, 48, 60)))
    assert "is 60x48 and the original 120x96" in _page(folders, code=1)
    assert "write NAME=FOLDER" in _page(folders, "--method", "x", code=2)

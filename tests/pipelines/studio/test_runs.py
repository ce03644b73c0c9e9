"""The tab Trainings in a browser: curves of several runs, what they made on their way, and their pages."""

from pathlib import Path

import pytest

from rwsr.degrade.errors import UserError
from rwsr.pipelines.studio.tabs import following
from rwsr.train.runs.checkpoint import read_log

from ...builders import tiny_store
from ...commands import flags, rwsr

_SMALL = ("network.num_feat=4", "network.num_block=1", "network.num_grow_ch=4", "loop.batch_size=2",
          "loop.lr_patch_px=16", "loop.log_every=1", "loop.checkpoint_every=2", "loop.validate_every=2")  # fmt: skip


@pytest.fixture
def runs(photos: Path, tmp_path: Path) -> Path:
    """Two small trainings with held-out images, and a report beside them."""
    store = tiny_store(photos, tmp_path / "b.zarr", "bicubic", num_samples=4, hr_size_px=64).path
    for seed in (0, 1):
        rwsr("train", "sr", "--store", store, "--val-store", store, "--preset", "psnr-fp32", "--seed", seed, "--steps",
             4, *flags("--set", _SMALL), "--out", tmp_path / f"runs/run-{seed}")  # fmt: skip
    (tmp_path / "runs/report.html").write_text("<h1>a report</h1>")
    return tmp_path / "runs"


def test_what_is_read_of_a_run_is_its_log(runs: Path, tmp_path: Path) -> None:
    """Every term with its steps; measurements stand first; pictures by step, behind LR and HR; what is none is told."""
    found = following.found([runs])
    assert [each.name for each in found] == ["run-0", "run-1"] == [p.name for p in following.found([*found, runs])]
    run, curves = following.looked_at(found[0])
    assert (run.done, run.steps, run.finished, run.method) == (4, 4, True, "sr")
    log = read_log(found[0])
    for name, points in curves.items():
        rows = [row for row in log.to_pylist() if row["name"] == name]
        assert [(row["step"], row["value"]) for row in rows] == list(points)
    terms = following.terms_of([curves])
    assert terms[0].startswith("val/") and set(terms) == set(curves)
    images = following.pictures(found[0])
    assert images and all(list(each)[:3] == ["LR", "HR", "step 2"] for each in images.values())
    assert following.pages(found[0]) == [runs / "report.html"]
    with pytest.raises(UserError, match="is no run, and holds none"):
        following.checked(tmp_path / "photos")


@pytest.mark.slow
def test_runs_are_followed_and_compared(studio, runs: Path, photos: Path, tmp_path: Path) -> None:
    here = studio("--run", runs)
    here.page.get_by_role("tab", name="Trainings").click()
    here.until(lambda: here.at("states").inner_text().count("step 4 of 4, ended") == 2, "the runs are not found")
    here.page.locator(".at-chart canvas").first.wait_for()
    labels = here.page.locator(".at-image-label")
    here.until(lambda: labels.count() >= 4, "no images")
    assert "run-0, step 2" in labels.all_inner_texts() and "HR" in labels.all_inner_texts()
    with here.page.context.expect_page() as opened:
        here.at("page").click()
    opened.value.wait_for_load_state()
    assert opened.value.inner_text("h1") == "a report"
    opened.value.close()
    folder = here.page.get_by_label("Folder of a run, or of several")
    folder.fill(str(photos))
    folder.press("Enter")
    here.page.locator(".q-notification", has_text="is no run").first.wait_for()
    rwsr("train", "sr", "--store", tmp_path / "b.zarr", "--preset", "psnr-fp32", "--steps", 2, *flags("--set", _SMALL),
         "--out", tmp_path / "more/run-2")  # fmt: skip
    folder.fill(str(tmp_path / "more"))
    folder.press("Enter")
    here.at("runs").click()
    here.page.get_by_role("option", name="run-2").click()
    here.until(lambda: "run-2: sr, step 2 of 2, ended" in here.at("states").inner_text(), "it is not added")

"""RWSR-EDL's tables as one command: data, trainings, table, curves; it goes on where it was, and says what is wrong."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rwsr.degrade.config import compose
from rwsr.eval.report.published import ablation as published_ablation
from rwsr.pipelines.papers import simulated_cameras
from rwsr.pipelines.papers.rwsr_edl_variants import TABLES, Variant
from rwsr.train.compose import compose_training

from ...commands import flags, rwsr
from ...conftest import scene

TINY = (
    "network.num_feat=4",
    "network.num_block=1",
    "network.num_grow_ch=4",
    "network.branch_feats=4",
    "losses.gan.num_feat=4",
)
SIZES = ("pairs:hr_size_px=64", "bank:grid={size: 16, stride: 16}", "esrgan-psnr:loop.steps=1")
CAMERA = ("--simulate-camera", "noisy")
FEW = ("losses.perceptual.weight=0", "loop.batch_size=2", "loop.lr_patch_px=12", "loop.warmup_steps=0")


def _table(item: str, *words: object, code: int = 0) -> str:
    return rwsr("paper", "rwsr-edl", item, *words, code=code)


@pytest.fixture
def folders(photos: Path, tmp_path: Path) -> list[object]:
    """Target, auxiliary and held-out photographs, and what makes all of it small."""
    for kind, seed, count in (("auxiliary", 11, 8), ("held-out", 12, 2)):
        (tmp_path / kind).mkdir()
        for number in range(count):
            Image.fromarray(scene(seed + 7 * number, 180, 206)).save(tmp_path / kind / f"{number}.png")
    found: list[object] = [
        "--target",
        photos,
        "--auxiliary",
        tmp_path / "auxiliary",
        "--test",
        tmp_path / "held-out",
    ]
    found += ["--out", tmp_path / "out", "--steps", 2, "--samples", 6, "--small"]
    return [*found, *flags("--set", (*TINY, *FEW, *SIZES))]


@pytest.mark.slow
def test_table_ix_from_photographs_to_the_page(folders: list[object], tmp_path: Path) -> None:
    """Two trainings of each of four variants, side by side; done again, nothing is trained; the page has it all."""
    said = _table("table9", *folders, *CAMERA, "--seeds", 2, "--workers", 2, "--json")
    runs = json.loads(said[said.index("{") :])["runs"]["psnr-y"]
    assert list(runs) == list(published_ablation("RWSR-EDL", "IX")["RealSR-Canon"])
    assert all(len(values) == 2 for values in runs.values())
    made = tmp_path / "out/runs"
    assert len(list(made.glob("*/train.parquet"))) == 2 * 4 + 1  # and the PSNR model that they start from
    assert (made / "injection-1.log").exists()
    before = {path: path.stat().st_mtime_ns for path in made.glob("*/model.safetensors")}
    banks = {json.loads((path / "run.json").read_text())["data_sha256"] for path in made.glob("*/")}
    assert len(banks) == 4  # PSNR, no injection, injection (and NGDC, which takes nothing here), all sets as one
    text = _table("table9", *folders, *CAMERA, "--seeds", 2)
    assert "no auxiliary image lies in the target's interval, so NGDC takes none" in text
    assert "auxiliary with NGDC: psnr-y " in text and "psnr-y, best first: " in text
    assert {path: path.stat().st_mtime_ns for path in made.glob("*/model.safetensors")} == before
    page = (tmp_path / "out/report.html").read_text()
    other = [tmp_path / "auxiliary" if each == tmp_path / "held-out" else each for each in folders]
    other[3] = tmp_path / "held-out"
    assert "holds rwsr-edl table9 of --test " in _table("table9", *other, *CAMERA, "--seeds", 2, code=1)
    (tmp_path / "held-out/0.png").unlink()
    assert "measures on other images; use another --out" in _table("table9", *folders, *CAMERA, "--seeds", 2, code=1)
    assert "RWSR-EDL table IX" in page and "Measured while training" in page and "27.802" in page


@pytest.mark.slow
def test_other_tables_change_the_training(folders: list[object], tmp_path: Path) -> None:
    """One data set, three networks; real LR instead of degraded photographs."""
    lr = tmp_path / "lr"
    lr.mkdir()
    for path in (tmp_path / "held-out").iterdir():
        with Image.open(path) as image:
            whole = image.crop((0, 0, image.width // 4 * 4, image.height // 4 * 4))
        whole.save(path)
        whole.resize((whole.width // 4, whole.height // 4)).save(lr / path.name)
    alone = [*folders[:2], *folders[4:]]  # without an auxiliary set
    as_large = shutil.copytree(tmp_path / "held-out", tmp_path / "as-large")
    wrong = _table("table7", *alone, "--test-lr", as_large, code=1)
    assert wrong.startswith(f"--test-lr {as_large}: ") and "not 4 times less" in wrong
    said = _table("table7", *alone, "--test-lr", lr)
    assert "one training of each tells no order" in said and "±" not in said
    assert "dual with mask: psnr-y" in said and "; the paper has no such figure" in said
    config = json.loads((tmp_path / "out/runs/single-branch-0/run.json").read_text())["config"]
    assert config["network"]["branches"] == "single"
    assert not (tmp_path / "out/photos").exists()


def test_every_table_is_the_papers_and_can_be_trained() -> None:
    """The same rows; each change is of keys that there are."""
    assert {table: [each.name for each in rows] for table, rows in TABLES.items()} == {
        table: list(published_ablation("RWSR-EDL", table)["RealSR-Canon"]) for table in TABLES
    }
    for rows in TABLES.values():
        configs = [compose(compose_training("rwsr-edl-small"), **each.changes) for each in rows]
        changed = {each.model_dump_json() for each in configs}
        assert len(changed) == len(rows) or all(not each.changes for each in rows)
    assert Variant("dual without mask").run(3) == "dual-without-mask-3"


def test_what_is_wrong_is_told_first(folders: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is made."""
    alone = [*folders[:2], *folders[4:]]
    assert "takes --test-lr (its LR by the same camera, or --simulate-camera)" in _table("table9", *folders, code=1)
    assert "takes --auxiliary (photographs of other" in _table("table9", *alone, *CAMERA, code=1)
    wrong = _table("table9", *folders, *CAMERA, "--set", "rwsr-edl:loop.step=3", code=1)
    assert "loop.step is not a config key" in wrong
    assert (
        "rwsr is no part of RWSR-EDL table IX that has keys; name one of esrgan-psnr, rwsr-edl, pairs, bank"
        in _table("table9", *folders, *CAMERA, "--set", "rwsr:loop.steps=3", code=1)
    )
    assert "all is no row of RWSR-EDL table IX; name one of no injection" in _table(
        "table9", *folders, *CAMERA, "--row", "all", code=1
    )
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["order.json"]
    twice = (*folders, *CAMERA, "--target", tmp_path / "held-out")
    assert "2 of the held-out images are sources too" in _table("table9", *twice, code=1)
    assert not (tmp_path / "out/runs").exists()
    shutil.rmtree(tmp_path / "out")
    monkeypatch.setenv("RWSR_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    wanting = [*folders, *CAMERA, "--set", "losses.perceptual.weight=1"]
    assert "squeezenet1_1-b8a52dc0.pth is missing" in _table("table9", *wanting, code=1)
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["order.json"]


def test_simulated_photographs_are_of_one_camera_or_of_many() -> None:
    """The same bytes for the same photograph; one camera's noise is the same of all, others' is their own."""
    gray = np.full((96, 96, 3), 128, dtype=np.uint8)
    assert np.array_equal(simulated_cameras.by_one_camera(gray, "a"), simulated_cameras.by_one_camera(gray, "a"))
    one = [float(simulated_cameras.by_one_camera(gray, key).std()) for key in "abcdef"]
    many = [float(simulated_cameras.by_others(gray, key).std()) for key in "abcdef"]
    assert max(one) - min(one) < 0.5 < min(one) and max(many) - min(many) > 3
    assert np.array_equal(simulated_cameras.made_smaller(gray, 4), gray[:24, :24])


@pytest.mark.slow
def test_trainings_end_with_the_command_that_started_them(folders: list[object], tmp_path: Path) -> None:
    """Killed at once, it leaves no process that goes on writing; done again, it goes on."""
    many = [*folders[:9], 4000, *folders[10:]]
    assert folders[8] == "--steps"
    command = [
        sys.executable,
        "-m",
        "rwsr",
        *("paper", "rwsr-edl", "table9"),
        *map(str, many),
        *CAMERA,
        "--workers",
        "2",
    ]
    started = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    runs = tmp_path / "out/runs"
    deadline = time.monotonic() + 120
    while not list(runs.glob("*injection-0/checkpoints/step-*")) and time.monotonic() < deadline:
        time.sleep(0.2)
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
    started.kill()
    started.wait()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(children) >= 2 and not any(Path(f"/proc/{child}").exists() for child in children)

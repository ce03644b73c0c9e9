"""`rwsr eval`, `report`, `restore` and `weights` on files of one's own, as they are run."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from rwsr.eval.pages import write_report
from rwsr.eval.report import table
from rwsr.pipelines.cli.main import root
from rwsr.train.networks.published.compact import CompactConfig
from rwsr.train.networks.published.imdn import ImdnConfig

from ..commands import rwsr
from ..conftest import scene


@pytest.fixture
def hr(tmp_path: Path) -> Path:
    """A folder of three HR images."""
    (tmp_path / "mine").mkdir()
    for seed in range(3):
        Image.fromarray(scene(seed, 96, 120)).save(tmp_path / f"mine/{seed}.png")
    return tmp_path / "mine"


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    """Two compact models of one kind, by scale 4, that do little to an image."""
    found: list[Path] = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        net = CompactConfig(num_feat=8, num_conv=2, scale=4).build()
        torch.nn.init.zeros_(net.body[-1].weight)  # type: ignore[arg-type]
        torch.nn.init.constant_(net.body[-1].bias, 0.01 * seed)  # type: ignore[arg-type]
        found.append(tmp_path / f"model-{seed}.pth")
        torch.save(net.state_dict(), found[-1])
    return found[0], found[1]


def pair(models: tuple[Path, ...]) -> list[str | Path]:
    return [word for each in models for word in ("--model", each)]


@pytest.mark.slow
def test_folders_are_measured_and_drawn(hr: Path, models: tuple[Path, Path], tmp_path: Path) -> None:
    """Baselines and models in one report; what was measured again replaces what was; the page has crops of all."""
    out, page = tmp_path / "m.parquet", tmp_path / "r.html"
    said = rwsr("eval", "restoration", "--hr", hr, "--model", models[0], "--model", f"b={models[1]}", "--out", out)
    assert "bicubic: psnr-y" in said and "lanczos" in said and "model-1" in said and "\nb: psnr-y" in said
    rwsr("eval", "restoration", "--hr", hr, "--model", models[0], "--metric", "psnr-rgb", "--border", 0, "--out", out)
    rows = table.read(out)
    assert len(rows) == 3 * 4 * 2 + 3 * 3
    assert {(row.metric, row.border) for row in rows} == {("psnr-y", 4), ("ssim-y", 4), ("psnr-rgb", 0)}
    assert {row.checkpoint == "" for row in rows if row.model in ("bicubic", "lanczos")} == {True}
    assert f"wrote {page}" in rwsr("report", "--metrics", out, "--out", page)
    text = page.read_text()
    assert "prefers-color-scheme: dark" in text and 'class="crop"' in text and "://" not in text
    assert 'class="number best"' in text and "11x11 Gaussian" in text


@pytest.mark.slow
def test_folders_are_chosen_from_and_named(hr: Path, tmp_path: Path) -> None:
    """The figures of a paper stand beside a set that goes by another name on this disk; a store has its own."""
    out = tmp_path / "m.parquet"
    rwsr("eval", "restoration", "--hr", hr, "--include", "[12].png", "--exclude", "2*", "--name", "Set5", "--out", out)
    assert {(row.data, row.source) for row in table.read(out)} == {("Set5 (bicubic x4)", "1.png")}
    rwsr("report", "--metrics", out, "--out", tmp_path / "r.html")
    assert "IMDN" in (tmp_path / "r.html").read_text()
    curves = ("eval", "udem-curves", "--images", hr, "--include", "nothing", "--out", out, "--model", "x")
    assert "name other patterns" in rwsr(*curves, code=1)
    said = rwsr("eval", "restoration", "--store", "s.zarr", "--name", "Set5", "--out", out, code=1)
    assert "--name are of folders" in said


@pytest.mark.slow
def test_every_protocol_has_its_section(hr: Path, models: tuple[Path, Path], tmp_path: Path) -> None:
    """Each by its command, into one report."""
    out, page = tmp_path / "m.parquet", tmp_path / "r.html"
    common = ("--metric", "psnr-y", "--out", out)
    rwsr("eval", "interpolation", *pair(models), "--hr", hr, "--steps", 3, *common)
    two = [part for model in models for part in ("--model", model)]
    said = rwsr("eval", "segmented", "--hr", hr, *two, "--by", "psnr-y", *common)
    assert "best of 2: psnr-y" in said
    rwsr("eval", "cugan", "--images", hr, "--out", out)
    rwsr("report", "--metrics", out, "--out", page)
    text = page.read_text()
    for title in ("Interpolation: mine", "Segmented models: mine", "CUGAN&#39;s settings: mine"):
        assert title in text
    values = {row.setting: row.value for row in table.read(out) if row.protocol == "interpolation" and row.sample == 0}
    assert set(values) == {'{"alpha":0.0}', '{"alpha":0.5}', '{"alpha":1.0}'} and len(set(values.values())) == 3


def test_an_ablation_reads_the_report(hr: Path, models: tuple[Path, Path], tmp_path: Path) -> None:
    """Which variant is better, by how much, and whether the expected order is there."""
    out = tmp_path / "m.parquet"
    rwsr("eval", "restoration", "--hr", hr, "--model", f"a={models[0]}", "--model", f"b={models[1]}", "--out", out)
    said = rwsr("eval", "ablation", out, "--variant", "dim=a", "--variant", "bright=b", "--variant", "bicubic=bicubic")
    assert "dim: psnr-y" in said and "+- 0.0000 (1 runs)" in said
    assert "dim > bright: holds" in said
    assert "no psnr-y of c (x)" in rwsr("eval", "ablation", out, "--variant", "x=c", code=1)


@pytest.mark.slow
def test_nothing_is_averaged_that_is_not_one(hr: Path, models: tuple[Path, Path], tmp_path: Path) -> None:
    """A model trained anew takes the place of the old one; what two models were measured by differs; two sets that are
    called alike, and two reports, stay apart; names are no formulas."""
    out, page = tmp_path / "a/m.parquet", tmp_path / "r.html"
    for model in models:
        rwsr("eval", "restoration", "--hr", hr, "--model", f"run={model}", "--metric", "psnr-y", "--out", out)
    assert len({row.checkpoint for row in table.read(out) if row.model == "run"}) == 1
    odd = ("--model", f"$\\frac{{x$={models[0]}")
    rwsr("eval", "restoration", "--hr", hr, *odd, "--metric", "ssim-y", "--border", 0, "--out", out)
    rwsr("report", "--metrics", out, "--out", page)
    rwsr("eval", "interpolation", *pair(models), "--hr", hr, "--steps", 2, "--metric", "psnr-y", "--out", out)
    rwsr("eval", "interpolation", *pair(models[::-1]), "--hr", hr, "--steps", 2, "--metric", "psnr-y", "--out", out)
    said = rwsr("eval", "interpolation", *pair(models), "--hr", hr, "--steps", 2, "--metric", "psnr-y", "--out", out)
    assert "model-1 to model-2, alpha 0: psnr-y" in said and "alpha 1: psnr-y" in said
    rwsr("eval", "restoration", "--hr", hr, "--out", tmp_path / "b/m.parquet")
    rwsr("report", "--metrics", out, "--compare", tmp_path / "b/m.parquet", "--out", page)
    text = page.read_text()
    assert "bicubic (a/m)" in text and "bicubic (b/m)" in text and "model-2 to model-1: alpha 0" in text


def test_what_is_there_is_not_written_over(hr: Path, models: tuple[Path, Path], tmp_path: Path) -> None:
    """A source by its own restoration, a report by its page, what is no file at all."""
    out = tmp_path / "m.parquet"
    rwsr("eval", "restoration", "--hr", hr, "--out", out)
    before = {path: path.read_bytes() for path in (out, hr / "0.png")}
    shutil.copy(out, page := tmp_path / "m.html")
    assert "is what the page is drawn of" in rwsr("report", "--metrics", page, "--out", page, code=1)
    said = rwsr("restore", hr / "0.png", "--model", models[0], "--out", hr, code=1)
    assert "0.png would be written over; name another --out" in said
    assert "lies in" in rwsr("restore", hr, "--model", models[0], "--out", hr / "restored", code=1)
    assert "does not exist" in rwsr("restore", hr / "no.png", "--model", models[0], "--out", tmp_path / "o", code=1)
    assert {path: path.read_bytes() for path in before} == before
    os.mkfifo(tmp_path / "pipe.html")
    result = CliRunner().invoke(root, ["report", "--metrics", str(out), "--out", str(tmp_path / "pipe.html")])
    assert "is not a regular file" in str(result.exception)


def test_what_cannot_end_well_is_told_before_the_work(hr: Path, models: tuple[Path, Path], tmp_path: Path) -> None:
    """A place that holds something else, a choice by a metric that cannot be measured, no model at all."""
    (tmp_path / "late.parquet").write_text("mine")
    said = rwsr(
        "eval", "restoration", "--hr", tmp_path, "--model", models[0], "--out", tmp_path / "late.parquet", code=1
    )
    assert "is not a whole Parquet file" in said
    two = [part for model in models for part in ("--model", model)]
    by = ("--metric", "psnr-y", "--by", "lpips-vgg")
    said = rwsr("eval", "segmented", "--hr", hr, *two, *by, "--out", tmp_path / "m.parquet", code=1)
    assert "--by lpips-vgg cannot be measured here" in said
    assert "name a --model" in rwsr("eval", "udem-curves", "--images", hr, "--out", tmp_path / "m.parquet", code=1)
    assert not (tmp_path / "m.parquet").exists()


def test_json_is_json(hr: Path, tmp_path: Path) -> None:
    """Where a figure is infinite, or no number."""
    same = shutil.copytree(hr, tmp_path / "same")
    said = rwsr(
        "eval", "restoration", "--lr", same, "--hr", hr, "--scale", 1, "--out", tmp_path / "m.parquet", "--json"
    )
    found = json.loads(said[said.index("{") :], parse_constant=pytest.fail)
    assert found["means"]["degraded"]["psnr-y"] == "inf"


@pytest.mark.slow
def test_a_comparison_says_where_conditions_differ(hr: Path, tmp_path: Path) -> None:
    """Another border, another set under the same name, and the papers' figures beside a set of their name."""
    other = tmp_path / "elsewhere/mine"
    other.mkdir(parents=True)
    Image.fromarray(scene(9, 96, 120)).save(other / "0.png")
    for name, folder, border in (("a", hr, 4), ("b", other, 0)):
        rwsr("eval", "restoration", "--hr", folder, "--border", border, "--out", tmp_path / f"{name}.parquet")
    of_a_card = [replace(row, device="NVIDIA H100") for row in table.read(tmp_path / "b.parquet")]
    table.write(tmp_path / "b.parquet", of_a_card)
    rwsr(
        "report", "--metrics", tmp_path / "a.parquet", "--compare", tmp_path / "b.parquet", "--out", tmp_path / "r.html"
    )
    text = (tmp_path / "r.html").read_text()
    assert "psnr-y was measured under different conditions: a: border 4" in text
    assert "mine (bicubic x4) is not the same set of images in all reports" in text
    assert "Not all was computed by one device, whose last digits may differ: a: cpu; b: NVIDIA H100." in text
    table.add(tmp_path / "a.parquet", [replace(row, model="other") for row in of_a_card])
    write_report([tmp_path / "a.parquet"], tmp_path / "both.html")
    assert "Not all of a was computed by one device" in (tmp_path / "both.html").read_text()
    assert "bicubic (a)" in text and "bicubic (b)" in text
    hr.rename(tmp_path / "Set5")
    rwsr("eval", "restoration", "--hr", tmp_path / "Set5", "--out", tmp_path / "c.parquet")
    write_report([tmp_path / "c.parquet"], tmp_path / "c.html")
    text = (tmp_path / "c.html").read_text()
    assert "Published figures for Set5" in text and "32.24" in text and "38.07" not in text


def test_metrics_that_cannot_be_measured_are_skipped_by_name(
    hr: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the file and the place for it; the others are measured. With none left it is an error."""
    monkeypatch.setenv("RWSR_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    out = tmp_path / "m.parquet"
    said = rwsr(
        "eval", "restoration", "--hr", hr, "--metric", "psnr-y", "--metric", "lpips-vgg", "--out", out, "--json"
    )
    assert "skipped: lpips-vgg: vgg16-397923af.pth is missing; put https://" in said
    assert set(json.loads(said[said.index("{") :])["skipped"]) == {"lpips-vgg"}
    assert {row.metric for row in table.read(out)} == {"psnr-y"}
    said = rwsr("eval", "restoration", "--hr", hr, "--metric", "niqe", "--out", tmp_path / "n.parquet", code=1)
    assert "none of the metrics can be measured here" in said and not (tmp_path / "n.parquet").exists()
    assert "vgg16-397923af.pth: missing; https://" in rwsr("weights", "lpips-vgg")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--out", "m.parquet"], "name either a store, or folders"),
        (["--hr", "{hr}", "--store", "s.zarr", "--out", "m.parquet"], "name either a store, or folders"),
        (["--hr", "{hr}", "--scale", "1", "--out", "m.parquet"], "with itself; name the LR too"),
        (["--hr", "{hr}", "--metric", "psnr", "--out", "m.parquet"], "metric psnr is unknown; did you mean psnr-y?"),
        (["--lr", "{hr}", "--metric", "psnr-y", "--out", "m.parquet"], "psnr-y needs HR, and mine (no HR) has none"),
        (["--hr", "{hr}", "--model", "{m}", "--scale", "2", "--out", "m.parquet"], "model-1 enlarges 4 times"),
        (
            ["--hr", "{hr}", "--model", "{m}", "--model", "{m}", "--out", "m.parquet"],
            "two of the models are called model-1",
        ),
        (["--hr", "{hr}", "--model", "no.pth", "--out", "m.parquet"], "no.pth does not exist"),
        (
            ["--hr", "{hr}", "--border", "60", "--out", "m.parquet"],
            "no image is large enough for any of the metrics; lower --border",
        ),
    ],
)
def test_what_is_wrong_is_told(hr: Path, models: tuple[Path, Path], arguments: list[str], says: str) -> None:
    """Before anything is written."""
    filled = [each.format(hr=hr, m=models[0]) for each in arguments]
    assert says in rwsr("eval", "restoration", *filled, code=1)


def test_protocols_refuse_models_they_cannot_use(hr: Path, models: tuple[Path, Path], tmp_path: Path) -> None:
    out = ("--out", tmp_path / "m.parquet")
    assert "takes no strengths of restoration" in rwsr(
        "eval", "modulation", "--hr", hr, "--model", models[0], *out, code=1
    )
    assert "takes no strengths" in rwsr("eval", "steering", "--images", hr, "--model", models[0], *out, code=1)
    assert "name a --model" in rwsr("eval", "steering", "--images", hr, *out, code=1)
    assert "has no UDEM" in rwsr("eval", "udem-curves", "--images", hr, "--model", models[0], *out, code=1)
    assert "two --model or more" in rwsr("eval", "segmented", "--hr", hr, "--model", models[0], *out, code=1)
    torch.save(ImdnConfig(scale=4).build().state_dict(), tmp_path / "imdn.pth")
    both = (models[0], tmp_path / "imdn.pth")
    assert "not of one network" in rwsr("eval", "interpolation", *pair(both), "--hr", hr, *out, code=1)
    assert "enlarges 4 times" in rwsr("eval", "cugan", "--images", hr, "--model", models[0], *out, code=1)


def test_restore_takes_files_and_folders(hr: Path, models: tuple[Path, Path], tmp_path: Path) -> None:
    """Names below a folder are kept, twins told apart, 16 bits and alpha kept; scores are for models that have them."""
    (hr / "below").mkdir()
    deep = np.dstack([scene(3, 40, 50), np.full((40, 50), 7, dtype=np.uint8)])
    Image.fromarray(deep).save(hr / "below/alpha.png")
    Image.fromarray(scene(4, 40, 50)).save(hr / "0.jpg")
    (hr / "bad.png").write_bytes(b"no")
    out = tmp_path / "out"
    said = rwsr("restore", hr, hr / "1.png", "--model", models[0], "--out", out, "--tile", 128, code=3)
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))
    assert names == ["0.jpg.png", "0.png.png", "1.png", "2.png", "below/alpha.png"]
    assert f"0.jpg.png, of {hr}/0.jpg" in said
    assert "left out" in said and "bad.png" in said
    with Image.open(out / "below/alpha.png") as image:
        assert image.mode == "RGBA" and image.size == (200, 160)
    said = rwsr("restore", hr / "1.png", "--model", models[0], "--out", out, "--noise", 0.5, code=1)
    assert "takes no scores; leave out --blur and --noise" in said
    (tmp_path / "empty").mkdir()
    assert "no image below" in rwsr("restore", tmp_path / "empty", "--model", models[0], "--out", out, code=1)


def test_no_result_goes_by_the_name_of_another_image(hr: Path, models: tuple[Path, Path], tmp_path: Path) -> None:
    """Of one folder by their whole names, of several by their folders; each image once, whatever the order."""
    for name in ("one", "two/deep"):
        (tmp_path / name).mkdir(parents=True)
        Image.fromarray(scene(4, 40, 50)).save(tmp_path / name / "x.png")
    restore = ("restore", "--model", models[0], "--out", tmp_path / "out")
    said = rwsr(*restore, tmp_path / "one", tmp_path / "two/deep", tmp_path / "one/x.png")
    assert [line.split("out/")[1] for line in said.splitlines() if "wrote" in line] == ["one/x.png", "deep/x.png"]
    rwsr(*restore, tmp_path / "one/x.png", tmp_path / "two", tmp_path / "one")
    assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png")) == [
        "deep/x.png",
        "one/x.png",
        "x.png",
    ]
    (tmp_path / "file").write_text("mine")
    said = rwsr("restore", hr, "--model", models[0], "--out", tmp_path / "file", code=1)
    assert "is a file; name a folder" in said


def test_what_is_no_file_is_named_and_left_out(
    hr: Path, models: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A pipe would be waited on for ever; the exit code says that something is missing."""
    os.mkfifo(hr / "pipe.png")
    (hr / "dangling.png").symlink_to("gone.png")
    (hr / "folder.png").mkdir()
    rwsr("eval", "restoration", "--hr", hr, "--metric", "psnr-y", "--out", tmp_path / "m.parquet", code=3)
    for name in ("pipe.png", "dangling.png"):
        assert f"left out: unreadable: {hr / name} is not a regular file" in caplog.text
    assert {row.source for row in table.read(tmp_path / "m.parquet")} == {"0.png", "1.png", "2.png"}
    said = rwsr("restore", hr, "--model", models[0], "--out", tmp_path / "out", code=3)
    assert said.count("is not a regular file") == 2 and len(list((tmp_path / "out").iterdir())) == 3


@pytest.mark.parametrize(
    ("words", "suffix"),
    [
        (("report", "--metrics", "m.parquet"), ".html"),
        (("store", "report", "s.zarr"), ".html"),
        (("eval", "restoration", "--hr", "x"), ".parquet"),
        (("sources", "index", "x"), ".parquet"),
        (("degrade", "preview", "--preset", "bicubic", "--source", "x"), ".png"),
    ],
)
def test_a_file_is_called_what_it_is(words: tuple[str, ...], suffix: str) -> None:
    """No page goes by the name of a picture."""
    assert f"end it in {suffix}" in rwsr(*words, "--out", "file.txt", code=2)


def test_a_file_that_cannot_be_read_is_left_out(hr: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is named, the others are measured, and the exit code says so."""
    (hr / "1.png").write_bytes((hr / "1.png").read_bytes()[:-40])
    said = rwsr("eval", "restoration", "--hr", hr, "--out", tmp_path / "m.parquet", "--json", code=3)
    assert "left out: damaged" in caplog.text and "1.png cannot be decoded whole" in caplog.text
    assert '"left_out": 1' in said
    assert {row.source for row in table.read(tmp_path / "m.parquet")} == {"0.png", "2.png"}


def test_images_without_a_value_are_counted(hr: Path, tmp_path: Path, published: Path) -> None:
    """Their rows are there, without a number; the mean is over the others; the page can be drawn of it."""
    Image.fromarray(scene(8, 240, 240)).save(hr / "large.png")
    said = rwsr("eval", "restoration", "--hr", hr, "--metric", "niqe", "--out", tmp_path / "m.parquet")
    assert "niqe has no value for 3 images (too small or flat); its mean is over the others" in said
    rows = table.read(tmp_path / "m.parquet")
    assert [row.source for row in rows if not np.isnan(row.value)] == ["large.png"] * 2
    (hr / "large.png").unlink()
    rwsr("eval", "restoration", "--hr", hr, "--metric", "niqe", "--out", tmp_path / "n.parquet")
    rwsr("report", "--metrics", tmp_path / "n.parquet", "--out", tmp_path / "n.html")


@pytest.mark.slow
def test_lr_alone_is_measured_by_niqe(hr: Path, models: tuple[Path, Path], tmp_path: Path, published: Path) -> None:
    """Real photographs have no HR; nothing is compared with what is not there."""
    out = tmp_path / "m.parquet"
    said = rwsr("eval", "restoration", "--lr", hr, "--model", models[0], "--out", out)
    assert "model-1: niqe" in said
    rwsr("report", "--metrics", out, "--out", tmp_path / "r.html")
    assert "BasicSR&#39;s pristine model" in (tmp_path / "r.html").read_text()

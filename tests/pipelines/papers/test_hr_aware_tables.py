"""HR-aware's tables and figures as commands: networks, trainings, table, curves; what is wrong is told first."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from PIL import Image

from rwsr.degrade.build_store import open_samples
from rwsr.degrade.config import compose
from rwsr.eval.report import table as report
from rwsr.eval.report.published import ablation as published_ablation
from rwsr.pipelines.papers.early_stopping import stopped
from rwsr.pipelines.papers.hr_aware_variants import NETWORKS, TABLES, Variant, rows_of
from rwsr.train.compose import compose_fine_tuning, compose_training
from rwsr.train.networks.mm_realsr import MMRealSRConfig
from rwsr.train.networks.published.compact import CompactConfig

from ...commands import flags, rwsr
from ...conftest import scene

SIZES = ["network.num_feat=4", "network.code=6", "network.degradation_blocks=1"]
FEW = ["loop.batch_size=2", "loop.checkpoint_every=2"]
SMALLER = [  # of each training
    "pairs:hr_size_px=64",
    *(f"hr-aware-pretrain:{each}" for each in (*SIZES, "losses.lpips=0")),
    "hr-aware:losses.lpips=0",
]
LWAY = [
    *(f"lway-pretrain-frozen:{each}" for each in ("network.num_feat=4", "network.code=6", "losses.lpips=0")),
    "lway-pretrain-frozen:network.degradation_blocks=1",
    *(f"lway-extractor:{each}" for each in ("network.num_feat=4", "network.num_block=1", "losses.gan.num_feat=2")),
]


@pytest.fixture
def hr(tmp_path: Path) -> Path:
    """Two held-out photographs."""
    (tmp_path / "test").mkdir()
    for number in range(2):
        Image.fromarray(scene(20 + number, 130, 142)).save(tmp_path / f"test/{number}.png")
    return tmp_path / "test"


@pytest.fixture
def told(foreign: Path, photos: Path, hr: Path, tmp_path: Path) -> list[object]:
    """What makes all of it small; without published weights."""
    found: list[object] = ["--model", foreign, "--photos", photos, "--test", hr, "--out", tmp_path / "out", "--small"]
    found += ["--steps", 2, "--samples", 6]
    return [*found, *flags("--set", [*FEW, *SMALLER, "hr-aware:loop.lr_patch_px=16"])]


def _table(item: str, *words: object, code: int = 0) -> str:
    return rwsr("paper", "hr-aware", item, *words, code=code)


SOFT = ("--simulate-camera", "soft")


def test_every_table_is_the_papers_and_can_be_trained() -> None:
    """The same rows; each changes the network or the fine-tuning."""
    for table, rows in TABLES.items():
        known = [name for name in next(iter(published_ablation("HR-aware", table).values())) if name != "before"]
        assert sorted(each for each in rows_of(table) if each != "self-training") == sorted(known)
        changed = {(each.network, each.tuned(compose_fine_tuning("hr-aware-small")).model_dump_json()) for each in rows}
        assert len(changed) == len(rows)
    base = compose_training("hr-aware-pretrain-small")
    assert TABLES["1"][0].tuned(compose_fine_tuning("hr-aware-small")) == compose_fine_tuning("self-training-small")
    assert compose(base, network=NETWORKS["neither"]).network.image_blocks == base.network.image_blocks
    assert (
        published_ablation("HR-aware", "1", "SwinIRGAN")["RealSR-Canon"]["before"]
        != (published_ablation("HR-aware", "1")["RealSR-Canon"]["before"])
    )


@pytest.mark.slow
def test_table_1_from_photographs_to_the_page(
    told: list[object], published: Path, foreign: Path, tmp_path: Path
) -> None:
    """Two networks, LWay's extractor and three variants by two seeds, of two models; SRTTA of an ESRGAN, and what
    learns of each image; done again, nothing is trained.
    """
    keys = ["hr-aware:losses.lpips=1", "hr-aware:loop.lr_patch_px=24", "hr-aware-pretrain:losses.lpips=1"]
    keys += ["pairs:hr_size_px=128", *LWAY, "corruption-classifier:network={width: 2, num_block: [1, 1, 1, 1]}"]
    keys += ["corruption-classifier:loop.lr_patch_px=40", "zssr:steps=2", "srtta:steps=1", "srtta:batch_size=2"]
    torch.manual_seed(0)
    net = MMRealSRConfig(modulated=False, num_feat=4, num_block=1, num_grow_ch=4).build()
    torch.save({"params_ema": net.state_dict()}, tmp_path / "esrgan.pth")
    rows = [part for row in ("self-training", "LWay", "HR-aware", "SRTTA", "ZSSR") for part in ("--row", row)]
    arguments = [*told, *rows, *flags("--set", keys), "--model", f"other={tmp_path / 'esrgan.pth'}"]
    arguments += [*SOFT, "--seeds", 2, "--workers", 2]
    said = _table("table1", *arguments, "--json")
    runs = json.loads(said[said.index("{\n") if "{\n" in said else said.index("{") :])["runs"]["psnr-y"]
    assert len(runs) == 2 * 4 + 2 and {len(each) for each in runs.values()} == {1, 2}
    assert len(runs["HR-aware table 1: other, SRTTA"]) == len(runs["HR-aware table 1: tiny, ZSSR"]) == 1
    made = tmp_path / "out"
    networks = sorted(path.name for path in (made / "reconstructions").iterdir() if path.is_dir())
    each = ["corruption-classifier", "hr-aware-0", "hr-aware-1", "lway-0", "lway-1", "lway-extractor"]
    assert networks == each
    assert json.loads((made / "reconstructions/lway-0/run.json").read_text())["config"]["network"]["frozen_extractor"]
    assert len(list((made / "clean-lr").iterdir())) > 0
    trained = {path: path.stat().st_mtime_ns for path in made.glob("*/*/model.safetensors")}
    assert len(trained) == 6 + 2 * 3 * 2 + 2
    text = _table("table1", *arguments)
    assert "HR-aware table 1: other:" in text and "self-training: psnr-y " in text
    assert {path: path.stat().st_mtime_ns for path in made.glob("*/*/model.safetensors")} == trained
    page = (made / "report.html").read_text()
    assert "FAR of HR-aware looks through squeezenet, features at 1/8, in place of the paper&#39;s CLIP RN50" in page
    assert "least LPIPS, with HR" in page and "25.87" in page and "Measured while training" in page
    assert "SRTTA adapts an EDSR or an ESRGAN; tiny is a compact" in page
    zssr = re.search(r"<td>ZSSR</td>(.*?)</tr>", page, re.DOTALL)
    assert zssr and "26.11" in zssr[1]  # of the paper, beside ours


def test_a_missing_encoder_is_told_before_anything_is_made(told: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Table 3 wants VGG-19 and CLIP RN50: the file, and where to get it."""
    monkeypatch.setenv("RWSR_WEIGHTS", str(Path(str(told[1])).parent))
    monkeypatch.setenv("TORCH_HOME", str(Path(str(told[1])).parent))
    said = _table("table3", *told, *SOFT, code=1)
    out = Path(str(told[1])).parent / "out"
    assert "is missing; put https" in said and [each.name for each in out.iterdir()] == ["order.json"]


def test_what_is_wrong_is_told_first(told: list[object], photos: Path, tmp_path: Path, published: Path) -> None:
    """Before anything is trained."""
    table = ("table1", *told, "--row", "HR-aware")
    assert "takes --test-lr (its LR, or --simulate-camera)" in _table(*table, code=1)
    assert "not both" in _table(*table, *SOFT, "--test-lr", photos, code=2)
    said = _table(*table, *SOFT, "--set", "hr-aware:loop.step=3", code=1)
    assert "loop.step is not a config key" in said
    torch.save({"params": CompactConfig(num_feat=4, num_conv=2, scale=2).build().state_dict()}, tmp_path / "two.pth")
    said = _table(*table, *SOFT, "--model", tmp_path / "two.pth", code=1)
    assert "the models enlarge differently (tiny 4 times, two 2 times); name models of one scale" in said
    said = _table(*table, *SOFT, "--set", "hr-aware-pretrain:loop.lr_patch_px=20", code=1)
    assert "pairs:hr_size_px = 64 is less than a patch of 20 px of LR" in said and "use 80 or more" in said
    said = _table(*table, *SOFT, "--set", "pairs:recipe.thrid=1", code=1)
    assert "recipe.thrid is not a config key" in said
    said = _table("table2", *told, "--row", "neither", *SOFT, "--set", "hr-aware:selection.by=far", code=1)
    assert "selection.by = far measures FAR, which is left out here" in said
    assert "takes no --far-model" in _table(*table, *SOFT, "--far-model", tmp_path / "two.pth", code=1)
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["order.json"]
    said = _table(*table, *SOFT, "--photos", tmp_path / "test", code=1)
    assert "2 of the held-out images are sources too" in said
    assert not (tmp_path / "out/runs").exists()


def test_lr_that_does_not_fit_is_told_before_anything_is_trained(
    told: list[object], hr: Path, published: Path, tmp_path: Path
) -> None:
    """LR of another size than HR's, and LR that no patch is in."""
    lr = tmp_path / "lr"
    lr.mkdir()
    for path in hr.glob("*.png"):
        Image.open(path).resize((40, 40)).save(lr / path.name)
    said = _table("table4", *told, "--test-lr", lr, code=1)
    assert "HR is 142x130 and LR 40x40, not 4 times less" in said
    said = _table("table4", *told, *SOFT, "--set", "hr-aware:loop.lr_patch_px=40", code=1)
    assert "no LR image holds a patch of loop.lr_patch_px = 40" in said
    assert not (tmp_path / "out/reconstructions").exists()


@pytest.mark.slow
def test_pairs_are_as_they_are_told_to_be(told: list[object], published: Path, tmp_path: Path) -> None:
    """And a row can be made alone."""
    more = ("--row", "1 - HQI", "--set", "pairs:recipe.first.noise_sigma_255=[1,2]")
    said = _table("table4", *told, *more, *SOFT)
    assert "1 - HQI: psnr-y " in said
    made = tmp_path / "out"
    assert [path.name for path in (made / "runs").iterdir() if path.is_dir()] == ["tiny-1-hqi-0"]
    recipe = open_samples(made / "pairs.zarr").provenance.config["recipe"]
    assert recipe["first"]["noise_sigma_255"] == [1, 2] and recipe["scale"] == 4


# ---------------------------------------------------------------------------------------------------- figures


def _network(store: Path, out: Path, *more: str) -> Path:
    keys = [*SIZES, *FEW, "network.image_blocks=1", "losses.lpips=0", "loop.steps=2", *more]
    rwsr(
        *("train", "hr-aware-pretrain", "--store", store, "--out", out),
        *("--preset", "hr-aware-pretrain-small", *flags("--set", keys)),
    )
    return out


@pytest.mark.slow
def test_figures_7_and_8(
    photos: Path, hr: Path, published: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Reconstruction along i with and without the controller, FAR of clean and degraded, and both on the page."""
    store = tmp_path / "pairs.zarr"
    keys = ["--set", "hr_size_px=96", "--set", "num_samples=6"]
    rwsr("degrade", "build", "--preset", "real-esrgan-nousm", "--source", photos, "--out", store, *keys)
    whole = _network(store, tmp_path / "whole")
    plain = _network(store, tmp_path / "plain", "network.far=null", "network.controller=null")
    out = tmp_path / "metrics.parquet"
    named = ["--reconstruction", f"with={whole}", "--reconstruction", f"without={plain}"]
    said = rwsr("eval", "reconstruction", "--store", store, *named, "--steps", 3, "--out", out)
    assert "with, i 0.5: psnr-rgb " in said
    assert "without: psnr-rgb of the reconstruction along i: Spearman " in said
    rows, told = report.read(out), ["--store", store, *named, "--steps", 3]
    rwsr("eval", "reconstruction", *told, "--strength", "hqi", "--out", tmp_path / "again.parquet")
    assert report.read(tmp_path / "again.parquet") == rows  # the controller's noise is of the image, not of the run
    rwsr("eval", "reconstruction", *told, "--strength", "1-hqi", "--out", tmp_path / "other.parquet")
    other = report.read(tmp_path / "other.parquet")
    assert {row.model for row in set(other) - set(rows)} == {"with"}
    assert len(set(other) - set(rows)) == len(rows) / 2
    versions = {row.model: row.version for row in other}
    assert versions["with"].endswith("; controller around 1-hqi") and versions["without"].endswith("; no controller")
    said = rwsr("eval", "far", "--images", hr, "--reconstruction", whole, "--out", out)
    for kind in ("blur", "noise", "jpeg", "enlarged", "wild"):
        assert f"whole: {kind}: area under curve " in said
    rwsr("report", "--metrics", out, "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "FAR: natural against degraded" in page and "LR reconstruction" in page
    assert "established encoder: squeezenet, features at 1/8, in place of the paper&#39;s CLIP RN50" in page
    (tmp_path / "with-small").mkdir()
    for number, px in enumerate((96, 12)):
        Image.fromarray(scene(30 + number, px, px)).save(tmp_path / f"with-small/{number}.png")
    for protocol, images in (("far", "--images"), ("reconstruction", "--hr")):
        told = [images, tmp_path / "with-small", "--reconstruction", whole]
        rwsr("eval", protocol, *told, "--out", tmp_path / f"{protocol}.parquet", code=3)
        assert "left out: too-small: 1.png is 12x12 px, and 32 is the least" in caplog.messages
        caplog.clear()
    refused = rwsr("eval", "far", "--images", hr, "--reconstruction", plain, "--out", out, code=1)
    assert "plain has no FAR; name a run of hr-aware-pretrain with it" in refused
    refused = rwsr("eval", "reconstruction", "--hr", hr, "--scale", 2, *named, "--out", out, code=1)
    assert "with enlarges 4 times, this is for 2" in refused


def test_stopping_by_each_rule() -> None:
    """The last step, the least of each figure, and what was measured there; a rule without its figure is left out."""

    def log(niqe: list[float], lpips: list[float]) -> pa.Table:
        rows = [
            {"step": 10 * (i + 1), "name": f"val/{name}", "value": value}
            for name, values in (("niqe", niqe), ("lpips-squeeze", lpips), ("psnr-y", [20.0, 21.0, 22.0]))
            for i, value in enumerate(values)
        ]
        return pa.Table.from_pylist([*rows, {"step": 10, "name": "l1", "value": 1.0}])

    logs = [log([5, 4, 6], [0.3, 0.2, 0.1]), log([3, 4, 5], [0.1, 0.2, 0.3])]
    found = {each.rule: each for each in stopped(logs, ("psnr-y", "lpips-squeeze"))}
    assert set(found) == {"the last step", "least NIQE of SR", "least LPIPS, with HR"}
    assert found["least NIQE of SR"].step == 15
    assert found["least NIQE of SR"].figures["psnr-y"] == pytest.approx(20.5)
    assert found["least LPIPS, with HR"].figures["lpips-squeeze"] == pytest.approx(0.1)
    assert found["the last step"].figures["psnr-y"] == 22
    assert stopped(logs, ("ssim-y",)) == []


@pytest.mark.slow
def test_other_scales(photos: Path, hr: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At scale 2, FAR looking through the model itself: pairs, networks and fine-tunings are of that scale."""
    monkeypatch.setitem(TABLES, "3", (Variant("SR model", "SR model"),))
    torch.manual_seed(0)
    torch.save({"params": CompactConfig(num_feat=4, num_conv=2, scale=2).build().state_dict()}, tmp_path / "two.pth")
    out = tmp_path / "out"
    blind = ["losses.lpips=0", "network.controller=null"]
    keys = [f"hr-aware-pretrain:{each}" for each in (*SIZES, *blind)]
    keys += [*FEW, "pairs:hr_size_px=64", "hr-aware:losses.lpips=0", "hr-aware:loop.lr_patch_px=16"]
    arguments: list[object] = ["--model", tmp_path / "two.pth", "--photos", photos, "--test", hr, "--out", out]
    arguments += ["--steps", 1, "--samples", 4, "--small", "--row", "SR model", *flags("--set", keys)]
    said = _table("table3", *arguments, *SOFT)
    assert "SR model: psnr-y " in said and (out / "reconstructions/sr-model-two-0/model.safetensors").exists()
    assert json.loads((out / "reconstructions/sr-model-two-0/run.json").read_text())["config"]["network"]["scale"] == 2

"""`rwsr paper`: what is listed is all that the papers have; items are made small, by the command, and go on."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rwsr.degrade.errors import UserError
from rwsr.degrade.recipes.base import Chance
from rwsr.degrade.recipes.real_esrgan import FIRST, SECOND, SecondOrder
from rwsr.eval.report import table
from rwsr.eval.report.published import published
from rwsr.pipelines.cli.paper import TAKES
from rwsr.pipelines.papers.items import ITEMS, item_of
from rwsr.pipelines.papers.items.base import Order
from rwsr.pipelines.papers.items.hours import HOURS
from rwsr.pipelines.papers.items.mm_realsr import SEGMENTS, segment
from rwsr.train.compose import method_of
from rwsr.train.networks.published.compact import CompactConfig
from rwsr.train.runs.model_file import read_model

from ...commands import TINY, flags, rwsr
from ...conftest import scene

_UDEM = "network.udem={num_feat: [4], num_block: [1], downscales: [2]}"
_LOOP = ("loop.batch_size=2", "loop.warmup_steps=0")
ROUNDS = {"first": FIRST, "second": SECOND}
_CUNET = (*_LOOP, "network.num_feat=[4,6,8]", "network.num_block=1")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Photographs to train on, and others to measure on."""
    for folder, seeds, side in (("photos", range(2), 160), ("test", range(2, 4), 112)):
        (tmp_path / folder).mkdir()
        for seed in seeds:
            Image.fromarray(scene(seed, side, side + 16)).save(tmp_path / folder / f"{seed}.png")
    return tmp_path


def _paper(folders: Path, *words: object, code: int = 0) -> str:
    return rwsr("paper", *words, "--out", folders / "out", code=code)


def test_every_table_and_figure_is_there() -> None:
    """As many as the papers have; every preset that they train is one, with the hours of the table of costs."""
    counts = {"cugan": (3, 8), "mm-realsr": (2, 10), "rwsr-edl": (10, 10), "hr-aware": (4, 9)}
    for paper, (tables, figures) in counts.items():
        names = [each.name for each in ITEMS if each.paper == paper]
        assert sorted(names) == sorted(
            [f"table{i + 1}" for i in range(tables)] + [f"fig{i + 1}" for i in range(figures)]
        )
    readme = (Path(__file__).parents[3] / "train/README.md").read_text()
    hours = {
        cells[1].strip(): float(cells[9].split("/")[0].replace(",", ""))
        for line in readme.splitlines()
        if len(cells := line.split("|")) == 11 and re.fullmatch(r" [\d.,]+ / [\d.,]+ ", cells[9])
    }
    for item in ITEMS:
        assert (item.make is None) == bool(item.why) and (item.make is None) == (item.why == "a drawing")
        for preset in item.trains:
            assert preset in method_of(preset).presets
            assert HOURS[preset] == hours[preset]


def test_a_paper_is_told_what_its_items_take() -> None:
    """No more, and no less; LR by a simulated camera stands for LR, and rows and seeds go with trainings of rows."""
    for paper, told in TAKES.items():
        items = [each for each in ITEMS if each.paper == paper]
        takes = {option for each in items for option in (*each.wants, *each.trained_from, *each.may)}
        takes |= {"simulate_camera"} if "test_lr" in takes else set()
        takes |= {"row"} if any(each.rows for each in items) else set()
        takes |= {"seeds"} if any(each.seeded for each in items) else set()
        assert set(told) == takes


def test_what_is_told_of_one_training_is_of_that_alone() -> None:
    """Its keys come after those of all, and its steps instead of theirs."""
    order = Order(Path("x"), steps=9, sets=("loop.seed=1", "a:loop.steps=4", "b:loop.seed=2", "c=d:e"))
    assert order.sets_of("a") == ("loop.seed=1", "c=d:e", "loop.steps=4")
    assert order.sets_of("b") == ("loop.seed=1", "c=d:e", "loop.seed=2") and order.sets_of("b", alone=True) == (
        "loop.seed=2",
    )
    assert (order.steps_of("a"), order.steps_of("b"), order.parts) == (None, 9, ["a", "b"])


def test_printed_tables_have_their_items() -> None:
    for each in published():
        if each.paper not in ("IMDN", "RLFN"):
            paper, number = each.paper.lower(), each.table.removeprefix("table ")
            assert [item for item in ITEMS if item.paper == paper and item.number == number and "table" in item.name]
    assert item_of("rwsr-edl", "table9").called == "RWSR-EDL table IX" and item_of("cugan", "figure 7").name == "fig7"
    with pytest.raises(UserError, match="cugan has no table4; it has table1, "):
        item_of("cugan", "table4")


def test_the_list_says_what_each_takes() -> None:
    told = rwsr("paper", "list")
    assert "CUGAN (Cai et al. 2021)\n  table1 " in told and "a drawing: nothing to make" in told
    assert "not implemented" not in told
    found = json.loads(rwsr("paper", "list", "cugan", "--json"))["items"]
    assert {each["paper"] for each in found} == {"cugan"}
    table_2 = next(each for each in found if each["item"] == "table2")
    assert set(table_2["takes"]) == {"--photos", "--test"} and table_2["trains"]["unet"] == 8


def test_what_an_order_lacks_is_said(folders: Path) -> None:
    said = _paper(folders, "cugan", "table2", "--small", "--photos", folders / "photos", code=1)
    assert "CUGAN table 2 takes --test (CBSD68); name it" in said
    given = ("--photos", folders / "photos", "--test", folders / "test", "--model", folders / "photos")
    assert "takes no --model; leave it out" in _paper(folders, "cugan", "table2", *given, code=1)
    assert "is not made here: a drawing" in _paper(folders, "cugan", "fig3", code=1)
    assert "'table9' is unknown; did you mean table3?" in _paper(folders, "cugan", "table9", code=2)
    assert "No such option" in _paper(folders, "mm-realsr", "fig6", "--seeds", 2, code=2)
    both = ("--test-lr", folders / "test", "--simulate-camera", "soft")
    assert "not both" in _paper(folders, "hr-aware", "table1", *both, code=2)


@pytest.mark.slow
def test_cugans_table_2_is_made_and_goes_on(folders: Path) -> None:
    """Unet, at eight levels one each, CUnet and CResMD; the printed figures stand beside those of the same names."""
    order = ("cugan", "table2", "--small", "--photos", folders / "photos", "--test", folders / "test", "--steps", 1,
             "--samples", 2, *flags("--set", _LOOP))  # fmt: skip
    told = _paper(folders, *order)
    rows = table.read(folders / "out/metrics.parquet")
    members = {row.member for row in rows if row.model == "CUnet"}
    assert len(members) == 8 and {row.member for row in rows if row.model == "CResMD"} == members
    singles = {row.model: row.member for row in rows if row.model.startswith("Unet of ")}
    assert len(singles) == 8 and all(name == f"Unet of {member}" for name, member in singles.items())
    assert re.search("CUnet: (at most|better by at least) psnr-rgb", told)  # the distance
    page = (folders / "out/report.html").read_text()
    unet = table.mean(rows, model="Unet of r2 sigma0")
    cells = re.findall(r"<td[^>]*>\s*Unet\s*</td>\s*<td[^>]*>\s*r2 sigma0\s*</td>(.*?)</tr>", page, re.DOTALL)
    assert cells and "30.24" in cells[0] and f"{unet:.2f}" in cells[0]
    before = {path: path.stat().st_mtime_ns for path in (folders / "out/runs").glob("*/model.safetensors")}
    _paper(folders, *order)
    assert before == {path: path.stat().st_mtime_ns for path in (folders / "out/runs").glob("*/model.safetensors")}


@pytest.mark.slow
@pytest.mark.parametrize("item", ["fig1", "fig2", "fig5", "fig6", "fig7", "fig8", "table3"])
def test_cugans_other_items_are_made(item: str, folders: Path, published: Path) -> None:
    sets = [each for each in _CUNET if item != "fig7" or "num_" not in each]
    torch.save({"params": CompactConfig(num_feat=4, num_conv=2, scale=1).build().state_dict()}, folders / "d.pth")
    beside = ("--model", f"DnCNN-B={folders / 'd.pth'}") if item == "table3" else ()
    _paper(folders, "cugan", item, "--small", "--photos", folders / "photos", "--test", folders / "test", "--steps", 1,
           "--samples", 2, *beside, *flags("--set", sets))  # fmt: skip
    page = (folders / "out/report.html").read_text()
    assert f"CUGAN {'table' if 'table' in item else 'figure'} {item[-1]}" in page
    assert ("measured here" in page) == ("table" in item)  # beside printed cells; those of table 2 are not figure 2's
    if item == "table3":
        mean = table.mean(table.read(folders / "out/metrics.parquet"), model="CUnet", member="r0 sigma15")
        assert re.search(rf"34\.53</td>\s*<td[^>]*>\s*{mean:.2f}\s*</td>", page)
        mean = table.mean(table.read(folders / "out/metrics.parquet"), model="DnCNN-B", member="r0 sigma15")
        assert re.search(rf"31\.61</td>\s*<td[^>]*>\s*{mean:.2f}\s*</td>", page)
    if item == "fig5":
        with Image.open(folders / "out/denoising/noise-0.20/2.png") as picture:
            assert picture.size == (128 * 4, 112 * 4)


def test_segments_part_every_range_evenly() -> None:
    """The four together are the whole ranges, one after the other; each is a recipe that draws within its own."""
    for first, whole in ((True, FIRST), (False, SECOND)):
        found = [segment(first, i) for i in range(SEGMENTS)]
        for name in ("blur_sigma", "noise_sigma_255", "poisson_scale"):
            ends = [tuple(each[name]) for each in found]
            assert ends[0][0] == getattr(whole, name)[0] and ends[-1][1] == getattr(whole, name)[1]
            assert all(a[1] == b[0] for a, b in zip(ends, ends[1:], strict=False))
        for name in ("resize_range", "jpeg_quality"):  # from the mild end
            assert found[0][name][1] == getattr(whole, name)[1] and found[-1][name][0] == getattr(whole, name)[0]
    for i in range(SEGMENTS):
        rounds = {
            "first": {**FIRST.model_dump(), **segment(True, i)},
            "second": {**SECOND.model_dump(), **segment(False, i)},
        }
        recipe = SecondOrder.model_validate({"scale": 4, **rounds})
        low, high = recipe.first.resize_range
        for n in range(20):
            steps = recipe.draw(400, Chance(0, (n,)), None).members["lr"]
            side = next(step.height for step in steps if step.op == "resize")  # type: ignore[union-attr]
            assert low * 400 - 1 <= side <= high * 400 + 1


@pytest.fixture
def modulated(folders: Path) -> Path:
    rwsr("degrade", "build", "--preset", "mm-realsr", "--source", folders / "photos", "--out", folders / "g.zarr",
         "--hr-size", 64, "--samples", 2)  # fmt: skip
    rwsr("train", "mm-realsr", "--store", folders / "g.zarr", "--out", folders / "mm", "--preset", "mm-realsr-small",
         "--steps", 1, *flags("--set", [*TINY, _UDEM]))  # fmt: skip
    return folders / "mm"


@pytest.mark.slow
def test_mm_realsrs_items_are_made(modulated: Path, folders: Path, published: Path) -> None:
    test = ("--test", folders / "test")
    model = ("--model", f"MM-RealSR={modulated}")
    small = ("--small", "--photos", folders / "photos", "--steps", 1, "--samples", 2)
    _paper(folders, "mm-realsr", "fig6", *small, *test, *flags("--set", [*TINY, _UDEM]))
    assert (folders / "out/report.html").read_text().count("anchors") > 2
    told = rwsr("paper", "mm-realsr", "fig7", *model, *test, "--out", folders / "fig7")
    assert re.search(r"2\.png: blur 0\.\d\d, noise 0\.\d\d", told)
    rwsr("paper", "mm-realsr", "fig9", *model, *test, "--out", folders / "fig9")
    assert len(list((folders / "fig9").glob("MM-RealSR-noise/noise-*/2.png"))) == 6
    assert (folders / "fig9/MM-RealSR-blur/2-sweep.mp4").stat().st_size > 1000
    camera = ("--simulate-camera", "noisy")
    told = rwsr(
        "paper", "mm-realsr", "table1", *model, *test, *camera, "--metric", "lpips-squeeze", "--out", folders / "t1"
    )
    assert "MM-RealSR: lpips-squeeze" in told and "3.60" in (folders / "t1/report.html").read_text()
    wrong = ("paper", "mm-realsr", "fig9", "--model", folders / "test", *test, "--out", folders / "no")
    rwsr(*wrong, code=1)
    tiny = ("network.num_feat=4", "network.num_block=1", "network.num_grow_ch=4", "loop.batch_size=2")
    rwsr("paper", "mm-realsr", "table2", *small, *test, *camera, "--out", folders / "t2", *flags("--set", tiny))
    rows = table.read(folders / "t2/metrics.parquet")
    assert {"Segment-1", "Segment-4", "best of 4", "MM-RealSR"} <= {row.model for row in rows}
    page = (folders / "t2/report.html").read_text()
    for printed, model in (("quarter 1", "Segment-1"), ("quarter 4", "Segment-4"), ("best of four", "best of 4")):
        mean = table.mean(rows, model=model, metric="lpips-squeeze")
        cells = rf"lpips-vgg</td>\s*<td[^>]*>\s*[\d.]+</td>\s*<td[^>]*>\s*{mean:.4f}</td>\s*<td>lpips-sq"
        row = rf"{printed}</td>(?:(?!</tr>).)*{cells}"
        assert re.search(row, page, re.DOTALL), printed


@pytest.mark.slow
def test_rwsr_edls_items_are_made(folders: Path, published: Path) -> None:
    models = []
    for seed, name in enumerate(("ESRGAN", "DASR")):
        torch.manual_seed(seed)
        net = CompactConfig(num_feat=4, num_conv=2, scale=4).build()
        torch.save({"params": net.state_dict()}, folders / f"{name}.pth")
        models += ["--model", f"{name}={folders / name}.pth"]
    pairs = ("--test", folders / "test", "--simulate-camera", "noisy")
    _paper(folders, "rwsr-edl", "table4", *models, *pairs)
    page = (folders / "out/report.html").read_text()
    assert "RWSR-EDL table IV" in page and "CinCGAN" in page
    told = rwsr("paper", "rwsr-edl", "table6", *models, "--out", folders / "t6")
    counted = sum(value.numel() for value in net.parameters())
    assert f"{counted:,} parameters" in told and "16,697,987" not in told
    told = rwsr("paper", "rwsr-edl", "fig1", *models, *pairs, "--out", folders / "f1")
    assert "how much DASR gains over ESRGAN" in told
    said = rwsr("paper", "rwsr-edl", "fig1", *models[:2], *pairs, "--out", folders / "f2", code=1)
    assert "is of two models" in said
    said = rwsr("paper", "rwsr-edl", "fig1", *models, *pairs, "--metric", "niqe", "--out", folders / "f3", code=1)
    assert "is of PSNR and LPIPS; name both" in said
    told = rwsr("paper", "rwsr-edl", "fig4", "--small", "--target", folders / "photos", "--out", folders / "f4")
    assert "patches" in told


_SMALL_STORES = ("pairs:hr_size_px=96", "bank:grid={size: 24, stride: 24}", "kernels:steps=2", "zssr:steps=2")


def _beside(folders: Path) -> tuple[object, ...]:
    """RWSR-EDL's table I in small."""
    (folders / "mine").mkdir()
    for seed in range(4, 7):
        Image.fromarray(scene(seed, 208, 224)).save(folders / f"mine/{seed}.png")
    return ("rwsr-edl", "table1", "--small", "--photos", folders / "photos", "--target", folders / "mine", "--test",
            folders / "test", "--simulate-camera", "noisy", "--steps", 1, "--samples", 4,
            *flags("--set", ("loop.batch_size=2", "loop.lr_patch_px=24", *_SMALL_STORES)))  # fmt: skip


@pytest.mark.slow
def test_rwsr_edls_rows_are_trained(folders: Path, published: Path) -> None:
    """Every method of table I by one order; done again, nothing is trained; a named model stands beside them."""
    order = _beside(folders)
    _paper(folders, *order)
    rows = table.read(folders / "out/metrics.parquet")
    methods = ("ESRGAN", "ZSSR", "CinCGAN", "FSSR", "Impressionism", "FASRGAN", "DASR", "RWSR-EDL")
    assert {row.model for row in rows} == {"bicubic", "lanczos", *methods}
    page = (folders / "out/report.html").read_text()
    for method in methods:  # each beside what is printed of it
        mean = table.mean(rows, model=method, metric="psnr-rgb")
        assert re.search(rf"{method}</td>(?:(?!</tr>).)*{mean:.2f}", page, re.DOTALL), method
    assert "minutes on a CPU" in page
    assert not list((folders / "out").glob("**/*.partial"))
    trained = {path: path.stat().st_mtime_ns for path in (folders / "out/runs").glob("*/model.safetensors")}
    assert len(trained) == 13 and (folders / "out/kernels/kernels.yaml").exists()
    torch.manual_seed(0)
    torch.save({"params": CompactConfig(num_feat=4, num_conv=2, scale=4).build().state_dict()}, folders / "x.pth")
    told = _paper(folders, *order, "--row", "RWSR-EDL", "--row", "DASR", "--model", f"other={folders / 'x.pth'}")
    assert trained == {path: path.stat().st_mtime_ns for path in (folders / "out/runs").glob("*/model.safetensors")}
    assert "other: psnr-rgb" in told


@pytest.mark.slow
def test_rwsr_edls_rows_go_on_where_they_were_killed(folders: Path, published: Path) -> None:
    """Killed three times, while stores, pairs and trainings are made, they come to the same weights and figures."""
    order = _beside(folders)
    _paper(folders, *order)
    words = [sys.executable, "-m", "rwsr", "paper", *map(str, order), "--out", str(folders / "killed")]
    for wanted in ("runs/edsr/run.json", "dasr-lr/LR/*.png", "runs/rwsr-edl/run.json"):
        started = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not list((folders / "killed").glob(wanted)) and started.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        started.kill()
        assert started.wait() != 0, wanted  # it had not ended
    rwsr("paper", *order, "--out", folders / "killed")
    one, other = (
        {path.parent.name: read_model(path).weights for path in (folders / name / "runs").glob("*/model.safetensors")}
        for name in ("out", "killed")
    )
    assert one.keys() == other.keys() and len(one) == 13
    for name, weights in one.items():
        assert all(torch.equal(value, other[name][key]) for key, value in weights.items()), name
    figures = [
        {(row.model, row.source, row.metric): row.value for row in table.read(folders / name / "metrics.parquet")}
        for name in ("out", "killed")
    ]
    assert figures[0] == figures[1]


@pytest.mark.slow
def test_rows_that_are_wanted_alone_are_made(folders: Path, published: Path) -> None:
    """With what they hang on; an image too small for what learns of each is named and left out, for all."""
    for folder, seed, side in (("mine", 4, 160), ("large", 9, 320), ("large", 10, 112)):
        (folders / folder).mkdir(exist_ok=True)
        Image.fromarray(scene(seed, side, side + 16)).save(folders / folder / f"{side}.png")
    quick = ("loop.batch_size=2", "kernelgan-zssr:steps=2", "kernelgan-zssr:kernelgan.steps=2")
    order = ("rwsr-edl", "table5", "--small", "--photos", folders / "photos", "--target", folders / "mine", "--steps",
             1, "--samples", 2, "--simulate-camera", "noisy", *flags("--row", ("EDSR", "KernelGAN")),
             *flags("--set", quick))  # fmt: skip
    told = _paper(folders, *order, "--test", folders / "large")
    assert re.search(r"left out: too-small: 112-\w+\.png, of KernelGAN: has less than 72 px", told)
    rows = table.read(folders / "out/metrics.parquet")
    assert {row.model for row in rows} == {"bicubic", "lanczos", "EDSR", "KernelGAN"}
    assert {row.source.partition("-")[0] for row in rows} == {"320"}
    assert sorted(each.name for each in (folders / "out/runs").iterdir()) == ["edsr", "kernelgan-zssr"]
    assert sorted(each.name for each in (folders / "out").glob("*.zarr")) == ["clean.zarr"]
    said = rwsr("paper", *order, "--test", folders / "test", "--out", folders / "none", code=1)
    assert "none of the images could be measured on" in said
    trained = {"--photos": folders / "photos", "--target": folders / "mine"}
    for option, lacking in (("--photos", "--target"), ("--target", "--photos")):
        told = ("--test", folders / "test", "--simulate-camera", "noisy", option, trained[option])
        assert f"RWSR-EDL table I takes {lacking} (" in _paper(folders, "rwsr-edl", "table1", *told, code=1)


def test_scores_are_those_that_a_restoration_says(modulated: Path, folders: Path) -> None:
    """Of the whole image, both, whatever it is asked by."""
    told = rwsr(
        "eval", "scores", "--images", folders / "test", "--model", modulated, "--out", folders / "m.parquet", "--json"
    )
    found = json.loads(told)["scores"]["mm"]
    restored = json.loads(rwsr("restore", folders / "test", "--model", modulated, "--out", folders / "r", "--json"))[
        "restored"
    ]
    for each in restored:
        scores = found[Path(each["source"]).name]
        assert np.allclose([scores["score-blur"], scores["score-noise"]], [each["blur"], each["noise"]], atol=1e-5)
    rwsr("report", "--metrics", folders / "m.parquet", "--out", folders / "page.html")
    assert "Scores: test" in (folders / "page.html").read_text()
    torch.save({"params": CompactConfig(num_feat=4, num_conv=2, scale=4).build().state_dict()}, folders / "x.pth")
    wrong = (
        "eval",
        "scores",
        "--images",
        folders / "test",
        "--model",
        folders / "x.pth",
        "--out",
        folders / "n.parquet",
    )
    assert "has no UDEM" in rwsr(*wrong, code=1)


def test_what_comes_last_is_looked_at_first(folders: Path) -> None:
    """Metrics, images to measure on, what the folder holds, and seeds where there is one training: before any store."""
    (folders / "text").mkdir()
    (folders / "text/b.png").write_text("no image")
    start = ("cugan", "table3", "--small", "--photos", folders / "photos", "--steps", 1, "--samples", 8)
    assert "none of the images" in _paper(folders, *start, "--test", folders / "text", code=1)
    test = ("--test", folders / "test")
    assert "metric nonsense is unknown" in _paper(folders, *start, *test, "--metric", "nonsense", code=1)
    bank = ("rwsr-edl", "fig4", "--target", folders / "photos", "--seeds", 2)
    assert "trains each row once" in _paper(folders, *bank, code=1)
    assert not (folders / "out").exists()
    segments = ("mm-realsr", "table2", "--small", "--photos", folders / "photos", *test, "--simulate-camera", "soft")
    said = rwsr("paper", *segments, "--metric", "niqe", "--out", folders / "segments", code=1)
    assert "the best is chosen by LPIPS" in said and not (folders / "segments/groups.zarr").exists()
    (folders / "out/runs").mkdir(parents=True)
    (folders / "out/order.json").write_text(json.dumps({"item": "cugan fig1", "--small": True}))
    said = _paper(folders, *start, *test, code=1)
    assert "holds cugan fig1; use another --out" in said and not (folders / "out/all.zarr").exists()

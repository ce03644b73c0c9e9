"""The papers' protocols on models whose answer is known."""

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from rwsr.degrade.errors import UserError
from rwsr.eval.images import known_sets
from rwsr.eval.images.restoring import Model, bicubic, bicubic_model, unchanged
from rwsr.eval.images.sets import ImageSet, Item, of_folders
from rwsr.eval.metrics import metric
from rwsr.eval.metrics.base import Ready
from rwsr.eval.protocols import (
    cugan_tables,
    far,
    interpolation,
    modulation,
    reconstruction,
    segmented,
    steering,
    udem_curves,
)
from rwsr.eval.protocols.base import Far, Reconstruction, Setup, Steered, Subject
from rwsr.eval.protocols.restoration import evaluate
from rwsr.eval.report import ablation, examples, published, sweeps, table
from rwsr.eval.report.page import page
from rwsr.eval.report.table import MetricRow, mean

from ...commands import rwsr
from ...conftest import scene

CPU = torch.device("cpu")


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    """Three HR images of two sizes, LR by bicubic."""
    folder = tmp_path / "hr"
    folder.mkdir()
    for seed, (height, width) in enumerate(((128, 128), (128, 128), (96, 160))):
        Image.fromarray(scene(seed, height, width)).save(folder / f"{seed}.png")
    return of_folders(folder, None, 4)


def _metric(name: str, scale: int = 4, border: int | None = None) -> Ready:
    return metric(name).ready(scale=scale, border=border, device=CPU)


def _evaluated(images: ImageSet, subjects: list[Subject], *names: str) -> list[MetricRow]:
    return _rows(evaluate(Setup(images, subjects, CPU), [_metric(name) for name in names]))


def _rows(parts: object) -> list[MetricRow]:
    return [row for _, rows in parts for row in rows]  # type: ignore[attr-defined]


def test_restoration_measures_every_image_with_every_method(images: ImageSet) -> None:
    """A better method has better figures; a model of the wrong scale or with nan is named with its image."""
    dark = Subject("dark", lambda lr: bicubic(lr, 4) * 0.8, "ff")
    rows = _evaluated(images, [Subject("bicubic", bicubic_model(4)), dark], "psnr-y")
    assert len(rows) == 6 and {row.source for row in rows} == {"0.png", "1.png", "2.png"}
    assert mean(rows, model="bicubic") > mean(rows, model="dark")
    assert {(row.checkpoint, row.data, row.border) for row in rows} == {("", images.name, 4), ("ff", images.name, 4)}
    with pytest.raises(UserError, match=r"0.png, restored by same: SR is 32x32 and HR 128x128"):
        _evaluated(images, [Subject("same", unchanged)], "psnr-y")
    with pytest.raises(UserError, match=r"0.png, restored by bad: SR holds values that are not numbers"):
        _evaluated(images, [Subject("bad", lambda x: bicubic(x, 4) * float("nan"))], "psnr-y")


def _modulated(images: ImageSet, restore: Steered) -> list[MetricRow]:
    subject = Subject("m", lambda lr: restore(lr, 1, 1), steered=restore)
    options = modulation.ModulationOptions(metrics=("psnr-y",), by="psnr-y", grid=5)
    return _rows(modulation.PROTOCOL.measure(Setup(images, [subject], CPU), options))


@pytest.mark.slow
def test_modulation_finds_the_pair_that_is_right(images: ImageSet) -> None:
    """A model that is best at blur 0.5 and noise 1: the sweep's best mean and every image's best are there."""

    def restore(lr: Tensor, blur: float, noise: float) -> Tensor:
        return bicubic(lr, 4) + 0.1 * (abs(blur - 0.5) + abs(noise - 1))

    every = _modulated(images, restore)
    rows = [row for row in every if "blur" in row.setting]
    assert len(rows) == 3 * 25
    sweep = sweeps.sweep_of(rows, modulation.MODULATION, "psnr-y")
    assert sweep is not None and sweep.axes == ("blur", "noise")
    assert sweep.settings[int(np.argmax(sweep.means))] == (0.5, 1.0)
    best = [row for row in every if row.model == "m, best of 25"]
    assert len(best) == 3 and mean(best) == pytest.approx(max(sweep.means))
    assert {row.setting for row in best} == {'{"best by":"psnr-y"}'}
    assert sweeps.sweep_of(best, modulation.MODULATION, "psnr-y") is None


def test_the_best_pair_is_compared_with_the_true_one(images: ImageSet) -> None:
    """A model that is best at blur 0.5 and noise 1, of images that were degraded by 0.4 and 0.7."""

    def restore(lr: Tensor, blur: float, noise: float) -> Tensor:
        return bicubic(lr, 4) + 0.1 * (abs(blur - 0.5) + abs(noise - 1))

    rows = [row for row in _modulated(images, restore) if "blur" in row.setting]
    assert modulation.best_and_true(rows, "m", "psnr-y") == []
    told = {row.image: replace(row, setting='{"z":[0.4,0.7]}') for row in rows}
    found = modulation.best_and_true([*rows, *told.values()], "m", "psnr-y")
    assert found == [modulation.Found((0.4, 0.7), (0.5, 1.0))] * 3
    assert modulation.mean_distances(found) == pytest.approx((0.1, 0.3))


def test_trends_by_hand() -> None:
    """Spearman against scipy; steps of a straight line are even, of a switch all in one."""
    assert sweeps.largest_step([0, 1, 2, 3, 4]) == 0.25 and sweeps.largest_step([1, 1, 0, 0]) == 1
    assert sweeps.largest_step([2, 2]) == sweeps.spearman([2, 2]) == 0
    assert sweeps.spearman([3, 1, 2]) == pytest.approx(-0.5)  # 1 - 6 (2^2 + 1 + 1) / (3 (9 - 1))


def test_the_best_of_several_models_is_each_images_best(images: ImageSet) -> None:
    """Also by a metric of which less is better; one that was not measured is named."""
    methods = [Subject(f"plus {d}", lambda lr, d=d: bicubic(lr, 4) + d) for d in (0.3, 0.0)]
    options = segmented.SegmentedOptions(metrics=("psnr-y", "ssim-y"), by="psnr-y")
    rows = _rows(segmented.PROTOCOL.measure(Setup(images, methods, CPU), options))
    best = [row for row in rows if row.model == "best of 2"]
    assert mean(best, metric="ssim-y") == pytest.approx(mean(rows, model="plus 0.0", metric="ssim-y"))
    with pytest.raises(UserError, match="no lpips-vgg to choose by"):
        sweeps.best_of(rows, "lpips-vgg", name="best")


def test_networks_between_two_have_weights_between_theirs(images: ImageSet) -> None:
    """At 0 and 1 they are the two; half way each weight is the mean. Networks of two kinds are refused."""
    a, b = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
    first, second = ({name: value.clone() for name, value in net.state_dict().items()} for net in (a, b))
    at = interpolation.between(a, b)
    lr = torch.rand(1, 3, 4, 4)
    assert torch.equal(at(0.0)(lr), nn.functional.conv2d(lr, first["weight"], first["bias"]))
    assert torch.equal(at(1.0)(lr), nn.functional.conv2d(lr, second["weight"], second["bias"]))
    at(0.5)(lr)
    assert torch.allclose(a.weight, (first["weight"] + second["weight"]) / 2)
    with pytest.raises(UserError, match="not of one network"):
        interpolation.between(a, nn.Conv2d(3, 4, 1))


def _curves(images: ImageSet, score: Model, name: str) -> list[MetricRow]:
    setup = Setup(images, [Subject(name, unchanged, scores=score, scores_images=True)], CPU)
    return _rows(udem_curves.PROTOCOL.measure(setup, udem_curves.UdemOptions(levels=6)))


def test_scores_that_know_the_level_are_perfect(images: ImageSet) -> None:
    """A score of noise by its own measure rises at every level; one that knows nothing does not."""

    def score(lr: Tensor) -> Tensor:
        rough = (lr[..., 1:] - lr[..., :-1]).abs().mean(dim=(1, 2, 3))
        return torch.stack([1 - rough, rough], dim=1)

    rows = _curves(images, score, "m")
    assert len(rows) == 3 * 3 * 6 * 2
    found = {curve.degradation: curve for curve in udem_curves.curves_of(rows, "m")}
    assert found["noise"].spearman == found["blur"].spearman == 1.0
    assert found["noise"].levels[0] == 1 and found["blur"].levels[-1] == 3 and found["jpeg"].levels[0] == 95
    assert found["noise"].dynamic_range > 0.02
    flat = _curves(images, lambda lr: torch.rand(1, 2), "r")
    assert all(curve.spearman < 1 for curve in udem_curves.curves_of(flat, "r"))


@pytest.mark.slow
def test_steering_by_hand(images: ImageSet) -> None:
    """A model that mixes in the mean by its noise score and sharpens by its blur score does what it is told."""
    told: list[tuple[float, float]] = []

    def restore(lr: Tensor, blur: float, noise: float) -> Tensor:
        told.append((blur, noise))
        gray = (1 - noise) * lr + noise * lr.mean()
        return gray + blur * (gray - torch.nn.functional.avg_pool2d(gray, 3, 1, 1))

    def score(lr: Tensor) -> Tensor:
        return torch.tensor([[0.25, 0.75]])

    def steer(model: Steered, name: str, steps: int) -> list[MetricRow]:
        subject = Subject(name, unchanged, scale=1, steered=model, scores=score, scores_images=True)
        options = steering.SteeringOptions(steps=steps)
        return _rows(steering.PROTOCOL.measure(Setup(images, [subject], CPU), options))

    rows = steer(restore, "m", 5)
    assert len(rows) == 3 * 2 * 5
    assert all(blur == 0.25 or noise == 0.75 for blur, noise in told)  # one is told, the other the model's own
    found = {each.told: each for each in steering.steering_of(rows, "m")}
    assert [each.spearman for each in found.values()] == pytest.approx([1, 1])
    assert found["noise"].scores == found["blur"].scores == (0, 0.25, 0.5, 0.75, 1)
    noise, blur = found["noise"].values, found["blur"].values
    assert noise[-1] / noise[0] < 0.02 and blur[-1] / blur[0] > 1.2  # 1: all is the mean
    assert b"data:image/png" in page("t", "s", [steering.PROTOCOL.section(rows, [])])
    contrary = steer(lambda lr, b, n: restore(lr, 1 - b, 1 - n), "c", 11)
    assert [each.spearman for each in steering.steering_of(contrary, "c")] == pytest.approx([-1, -1])
    deaf = steer(lambda lr, b, n: lr, "d", 3)
    assert [each.spearman for each in steering.steering_of(deaf, "d")] == [0, 0]


def test_residual_noise_and_detail_of_known_images() -> None:
    """Noise of 10 gray levels on mid-gray is 10; a board of single pixels has steps of its contrast."""
    torch.manual_seed(0)
    gray = torch.full((1, 3, 64, 64), 0.5)
    assert steering.residual_noise(gray + 10 / 255 * torch.randn_like(gray), gray) == pytest.approx(10, rel=0.02)
    board = ((torch.arange(64)[:, None] + torch.arange(64)) % 2).float().expand(1, 3, 64, 64)
    assert steering.detail(board / 5) == pytest.approx(51)
    assert steering.detail(gray) == 0


def _cugan(images: ImageSet, subject: Subject, *metrics: str) -> list[MetricRow]:
    """Without the degraded images as they are."""
    setup = Setup(replace(images, scale=1), [subject], CPU)
    rows = _rows(cugan_tables.PROTOCOL.measure(setup, cugan_tables.CuganOptions(metrics=metrics)))
    return [row for row in rows if row.model == subject.name]


def test_cugans_settings_tell_the_model_the_truth(images: ImageSet) -> None:
    """z is (r/4, sigma/50); the degraded image has the noise it should; sizes are cropped to multiples of 16."""
    told: list[list[float]] = []

    def restore(image: Tensor, z: Tensor) -> Tensor:
        assert image.shape[-1] % 16 == 0 and image.shape[-2] % 16 == 0
        told.append(z[0].tolist())
        return image

    same = Subject("same", unchanged, conditioned=restore)
    rows = _cugan(images, same)
    assert {json.dumps([round(v, 4) for v in z]) for z in told} == {
        json.dumps([r / 4, s / 50]) for r, s in cugan_tables.TABLE_2
    }
    assert {row.member: json.loads(row.setting)["z"] for row in rows} == {
        cugan_tables.member_of(r, s): [r / 4, s / 50] for r, s in cugan_tables.TABLE_2
    }
    noisy = [row.value for row in rows if row.member == "r0 sigma30"]
    assert np.mean(noisy) == pytest.approx(20 * np.log10(255 / 30), abs=0.6)  # less where levels saturate
    assert mean(rows, member="r2 sigma0") > mean(rows, member="r4 sigma0")
    again = _cugan(images, same)
    assert [row.value for row in again] == [row.value for row in rows]


def test_a_blur_of_cugan_is_matlabs_fspecial() -> None:
    """A point becomes the sampled Gaussian on 21x21, whose centre for r = 1 is 0.1592."""
    point = np.zeros((41, 41, 3), dtype=np.uint8)
    point[20, 20] = 255
    found = cugan_tables.degraded(point, 1, 0, "x")[20, 20, 0]
    assert found == round(255 * 0.1592)


@pytest.mark.slow
def test_modulation_distances_are_of_the_best_single_model(images: ImageSet) -> None:
    """Positive where a single-level model is better, whichever way the metric runs."""
    rows: list[MetricRow] = []
    for name, offset in (("cunet", 0.02), ("unet 1", 0.0), ("unet 2", 0.05)):

        def moved(image: Tensor, _: Tensor | None = None, by: float = offset) -> Tensor:
            return image + by

        told = moved if name == "cunet" else None
        method = Subject(name, moved, "ff", conditioned=told)
        rows += [row for row in _cugan(images, method, "psnr-rgb", "ssim-rgb") if row.member == "r2 sigma0"]
    by_psnr = [mean(rows, model=name, metric="psnr-rgb") for name in ("unet 1", "cunet")]
    [distance] = cugan_tables.modulation_distances(rows, "psnr-rgb")["cunet"].values()
    assert distance == pytest.approx(by_psnr[0] - by_psnr[1]) and distance > 0
    rest = [row for row in rows if row.model != "unet 1"]
    [distance] = cugan_tables.modulation_distances(rest, "ssim-rgb")["cunet"].values()
    assert distance == pytest.approx(
        mean(rest, model="unet 2", metric="ssim-rgb") - mean(rest, model="cunet", metric="ssim-rgb")
    )
    assert distance < 0
    assert cugan_tables.modulation_distances([replace(row, checkpoint="") for row in rows], "psnr-rgb") == {}


def test_far_parts_what_is_degraded(images: ImageSet) -> None:
    """A value that is the roughness itself: an area of 1 for noise, less than a half for blur."""

    def value(image: Tensor) -> Tensor:
        return (image[..., 1:] - image[..., :-1]).square().mean(dim=(1, 2, 3))

    setup = Setup(images, [Subject("m", unchanged, far=Far(value, "none"))], CPU)
    rows = _rows(far.PROTOCOL.measure(setup, far.FarOptions()))
    assert far.area_of(rows, "m", "noise") > 0.8 and far.area_of(rows, "m", "blur") < 0.5
    assert far.rises(rows, "m", "noise") == 1 and far.rises(rows, "m", "blur") == 0
    assert far.area_under_curve([1, 1], [1, 1]) == 0.5 and far.area_under_curve([3], [1]) == 0
    with pytest.raises(UserError, match="m has no FAR"):
        _rows(far.PROTOCOL.measure(Setup(images, [Subject("m", unchanged)], CPU), far.FarOptions()))


def test_reconstruction_follows_equation_12(images: ImageSet) -> None:
    """A network that reduces Y again fits LR better the more of LR is in it."""

    def reduce(lr: Tensor, hr: Tensor, _: str, strength: str) -> tuple[Tensor, Tensor]:
        return hr[..., 1::4, 1::4], lr

    setup = Setup(images, [Subject("m", unchanged, reconstruction=Reconstruction(reduce, False))], CPU)
    rows = _rows(reconstruction.PROTOCOL.measure(setup, reconstruction.ReconstructionOptions(steps=5)))
    sweep = sweeps.sweep_of(rows, reconstruction.RECONSTRUCTION, "psnr-rgb")
    assert sweep is not None and sweep.settings == ((0.0,), (0.25,), (0.5,), (0.75,), (1.0,))
    assert list(sweep.means) == sorted(sweep.means)


def test_the_ablation_says_whether_the_papers_order_is_there(images: ImageSet) -> None:
    """By the mean over runs, and by more than their spread."""
    offsets = {"a1": 0.0, "a2": 0.001, "b1": 0.05, "b2": 0.051}
    methods = [Subject(name, lambda lr, d=d: bicubic(lr, 4) + d) for name, d in offsets.items()]
    rows = _evaluated(images, methods, "psnr-y")
    found = ablation.ablation(rows, {"with": ["a1", "a2"], "without": ["b1", "b2"]}, "psnr-y")
    assert found.order == ("with", "without")
    assert found.holds("with", "without") and not found.holds("without", "with")
    assert found.spread("with") > 0 and found.mean("with") == pytest.approx(np.mean(found.runs["with"]))
    with pytest.raises(UserError, match=r"no psnr-y of c1 \(other\)"):
        ablation.ablation(rows, {"other": ["c1"]}, "psnr-y")


def test_examples_are_the_worst_images_and_the_same_place(images: ImageSet) -> None:
    """Crops of LR, every method and HR, from where the last method is farthest from HR."""
    methods = [Subject("bicubic", bicubic_model(4)), Subject("dark", lambda lr: bicubic(lr, 4) * 0.5)]
    rows = _evaluated(images, methods, "psnr-y")
    chosen = examples.telling(examples.ranked(rows, "psnr-y", "dark"))
    assert len(chosen) == 3
    assert chosen[0][0] == min((row for row in rows if row.model == "dark"), key=lambda row: row.value).source

    def restored(item: Item, lr: Tensor) -> dict[str, Tensor]:
        return {each.name: each.model(lr) for each in methods}

    crops = examples.cut(images, restored, chosen[:1])
    assert [crop.method for crop in crops] == ["LR", "bicubic", "dark", "HR"]
    assert len({(crop.y, crop.x) for crop in crops}) == 1 and len({crop.png for crop in crops}) == 4


def test_published_figures_are_whole() -> None:
    """Table 2 of CUGAN with its misprints set right, and sets found by their names."""
    found = [
        each
        for each in published.published()
        if (each.paper, each.method, each.metric) == ("CUGAN", "CUnet", "psnr-rgb")
    ]
    assert {each.member: each.value for each in found}["r2 sigma0"] == 30.07
    assert "printed as 20.07" in next(each.note for each in found if each.member == "r2 sigma0")
    found = published.beside("LIVE1", ["dists", "lpips-alex-cugan"], cugan_tables.CUGAN)
    assert {each.metric for each in found} == {"dists", "lpips-alex-cugan"}
    assert not published.beside("LIVE1", ["dists"])
    assert [each.method for each in published.beside("set5 (bicubic x4)", ["psnr-y"])] == ["IMDN", "RLFN"]
    assert not published.beside("mine", ["psnr-y"])
    assert "RWSR-EDL" in [each.method for each in published.beside("NTIRE2020/HR x4", ["psnr-rgb"])]


def test_every_cell_of_every_table_is_known() -> None:
    """As many as the papers print, once each; and every distance that CUGAN prints is that of its own rows."""
    every = published.published()
    cells = [(each.paper, each.table, each.data, each.method, each.member, each.metric) for each in every]
    assert len(set(cells)) == len(cells)
    printed = {
        "CUGAN": {"1": 60, "2": 32 + 3, "3": 24},
        "MM-RealSR": {"1": 36, "2": 12},
        "RWSR-EDL": {"I": 24, "II": 6, "III": 12, "IV": 21, "V": 28, "VI": 8, "VII": 6, "VIII": 4, "IX": 12, "X": 15},
        "HR-aware": {"1": 160, "2": 16, "3": 12, "4": 8},
    }
    for paper, tables in printed.items():
        found = Counter(each.table.removeprefix("table ") for each in every if each.paper == paper)
        assert dict(found) == tables, paper
    values = {cell: each.value for cell, each in zip(cells, every, strict=True)}
    for (paper, of, data, method, member, name), value in values.items():
        if name.startswith("distance-"):
            figure = name.removeprefix("distance-")
            best = values[paper, of, data, {"CUGAN": "UGAN", "CUnet": "Unet"}[method], member, figure]
            own = values[paper, of, data, method, member, figure]
            assert value == pytest.approx(abs(best - own) if of == "table 2" else own - best, abs=1.01e-4), member


@pytest.mark.parametrize(
    ("folder", "scale", "paper"),
    [
        ("RealSR(V3)/Canon/Test/4", 4, "RWSR-EDL"),
        ("RealSR(V3)/Nikon/Test/4", 4, "HR-aware"),
        ("AIM2019/valid-gt-clean", 4, "RWSR-EDL"),
        ("x/track1-valid-gt", 4, "RWSR-EDL"),
        ("Corrupted-va-x", 4, "RWSR-EDL"),
        ("CameraSR/City100/City100_iPhoneX", 4, "RWSR-EDL"),
        ("RealSR/HR", 4, "MM-RealSR"),
        ("RealSR V3 test", 4, "MM-RealSR"),
        ("RealSRSet", 4, None),
        ("MyRealSRSetCopy", 4, None),
        ("RealSR-Canon/HR", 2, None),
        ("RealSR(V3)/Canon/Test/2", 2, None),
    ],
)
def test_a_papers_figures_stand_beside_its_own_set_and_scale_only(folder: str, scale: int, paper: str | None) -> None:
    """Told by official folder names, word by word; never beside another set, scale, or a set without HR."""
    name = known_sets.name_of(folder)
    name = name if f"x{scale}" in known_sets.words_of(name) else f"{name} x{scale}"
    found = {each.paper for each in published.beside(name, ["psnr-y", "lpips-vgg", "niqe"])}
    assert paper in found if paper is not None else not found
    assert not published.beside(f"{name} {published.NO_HR}", ["niqe"])


def test_an_ablations_order_is_that_of_the_measured_set() -> None:
    """HR-aware's table 1 has NTIRE20, Canon and Nikon, whose orders differ."""
    orders = {}
    for data in ("NTIRE20 x4", "RealSR-Canon (Test x4)", "RealSR-Nikon (Test x4)", "mine x4"):
        on, rows = published.of_set("1", data)
        orders[on] = sorted(rows, key=lambda name, r=rows: -(r[name][0] or 0))
        assert on.split("-")[0] in data or data == "mine x4"
    canon = ["ZSSR", "LWay", "HR-aware", "SRTTA", "before", "KernelGAN+ZSSR"]
    assert orders["RealSR-Canon"] == canon != orders["NTIRE20"]


@pytest.mark.parametrize("values", [(math.nan, 4.0, 3.0), (4.0, math.nan, 3.0), (4.0, 3.0, math.nan)])
def test_the_best_is_a_number(images: ImageSet, values: tuple[float, ...]) -> None:
    """NIQE of a flat output has no value; wherever it stands, it is not the best."""
    [row] = _evaluated(images, [Subject("m", bicubic_model(4))], "psnr-y")[:1]
    rows = [
        replace(row, metric="niqe", better="lower", value=value, setting=f'{{"n": {i}}}')
        for i, value in enumerate(values)
    ]
    assert [each.value for each in sweeps.best_of(rows, "niqe", name="best")] == [3.0]


def test_cugans_table_3_is_of_gray_images_and_any_setting_can_be_named(photos: Path, tmp_path: Path) -> None:
    """Gray images with one noise for all channels, so that what is degraded is gray; PSNR is that of the noise."""
    out = tmp_path / "m.parquet"
    rwsr("eval", "cugan", "--images", photos, "--name", "CBSD68", "--table", 3, "--out", out)
    rows = table.read(out)
    assert {row.data for row in rows} == {"gray CBSD68"}
    assert {row.member for row in rows} == {f"r0 sigma{sigma}" for sigma in (15, 25, 30, 50)}
    found = table.mean(rows, model="degraded", member="r0 sigma15")
    assert found == pytest.approx(20 * np.log10(255 / 15), abs=0.5)
    gray = np.repeat(np.full((32, 48, 1), 128, np.uint8), 3, axis=2)
    noisy = cugan_tables.degraded(gray, 0, 30, "a", gray=True)
    assert (noisy[..., :1] == noisy).all() and noisy.std() == pytest.approx(30, rel=0.1)
    beside = published.beside("gray CBSD68", ["psnr-rgb"], cugan_tables.CUGAN)
    assert {each.table for each in beside} == {"table 3"}
    assert {each.table for each in published.beside("CBSD68", ["psnr-rgb"], cugan_tables.CUGAN)} == {"table 2"}
    rwsr(
        "eval", "cugan", "--images", photos, "--setting", "1,50", "--setting", "0.5,0", "--out", tmp_path / "n.parquet"
    )
    assert {row.member for row in table.read(tmp_path / "n.parquet")} == {"r1 sigma50", "r0.5 sigma0"}
    for wrong, said in (("1", "is no blur and noise"), ("5,0", "is beyond blur 4")):
        assert said in rwsr("eval", "cugan", "--images", photos, "--setting", wrong, "--out", out, code=1)

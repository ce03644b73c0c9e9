"""The tab Modulate, turned by hand in a browser: what it shows changes, and what it saves is what the command makes."""

import os
import shlex
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.pixels import U8, encode_png
from rwsr.pipelines.studio.tabs.common import plain
from rwsr.train.networks.cunet import CUnetConfig
from rwsr.train.networks.mm_realsr import MMRealSRConfig
from rwsr.train.networks.published.compact import CompactConfig
from rwsr.train.runs.model_file import weights_of, write_run

from ...commands import rwsr

pytestmark = pytest.mark.slow


@pytest.fixture
def photo(astronaut: U8, tmp_path: Path) -> Path:
    """A real photograph as LR, 128 px, and its HR beside it."""
    hr = np.ascontiguousarray(astronaut[:512, :512])
    Image.fromarray(hr).save(tmp_path / "hr.png")
    Image.fromarray(hr).resize((128, 128), Image.Resampling.BICUBIC).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def modulated(tmp_path: Path) -> Path:
    """A model whose scores change what it makes, as no training of seconds would have it."""
    sizes = {"num_feat": 8, "num_block": 2, "num_grow_ch": 4, "embed_feats": 8, "modulator_feats": 8}
    udem = {"num_feat": [4], "num_block": [1], "downscales": [2]}
    config = MMRealSRConfig.model_validate({**sizes, "init_as_nearest": True, "udem": udem})
    torch.manual_seed(1)
    net = config.build()
    with torch.no_grad():
        for name, value in net.named_parameters():
            if "am_list" in name or "dd_embed" in name:
                value.normal_(0, 0.5)
            else:
                value.add_(torch.randn_like(value), alpha=0.3 if "de_net" in name else 0.05)
    write_run(tmp_path / "mm", weights_of(net), {"method": "mm-realsr", "network": config.model_dump(mode="json")})
    return tmp_path / "mm"


def _pixels(data: bytes) -> np.ndarray:
    return decode(data).pixels.astype(int)


def test_a_slider_changes_pixels_and_the_saved_command_makes_the_same_bytes(
    studio, photo: Path, modulated: Path, tmp_path: Path
) -> None:
    here = studio(photo, "--model", f"mm={modulated}")
    here.at("noise-slider").wait_for()
    here.until(lambda: "ms" in here.at("figures").inner_text(), "no crop is restored")
    scores = here.page.locator(".at-noise-slider").inner_text()
    assert "UDEM 0." in scores and here.at("noise-auto").get_attribute("aria-checked") == "true"
    before = here.picture()
    here.slide("noise", "PageDown", 10)
    here.until(lambda: here.picture() != before, "the slider changes nothing")
    assert here.at("noise-auto").get_attribute("aria-checked") == "false"
    least = here.picture()
    here.slide("noise", "ArrowRight", 7)
    here.until(lambda: here.picture() != least, "the slider changes nothing")
    assert "noise 0.07" in here.at("view").inner_text()
    here.at("whole").click()
    here.at("wrote").wait_for()
    words = shlex.split(here.at("line-of-shell").inner_text())
    assert words[:3] == ["rwsr", "restore", str(photo)] and words[-4:-2] == ["--noise", "0.07"]
    made = here.out / words[-1] if not os.path.isabs(words[-1]) else Path(words[-1])
    ours = next(made.glob("*.png")).read_bytes()
    rwsr(*words[1:-1], tmp_path / "by-command")
    assert (tmp_path / "by-command/photo.png").read_bytes() == ours
    whole = _pixels(ours)
    crop = _pixels(here.picture())  # of the middle: as the whole has it, but for what lies beyond the margin
    part = whole[128 : 128 + 256, 128 : 128 + 256]
    assert crop.shape == part.shape and np.abs(crop - part).max() <= 1
    here.at("noise-auto").click()
    here.until(lambda: here.picture() == before, "auto leads back")


def test_two_settings_stand_beside_each_other_and_zoom_as_one(studio, photo: Path, modulated: Path) -> None:
    here = studio(photo, "--model", f"mm={modulated}")
    here.page.locator(".rwsr-compare img").first.wait_for()
    here.at("add-view").click()
    here.until(lambda: here.page.locator(".rwsr-compare img").count() == 4, "no second view")
    here.slide("blur", "PageUp", 10, nth=1)
    here.until(lambda: here.picture(0) != here.picture(1), "both views are alike")
    here.page.locator(".rwsr-compare").first.hover()
    here.page.mouse.wheel(0, -400)
    moved = [each.get_attribute("style") for each in here.page.locator(".rwsr-compare img").all()]
    assert len(set(moved)) == 1 and "scale(2.7" in str(moved[0])
    here.page.locator(".rwsr-compare").first.press("0")
    assert "scale(1)" in str(here.page.locator(".rwsr-compare img").first.get_attribute("style"))
    split = here.page.locator(".rwsr-split").first
    split.focus()
    here.page.keyboard.press("Home")
    line = here.page.locator(".rwsr-line").first.get_attribute("style")
    assert "left: 0%" in str(line)
    before = here.picture(0)
    here.at("thumb").click(position={"x": 30, "y": 30})
    here.until(lambda: here.picture(0) != before, "another place is not shown")


def test_hr_gives_metrics_and_a_curve_and_a_sweep_its_films(studio, photo: Path, modulated: Path) -> None:
    here = studio(photo, "--model", f"mm={modulated}")
    here.at("noise-slider").wait_for()
    hr = here.page.get_by_label("and of its HR")
    hr.fill(str(photo.with_name("hr.png")))
    hr.press("Enter")
    here.until(lambda: "psnr-y" in here.at("figures").inner_text(), "no metrics")
    assert "with HR of 512x512" in here.at("about").inner_text()
    hr.fill(str(photo))
    hr.press("Enter")
    here.until(lambda: "HR is not 4 times as large" in here.at("figures").inner_text(), "an HR that fits not is taken")
    hr.fill(str(photo.with_name("hr.png")))
    hr.press("Enter")
    here.until(lambda: "psnr-y" in here.at("figures").inner_text(), "no metrics")
    here.at("curve").click()
    here.at("chart").wait_for()
    assert here.page.locator(".at-chart canvas, .at-chart svg").count() >= 2  # PSNR and SSIM
    here.at("sweep").click()
    here.at("film").wait_for(timeout=60_000)
    assert here.at("gif").is_visible() and "--noise 0:1:11" in here.at("line-of-shell").inner_text()
    assert {path.suffix for path in (here.out / "sweeps").glob("**/*-sweep.*")} == {".png", ".gif", ".mp4"}


def test_a_condition_is_told_in_cugans_own_numbers(studio, photo: Path, tmp_path: Path) -> None:
    """r and sigma beside the shares of them; and the command has the shares."""
    config = CUnetConfig(num_feat=(4, 6, 8), num_block=1)
    torch.manual_seed(0)
    about = {"method": "cugan", "network": config.model_dump(mode="json")}
    write_run(tmp_path / "cugan", weights_of(config.build()), about)
    here = studio(photo, "--model", tmp_path / "cugan")
    here.until(lambda: "ms" in here.at("figures").inner_text(), "no crop is restored")
    assert not here.at("noise-auto").is_visible()
    here.slide("noise", "PageUp", 3)
    here.until(lambda: "noise 0.30 (sigma 15)" in here.at("view").inner_text(), "sigma is not told")
    here.slide("blur", "PageUp", 5)
    here.until(lambda: "blur 0.50 (r 2)" in here.at("view").inner_text(), "r is not told")
    here.at("command").click()
    assert "--condition 0.50 0.30" in here.at("line-of-shell").inner_text()


def test_a_typed_name_lies_in_no_other_folder() -> None:
    for text, name in (("../../x", "x"), ("a/b", "a-b"), ("", "y"), (None, "y"), ("..", "y"), ("ä b", "ä-b")):
        assert plain(text, "y") == name


def test_a_model_is_led_to_another(studio, photo: Path, tmp_path: Path) -> None:
    """Two files of one network: alpha between them, and the command of it."""
    for seed in (0, 1):
        torch.manual_seed(seed)
        net = CompactConfig(num_feat=8, num_conv=2, scale=4).build()
        torch.save({"params": net.state_dict()}, tmp_path / f"{'ab'[seed]}.pth")
    here = studio(photo, "--model", tmp_path / "a.pth", "--model", tmp_path / "b.pth")
    here.until(lambda: "ms" in here.at("figures").inner_text(), "no crop is restored")
    first = here.picture()
    here.page.get_by_label("alpha leads to").click()
    here.page.get_by_role("option", name="b").click()
    here.at("alpha-slider").wait_for()
    here.slide("alpha", "PageUp", 10)
    here.until(lambda: here.picture() != first, "alpha changes nothing")
    here.until(lambda: "alpha 1.00" in here.at("view").inner_text(), "it does not come to its end")
    here.at("command").click()
    words = shlex.split(here.at("line-of-shell").inner_text())
    assert words[words.index("--alpha") + 1] == "1.00" and words.count("--model") == 2
    rwsr("restore", photo, "--model", tmp_path / "b.pth", "--out", tmp_path / "b")
    whole = _pixels((tmp_path / "b/photo.png").read_bytes())[128:384, 128:384]
    assert np.abs(_pixels(here.picture()) - whole).max() <= 1


def test_what_is_no_image_is_one_line_and_the_page_lives_on(studio, photo: Path, tmp_path: Path, foreign: Path) -> None:
    here = studio("--model", foreign)
    (tmp_path / "broken.png").write_bytes(photo.read_bytes()[:300])
    path = here.page.get_by_label("Path of an image")
    for text, says in ((tmp_path / "broken.png", "broken.png"), (tmp_path / "none.png", "none.png"), ("", ".")):
        path.fill(str(text))
        path.press("Enter")
        note = here.page.locator(".q-notification").filter(has_text=says).first
        note.wait_for()
        assert "\n" not in note.locator(".q-notification__message").inner_text()
    here.give("upload", photo)
    here.until(lambda: "photo.png, 128x128" in here.at("about").inner_text(), "it is not opened")
    assert (here.out / "uploads/photo.png").read_bytes() == photo.read_bytes()
    here.until(lambda: "ms" in here.at("figures").inner_text(), "no crop is restored")


def test_long_work_is_cancelled(studio, astronaut: U8, tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(encode_png(np.tile(astronaut, (2, 2, 1))))
    torch.manual_seed(0)
    net = CompactConfig(num_feat=32, num_conv=16, scale=4).build()
    torch.save({"params": net.state_dict()}, tmp_path / "slow.pth")
    here = studio(tmp_path / "large.png", "--model", tmp_path / "slow.pth")
    here.until(lambda: "ms" in here.at("figures").inner_text(), "no crop is restored")
    here.at("whole").click()
    here.at("cancel").click()
    here.page.get_by_text("cancelled: restore").first.wait_for(timeout=30_000)
    assert not list((here.out).glob("restored/**/*.png")) and here.at("work").count() == 0


def test_ctrl_c_ends_it_while_it_works(studio, astronaut: U8, tmp_path: Path) -> None:
    """And a page that is left ends its work: the next one can begin its own."""
    (tmp_path / "large.png").write_bytes(encode_png(np.tile(astronaut, (3, 3, 1))))
    torch.manual_seed(0)
    torch.save({"params": CompactConfig(num_feat=48, num_conv=16, scale=4).build().state_dict()}, tmp_path / "slow.pth")
    here = studio(tmp_path / "large.png", "--model", tmp_path / "slow.pth")
    here.until(lambda: "ms" in here.at("figures").inner_text(), "no crop is restored")
    here.at("whole").click()
    here.at("cancel").wait_for()
    here.at("command").click()
    here.page.get_by_text("other work is under way here").first.wait_for()
    assert here.at("cancel").is_visible()
    here.errors_end = True
    here.process.send_signal(signal.SIGINT)
    here.process.wait(15)
    assert not list(here.out.glob("restored/**/*.png"))


def test_it_starts_soon_and_answers_to_this_machine_alone(studio, photo: Path, foreign: Path) -> None:
    """Under 5 s to its page; another site's name for this machine gets nothing; by day, by night, and narrow."""
    began = time.monotonic()
    here = studio(photo, "--model", foreign, width=420, height=800)
    here.page.get_by_role("tab", name="Modulate").wait_for()
    assert time.monotonic() - began < 5
    answer = here.page.request.get(here.address, headers={"Host": "elsewhere.example"})
    assert answer.status == 400
    here.until(lambda: "ms" in here.at("figures").inner_text(), "no crop is restored")
    for name in ("Recipes", "Noise banks", "Stores", "Trainings", "Modulate"):
        here.page.get_by_role("tab", name=name).click()
        here.page.wait_for_timeout(300)
        assert here.page.evaluate("document.documentElement.scrollWidth") <= 420, name
    here.at("theme").click()
    here.until(lambda: here.page.evaluate("document.body.classList.contains('body--dark')"), "it stays light")


def test_without_nicegui_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nicegui", None)
    assert "pip install 'rwsr[studio]'" in rwsr("studio", "--no-open", code=1)

"""`rwsr restore` under one setting after another: the same bytes as one by one, and what is drawn of them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rwsr.degrade.errors import UserError
from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.pixels import encode_png
from rwsr.pipelines.sweep import sweep_of
from rwsr.train.networks.cunet import CUnetConfig
from rwsr.train.networks.mm_realsr import MMRealSRConfig
from rwsr.train.runs.model_file import write_model

from ..commands import rwsr

UDEM = {"num_feat": [4], "num_block": [1], "downscales": [2]}


def _run(folder: Path, network: object, seed: int) -> Path:
    """A run of a network whose weights are drawn, so that what is turned shows."""
    import torch

    torch.manual_seed(seed)
    net = network.build()  # type: ignore[attr-defined]
    with torch.no_grad():
        for value in net.parameters():
            value.add_(0.05 * torch.randn(value.shape))
    method = "cugan" if isinstance(network, CUnetConfig) else "mm-realsr"
    folder.mkdir()
    config = {"method": method, "network": network.model_dump(mode="json")}  # type: ignore[attr-defined]
    write_model(folder / "model.safetensors", net.state_dict(), config, 0)
    return folder


@pytest.fixture
def modulated(tmp_path: Path) -> Path:
    sizes = {"num_feat": 4, "num_block": 1, "num_grow_ch": 4, "udem": UDEM, "scale": 2}
    return _run(tmp_path / "mm", MMRealSRConfig.model_validate(sizes), 0)


def _pixels(path: Path) -> np.ndarray:
    return decode(path.read_bytes()).pixels


def test_a_score_is_turned(modulated: Path, photos: Path, tmp_path: Path) -> None:
    """Each frame has the bytes of a call of its own; strip, GIF and film show the middle, there and back."""
    out, one = tmp_path / "out", tmp_path / "one"
    told = rwsr(
        "restore", photos / "a.png", "--model", modulated, "--out", out, "--noise", "0,auto,1", "--blur", "0.25"
    )
    rwsr("restore", photos / "a.png", "--model", modulated, "--out", one, "--noise", "1", "--blur", "0.25")
    assert (out / "noise-1.00/a.png").read_bytes() == (one / "a.png").read_bytes()
    frames = [_pixels(out / f"noise-{name}/a.png") for name in ("0.00", "auto", "1.00")]
    assert (frames[0] != frames[2]).any()
    for suffix in (".png", ".gif", ".mp4"):
        assert f"wrote {out / 'a-sweep'}{suffix}" in told
    strip = _pixels(out / "a-sweep.png")
    assert strip.shape[1] > 3 * 256 and strip.shape[0] < 2 * 256
    with Image.open(out / "a-sweep.gif") as gif:
        assert getattr(gif, "n_frames", 1) == 4
    import av

    with av.open(str(out / "a-sweep.mp4")) as film:
        shown = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(shown) == 4 and max(shown[0].shape[:2]) <= 512
    height, width = shown[0].shape[:2]
    y, x = ((side - piece) // 2 for side, piece in zip(frames[2].shape[:2], (height, width), strict=True))
    middle = frames[2][y : y + height, x : x + width].astype(int)
    off = [np.abs(each.astype(int) - middle).mean() for each in shown]
    assert int(np.argmin(off)) == 2  # the third of 0, auto, 1, auto


def test_two_scores_make_a_grid(modulated: Path, photos: Path, tmp_path: Path) -> None:
    rwsr(
        "restore",
        photos / "a.png",
        "--model",
        modulated,
        "--out",
        tmp_path / "out",
        "--noise",
        "0:1:3",
        "--blur",
        "0,1",
    )
    made = sorted(path.parent.name for path in (tmp_path / "out").glob("*/a.png"))
    assert made == [f"blur-{b}-noise-{n}" for b in ("0.00", "1.00") for n in ("0.00", "0.50", "1.00")]
    strip = _pixels(tmp_path / "out/a-sweep.png")
    assert strip.shape[1] > 3 * 256 and strip.shape[0] > 300 and not (tmp_path / "out/a-sweep.mp4").exists()


def test_alpha_leads_from_one_model_to_another(photos: Path, tmp_path: Path) -> None:
    """CUGAN's third row: at the ends the models themselves, between them what `train interpolate` writes."""
    sizes = CUnetConfig(num_feat=(4, 6), num_block=1)
    gan, mse = (_run(tmp_path / name, sizes, seed) for seed, name in enumerate(("gan", "mse")))
    condition = ("--condition", "0.5", "0.25")
    both = ("restore", photos / "a.png", "--model", gan, "--model", mse, *condition, "--alpha")
    rwsr(*both, "0,0.5,1", "--out", tmp_path / "out")
    rwsr("train", "interpolate", gan, mse, "--alpha", 0.5, "--out", tmp_path / "between")
    for name, model in (("0.00", gan), ("0.50", tmp_path / "between"), ("1.00", mse)):
        rwsr("restore", photos / "a.png", "--model", model, *condition, "--out", tmp_path / f"one-{name}")
        one = (tmp_path / f"one-{name}/a.png").read_bytes()
        assert (tmp_path / f"out/alpha-{name}/a.png").read_bytes() == one
    rwsr(*both, "0.5", "--out", tmp_path / "single")
    assert (tmp_path / "single/alpha-0.50/a.png").read_bytes() == (tmp_path / "one-0.50/a.png").read_bytes()
    other = _run(tmp_path / "other", CUnetConfig(num_feat=(4,), num_block=1), 0)
    wrong = ("restore", photos / "a.png", "--model", gan, "--model", other, *condition, "--alpha", "0,1")
    assert "are not of one network" in rwsr(*wrong, "--out", tmp_path / "wrong", code=1)
    assert not (tmp_path / "wrong").exists()


def test_what_cannot_be_turned_is_said(modulated: Path, foreign: Path, photos: Path, tmp_path: Path) -> None:
    start = ("restore", photos / "a.png", "--out", tmp_path / "out", "--model")
    assert "takes no scores" in rwsr(*start, foreign, "--noise", "auto,0.5", code=1)
    assert "'2' of '0,2' is neither a number from 0 to 1 nor `auto`" in rwsr(
        *start, modulated, "--noise", "0,2", code=2
    )
    assert "is no FIRST:LAST:COUNT" in rwsr(*start, modulated, "--noise", "0:1:x", code=2)
    assert "name two --model" in rwsr(*start, modulated, "--alpha", "0,1", code=2)
    assert "noise has one value twice" in rwsr(*start, modulated, "--noise", "0.5,0.5", code=1)
    to_file = ("restore", photos / "a.png", "--model", modulated, "--noise", "0,1", "--out", tmp_path / "b.png")
    assert "a sweep makes many" in rwsr(*to_file, code=1)
    with pytest.raises(UserError, match="all turned"):
        sweep_of((0.0, 1.0), (0.0, 1.0), (0.0, 1.0))


def test_prepared_folders_are_measured_under_one_condition(photos: Path, tmp_path: Path) -> None:
    """The figures of images that were restored under it one by one; without it, a line says what is missing."""
    run = _run(tmp_path / "run", CUnetConfig(num_feat=(4, 6), num_block=1), 0)
    for folder in ("GT", "LQ"):
        (tmp_path / folder).mkdir()
    clean = _pixels(photos / "a.png")
    (tmp_path / "GT/a.png").write_bytes(encode_png(clean))
    (tmp_path / "LQ/a.png").write_bytes(encode_png(np.clip(clean.astype(int) + 9, 0, 255).astype(np.uint8)))
    start = ("eval", "restoration", "--hr", tmp_path / "GT", "--scale", 1, "--metric", "psnr-rgb", "--border", 0)
    given = (*start, "--lr", tmp_path / "LQ", "--model", run, "--out", tmp_path / "m.parquet")
    assert "say it by --condition" in rwsr(*given, code=1)
    told = rwsr(*given, "--condition", "0.5,0.25")
    rwsr("restore", tmp_path / "LQ/a.png", "--model", run, "--condition", 0.5, 0.25, "--out", tmp_path / "SR")
    off = np.square(_pixels(tmp_path / "SR/a.png").astype(float) - clean).mean()
    expected = 10 * np.log10(255**2 / off)
    assert f"run: psnr-rgb {expected:.2f}" in told
    assert "is not two numbers" in rwsr(*given, "--condition", "0.5", code=1)
    alone = (*start, "--lr", tmp_path / "LQ", "--out", tmp_path / "n.parquet", "--condition", "0.5,0.25")
    assert "leave out --condition" in rwsr(*alone, code=1)


def test_names_with_dots_keep_their_own_pictures(modulated: Path, photos: Path, tmp_path: Path) -> None:
    """And no photograph that lies there is written over."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a.png", "a.b.png", "c-sweep.png", "c.png"):
        (folder / name).write_bytes((photos / "a.png").read_bytes())
    before = (folder / "a.png").read_bytes()
    rwsr("restore", folder / "a.b.png", "--model", modulated, "--out", folder, "--noise", "0,1")
    assert (folder / "a.png").read_bytes() == before and (folder / "a.b-sweep.gif").is_file()
    two = (folder / "c.png", folder / "c-sweep.png")
    said = rwsr("restore", *two, "--model", modulated, "--out", folder, "--noise", "0,1", code=1)
    assert "c-sweep.png is restored, and would be written over" in said
    assert (folder / "c-sweep.png").read_bytes() == before

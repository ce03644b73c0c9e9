"""Where `rwsr restore` writes: one image to a file of its own name, several models beside each other."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from rwsr.degrade.images.decode import decode
from rwsr.pipelines.cli.main import _after_a_stop
from rwsr.train.networks.published.compact import CompactConfig

from ..commands import rwsr


def test_one_image_becomes_the_file_that_is_named(photos: Path, foreign: Path, tmp_path: Path) -> None:
    out = tmp_path / "made/b.png"
    assert f"wrote {out}" in rwsr("restore", photos / "a.png", "--model", foreign, "--out", out)
    assert decode(out.read_bytes()).pixels.shape == (800, 1040, 3)
    rwsr("restore", photos / "a.png", "--model", foreign, "--out", out)
    for images, named, said in (
        ((photos,), tmp_path / "c.png", "is the name of one image, and several are restored"),
        ((photos / "a.png", photos / "b.png"), tmp_path / "c.png", "is the name of one image"),
        ((photos / "a.png",), tmp_path / "c.jpg", "is written as PNG; name"),
        ((photos / "a.png",), photos / "a.png", "would be written over"),
    ):
        assert said in rwsr("restore", *images, "--model", foreign, "--out", named, code=1)


@pytest.mark.slow
def test_several_models_are_put_side_by_side(photos: Path, foreign: Path, tmp_path: Path) -> None:
    """A folder each, and a page with the middle of every image."""
    torch.manual_seed(1)
    other = tmp_path / "other.pth"
    torch.save({"params": CompactConfig(num_feat=4, num_conv=2, scale=4).build().state_dict()}, other)
    out = tmp_path / "out"
    told = rwsr("restore", photos, "--model", foreign, "--model", other, "--out", out)
    for name in ("a", "b", "d", "below/c"):
        first, second = (
            decode((out / model / f"{name}.png").read_bytes()).pixels for model in ("tiny.pth", "other.pth")
        )
        assert first.shape == second.shape and (first != second).any()
    page = (out / "side-by-side.html").read_text()
    assert f"wrote {out / 'side-by-side.html'}" in told
    assert all(word in page for word in ("as it was", "tiny.pth", "other.pth", "c.png"))
    (tmp_path / "text.pth").write_text("no model")
    new = ("restore", photos, "--model", foreign, "--model", tmp_path / "text.pth", "--out", tmp_path / "new")
    assert "text.pth is no checkpoint of tensors alone" in rwsr(*new, code=1) and not (tmp_path / "new").exists()
    again = ("restore", photos, "--model", foreign, "--model", foreign, "--out", out)
    assert "two models are called tiny.pth" in rwsr(*again, code=1)
    both = ("restore", photos / "a.png", "--model", foreign, "--model", other, "--out", tmp_path / "one.png")
    assert "is one file, and 2 models make one each" in rwsr(*both, code=1)


@pytest.mark.slow
def test_ctrl_c_says_what_the_same_command_will_do(photos: Path, tmp_path: Path) -> None:
    """A build goes on; what has no pieces begins again."""
    out = tmp_path / "o.zarr"
    build = [
        "degrade",
        "build",
        "--preset",
        "bicubic",
        "--samples",
        "50000",
        "--hr-size",
        "128",
        "--set",
        "shard_mib=1",
    ]
    command = [str(Path(sys.executable).with_name("rwsr")), *build, "--source", str(photos), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 60
    while not list(out.glob("building/commits/*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1 and "Traceback" not in told
    assert told.splitlines()[-1] == "stopped: what is written is whole, and the same command goes on from there"
    assert _after_a_stop(["train", "sr", "--store", "x"]) == _after_a_stop(build)
    for words in (["restore", "a.png", "--model", "m"], ["store", "report", "s.zarr"], ["eval", "restoration"]):
        assert "the same command begins again" in _after_a_stop(words)

"""Published files are found by name and hash, never replaced, and downloaded only when that is asked for."""

import hashlib
from pathlib import Path

import pytest
import torch

from rwsr.degrade.errors import UserError
from rwsr.eval.metrics import ready, weights
from rwsr.eval.metrics.weights import MissingWeights, WeightFile


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own; torch's cache is elsewhere, and empty."""
    monkeypatch.setenv("RWSR_WEIGHTS", str(tmp_path / "own"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (tmp_path / "own/below").mkdir(parents=True)
    return tmp_path / "own"


def _file(path: Path, *, also: bool = False) -> WeightFile:
    torch.save({"a": torch.arange(3.0)}, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    if also:
        return WeightFile("other-name.pth", "https://host/other-name.pth", "0" * 64, also=((path.name, sha256),))
    return WeightFile(path.name, path.as_uri(), sha256[:8])


@pytest.mark.parametrize("also", [False, True])
def test_a_file_is_found_below_the_folder(folder: Path, also: bool) -> None:
    """By its name and hash, or by those of another file that holds the same."""
    file = _file(folder / "below/net.pth", also=also)
    assert weights.find(file) == folder / "below/net.pth"
    assert weights.load(file)["a"].tolist() == [0, 1, 2]


def test_a_missing_file_says_where_it_is_to_be_had(folder: Path) -> None:
    """And where to put it."""
    with pytest.raises(MissingWeights, match=rf"put https://download.pytorch.org/.*/vgg16-.* into {folder} under"):
        weights.find(weights.VGG16)


def test_another_file_of_that_name_is_refused(folder: Path) -> None:
    """It is not what was published, whatever it is called."""
    (folder / "vgg16-397923af.pth").write_bytes(b"something")
    with pytest.raises(UserError, match=r"vgg16-397923af.pth is not the published file .*; remove it"):
        weights.find(weights.VGG16)


def test_a_download_is_checked_and_then_found(folder: Path, tmp_path: Path) -> None:
    """It goes into torch's cache; one with another hash does not."""
    file = _file(tmp_path / "net.pth")
    with pytest.raises(MissingWeights):
        weights.find(file)
    assert weights.download(file) == weights.find(file) == tmp_path / "torch/hub/checkpoints/net.pth"
    wrong = WeightFile("wrong.pth", file.url, "1" * 8)
    with pytest.raises(UserError, match="is not what was published"):
        weights.download(wrong)
    with pytest.raises(UserError, match="cannot be had .*fetch it elsewhere, and put it into"):
        weights.download(WeightFile("gone.pth", (tmp_path / "gone.pth").as_uri(), "1" * 8))
    assert [path.name for path in (tmp_path / "torch/hub/checkpoints").iterdir()] == ["net.pth"]


def test_metrics_without_their_files_are_named_and_the_others_measured(folder: Path) -> None:
    """Nothing takes their place."""
    found, missing = ready(["psnr-y", "lpips-alex", "dists", "niqe"], scale=4, border=None, device=torch.device("cpu"))
    assert [each.name for each in found] == ["psnr-y"]
    assert set(missing) == {"lpips-alex", "dists", "niqe"} and "alexnet-owt-7be5be79.pth" in missing["lpips-alex"]

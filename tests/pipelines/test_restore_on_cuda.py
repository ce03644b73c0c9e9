"""What `rwsr restore` does where there is CUDA: larger tiles, smaller ones where they do not fit, and no waiting."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from rwsr.degrade.errors import UserError
from rwsr.eval.images import tiling
from rwsr.eval.images.restoring import restored
from rwsr.eval.images.tiling import restore_pixels, tile_of
from rwsr.pipelines import restore
from rwsr.pipelines.restore import restore_files
from rwsr.train.files.open import Restorer, open_restorer
from rwsr.train.networks.published.compact import CompactConfig

from ..commands import rwsr
from ..conftest import scene
from ..train.device.pretended import Watch, pretended

CPU = torch.device("cpu")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    torch.save(CompactConfig(num_feat=8, num_conv=2, scale=2).build().state_dict(), tmp_path / "m.pth")
    return tmp_path / "m.pth"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for seed in range(3):
        Image.fromarray(scene(seed, 150, 200)).save(tmp_path / f"photos/{seed}.png")
    return tmp_path / "photos"


def _small(monkeypatch: pytest.MonkeyPatch, holds_px: int, tile_px: int) -> list[int]:
    """A device whose memory holds tiles up to a size; gives back the sides of those that it was given."""
    seen: list[int] = []

    def model(net: Any, lr: Tensor, **_: object) -> Tensor:
        seen.append(max(lr.shape[-2:]))
        if seen[-1] > holds_px:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return restored(net, lr)

    monkeypatch.setattr(tiling, "restored", model)
    monkeypatch.setattr(restore, "tile_of", lambda _: tile_px)
    return seen


def test_tiles_that_do_not_fit_become_smaller_and_stay_so(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(restore, "say", said.append)
    seen = _small(monkeypatch, 130, 512)
    done, left_out = restore_files([photos], open_restorer(model, CPU), tmp_path / "out")
    assert len(done) == 3 and not left_out and seen[0] == 200 and sum(side > 130 for side in seen) == 2
    assert said == [f"note: cpu has no memory left for tiles of {px} px; {px // 2} from here on" for px in (512, 256)]
    rwsr("restore", photos / "0.png", "--model", model, "--tile", 128, "--out", tmp_path / "told")
    assert (tmp_path / "told/0.png").read_bytes() == (tmp_path / "out/0.png").read_bytes()


def test_a_tile_that_was_named_is_not_changed(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _small(monkeypatch, 100, 512)
    restorer: Restorer = open_restorer(model, CPU)
    with pytest.raises(UserError, match="cpu has no memory left for a tile of 140 px; name a smaller --tile"):
        restore_files([photos], restorer, tmp_path / "out", tile_px=140)
    with pytest.raises(UserError, match="no memory left for a whole image; name a smaller --tile"):
        restore_files([photos], restorer, tmp_path / "out", tile_px=0)
    _small(monkeypatch, 10, 512)
    with pytest.raises(UserError, match="cpu has no memory left for a tile of 64 px; name"):
        restore_files([photos], restorer, tmp_path / "out")


def test_an_image_is_written_where_the_next_one_ends_it_all(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before is on its way to the disk while one is restored, and is not lost."""
    calls: list[int] = []

    def pixels(*told: Any, **named: Any) -> Any:
        calls.append(0)
        if len(calls) == 2:
            raise UserError("the model gives values that are not numbers; look at its checkpoint")
        return restore_pixels(*told, **named)

    monkeypatch.setattr(restore, "restore_pixels", pixels)
    with pytest.raises(UserError, match="not numbers"):
        restore_files([photos], open_restorer(model, CPU), tmp_path / "out")
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["0.png"]


def test_half_is_for_cuda(model: Path, photos: Path, tmp_path: Path) -> None:
    said = rwsr("restore", photos, "--model", model, "--half", "--out", tmp_path / "out", code=1)
    assert "--half is for CUDA, and this machine has none; leave it out" in said
    assert (tile_of(CPU), tile_of(torch.device("cuda"))) == (256, 512)


def test_half_is_layers_in_fp16_and_an_image_in_fp32() -> None:
    torch.manual_seed(0)
    seen: list[torch.dtype] = []
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1))
    net[1].register_forward_hook(lambda _, __, made: seen.append(made.dtype))
    lr = torch.rand(1, 3, 40, 40)
    half, whole = restored(net, lr, half=True), restored(net, lr)
    assert seen == [torch.float16, torch.float32] and half.dtype == torch.float32
    assert 0 < (half - whole).abs().max() < 2e-3


def test_nothing_waits_for_a_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device that is only pretended: LR goes there once, and what is made of it comes back by rows."""
    sent: list[int] = []

    class Row:
        def __init__(self, first: int, pixels: Tensor, _: Tensor) -> None:
            assert pixels.dtype == torch.uint8
            sent.append(len(pixels))

        def put_into(self, _: object) -> None:
            pass

    monkeypatch.setattr(tiling, "_Row", Row)
    image = np.zeros((300, 700, 3), dtype=np.uint8)
    with pretended() as on:
        net = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2)).to(on)
        restore_pixels(net, image, 2, on, tile_px=128)  # its ramps are kept from here on
        del sent[:]
        with Watch(on) as watch:
            restore_pixels(net, image, 2, on, tile_px=128)
    assert len(sent) > 3 and sum(sent) == 600
    assert watch.ops["aten::convolution"] > 20 and sum(watch.copies.values()) == 1

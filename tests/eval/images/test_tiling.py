"""Enlargement as MATLAB's and Pillow's, and tiles that give what the whole image gives."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from rwsr.degrade.errors import UserError
from rwsr.degrade.images.pixels import U8, to_float
from rwsr.degrade.ops.resize import resize
from rwsr.eval.images.restoring import bicubic, lanczos, restore
from rwsr.eval.images.tensors import to_tensor
from rwsr.eval.images.tiling import is_large, restore_in_tiles, restore_pixels

CPU = torch.device("cpu")


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_is_matlabs(astronaut: U8, scale: int) -> None:
    """To the border, as its imresize enlarges."""
    small = astronaut[:40, :50]
    expected = resize(to_float(small), 40 * scale, 50 * scale, "matlab-bicubic")
    found = bicubic(to_tensor(small)[None], scale)[0].movedim(0, -1).numpy()
    assert np.abs(found - expected.clip(0, 1)).max() < 1e-5


def test_lanczos_is_pillows_inside(astronaut: U8) -> None:
    small = astronaut[:40, :50]
    expected = np.asarray(Image.fromarray(small).resize((200, 160), Image.Resampling.LANCZOS), dtype=np.int16)
    found = (lanczos(to_tensor(small)[None], 4)[0].movedim(0, -1) * 255).round().numpy()
    assert np.abs(found - expected)[16:-16, 16:-16].max() <= 1


class _Seen:
    """A model of five 3x3 convs that notes how large what it saw was."""

    def __init__(self, scale: int) -> None:
        torch.manual_seed(0)
        self.scale, self.largest = scale, 0
        layers = [nn.Conv2d(3 if i == 0 else 6, 6 if i < 4 else 3, 3, padding=1) for i in range(5)]
        self.net = nn.Sequential(*layers)

    def __call__(self, lr: Tensor) -> Tensor:
        self.largest = max(self.largest, *lr.shape[-2:])
        return functional.interpolate(lr + self.net(lr), scale_factor=self.scale).clamp(0, 1)


@pytest.mark.parametrize("size", [(37, 200), (128, 129), (61, 61), (20, 300), (5, 7)])
@pytest.mark.parametrize(
    ("scale", "tile", "overlap"), [(2, 64, 16), (4, 50, 8), (1, 64, 16), (1, 32, None), (1, 37, None), (2, 99, None)]
)
def test_tiles_are_the_whole(astronaut: U8, size: tuple[int, int], scale: int, tile: int, overlap: int | None) -> None:
    """Where the model sees no farther than three quarters of the overlap, to the last level; never more than a tile."""
    image = np.ascontiguousarray(astronaut[: size[0], : size[1]])
    model = _Seen(scale)
    whole = restore_pixels(model, image, scale, CPU, tile_px=0)
    model.largest = 0
    done: list[int] = []
    tiled = restore_pixels(model, image, scale, CPU, tile_px=tile, overlap_px=overlap, advance=done.append)
    assert model.largest <= max(tile, 32)
    assert tiled.shape == (size[0] * scale, size[1] * scale, 3) and len(done) >= 1
    assert np.abs(tiled.astype(int) - whole.astype(int)).max() <= 1


def test_tiles_of_a_model_that_sees_everything_have_no_seams(astronaut: U8) -> None:
    """A model that shifts each tile's mean: steps at the tiles' borders are faded over."""
    flat = np.full((64, 300, 3), 128, dtype=np.uint8)
    flat[:, 150:] = 132

    def shifted(lr: Tensor) -> Tensor:
        return lr + (lr.mean() - 0.5)

    out = restore_pixels(shifted, flat, 1, CPU, tile_px=100, overlap_px=32).astype(int)[..., 0]
    assert np.abs(np.diff(out[32, :140])).max() <= 1 and np.abs(np.diff(out[32, 160:])).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_as_many_bits_as_it_came_with(dtype: type[np.generic]) -> None:
    """The identity gives back every level."""
    top = np.iinfo(dtype).max
    ramp = np.linspace(0, top, 40 * 50 * 3).round().astype(dtype).reshape(40, 50, 3)
    same: Callable[[Tensor], Tensor] = lambda image: image  # noqa: E731
    assert np.array_equal(restore_pixels(same, ramp, 1, CPU, tile_px=32, overlap_px=4), ramp)


def test_wrong_sizes_are_told() -> None:
    image = np.zeros((40, 40, 3), dtype=np.uint8)
    with pytest.raises(UserError, match="a tile of 64 px is too small; use 120 or more, or 0 for the whole image"):
        restore_pixels(lambda x: x, image, 1, CPU, tile_px=64, overlap_px=48)
    with pytest.raises(UserError, match="a tile of 20 px is too small; use 32 or more"):
        restore_pixels(lambda x: x, image, 1, CPU, tile_px=20)
    with pytest.raises(UserError, match="values that are not numbers"):
        restore_pixels(lambda x: x * float("nan"), image, 1, CPU)
    with pytest.raises(UserError, match=r"the model gives \[40, 40\] for \[40, 40\], not 4 times as much"):
        restore_pixels(lambda x: x, image, 4, CPU)


def test_what_is_measured_in_tiles_is_the_whole(astronaut: U8) -> None:
    """Not rounded to levels, and equal to one call to the last bits of fp32."""
    model, lr = _Seen(2), to_tensor(astronaut[:300, :400])[None]
    found = restore_in_tiles(model, lr, 2, CPU)
    assert model.largest == 248
    assert torch.allclose(found, restore(model, lr, CPU), atol=2e-6)


def test_an_image_is_large_by_its_sr() -> None:
    """Four megapixels of SR: DIV2K's HR is whole, a photograph of a camera is not."""
    assert not is_large(torch.empty(1, 3, 510, 510), 4) and is_large(torch.empty(1, 3, 756, 1008), 4)
    assert not is_large(torch.empty(1, 3, 2040, 2040), 1)

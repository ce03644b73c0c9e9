"""ZSSR and KernelGAN: how images and kernels are made small, against loops and scipy; what is learned of one image."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.signal import convolve2d

from rwsr.degrade.errors import ImageError
from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.pixels import encode_png
from rwsr.degrade.ops.optics.estimated_kernel import of_twice_the_scale
from rwsr.eval.images.imresize import imresize
from rwsr.train.zero_shot.kernelgan import (
    KernelGanConfig,
    LinearGenerator,
    PatchJudge,
    edge_map,
    estimated,
    kernel_error,
)
from rwsr.train.zero_shot.presets import PRESETS
from rwsr.train.zero_shot.resampling import by_kernel, centred, resized
from rwsr.train.zero_shot.zssr import ZssrConfig, no_better

from ...commands import flags, rwsr
from ...conftest import scene

TINY = ("num_feat=4", "num_conv=3", "steps=60", "crop_px=32")
RNG = np.random.default_rng(0)


def _gaussian(sigma_x: float, sigma_y: float, angle: float, side: int = 15) -> np.ndarray:
    at = np.arange(side) - side // 2
    x, y = np.meshgrid(at, at)
    u, v = np.cos(angle) * x + np.sin(angle) * y, -np.sin(angle) * x + np.cos(angle) * y
    found = np.exp(-0.5 * (u**2 / sigma_x**2 + v**2 / sigma_y**2))
    return found / found.sum()


def test_an_image_is_made_small_by_a_kernel_as_scipy_correlates() -> None:
    """Mirrored edges, of odd and even kernels; and by the cubic as MATLAB's."""
    image = RNG.random((20, 26, 3))
    for side in (5, 8):
        kernel = RNG.random((side, side))
        found = by_kernel(torch.from_numpy(image).movedim(-1, 0)[None], torch.from_numpy(kernel), 2)[0]
        for channel in range(3):
            whole = ndimage.correlate(image[..., channel], kernel, mode="reflect")
            np.testing.assert_allclose(found[channel].numpy(), whole[::2, ::2], atol=1e-12)
    expected = imresize(imresize(image, 10).swapaxes(0, 1), 13).swapaxes(0, 1)
    small = resized(torch.from_numpy(image).movedim(-1, 0)[None], 10, 13)[0].movedim(0, -1)
    np.testing.assert_allclose(small.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 4])
def test_a_centred_kernel_leaves_things_where_the_cubic_puts_them(scale: int) -> None:
    """A slope made small by either is the same slope, to within a hundredth of a step."""
    slope = torch.arange(64.0).expand(1, 1, 64, 64).double()
    kernel = torch.from_numpy(centred(_gaussian(1.5, 0.8, 0.4), scale))
    ours, theirs = by_kernel(slope, kernel, scale), resized(slope, 64 // scale, 64 // scale)
    inside = (..., slice(6, -6), slice(6, -6))
    torch.testing.assert_close(ours[inside], theirs[inside], atol=0.01, rtol=0)


def test_a_kernel_of_twice_the_scale_does_what_it_does_twice() -> None:
    image, kernel = torch.rand(1, 1, 96, 96, dtype=torch.float64), _gaussian(0.9, 0.9, 0, 9)
    twice = by_kernel(by_kernel(image, torch.from_numpy(kernel), 2), torch.from_numpy(kernel), 2)
    once = by_kernel(image, torch.from_numpy(of_twice_the_scale(kernel)), 4)
    assert (once - twice)[..., 4:-4, 4:-4].abs().max() < 1e-3


def test_the_layers_of_a_linear_generator_are_one_kernel() -> None:
    """What it makes is the correlation with that, of every second pixel; published sizes."""
    torch.manual_seed(0)
    net = LinearGenerator(6)
    image, kernel = torch.rand(1, 3, 64, 64), net.kernel().detach().numpy()
    assert kernel.shape == (13, 13)
    for channel in range(3):
        whole = convolve2d(image[0, channel].numpy(), kernel[::-1, ::-1], mode="valid")
        np.testing.assert_allclose(net(image)[0, channel].detach().numpy(), whole[::2, ::2], rtol=1e-3, atol=1e-6)
    assert sum(value.numel() for value in LinearGenerator(64).parameters()) == 150_656
    assert sum(value.numel() for value in PatchJudge(64).parameters()) == 30_977
    net = PRESETS["zssr"].build()
    from rwsr.train.zero_shot.zssr import _Net

    assert sum(value.numel() for value in _Net(64, 8).parameters()) == 224_640 and not list(net.parameters())


def test_crops_are_cut_where_there_are_edges() -> None:
    image = np.zeros((120, 120, 3))
    image[:, 60:] = 1
    likely = edge_map(image, 26)
    assert likely.sum() == pytest.approx(1)
    assert likely[:, 46:74].sum() == pytest.approx(1) and not likely[:13].any()
    assert edge_map(np.zeros((120, 120, 3)), 26).std() == 0


def test_the_rate_falls_when_the_error_does_not() -> None:
    falling = [(50 * i, 1.0 - 0.1 * i + 0.001 * (i % 2)) for i in range(7)]
    level = [(50 * i, 0.5 + 0.01 * (i % 2)) for i in range(7)]
    assert not no_better(falling) and no_better(level)


def test_a_run_learns_of_each_image_and_comes_to_the_same(tmp_path: Path) -> None:
    """By the command: in tiles or whole, beside other images or alone; each kind of kernel, each scale."""
    for seed in range(2):
        (tmp_path / f"{seed}.png").write_bytes(encode_png(scene(seed, 40, 52)))
    run = tmp_path / "run"
    rwsr("train", "zssr", "--preset", "zssr-small", "--out", run, *flags("--set", TINY))
    rwsr("restore", tmp_path / "0.png", tmp_path / "1.png", "--model", run, "--out", tmp_path / "both")
    rwsr("restore", tmp_path / "1.png", "--model", run, "--out", tmp_path / "alone")
    both, alone = ((tmp_path / name / "1.png").read_bytes() for name in ("both", "alone"))
    assert both == alone and decode(alone).pixels.shape == (80, 104, 3)
    rows = [[0, 0.1, 0], [0.1, 0.6, 0.1], [0, 0.1, 0]]
    for scale, kernel in ((3, "cubic"), (4, rows), (4, "cubic")):
        out = tmp_path / f"{scale}-{len(kernel)}"
        more = flags("--set", [*TINY, f"kernel={kernel}", "augment=false"])
        rwsr("train", "zssr", "--preset", "zssr-small", "--scale", scale, "--out", out, *more)
        rwsr("restore", tmp_path / "0.png", "--model", out, "--out", out / "sr")
        assert decode((out / "sr/0.png").read_bytes()).pixels.shape == (40 * scale, 52 * scale, 3)
    assert "is not empty" in rwsr("train", "zssr", "--out", run, code=1)


def test_what_cannot_be_learned_from_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "small.png").write_bytes(encode_png(scene(0, 12, 40)))
    (tmp_path / "good.png").write_bytes(encode_png(scene(0, 40, 40)))
    run = tmp_path / "run"
    rwsr("train", "zssr", "--preset", "zssr-small", "--out", run, *flags("--set", TINY))
    told = rwsr(
        "restore", tmp_path / "small.png", tmp_path / "good.png", "--model", run, "--out", tmp_path / "out", code=3
    )
    assert "good.png" in told and not (tmp_path / "out/small.png").exists()
    with pytest.raises(ImageError, match="less than 72 px"):
        estimated(KernelGanConfig(num_feat=2, steps=1), torch.rand(1, 3, 60, 90))
    wrong = ("train", "zssr", "--out", tmp_path / "no", "--preset", "kernelgan-zssr-small", "--scale", 3)
    assert "kernelgan estimates kernels of scale 2" in rwsr(*wrong, code=1)
    square = ("train", "zssr", "--out", tmp_path / "no", "--set", "kernel=[[1,2],[1]]")
    assert "is not square" in rwsr(*square, code=1)


def _patterned(side: int) -> torch.Tensor:
    """What recurs at several sizes: rings and bars."""
    y, x = np.mgrid[:side, :side] / side
    rings = np.sin(90 * np.hypot(x - 0.3, y - 0.4) ** 1.2)
    bars = np.sin(40 * x * (1 + y)) * (y > 0.5)
    image = np.stack([rings, rings * 0.6 + bars * 0.4, bars], -1) * 0.4 + 0.5
    return torch.from_numpy(image.clip(0, 1)).float().movedim(-1, 0)[None]


def _psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return -10 * float(np.log10(((a - b)[..., 4:-4, 4:-4] ** 2).mean().item()))


@pytest.mark.slow
def test_kernelgan_is_nearer_the_kernel_than_the_cubic_and_zssr_gains_by_it() -> None:
    """Of one image that a slanted Gaussian made small: the papers' two claims."""
    hr, kernel = _patterned(192), _gaussian(2.0, 0.9, 0.6)
    lr = (by_kernel(hr, torch.from_numpy(centred(kernel, 2)).float(), 2).clamp(0, 1) * 255).round() / 255
    found = estimated(KernelGanConfig(num_feat=24, steps=800), lr)
    at = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
    assert kernel_error(found, kernel) < 0.6 * kernel_error(np.outer(at, at), kernel)
    sizes = {"num_feat": 24, "num_conv": 6, "steps": 400, "crop_px": 48, "augment": False, "ensemble": False}
    true = tuple(map(tuple, kernel.tolist()))
    by_cubic, by_true = (
        _psnr(ZssrConfig.model_validate(sizes | {"kernel": k, "back_projections": 2}).build()(lr), hr)
        for k in ("cubic", true)
    )
    bicubic = _psnr(resized(lr, 192, 192).clamp(0, 1), hr)
    assert by_cubic > bicubic and by_true > by_cubic + 0.5

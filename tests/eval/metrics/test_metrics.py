"""Every metric: perfect on equal images, worse the more an image is spoiled, and clear on what it cannot compare."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rwsr.degrade.errors import UserError
from rwsr.degrade.images.pixels import U8
from rwsr.eval.images.tensors import to_tensor
from rwsr.eval.metrics import NAMES, lpips_dists, metric
from rwsr.eval.metrics.base import Ready, check

REFERENCE = [name for name in NAMES if name != "niqe"]
PERFECT = {"psnr": float("inf"), "ssim": 1.0, "lpips": 0.0, "dists": 0.0}


def _with_seeds(module: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(1)
    for value in module.parameters():
        bound = (2 / max(1, value[0].numel())) ** 0.5 if value.ndim == 4 else 0.1
        value.copy_(torch.randn(value.shape, generator=generator) * bound)
        if value.ndim != 4 or value.shape[0] == 1:
            value.abs_()
    return module


@pytest.fixture
def seeded(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Ready]:
    """Metrics by name, those with networks on seeded weights."""
    monkeypatch.setattr(lpips_dists, "lpips", lambda net: _with_seeds(lpips_dists.Lpips(net)))
    monkeypatch.setattr(lpips_dists, "dists", lambda: _with_seeds(lpips_dists.Dists()))
    return lambda name: metric(name).ready(scale=4, border=None, device=torch.device("cpu"))


@pytest.fixture
def hr(astronaut: U8) -> Tensor:
    return to_tensor(astronaut[80:208, 150:278])[None]


@pytest.mark.parametrize("name", REFERENCE)
def test_equal_images_are_perfect(name: str, seeded: Callable[[str], Ready], hr: Tensor) -> None:
    assert seeded(name).measure(hr, hr).item() == pytest.approx(PERFECT[name.partition("-")[0]], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCE)
def test_more_noise_is_worse(name: str, seeded: Callable[[str], Ready], hr: Tensor) -> None:
    """In the direction that the metric itself states; and a batch is its images one by one."""
    ready, noise = seeded(name), torch.randn(hr.shape, generator=torch.Generator().manual_seed(0))
    noisy = torch.cat([(hr + sigma * noise).clamp(0, 1) for sigma in (0.02, 0.06, 0.15)])
    values = ready.measure(noisy, hr.expand(3, -1, -1, -1))
    assert values.tolist() == sorted(values.tolist(), reverse=ready.metric.better == "higher")
    assert values[1].item() == pytest.approx(ready.measure(noisy[1:2], hr).item(), rel=1e-4)


def test_a_known_offset_has_the_known_psnr(seeded: Callable[[str], Ready]) -> None:
    """Five levels everywhere are 20 log10(255 / 5) in RGB, and 219 / 255 of that in the Y of studio range."""
    hr = torch.full((1, 3, 32, 32), 100 / 255)
    sr = hr + 5 / 255
    rgb, luma = (seeded(name).measure(sr, hr).item() for name in ("psnr-rgb", "psnr-y"))
    assert rgb == pytest.approx(34.1514, abs=1e-4) and luma - rgb == pytest.approx(1.3219, abs=1e-3)


@pytest.mark.slow
def test_borders_and_variants_are_their_own(seeded: Callable[[str], Ready], hr: Tensor) -> None:
    """PSNR and SSIM crop the scale, the others nothing; the mis-scaled variants give other values."""
    assert (seeded("psnr-y").border, seeded("lpips-vgg").border) == (4, 0)
    spoiled = hr.clone()
    spoiled[..., :4, :] = 0
    assert seeded("psnr-y").measure(spoiled, hr).item() == float("inf") > seeded("psnr-rgb").border
    noisy = (hr + 0.1 * torch.randn(hr.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    for plain, papers in (("lpips-alex", "lpips-alex-cugan"), ("dists", "dists-mm-realsr")):
        a, b = (seeded(name).measure(noisy, hr).item() for name in (plain, papers))
        assert abs(a - b) > 1e-3
        assert seeded(plain).metric.space != seeded(papers).metric.space


@pytest.mark.parametrize(
    ("sr", "says"),
    [
        (torch.full((1, 3, 8, 8), float("nan")), "SR holds values that are not numbers"),
        (torch.full((1, 3, 8, 8), 200.0), r"SR has values from 200 to 200; images are in 0..1"),
        (torch.full((1, 3, 8, 8), -0.9), r"SR has values from -0.9 to -0.9"),
        (torch.zeros(1, 8, 8, 3), r"SR has the shape \[1, 8, 8, 3\]; images are \[batch, 3, height, width\], RGB"),
        (torch.zeros(3, 8, 8), r"SR has the shape \[3, 8, 8\]"),
        (torch.zeros(1, 3, 8, 9), "SR is 9x8 and HR 8x8; they must be of one size"),
    ],
)
def test_what_cannot_be_compared_is_told(sr: Tensor, says: str) -> None:
    with pytest.raises(UserError, match=says):
        check(sr, torch.zeros(1, 3, 8, 8))


def test_an_unknown_metric_names_those_that_are_known() -> None:
    with pytest.raises(UserError, match="metric sharpness is unknown; known here: psnr-y, psnr-rgb"):
        metric("sharpness")
    with pytest.raises(UserError, match="metric psnr is unknown; did you mean psnr-"):
        metric("psnr")

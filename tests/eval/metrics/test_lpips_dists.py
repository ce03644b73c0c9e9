"""LPIPS and DISTS: published figures where the true weights are there, independent arithmetic where they are not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.pixels import U8
from rwsr.eval.images.tensors import to_tensor
from rwsr.eval.metrics.lpips_dists import DISTS_CHANNELS, LPIPS_CHANNELS, Dists, Lpips, Net, lpips

# The published layers: (out channels, kernel, stride, padding) of a conv, "pool", or (squeezed, expanded) of a fire.
ALEX = [(64, 11, 4, 2), "tap", "pool", (192, 5, 1, 2), "tap", "pool"] + [
    each for channels in (384, 256, 256) for each in ((channels, 3, 1, 1), "tap")
]
VGG = [
    each
    for block, (convs, channels) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)))
    for each in [*(["pool"] if block else []), *([(channels, 3, 1, 1)] * convs), "tap"]
]


def _numbered(net: torch.nn.Module) -> dict[str, Tensor]:
    return {name.removeprefix("backbone.features."): value.double() for name, value in net.state_dict().items()}


def _row_of_convs(
    layers: list[object], weights: dict[str, Tensor], image: Tensor, *, l2_pool: bool = False
) -> list[Tensor]:
    """What comes out of the tapped convs, by the list of layers; weights are taken in their order."""
    convs = sorted({int(name.split(".")[0]) for name in weights if name.endswith(".weight")})
    found: list[Tensor] = []
    for layer in layers:
        if layer == "tap":
            found.append(image)
        elif layer == "pool" and l2_pool:
            line = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64)
            window = torch.outer(line, line).expand(image.shape[1], 1, 3, 3)
            image = (functional.conv2d(image**2, window, stride=2, padding=1, groups=image.shape[1]) + 1e-12).sqrt()
        elif layer == "pool":
            image = functional.max_pool2d(image, 3, 2) if layers is ALEX else functional.max_pool2d(image, 2)
        else:
            assert isinstance(layer, tuple)
            number = convs.pop(0)
            assert weights[f"{number}.weight"].shape[0] == layer[0] and weights[f"{number}.weight"].shape[2] == layer[1]
            image = functional.conv2d(image, weights[f"{number}.weight"], weights[f"{number}.bias"], layer[2], layer[3])
            image = image.clamp(min=0)
    assert not convs
    return found


def _fires(weights: dict[str, Tensor], image: Tensor) -> list[Tensor]:
    """SqueezeNet 1.1 by its numbers in the file."""
    image = functional.conv2d(image, weights["0.weight"], weights["0.bias"], 2).clamp(min=0)
    found = [image]
    for number in range(2, 13):
        if number in (2, 5, 8):
            image = functional.max_pool2d(image, 3, 2, ceil_mode=True)
            continue
        part = {name.split(".", 1)[1]: value for name, value in weights.items() if name.startswith(f"{number}.")}
        few = functional.conv2d(image, part["squeeze.weight"], part["squeeze.bias"]).clamp(min=0)
        one = functional.conv2d(few, part["expand1x1.weight"], part["expand1x1.bias"])
        three = functional.conv2d(few, part["expand3x3.weight"], part["expand3x3.bias"], padding=1)
        image = torch.cat([one, three], dim=1).clamp(min=0)
        if number in (4, 7, 9, 10, 11, 12):
            found.append(image)
    return found


def _seeded(net: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    for value in net.parameters():
        bound = (2 / max(1, value[0].numel())) ** 0.5 if value.ndim == 4 else 0.1
        value.copy_(torch.randn(value.shape, generator=generator) * bound)
    return net


@pytest.fixture
def pair(astronaut: U8) -> tuple[Tensor, Tensor]:
    """Two images [1, 3, 96, 80] in 0..1."""
    a = to_tensor(astronaut[100:196, 200:280])[None]
    return a, (a + 0.1 * torch.sin(torch.arange(80) / 3.0)).clamp(0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("net", ["alex", "vgg", "squeeze"])
def test_lpips_is_what_the_paper_says(net: Net, pair: tuple[Tensor, Tensor]) -> None:
    """Unit-length features, squared differences, weighted by channel, averaged over places, summed over layers."""
    module = Lpips(net)
    _seeded(module)
    for head in module.heads:
        head.abs_()
    a, b = (image * 2 - 1 for image in pair)
    total = 0.0
    weights = _numbered(module.backbone.cpu()) | {}
    weights = {name.removeprefix("features."): value for name, value in weights.items()}
    scaled = [
        (image.double() - torch.tensor([-0.030, -0.088, -0.188])[:, None, None].double())
        / torch.tensor([0.458, 0.448, 0.450])[:, None, None].double()
        for image in (a, b)
    ]
    if net == "squeeze":
        features = [_fires(weights, image) for image in scaled]
    else:
        features = [_row_of_convs(ALEX if net == "alex" else VGG, weights, image) for image in scaled]
    assert [each.shape[1] for each in features[0]] == list(LPIPS_CHANNELS[net])
    for x, y, head in zip(*features, module.heads, strict=True):
        x, y = (each[0].numpy() / (np.sqrt((each[0].numpy() ** 2).sum(0)) + 1e-10) for each in (x, y))
        total += float(((x - y) ** 2 * head[0].double().numpy()).sum(0).mean())
    assert module(a, b).item() == pytest.approx(total, abs=1e-5) and total > 0.01


@pytest.mark.slow
def test_dists_is_what_the_paper_says(pair: tuple[Tensor, Tensor]) -> None:
    """Means and covariances of the image and of five layers, pooled by a Hann window, each weighted by channel."""
    module = Dists()
    _seeded(module)
    module.alpha.abs_()
    module.beta.abs_()
    weights = {name.removeprefix("features."): value for name, value in _numbered(module.backbone).items()}
    mean, std = (torch.tensor(v).double()[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    a, b = (image.double() for image in pair)
    features = [[image, *_row_of_convs(VGG, weights, (image - mean) / std, l2_pool=True)] for image in (a, b)]
    assert [each.shape[1] for each in features[0]] == list(DISTS_CHANNELS)
    alpha, beta = module.alpha.double().numpy(), module.beta.double().numpy()
    whole, similarity, channel = alpha.sum() + beta.sum(), 0.0, 0
    for x, y in zip(*features, strict=True):
        for u, v in zip(x[0].numpy(), y[0].numpy(), strict=True):
            texture = (2 * u.mean() * v.mean() + 1e-6) / (u.mean() ** 2 + v.mean() ** 2 + 1e-6)
            covariance = ((u - u.mean()) * (v - v.mean())).mean()
            structure = (2 * covariance + 1e-6) / (u.var() + v.var() + 1e-6)
            similarity += (alpha[channel] * texture + beta[channel] * structure) / whole
            channel += 1
    assert module(*pair).item() == pytest.approx(1 - similarity, abs=1e-5) and similarity < 0.999


def _example(data: Path, name: str) -> Tensor:
    return to_tensor(decode((data / f"test/LPIPS_example/ex_{name}.png").read_bytes()).pixels)[None] * 2 - 1


def test_lpips_squeeze_with_the_true_weights(published: Path, data: Path) -> None:
    """The authors' example, and the figures that torchmetrics documents for its seeded images."""
    net = lpips("squeeze")
    reference = _example(data, "ref")
    assert net(reference, _example(data, "p0")).item() == pytest.approx(0.711, abs=5e-4)
    assert net(reference, _example(data, "p1")).item() == pytest.approx(0.148, abs=5e-4)
    torch.manual_seed(42)
    a, b = (torch.rand(10, 3, 100, 100) * 2 - 1 for _ in range(2))
    assert net(a, b).mean().item() == pytest.approx(0.1005, abs=1e-4)
    generator = torch.Generator().manual_seed(42)
    a, b = (torch.rand(2, 3, 100, 100, generator=generator) * 2 - 1 for _ in range(2))
    assert net(a, b).tolist() == pytest.approx([0.1024, 0.0938], abs=1e-4)

"""The classifiers: the published counts of parameters, and CLIP's arithmetic written out another way."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from rwsr.degrade.errors import StoreError
from rwsr.eval.metrics import backbones, weights
from rwsr.eval.metrics.backbones import ClipRn50, alexnet, squeezenet, vgg


@pytest.mark.parametrize(
    ("net", "count"),
    [
        (vgg(16, (30,)), 14_714_688),
        (vgg(19, (36,)), 20_024_384),
        (alexnet((12,)), 2_469_696),
        (squeezenet((12,)), 722_496),
        (ClipRn50(), 38_316_896 - 14_789_632),  # all of RN50's image encoder but its attention pooling
    ],
)
def test_the_counts_are_the_published_ones(net: nn.Module, count: int) -> None:
    assert sum(value.numel() for value in net.parameters()) == count


def _conv_and_norm(tensors: dict[str, Tensor], conv: str, norm: str, x: Tensor, stride: int = 1) -> Tensor:
    weight = tensors[f"{conv}.weight"]
    x = functional.conv2d(x, weight, None, stride, weight.shape[-1] // 2)
    mean, var, gain, bias = (tensors[f"{norm}.{each}"] for each in ("running_mean", "running_var", "weight", "bias"))
    return (x - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt() * gain[:, None, None] + bias[:, None, None]


@pytest.mark.slow
def test_clips_encoder_is_what_the_paper_says() -> None:
    """Three convs in the stem, strides by average pooling, also beside the block; by the published names."""
    torch.manual_seed(0)
    net = ClipRn50().eval()
    for name, value in net.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif name.endswith("running_mean"):
            value.normal_(0, 0.1)
    tensors = {name: value.double() for name, value in net.state_dict().items()}
    image = torch.rand(1, 3, 64, 96)
    x = image.double()
    for number in (1, 2, 3):
        x = _conv_and_norm(tensors, f"conv{number}", f"bn{number}", x, 2 if number == 1 else 1).clamp(min=0)
    x = functional.avg_pool2d(x, 2)
    expected: list[Tensor] = []
    for layer, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            at, halved = f"layer{layer}.{block}", layer > 1 and block == 0
            y = _conv_and_norm(tensors, f"{at}.conv1", f"{at}.bn1", x).clamp(min=0)
            y = _conv_and_norm(tensors, f"{at}.conv2", f"{at}.bn2", y).clamp(min=0)
            y = _conv_and_norm(tensors, f"{at}.conv3", f"{at}.bn3", functional.avg_pool2d(y, 2) if halved else y)
            if block == 0:
                x = functional.avg_pool2d(x, 2) if halved else x
                x = _conv_and_norm(tensors, f"{at}.downsample.0", f"{at}.downsample.1", x)
            x = (x + y).clamp(min=0)
        expected.append(x)
    with torch.inference_mode():
        found = net(image)
    assert [tuple(each.shape[1:]) for each in found] == [(256, 16, 24), (512, 8, 12), (1024, 4, 6), (2048, 2, 3)]
    for a, b in zip(found, expected, strict=True):
        assert (a - b).abs().max() < 1e-4 * b.abs().max()


def test_a_file_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With where to fetch the right one."""
    monkeypatch.setattr(weights, "load", lambda _: {"features.0.weight": torch.zeros(64, 3, 3, 3)})
    with pytest.raises(StoreError, match=r"vgg16-397923af.pth does not fit: features.0.bias is missing.*fetch https"):
        backbones.published(vgg(16, (3,)), weights.VGG16)


def test_torchvisions_names_and_its_files_without_classifier_both_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """`features.0.weight` and `0.weight` are one."""
    state = {name.removeprefix("features."): value + 1 for name, value in vgg(16, (1,)).state_dict().items()}
    for prefix in ("", "features."):
        monkeypatch.setattr(weights, "load", lambda _, p=prefix: {f"{p}{name}": v for name, v in state.items()})
        net = backbones.published(vgg(16, (1,)), weights.VGG16)
        assert all(
            torch.equal(value, state[name.removeprefix("features.")]) for name, value in net.state_dict().items()
        )

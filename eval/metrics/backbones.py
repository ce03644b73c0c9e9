"""The image classifiers whose features the perceptual metrics and losses compare, up to their last feature map.

Each is built with the layer numbers and names of the published file, so that its tensors fit as they are. The
weights are the published ones (`weights.py`) or, for tests, seeded ones.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...degrade.errors import StoreError
from ..images.kept import row
from . import weights
from .weights import WeightFile

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in 0..1
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

_VGG = {
    16: (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512),
    19: (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512),
}


def normalised(image: Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> Tensor:
    """RGB [B, 3, H, W] in 0..1 as a classifier was trained on it."""
    return (image - row(*mean, like=image)) / row(*std, like=image)


class Taps(nn.Module):
    """Layers in a row; gives back what comes out of those that are tapped.

    Tensors are [B, C, h, w]. taps: numbers of layers, rising; nothing after the last is run.
    """

    def __init__(self, layers: nn.Sequential, taps: Sequence[int]) -> None:
        super().__init__()
        self.features = layers
        self.taps = tuple(taps)

    def forward(self, image: Tensor) -> list[Tensor]:
        found: list[Tensor] = []
        for number, layer in enumerate(self.features):
            image = layer(image)
            if number in self.taps:
                found.append(image)
        return found


def vgg(depth: int, taps: Sequence[int], *, pool: Callable[[int], nn.Module] | None = None) -> Taps:
    """VGG-16 or VGG-19 (Simonyan and Zisserman 2015, configurations D and E); layer n is torchvision's features[n].

    pool: makes what stands in the place of a max pooling, from its channels.
    """
    layers: list[nn.Module] = []
    channels = 3
    for wanted in _VGG[depth]:
        if len(layers) > max(taps):
            break
        if wanted:
            layers += [nn.Conv2d(channels, wanted, 3, padding=1), nn.ReLU()]
            channels = wanted
        else:
            layers.append(nn.MaxPool2d(2) if pool is None else pool(channels))
    return Taps(nn.Sequential(*layers[: max(taps) + 1]), taps)


def alexnet(taps: Sequence[int]) -> Taps:
    """AlexNet in the version of one tower (Krizhevsky 2014); layer n is torchvision's features[n]."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    layers += [nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    for channels, wanted in ((192, 384), (384, 256), (256, 256)):
        layers += [nn.Conv2d(channels, wanted, 3, padding=1), nn.ReLU()]
    return Taps(nn.Sequential(*layers[: max(taps) + 1]), taps)


class Fire(nn.Module):
    """A squeeze to few channels, and the expansion of it by 1x1 and 3x3 (Iandola et al. 2016)."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.squeeze(x))
        return functional.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1))


def squeezenet(taps: Sequence[int]) -> Taps:
    """SqueezeNet 1.1; layer n is torchvision's features[n]."""

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), pool(), Fire(64, 16, 64), Fire(128, 16, 64)]
    layers += [pool(), Fire(128, 32, 128), Fire(256, 32, 128), pool()]
    layers += [Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)]
    return Taps(nn.Sequential(*layers[: max(taps) + 1]), taps)


# ------------------------------------------------------------------------------------------------ CLIP RN50


class _Bottleneck(nn.Module):
    """CLIP's residual block: strides are average pooling, which keeps it free of aliasing."""

    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        outer = 4 * inner
        self.conv1, self.bn1 = nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, outer, 1, bias=False), nn.BatchNorm2d(outer)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.downsample = None
        if stride > 1 or channels != outer:
            parts = [("-1", nn.AvgPool2d(stride)), ("0", nn.Conv2d(channels, outer, 1, bias=False))]
            self.downsample = nn.Sequential(OrderedDict[str, nn.Module]([*parts, ("1", nn.BatchNorm2d(outer))]))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.pool(functional.relu(self.bn2(self.conv2(y))))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class ClipRn50(nn.Module):
    """The image encoder of CLIP RN50 (Radford et al. 2021) up to its feature maps, without attention pooling.

    Gives back the maps of its four layers, of 256, 512, 1024 and 2048 channels at 1/4 to 1/32 of the size.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32)
        self.conv2, self.bn2 = nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.conv3, self.bn3 = nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64)
        self.layer1 = self._layer(64, 64, 3, 1)
        self.layer2 = self._layer(256, 128, 4, 2)
        self.layer3 = self._layer(512, 256, 6, 2)
        self.layer4 = self._layer(1024, 512, 3, 2)

    @staticmethod
    def _layer(channels: int, inner: int, blocks: int, stride: int) -> nn.Sequential:
        rest = [_Bottleneck(4 * inner, inner, 1) for _ in range(blocks - 1)]
        return nn.Sequential(_Bottleneck(channels, inner, stride), *rest)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = image
        for conv, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = functional.relu(norm(conv(x)))
        x = functional.avg_pool2d(x, 2)
        found: list[Tensor] = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            found.append(x)
        return found


# --------------------------------------------------------------------------------------------------- weights


def _fill(net: nn.Module, tensors: Mapping[str, Tensor], file: WeightFile) -> None:
    """Put the tensors of a published file into a network, ready to be measured with.

    Raises:
        StoreError: one is missing, or of another shape.
    """
    wanted = {name: value for name, value in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    missing = [name for name, value in wanted.items() if name not in tensors or tensors[name].shape != value.shape]
    if missing:
        raise StoreError(
            f"{file.name} does not fit: {missing[0]} is missing or of another shape; fetch {file.url} again"
        )
    net.load_state_dict({name: tensors[name].float() for name in wanted}, strict=False)
    net.eval().requires_grad_(False)


def published(net: Taps, file: WeightFile) -> Taps:
    """A network with the published weights; raises MissingWeights, StoreError."""
    tensors = weights.load(file)
    named = {name if name.startswith("features.") else f"features.{name}": value for name, value in tensors.items()}
    _fill(net, named, file)
    return net


def clip_rn50() -> ClipRn50:
    """CLIP RN50 with the published weights; raises MissingWeights, StoreError."""
    net = ClipRn50()
    tensors = weights.load(weights.CLIP_RN50)
    _fill(net, {name.removeprefix("visual."): value for name, value in tensors.items()}, weights.CLIP_RN50)
    return net

"""LPIPS and DISTS: distances between the features that a classifier sees in two images. Lower is closer.

Both take images [B, 3, H, W], RGB, and give back [B]. Gradients flow, so that they serve as losses too.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import weights
from .backbones import Taps, alexnet, normalised, published, squeezenet, vgg
from .weights import WeightFile

Net = Literal["alex", "vgg", "squeeze"]

LPIPS_CHANNELS: dict[Net, tuple[int, ...]] = {
    "alex": (64, 192, 384, 256, 256),
    "vgg": (64, 128, 256, 512, 512),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
}
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # ImageNet's, as LPIPS rounds them, for -1..1
_HEADS: dict[Net, WeightFile] = {
    "alex": weights.LPIPS_ALEX,
    "vgg": weights.LPIPS_VGG,
    "squeeze": weights.LPIPS_SQUEEZE,
}
_BACKBONES: dict[Net, WeightFile] = {"alex": weights.ALEXNET, "vgg": weights.VGG16, "squeeze": weights.SQUEEZENET}

DISTS_CHANNELS = (3, 64, 128, 256, 512, 512)
LEAST_PX: dict[Net, int] = {"alex": 32, "vgg": 16, "squeeze": 24}  # of an image's sides: smaller ones end in no feature
_TINY = 1e-6  # DISTS' c1 and c2


def check_side(net: Net, side_px: int, of: str) -> None:
    """Raises ValueError where LPIPS cannot look at crops of that side; of: what makes them as large."""
    if side_px < LEAST_PX[net]:
        raise ValueError(f"{of} gives LPIPS ({net}) crops of {side_px} px; it takes {LEAST_PX[net]} or more")


def _backbone(net: Net) -> Taps:
    if net == "alex":
        return alexnet((1, 4, 7, 9, 11))
    if net == "vgg":
        return vgg(16, (3, 8, 15, 22, 29))
    return squeezenet((1, 4, 7, 9, 10, 11, 12))


class Lpips(nn.Module):
    """LPIPS v0.1 (Zhang et al. 2018): squared differences of unit-length features, weighted by channel.

    Images are RGB in -1..1. Of two equal images it is 0; it has no upper bound.
    """

    compiled_parts: ClassVar[tuple[str, ...]] = ("backbone",)

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.backbone = _backbone(net)
        self.heads = nn.ParameterList([nn.Parameter(torch.ones(1, c, 1, 1) / c) for c in LPIPS_CHANNELS[net]])
        self.requires_grad_(False).eval()

    def features(self, image: Tensor) -> list[Tensor]:
        """The features of each tapped layer, of length one at each place; in fp32, as their squares leave fp16."""
        with torch.autocast(image.device.type, enabled=False):
            found = self.backbone(normalised(image.float(), _SHIFT, _SCALE))
        return [each / (each.square().sum(dim=1, keepdim=True).sqrt() + 1e-10) for each in found]

    def maps(self, a: Tensor, b: Tensor) -> list[Tensor]:
        """The distance at each place of each layer, [B, 1, h, w]."""
        pairs = zip(self.features(a), self.features(b), self.heads, strict=True)
        return [((one - other).square() * head).sum(dim=1, keepdim=True) for one, other, head in pairs]

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.stack([each.mean(dim=(1, 2, 3)) for each in self.maps(a, b)]).sum(dim=0)


def check_lpips(net: Net) -> None:
    """Raises MissingWeights where a published file of an LPIPS is not there."""
    for file in (_BACKBONES[net], _HEADS[net]):
        weights.find(file)


def lpips(net: Net) -> Lpips:
    """LPIPS v0.1 with the published weights; raises MissingWeights, StoreError."""
    found = Lpips(net)
    published(found.backbone, _BACKBONES[net])
    heads = weights.load(_HEADS[net])
    for number, head in enumerate(found.heads):
        head.copy_(heads[f"lin{number}.model.1.weight"])
    return found


class _L2Pool(nn.Module):
    """The root of the mean square under a small Hann window, every second pixel: pooling without aliasing."""

    window: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        line = torch.hann_window(5, periodic=False, dtype=torch.float64)[1:-1]
        square = torch.outer(line, line)
        window = (square / square.sum()).float().expand(channels, 1, 3, 3).contiguous()
        self.register_buffer("window", window, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.conv2d(x.square(), self.window, stride=2, padding=1, groups=x.shape[1])
        return (pooled + 1e-12).sqrt()


class Dists(nn.Module):
    """DISTS (Ding et al. 2020): likeness of texture (means) and of structure (covariances) of VGG-16's features.

    Images are RGB in 0..1. The image itself is the first feature.
    """

    compiled_parts: ClassVar[tuple[str, ...]] = ("backbone",)

    def __init__(self) -> None:
        super().__init__()
        self.backbone = vgg(16, (3, 8, 15, 22, 29), pool=_L2Pool)
        self.alpha = nn.Parameter(torch.full((sum(DISTS_CHANNELS),), 0.1))
        self.beta = nn.Parameter(torch.full((sum(DISTS_CHANNELS),), 0.1))
        self.requires_grad_(False).eval()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        with torch.autocast(a.device.type, enabled=False):
            return self._distance(a.float(), b.float())

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        whole = self.alpha.sum() + self.beta.sum()
        alphas = (self.alpha / whole).split(DISTS_CHANNELS)
        betas = (self.beta / whole).split(DISTS_CHANNELS)
        score = a.new_ones(a.shape[0])
        pairs = zip([a, *self.backbone(normalised(a))], [b, *self.backbone(normalised(b))], strict=True)
        for (x, y), alpha, beta in zip(pairs, alphas, betas, strict=True):
            mean_x, mean_y = x.mean(dim=(2, 3)), y.mean(dim=(2, 3))
            texture = (2 * mean_x * mean_y + _TINY) / (mean_x.square() + mean_y.square() + _TINY)
            var_x = (x - mean_x[..., None, None]).square().mean(dim=(2, 3))
            var_y = (y - mean_y[..., None, None]).square().mean(dim=(2, 3))
            covariance = (x * y).mean(dim=(2, 3)) - mean_x * mean_y
            structure = (2 * covariance + _TINY) / (var_x + var_y + _TINY)
            score = score - (alpha * texture + beta * structure).sum(dim=1)
        return score


def dists() -> Dists:
    """DISTS with the published weights; raises MissingWeights, StoreError."""
    found = Dists()
    published(found.backbone, weights.VGG16)
    tensors = weights.load(weights.DISTS)
    found.alpha.copy_(tensors["alpha"].flatten())
    found.beta.copy_(tensors["beta"].flatten())
    return found

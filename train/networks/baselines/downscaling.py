"""Learned downscaling: LR as a camera would have made it, of HR (FSSR, Fritsche et al. 2019; DASR, Wei et al. 2021).

Its discriminator looks at the high band alone, and what it says of LR tells DASR how near that is to photographs.
"""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ....degrade.family import Frozen
from ....degrade.images.pixels import U8
from ....degrade.storage.provenance import Json
from ....eval.images.restoring import smaller
from ....eval.images.tensors import to_pixels, to_tensor
from ...losses.frequencies import Split, mean_around
from ...runs.model_file import config_by, load_trained
from ..base import DOWNSCALING

_TILE_PX, _AROUND_PX = 512, 64  # of HR; farther than that no pixel of LR sees
FIELD_PX = 17  # that a logit of the discriminator and its high band see


class DownscalingConfig(Frozen):
    """Sizes of the generator; the defaults are the published ones (594,380 parameters, 668,238 with strides)."""

    scale: Literal[1, 2, 4] = 4
    """HR size / LR size."""
    strided: bool = False
    """It makes HR small itself, by strided convs, as DASR's; or gets HR made small by bicubic, and gives that the marks
    of a camera, as FSSR's.
    """
    num_feat: Annotated[int, Field(ge=1, le=4096)] = 64
    """Channels."""
    num_block: Annotated[int, Field(ge=1, le=256)] = 8
    """Residual blocks."""

    def build(self) -> "Downscaling":
        """With fresh weights."""
        return Downscaling(self)


class _Block(nn.Module):
    def __init__(self, feats: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(feats, feats, 3, padding=1) for _ in range(2))
        self.prelu = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(self.prelu(self.conv1(x)))


class Downscaling(nn.Module):
    """HR [B, 3, scale*h, scale*w] -> LR [B, 3, h, w], both in 0..1. Parameter names are the published ones."""

    def __init__(self, config: DownscalingConfig) -> None:
        super().__init__()
        self.config, self.scale, feats = config, config.scale, config.num_feat
        self.block_input = nn.Sequential(nn.Conv2d(3, feats, 3, padding=1), nn.PReLU())
        self.res_blocks = nn.ModuleList(_Block(feats) for _ in range(config.num_block))
        halvings = (config.scale.bit_length() - 1) if config.strided else 0
        halving = [(nn.Conv2d(feats, feats, 3, stride=2, padding=1), nn.PReLU()) for _ in range(halvings)]
        self.down_sample = nn.Sequential(*(layer for pair in halving for layer in pair))
        self.block_output = nn.Conv2d(feats, 3, 3, padding=1)

    def forward(self, hr: Tensor) -> Tensor:
        return self.of_bicubic(hr if self.config.strided else bicubic_lr(hr, self.scale))

    def of_bicubic(self, image: Tensor) -> Tensor:
        """The network alone: of HR where it is strided, else of bicubic LR."""
        x = self.block_input(image)
        for block in self.res_blocks:
            x = block(x)
        return self.block_output(self.down_sample(x)).sigmoid()


def bicubic_lr(hr: Tensor, scale: int) -> Tensor:
    """LR by bicubic with antialiasing, clipped to 0..1."""
    return hr if scale == 1 else smaller(hr, scale).clamp(0, 1)


def downscaled(net: Downscaling, hr: U8) -> U8:
    """LR of HR [H, W, 3], piece by piece, as if it were made of all at once."""
    device = next(net.parameters()).device
    scale, (height, width) = net.scale, hr.shape[:2]
    lr = np.empty((height // scale, width // scale, 3), np.uint8)
    for top in range(0, height, _TILE_PX):
        for left in range(0, width, _TILE_PX):
            y, x = max(0, top - _AROUND_PX), max(0, left - _AROUND_PX)
            bottom, right = min(height, top + _TILE_PX), min(width, left + _TILE_PX)
            seen = np.ascontiguousarray(hr[y : bottom + _AROUND_PX, x : right + _AROUND_PX])
            with torch.no_grad():
                made = to_pixels(net(to_tensor(seen)[None].to(device)).float()[0])
            piece = lr[top // scale : bottom // scale, left // scale : right // scale]
            piece[:] = made[(top - y) // scale :, (left - x) // scale :][: piece.shape[0], : piece.shape[1]]
    return lr


class FieldDiscriminator(nn.Module):
    """Images [B, 3, H, W] -> logits of each pixel of their high band [B, 1, H, W] (or half as large), high where it
    looks like a photograph. 1,030,273 parameters with batch norm of three channels.
    """

    def __init__(self, split: Split, feats: int = 64, *, instance_norm: bool = False) -> None:
        super().__init__()
        self.split = split
        norm = nn.InstanceNorm2d if instance_norm else nn.BatchNorm2d
        layers: list[nn.Module] = [nn.Conv2d(split.channels, feats, 5, padding=2), nn.LeakyReLU(0.2)]
        for came, width in ((feats, 2 * feats), (2 * feats, 4 * feats)):
            layers += [nn.Conv2d(came, width, 5, padding=2), norm(width), nn.LeakyReLU(0.2)]
        self.net = nn.Sequential(*layers, nn.Conv2d(4 * feats, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        return self.net(self.split.high(image))


def nearness(judge: FieldDiscriminator, lr: Tensor, scale: int) -> Tensor:
    """How likely each place of LR [B, 3, h, w] is of a photograph, as weights of HR [B, 1, scale*h, scale*w] in 0..1.

    DASR's domain distance map: a pixel's is the mean of all whose field it lies in.
    """
    with torch.no_grad():
        seen = mean_around(judge(lr).float().sigmoid(), FIELD_PX)
    size = lr.shape[2] * scale, lr.shape[3] * scale
    return functional.interpolate(seen, size=size, mode="bilinear", align_corners=False)


def open_downscaling(path: Path, device: torch.device) -> Downscaling:
    """The network of a run of `rwsr train downscaling`, ready to use; raises StoreError."""
    check_downscaling(path)
    return load_trained(path, device, "a downscaling", lambda sizes: DownscalingConfig.model_validate(sizes).build())


def check_downscaling(path: Path) -> Json:
    """The config of such a run; raises StoreError where it is none."""
    return config_by(path, DOWNSCALING, "learned downscaling")

"""IMDN (Hui et al. 2019): distillation of a part of the channels at each step, and attention by contrast.

Parameter names are the published ones, less the `module.` that its files carry.
"""

from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..base import NetworkConfig, Shapes

_FEATS, _KEPT, _BLOCKS = 64, 16, 6


class _ContrastAttention(nn.Module):
    """Weights the channels by their mean and deviation over the whole image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_du = nn.Sequential(
            nn.Conv2d(_FEATS, _FEATS // 16, 1), nn.ReLU(), nn.Conv2d(_FEATS // 16, _FEATS, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=(2, 3), keepdim=True)
        deviation = (x - mean).float().square().mean(dim=(2, 3), keepdim=True).sqrt().to(x.dtype)  # fp16 ends at 256²
        return x * self.conv_du(mean + deviation)


class _Distillation(nn.Module):
    """Keeps a quarter of the channels after each of three convs, all of the fourth's; [B, 64, h, w] -> the same."""

    def __init__(self) -> None:
        super().__init__()
        rest = _FEATS - _KEPT
        self.c1 = nn.Conv2d(_FEATS, _FEATS, 3, padding=1)
        self.c2 = nn.Conv2d(rest, _FEATS, 3, padding=1)
        self.c3 = nn.Conv2d(rest, _FEATS, 3, padding=1)
        self.c4 = nn.Conv2d(rest, _KEPT, 3, padding=1)
        self.cca = _ContrastAttention()
        self.c5 = nn.Conv2d(_FEATS, _FEATS, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept: list[Tensor] = []
        going = x
        for conv in (self.c1, self.c2, self.c3):
            part, going = functional.leaky_relu(conv(going), 0.05).split((_KEPT, _FEATS - _KEPT), dim=1)
            kept.append(part)
        return x + self.c5(self.cca(torch.cat([*kept, self.c4(going)], dim=1)))


class ImdnConfig(NetworkConfig):
    """IMDN at its published sizes."""

    arch: Literal["imdn"] = "imdn"
    scale: Annotated[int, Field(ge=1, le=8)] = 4
    """How many times it enlarges."""

    def build(self) -> "Imdn":
        return Imdn(self)

    @classmethod
    def detect(cls, shapes: Shapes) -> Self | None:
        if "IMDB1.c1.weight" not in shapes or "upsampler.0.weight" not in shapes:
            return None
        return cls(scale=round((shapes["upsampler.0.weight"][0] / 3) ** 0.5))


class Imdn(nn.Module):
    """LR [B, 3, h, w] -> SR [B, 3, s*h, s*w]."""

    def __init__(self, config: ImdnConfig) -> None:
        super().__init__()
        scale = config.scale
        self.scale = scale
        self.fea_conv = nn.Conv2d(3, _FEATS, 3, padding=1)
        for number in range(1, _BLOCKS + 1):
            self.add_module(f"IMDB{number}", _Distillation())
        self.c = nn.Sequential(nn.Conv2d(_FEATS * _BLOCKS, _FEATS, 1), nn.LeakyReLU(0.05))
        self.LR_conv = nn.Conv2d(_FEATS, _FEATS, 3, padding=1)
        self.upsampler = nn.Sequential(nn.Conv2d(_FEATS, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))

    def forward(self, lr: Tensor) -> Tensor:
        first = x = self.fea_conv(lr)
        seen: list[Tensor] = []
        for number in range(1, _BLOCKS + 1):
            x = self.get_submodule(f"IMDB{number}")(x)
            seen.append(x)
        return self.upsampler(first + self.LR_conv(self.c(torch.cat(seen, dim=1))))

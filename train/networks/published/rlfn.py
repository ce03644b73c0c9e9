"""RLFN (Kong et al. 2022): residual local features, and attention that looks at a coarse picture of the whole.

Parameter names are the published ones.
"""

from typing import Annotated, Literal, Self

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..base import NetworkConfig, Shapes

_BLOCKS, _LEAST_PX = 6, 17


class _SpatialAttention(nn.Module):
    """Weights each place by what a seventh of the size shows around it; the image needs 17 px."""

    def __init__(self, feats: int, inner: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(feats, inner, 1)
        self.conv_f = nn.Conv2d(inner, inner, 1)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=2)
        self.conv3 = nn.Conv2d(inner, inner, 3, padding=1)
        self.conv4 = nn.Conv2d(inner, feats, 1)

    def forward(self, x: Tensor) -> Tensor:
        few = self.conv1(x)
        coarse = self.conv3(functional.max_pool2d(self.conv2(few), 7, stride=3))
        wide = functional.interpolate(coarse, size=x.shape[-2:], mode="bilinear", align_corners=False)
        return x * self.conv4(wide + self.conv_f(few)).sigmoid()


class _Block(nn.Module):
    """Three convs with a residual, a 1x1, and attention; [B, feats, h, w] -> the same."""

    def __init__(self, feats: int, inner: int) -> None:
        super().__init__()
        self.c1_r = nn.Conv2d(feats, feats, 3, padding=1)
        self.c2_r = nn.Conv2d(feats, feats, 3, padding=1)
        self.c3_r = nn.Conv2d(feats, feats, 3, padding=1)
        self.c5 = nn.Conv2d(feats, feats, 1)
        self.esa = _SpatialAttention(feats, inner)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for conv in (self.c1_r, self.c2_r, self.c3_r):
            y = functional.leaky_relu(conv(y), 0.05)
        return self.esa(self.c5(x + y))


class RlfnConfig(NetworkConfig):
    """Sizes of an RLFN; the defaults are the published ones."""

    arch: Literal["rlfn"] = "rlfn"
    scale: Annotated[int, Field(ge=1, le=8)] = 4
    """How many times it enlarges."""
    num_feat: Annotated[int, Field(ge=1, le=4096)] = 52
    """Channels of the features."""
    inner: Annotated[int, Field(ge=1, le=4096)] = 16
    """Channels inside the attention."""

    def build(self) -> "Rlfn":
        return Rlfn(self)

    @classmethod
    def detect(cls, shapes: Shapes) -> Self | None:
        if "block_1.esa.conv1.weight" not in shapes or "upsampler.0.weight" not in shapes:
            return None
        inner, feats = shapes["block_1.esa.conv1.weight"][:2]
        return cls(scale=round((shapes["upsampler.0.weight"][0] / 3) ** 0.5), num_feat=feats, inner=inner)


class Rlfn(nn.Module):
    """LR [B, 3, h, w] -> SR [B, 3, s*h, s*w]. Inside, as published, images are in 0..255.

    The attention needs 17 px: smaller images are continued by their edges first.
    """

    def __init__(self, config: RlfnConfig) -> None:
        super().__init__()
        feats, inner, scale = config.num_feat, config.inner, config.scale
        self.scale = scale
        self.conv_1 = nn.Conv2d(3, feats, 3, padding=1)
        for number in range(1, _BLOCKS + 1):
            self.add_module(f"block_{number}", _Block(feats, inner))
        self.conv_2 = nn.Conv2d(feats, feats, 3, padding=1)
        self.upsampler = nn.Sequential(nn.Conv2d(feats, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))

    def forward(self, lr: Tensor) -> Tensor:
        height, width = lr.shape[-2:]
        lr = functional.pad(lr, (0, max(0, _LEAST_PX - width), 0, max(0, _LEAST_PX - height)), mode="replicate")
        first = x = self.conv_1(lr * 255)
        for number in range(1, _BLOCKS + 1):
            x = self.get_submodule(f"block_{number}")(x)
        sr = self.upsampler(first + self.conv_2(x)) / 255
        return sr[..., : height * self.scale, : width * self.scale]

"""SRVGG "compact": a row of convs at LR size, and the enlarged image added (Real-ESRGAN's general and anime models).

Parameter names are the published ones: body.0 is a conv, body.1 its PReLU, and so on.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..base import NetworkConfig, Shapes


class CompactConfig(NetworkConfig):
    """Sizes of a compact network; the defaults are general-x4v3's."""

    arch: Literal["compact"] = "compact"
    scale: Annotated[int, Field(ge=1, le=8)] = 4
    """How many times it enlarges."""
    num_feat: Annotated[int, Field(ge=1, le=4096)] = 64
    """Channels."""
    num_conv: Annotated[int, Field(ge=1, le=256)] = 32
    """Layers between the first and the last; the defaults are general-x4v3's."""

    def build(self) -> "Compact":
        return Compact(self)

    @classmethod
    def detect(cls, shapes: Shapes) -> Self | None:
        number = max(
            (int(name.split(".")[1]) for name in shapes if re.fullmatch(r"body\.\d+\.weight", name)), default=0
        )
        last = shapes.get(f"body.{number}.weight", ())
        if number < 4 or len(shapes) != 3 * (number // 2) + 2 or len(last) != 4:
            return None
        return cls(scale=round((last[0] / 3) ** 0.5), num_feat=last[1], num_conv=number // 2 - 1)


class Compact(nn.Module):
    """LR [B, 3, h, w] -> SR [B, 3, s*h, s*w]."""

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        feats, convs, scale = config.num_feat, config.num_conv, config.scale
        self.scale = scale
        layers: list[nn.Module] = []
        for channels in (3, *([feats] * convs)):
            layers += [nn.Conv2d(channels, feats, 3, padding=1), nn.PReLU(feats)]
        self.body = nn.ModuleList([*layers, nn.Conv2d(feats, 3 * scale**2, 3, padding=1)])

    def forward(self, lr: Tensor) -> Tensor:
        x = lr
        for layer in self.body:
            x = layer(x)
        return functional.pixel_shuffle(x, self.scale) + functional.interpolate(lr, scale_factor=self.scale)

"""SRResNet without norms, with the enlarged image added (BasicSR's MSRResNet): what LWay sees degradations through.

Trained on clean LR by an adversary, its trunk tells degradations apart (Liu et al. 2021, arXiv 2108.00406). Parameter
names are BasicSR's; those of DegAE's file are read too.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..base import NetworkConfig, Shapes
from ..rrdb import scaled_kaiming
from ..udem import ResidualBlock

_SLOPE = 0.1


class SrResNetConfig(NetworkConfig):
    """Sizes; the defaults are the published ones (1,517,571 parameters)."""

    arch: Literal["srresnet"] = "srresnet"
    scale: Literal[4] = 4
    """How many times it enlarges."""
    num_feat: Annotated[int, Field(ge=1, le=4096)] = 64
    """Channels."""
    num_block: Annotated[int, Field(ge=1, le=256)] = 16
    """Residual blocks."""

    def build(self) -> "SrResNet":
        return SrResNet(self)

    @classmethod
    def renamed(cls, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By DegAE's names too, whose blocks are in four groups."""
        groups = [name for name in weights if name.startswith("recon_trunk1.") and name.endswith(".conv1.weight")]
        if not groups:
            return dict(weights)

        def new(name: str) -> str:
            found = re.match(r"recon_trunk(\d)\.(\d+)\.(.+)", name)
            if found is None:
                return name.replace("HRconv", "conv_hr")
            return f"body.{(int(found[1]) - 1) * len(groups) + int(found[2])}.{found[3]}"

        return {new(name): value for name, value in weights.items()}

    @classmethod
    def detect(cls, shapes: Shapes) -> Self | None:
        blocks = len({name.split(".")[1] for name in shapes if re.match(r"body\.\d+\.conv1\.weight", name)})
        if not blocks or "upconv2.weight" not in shapes or "conv_hr.weight" not in shapes:
            return None
        return cls(num_feat=shapes["conv_first.weight"][0], num_block=blocks)


class SrResNet(nn.Module):
    """LR [B, 3, h, w] -> SR [B, 3, 4*h, 4*w]."""

    def __init__(self, config: SrResNetConfig) -> None:
        super().__init__()
        feats, self.scale = config.num_feat, config.scale
        self.conv_first = nn.Conv2d(3, feats, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(feats) for _ in range(config.num_block)))
        self.upconv1, self.upconv2 = (nn.Conv2d(feats, 4 * feats, 3, padding=1) for _ in range(2))
        self.conv_hr = nn.Conv2d(feats, feats, 3, padding=1)
        self.conv_last = nn.Conv2d(feats, 3, 3, padding=1)
        scaled_kaiming(self, 0.1)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.body(functional.leaky_relu(self.conv_first(lr), _SLOPE))
        for conv in (self.upconv1, self.upconv2):
            x = functional.leaky_relu(functional.pixel_shuffle(conv(x), 2), _SLOPE)
        x = self.conv_last(functional.leaky_relu(self.conv_hr(x), _SLOPE))
        return x + functional.interpolate(lr, scale_factor=self.scale, mode="bilinear", align_corners=False)

"""CFSNet (Wang et al., ICCV 2019): a tuning branch beside the main one, coupled by a learned share of each channel."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from ..base import Shapes
from ..rrdb import scaled_kaiming
from .two_levels import Level, ResidualBlock, TwoLevels, TwoLevelsConfig

_CONTROL = (512, 256, 128)  # widths of the linear layers that all blocks share


class CFSNetConfig(TwoLevelsConfig):
    """Width and blocks; the defaults are those of the published denoiser, of colour images."""

    arch: Literal["cfsnet"] = "cfsnet"
    scale: Literal[1] = 1
    """It restores, and does not enlarge; the published network for SR is another one."""
    start: Level = (0, 0.5)
    """What the main branch is trained on: no blur, noise of 25 gray levels."""
    num_feat: Annotated[int, Field(ge=1, le=4096)] = 64
    """Width."""
    num_block: Annotated[int, Field(ge=1, le=1024)] = 10
    """Residual blocks of the main branch, and as many of the tuning branch."""

    def build(self) -> "CFSNet":
        return CFSNet(self)

    @classmethod
    def renamed(cls, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By the names of its authors' code too."""
        return {_ours(name): value for name, value in weights.items()}

    @classmethod
    def detect(cls, shapes: Shapes) -> Self | None:
        """Of their file for denoising, of colour images; the levels are those of the defaults."""
        blocks = sum(name.startswith("body.") and name.endswith(".conv1.weight") for name in shapes)
        head = shapes.get("head.weight")
        if not blocks or head is None or "tuning.control.0.weight" not in shapes or head[1] != 3:
            return None
        return cls(num_feat=head[0], num_block=blocks)


def _ours(name: str) -> str:
    """The name here of a tensor of the authors' code; one of ours stays."""
    parts = name.split(".")
    if parts[0] == "main":
        if parts[1] == "body":
            return f"body.{parts[2]}.conv{1 if parts[4] == '0' else 2}.{parts[5]}"
        return ".".join(parts[1:])
    if parts[0] == "tuning_blocks":
        inner = {"control_alpha": "control", "adaptive_alpha": "shares", "tuning_blocks": "blocks"}[parts[1]]
        return ".".join(["tuning", inner, *parts[2:]])
    return name


class _Tuning(nn.Module):
    """The tuning branch: its blocks, and what shares they get. Nothing of it has a bias, so that 0 is the main branch
    alone, and a share is proportional to the coefficient.
    """

    def __init__(self, feats: int, blocks: int) -> None:
        super().__init__()
        widths = [*_CONTROL, feats]
        self.control = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in zip(widths, widths[1:], strict=False))
        self.shares = nn.ModuleList(
            nn.Sequential(nn.Linear(feats, feats, bias=False), nn.Linear(feats, feats, bias=False))
            for _ in range(blocks)
        )
        self.blocks = nn.ModuleList(_pair_of_convs(feats) for _ in range(blocks))

    def told(self, coefficient: Tensor) -> Tensor:
        """What all blocks share, [B, C]."""
        x = coefficient[:, None].expand(-1, _CONTROL[0])
        for layer in self.control:
            x = layer(x)
        return x


def _pair_of_convs(feats: int) -> nn.Module:
    pair = nn.Sequential()
    pair.add_module("conv0", nn.Conv2d(feats, feats, 3, padding=1, bias=False))
    pair.add_module("relu", nn.ReLU())
    pair.add_module("conv1", nn.Conv2d(feats, feats, 3, padding=1, bias=False))
    return pair


class CFSNet(TwoLevels):
    """1,733,248 parameters, 991,232 of them of the tuning branch; what it restores is the image less what it finds.

    Each block is (1 - a) R(x) + a T(x), a of each channel; the coefficient may lie outside of 0..1, as in the paper.
    """

    tuned = "tuning."

    def __init__(self, config: CFSNetConfig) -> None:
        super().__init__(config)
        feats = config.num_feat
        self.head = nn.Conv2d(3, feats, 3, padding=1, bias=False)
        self.body = nn.ModuleList(ResidualBlock(feats) for _ in range(config.num_block))
        self.end = nn.Conv2d(feats, 3, 3, padding=1, bias=False)
        self.tuning = _Tuning(feats, config.num_block)
        scaled_kaiming(self, 0.1)

    def shares(self, coefficient: Tensor) -> Tensor:
        """a of every block and channel, [B, blocks, C], for coefficients [B]."""
        told = self.tuning.told(coefficient)
        return torch.stack([part(told) for part in self.tuning.shares], dim=1)

    def noise(self, image: Tensor, coefficient: Tensor) -> Tensor:
        """What the network takes for noise."""
        first = x = self.head(image)
        shares = self.shares(coefficient)
        for i, (main, tuning) in enumerate(zip(self.body, self.tuning.blocks, strict=True)):
            share = shares[:, i, :, None, None]
            x = main(x) * (1 - share) + tuning(x) * share
        return self.end(x + first)

    def between(self, image: Tensor, coefficient: Tensor) -> Tensor:
        return image - self.noise(image, coefficient)

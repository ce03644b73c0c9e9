"""Dynamic-Net (Shoshan, Mechrez and Zelnik-Manor, ICCV 2019): blocks whose output is added to a feature, so many times.

The paper is of styles, faces and holes; which network of restoration it is put into is our choice: AdaFM's, without
AdaFM's filters. So are the places, as far as they can be the same as in its style network: the middle of the body, its
end, and the last feature before the image.
"""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..rrdb import scaled_kaiming
from .two_levels import ResidualBlock, TwoLevels, TwoLevelsConfig, wide


class DynamicNetConfig(TwoLevelsConfig):
    """Width and residual blocks."""

    arch: Literal["dynamic-net"] = "dynamic-net"
    scale: Literal[1] = 1
    """It restores, and does not enlarge."""
    num_feat: Annotated[int, Field(ge=1, le=4096)] = 64
    """Width."""
    num_block: Annotated[int, Field(ge=2, le=1024)] = 16
    """Residual blocks of the main network."""

    def build(self) -> "DynamicNet":
        return DynamicNet(self)


class TuningBlock(nn.Sequential):
    """Three 3x3 convs with reflected edges, ReLU between them; no skip, no norm: [B, C, h, w] -> the same."""

    def __init__(self, feats: int) -> None:
        layers: list[nn.Module] = []
        for _ in range(3):
            layers += [nn.Conv2d(feats, feats, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
        super().__init__(*layers[:-1])


class DynamicNet(TwoLevels):
    """f + coefficient * T(f) at three places; 1,739,139 parameters with the defaults, 332,352 of them tuned.

    The coefficient may lie outside of 0..1. A side that is odd, or too short to be reflected, gets its last row again.
    """

    tuned = "tuning"
    _LEAST_PX = 4

    def __init__(self, config: DynamicNetConfig) -> None:
        super().__init__(config)
        feats, self._middle = config.num_feat, config.num_block // 2
        self.conv_first = nn.Conv2d(3, feats, 3, 2, 1)
        self.body = nn.ModuleList(ResidualBlock(feats) for _ in range(config.num_block))
        self.conv_body = nn.Conv2d(feats, feats, 3, padding=1)
        self.upconv = nn.Conv2d(feats, 4 * feats, 3, padding=1)
        self.conv_hr = nn.Conv2d(feats, feats, 3, padding=1)
        self.conv_last = nn.Conv2d(feats, 3, 3, padding=1)
        scaled_kaiming(self, 0.1)
        self.tuning = nn.ModuleList(TuningBlock(feats) for _ in range(3))  # as torch begins them, as published

    def between(self, image: Tensor, coefficient: Tensor) -> Tensor:
        height, width = image.shape[2:]
        below, right = (max(side + side % 2, self._LEAST_PX) - side for side in (height, width))
        told = wide(coefficient)
        first = x = self.conv_first(functional.pad(image, (0, right, 0, below), mode="replicate"))
        for i, block in enumerate(self.body, 1):
            x = block(x)
            if i == self._middle:
                x = x + told * self.tuning[0](x)
        x = first + self.conv_body(x)
        x = x + told * self.tuning[1](x)
        x = functional.relu(functional.pixel_shuffle(self.upconv(x), 2))
        x = functional.relu(self.conv_hr(x))
        return self.conv_last(x + told * self.tuning[2](x))[:, :, :height, :width]

"""RRDB blocks: the base network of ESRGAN, Real-ESRGAN and MM-RealSR. Parameter names are the published ones."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def scaled_kaiming(modules: nn.Module, scale: float) -> None:
    """Kaiming-normal weights times `scale` and zero biases, for every conv and linear layer inside."""
    for module in modules.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            with torch.no_grad():
                module.weight.mul_(scale)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class ResidualDenseBlock(nn.Module):
    """Five 3x3 convs, each fed all earlier outputs; [B, feats, h, w] -> the same (ESRGAN, figure 4)."""

    def __init__(self, feats: int, growth: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(feats, growth, 3, padding=1)
        self.conv2 = nn.Conv2d(feats + growth, growth, 3, padding=1)
        self.conv3 = nn.Conv2d(feats + 2 * growth, growth, 3, padding=1)
        self.conv4 = nn.Conv2d(feats + 3 * growth, growth, 3, padding=1)
        self.conv5 = nn.Conv2d(feats + 4 * growth, feats, 3, padding=1)
        scaled_kaiming(self, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen = torch.cat((seen, functional.leaky_relu(conv(seen), 0.2)), dim=1)
        return x + 0.2 * self.conv5(seen)


class RRDB(nn.Module):
    """Three residual dense blocks inside one more residual; [B, feats, h, w] -> the same."""

    def __init__(self, feats: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = ResidualDenseBlock(feats, growth)
        self.rdb2 = ResidualDenseBlock(feats, growth)
        self.rdb3 = ResidualDenseBlock(feats, growth)

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.2 * self.rdb3(self.rdb2(self.rdb1(x)))

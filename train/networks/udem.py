"""UDEM: the unsupervised degradation estimation module of MM-RealSR (section 3.3), two scores from an LR image."""

from typing import Annotated, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ...degrade.family import Frozen
from .rrdb import scaled_kaiming

_FC_FEATS = 512
_Count = Annotated[int, Field(ge=1, le=4096)]


class UdemConfig(Frozen):
    """Width, residual blocks and stride of each stage. The defaults are the released model's."""

    num_feat: tuple[_Count, ...] = (64, 64, 64, 128)
    """Channels of each stage."""
    num_block: tuple[Annotated[int, Field(ge=1, le=256)], ...] = (2, 2, 2, 2)
    """Residual blocks of each stage."""
    downscales: tuple[_Count, ...] = (1, 1, 2, 1)
    """Stride at the start of each stage."""
    init_scale: Annotated[float, Field(gt=0)] = 0.1
    """Factor on the Kaiming-normal starting weights. Small ones start from one score for every image, which a long
    training outgrows and a short one does not.
    """

    @model_validator(mode="after")
    def _one_of_each_a_stage(self) -> Self:
        stages = {len(self.num_feat), len(self.num_block), len(self.downscales)}
        if len(stages) > 1 or not self.num_feat:
            raise ValueError(
                f"num_feat {self.num_feat}, num_block {self.num_block} and downscales {self.downscales} are not of as "
                "many stages; give each a number for every stage"
            )
        return self


class ResidualBlock(nn.Module):
    """conv-ReLU-conv and the identity, without normalisation."""

    def __init__(self, feats: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(feats, feats, 3, padding=1)
        self.conv2 = nn.Conv2d(feats, feats, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(functional.relu(self.conv1(x)))


def _branch(config: UdemConfig) -> nn.Sequential:
    layers: list[nn.Module] = []
    for stage, (feats, blocks, stride) in enumerate(
        zip(config.num_feat, config.num_block, config.downscales, strict=True)
    ):
        layers += [ResidualBlock(feats) for _ in range(blocks)]
        following = config.num_feat[min(stage + 1, len(config.num_feat) - 1)]
        if stride > 1 or following != feats:
            layers.append(nn.Conv2d(feats, following, 3, stride=stride, padding=1))
    return nn.Sequential(*layers)


def _extent(config: UdemConfig) -> tuple[int, int]:
    """How many LR pixels apart the features are, and how far to each side one of them sees."""
    stride, reach = 1, 1
    for stage, (feats, blocks, down) in enumerate(
        zip(config.num_feat, config.num_block, config.downscales, strict=True)
    ):
        reach += 2 * blocks * stride
        if down > 1 or config.num_feat[min(stage + 1, len(config.num_feat) - 1)] != feats:
            reach += stride
            stride *= down
    return stride, reach


class Udem(nn.Module):
    """[B, 3, h, w] in [0, 1] -> [B, 2] scores in (0, 1): blur, then noise. The two branches share nothing.

    The paper writes [S_n, S_b]; the order here is the published code's.
    """

    def __init__(self, config: UdemConfig) -> None:
        super().__init__()
        self.conv_first = nn.ModuleList(nn.Conv2d(3, config.num_feat[0], 3, padding=1) for _ in range(2))
        self.body = nn.ModuleList(_branch(config) for _ in range(2))
        self.fc_degree = nn.ModuleList(
            nn.Sequential(nn.Linear(config.num_feat[-1], _FC_FEATS), nn.ReLU(), nn.Linear(_FC_FEATS, 1), nn.Sigmoid())
            for _ in range(2)
        )
        scaled_kaiming(self, config.init_scale)
        self._stride, self._reach = _extent(config)

    def forward(self, lr: Tensor) -> Tensor:
        scores: list[Tensor] = []
        for first, body, fc in zip(self.conv_first, self.body, self.fc_degree, strict=True):
            features: Tensor = body(first(lr))
            with torch.autocast(lr.device.type, enabled=False):  # bf16 has steps of 1/256 near 1, a margin is 1/20
                scores.append(fc(features.float().mean(dim=(2, 3))))
        return torch.cat(scores, dim=1)

    def in_tiles(self, lr: Tensor, tile_px: int) -> Tensor:
        """The same scores [1, 2] of one image [1, 3, h, w] on any device, of which no more than a tile of that side and
        what the features beside it see is looked at at once: features are pooled over all tiles, then scored once.
        """
        here = next(self.parameters()).device
        step = max(1, tile_px // self._stride) * self._stride
        context = -(-self._reach // self._stride) * self._stride
        height, width = lr.shape[2:]
        sums = [torch.zeros(1, fc[0].in_features, dtype=torch.float64) for fc in self.fc_degree]  # type: ignore[index]
        count = 0
        for y in range(0, height, step):
            for x in range(0, width, step):
                above, left = max(0, y - context), max(0, x - context)
                part = lr[:, :, above : y + step + context, left : x + step + context].to(here)
                rows, columns = (
                    slice((start - begin) // self._stride, -(-(min(start + step, side) - begin) // self._stride))
                    for start, begin, side in ((y, above, height), (x, left, width))
                )
                count += (rows.stop - rows.start) * (columns.stop - columns.start)
                for number, (first, body) in enumerate(zip(self.conv_first, self.body, strict=True)):
                    features: Tensor = body(first(part))[:, :, rows, columns]
                    sums[number] += features.double().sum(dim=(2, 3)).cpu()
        pooled = ((each / count).float().to(here) for each in sums)
        return torch.cat([fc(each) for fc, each in zip(self.fc_degree, pooled, strict=True)], dim=1)

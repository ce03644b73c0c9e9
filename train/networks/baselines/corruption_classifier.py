"""SRTTA's classifier (Deng et al. 2023): ResNet-50 (He et al. 2016) that tells whether LR carries blur, noise, JPEG.

Parameter names are those of the published code, whose trunk is torchvision's.
"""

from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ....degrade.family import Frozen
from ...runs.model_file import config_by, load_trained
from ..base import CLASSIFIER

KINDS = ("blur", "noise", "jpeg")
_CLASSES, _SEEN = 1000, 128  # of ImageNet; and of what is told apart
_Count = Annotated[int, Field(ge=1, le=4096)]


class ClassifierConfig(Frozen):
    """Sizes; the defaults are ResNet-50's (25,685,547 parameters)."""

    width: _Count = 64
    """Channels of the first layer; twice, four and eight times as many further on."""
    num_block: tuple[_Count, _Count, _Count, _Count] = (3, 4, 6, 3)
    """Blocks of each stage."""

    def build(self) -> "CorruptionClassifier":
        """With fresh weights."""
        return CorruptionClassifier(self)


class _Bottleneck(nn.Module):
    def __init__(self, came: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(came, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample: nn.Sequential | None = None
        if stride > 1 or came != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(came, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        found = functional.relu(self.bn1(self.conv1(x)))
        found = self.bn3(self.conv3(functional.relu(self.bn2(self.conv2(found)))))
        return functional.relu(found + (x if self.downsample is None else self.downsample(x)))


class _Trunk(nn.Module):
    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, config.width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(config.width)
        came = config.width
        for stage, count in enumerate(config.num_block):
            width, blocks = config.width << stage, list[nn.Module]()
            for block in range(count):
                blocks.append(_Bottleneck(came, width, 2 if stage and not block else 1))
                came = 4 * width
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(came, _CLASSES)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(image))), 3, 2, 1)
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        return self.fc(x.mean(dim=(2, 3)))


class CorruptionClassifier(nn.Module):
    """Images [B, 3, H, W] in 0..1 -> logits [B, 3] of blur, noise and JPEG."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = _Trunk(config)
        self.head = nn.Linear(_CLASSES, _SEEN)
        self.classifier = nn.Linear(_SEEN, len(KINDS))

    def forward(self, image: Tensor) -> Tensor:
        return self.classifier(functional.normalize(self.head(self.backbone(image)), dim=1))


def open_classifier(path: Path, device: torch.device) -> CorruptionClassifier:
    """The network of a run of `rwsr train corruption-classifier`; raises StoreError."""
    config_by(path, CLASSIFIER, "classifier of corruptions")
    return load_trained(path, device, "a classifier", lambda sizes: ClassifierConfig.model_validate(sizes).build())

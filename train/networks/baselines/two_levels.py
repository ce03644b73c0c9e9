"""What AdaFM, CFSNet and Dynamic-Net have in common: a network of one degradation, and parts that lead to another."""

from abc import ABC, abstractmethod
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ..base import Conditioned, NetworkConfig

_Share = Annotated[float, Field(ge=0, le=1)]
Level = tuple[_Share, _Share]


class TwoLevelsConfig(NetworkConfig, ABC):
    """The degradations that the network goes between, each as z = (r / 4, sigma / 50)."""

    start: Level = (0, 0.3)
    """What the main network is trained on: no blur, noise of 15 gray levels."""
    end: Level = (0, 1)
    """What the tuned parts are trained on: noise of 50."""

    @property
    def num_conditions(self) -> int:
        return 2

    @model_validator(mode="after")
    def _apart(self) -> "TwoLevelsConfig":
        if self.start == self.end:
            raise ValueError(f"start and end are both {list(self.start)}; the network goes from one to another")
        return self


class TwoLevels(Conditioned):
    """Degraded [B, 3, h, w] in [0, 1] and z [B, 2] -> restored [B, 3, h, w].

    The papers turn one number, 0 at the start and 1 at the end, and leave to the eye, or to a search, which one suits
    an image. Here z says it: its place along the line from start to end, exactly 0 and 1 at the two.

    tuned: the first part of the names of the parameters that lead from start to end.
    """

    scale = 1
    conditioned = True
    tuned: str

    def __init__(self, config: TwoLevelsConfig) -> None:
        super().__init__()
        start, end = (np.array(level, dtype=np.float32) for level in (config.start, config.end))
        self._start, self._way = start.tolist(), (end - start).tolist()  # in fp32, so that the ends are 0 and 1
        squares = (end - start) * (end - start)
        self._length = float(squares[0] + squares[1])

    def coefficient(self, z: Tensor) -> Tensor:
        """Where z [B, 2] lies between the levels, [B]."""
        (a, b), (x, y) = self._start, self._way
        return ((z[:, 0] - a) * x + (z[:, 1] - b) * y) / self._length

    @abstractmethod
    def between(self, image: Tensor, coefficient: Tensor) -> Tensor:
        """The images restored by the network between the two levels, a coefficient [B] each."""

    def is_tuned(self, name: str) -> bool:
        """Whether a parameter leads from start to end, and is trained on the end alone."""
        return self.tuned in name

    def forward(self, image: Tensor, z: Tensor) -> Tensor:
        return self.between(image, self.coefficient(z))


def wide(coefficient: Tensor) -> Tensor:
    """A number for each image, to be multiplied with [B, C, H, W]."""
    return coefficient[:, None, None, None]


class ResidualBlock(nn.Module):
    """x + conv(ReLU(conv(x)))."""

    def __init__(self, feats: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(feats, feats, 3, padding=1)
        self.conv2 = nn.Conv2d(feats, feats, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(functional.relu(self.conv1(x)))

"""A network of scale 1 behind bicubic enlarging: how CUGAN restores small images (section 4.4), and so MM-RealSR's row.

MM-RealSR's table 1 has CUGAN at x4 without a word on how; CUGAN's own way is taken.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, WithJsonSchema, field_validator
from torch import Tensor

from ....degrade.family import OneOf
from ....eval.images.restoring import bicubic
from ..base import Conditioned, NetworkConfig, wants_condition


class EnlargedConfig(NetworkConfig):
    """How many times, and the network that restores what was enlarged."""

    arch: Literal["enlarged"] = "enlarged"
    scale: Annotated[int, Field(ge=2, le=16)] = 4
    """How many times LR is enlarged."""
    of_pairs: ClassVar[bool] = False
    inner: Annotated[NetworkConfig, OneOf(NetworkConfig, "arch"), WithJsonSchema({"type": "object"})]
    """The network of scale 1."""

    @field_validator("inner")
    @classmethod
    def _keeps_the_size(cls, inner: NetworkConfig) -> NetworkConfig:
        if inner.scale != 1:
            raise ValueError(f"{inner.arch} enlarges {inner.scale} times by itself; name a network of scale 1")
        return inner

    @property
    def num_conditions(self) -> int:
        return self.inner.num_conditions

    def build(self) -> "Enlarged":
        return Enlarged(self)


class Enlarged(Conditioned):
    """LR [B, 3, h, w] (and z [B, 2]) -> SR [B, 3, scale*h, scale*w]: MATLAB's bicubic, rounded to 8 bits as an enlarged
    file is, then the network.
    """

    def __init__(self, config: EnlargedConfig) -> None:
        super().__init__()
        self.scale = config.scale
        self.inner = config.inner.build()
        self.conditioned = wants_condition(self.inner) is not None

    def forward(self, lr: Tensor, *z: Any) -> Tensor:
        return self.inner((bicubic(lr, self.scale) * 255).round() / 255, *z)

"""AdaFM (He, Dong and Qiao, CVPR 2019): depth-wise filters after each conv that lead from one level to another."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..base import Shapes
from ..rrdb import scaled_kaiming
from .two_levels import TwoLevels, TwoLevelsConfig, wide


class AdaFMConfig(TwoLevelsConfig):
    """Width, residual blocks and the side of the filters; the defaults are the published ones."""

    arch: Literal["adafm"] = "adafm"
    scale: Literal[1] = 1
    """It restores, and does not enlarge."""
    num_feat: Annotated[int, Field(ge=1, le=4096)] = 64
    """Width."""
    num_block: Annotated[int, Field(ge=1, le=1024)] = 16
    """Residual blocks."""
    filter_size: Literal[1, 3, 5, 7] = 1
    """Side of the filters that are tuned."""

    def build(self) -> "AdaFM":
        return AdaFM(self)

    @classmethod
    def renamed(cls, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By the names of its authors' code too."""
        if "model.1.sub.0.res.0.weight" not in weights:
            return dict(weights)
        inner = {int(name.split(".")[3]) for name in weights if name.startswith("model.1.sub.")}
        blocks = sum(f"model.1.sub.{i}.res.0.weight" in weights for i in inner)
        return {_ours(name, blocks): value for name, value in weights.items()}

    @classmethod
    def detect(cls, shapes: Shapes) -> Self | None:
        """Of their file: it says sizes, and neither level; those of the defaults are taken."""
        blocks = sum(name.startswith("body.") and name.endswith(".conv1.weight") for name in shapes)
        filters, stem = shapes.get("tuned_last.weight"), shapes.get("conv_first.weight")
        if not blocks or filters is None or stem is None:
            return None
        return cls.model_validate({"num_feat": stem[0], "num_block": blocks, "filter_size": filters[2]})


def _ours(name: str, blocks: int) -> str:
    """The name here of a tensor of the authors' code."""
    outer = {"0": "conv_first", "2": "upconv", "5": "conv_hr", "7": "conv_last"}
    parts = name.split(".")
    if parts[1] != "1":
        return ".".join([outer[parts[1]], *parts[2:]])
    number, last = int(parts[3]), parts[-1]
    if number < blocks:
        inside = {"0": "conv1", "1": "tuned1", "3": "conv2", "4": "tuned2"}[parts[5]]
        return f"body.{number}.{inside}.{last}"
    return f"conv_body.{last}" if number == blocks else f"tuned_last.{last}"


def _filter(feats: int, size: int) -> nn.Conv2d:
    """g - I: starts at 0, so that the network at the end is the one at the start."""
    made = nn.Conv2d(feats, feats, size, padding=size // 2, groups=feats)
    nn.init.zeros_(made.weight)
    assert made.bias is not None
    nn.init.zeros_(made.bias)
    return made


class AdaFMBlock(nn.Module):
    """x + M(conv(ReLU(M(conv(x))))), M the tuned filters."""

    def __init__(self, feats: int, size: int) -> None:
        super().__init__()
        self.conv1, self.tuned1 = nn.Conv2d(feats, feats, 3, padding=1), _filter(feats, size)
        self.conv2, self.tuned2 = nn.Conv2d(feats, feats, 3, padding=1), _filter(feats, size)

    def forward(self, x: Tensor, coefficient: Tensor) -> Tensor:
        inner = self.conv1(x)
        inner = self.conv2(functional.relu(inner + coefficient * self.tuned1(inner)))
        return x + inner + coefficient * self.tuned2(inner)


class AdaFM(TwoLevels):
    """The authors' AdaResNet: at half the resolution, without a skip from the image.

    1,411,011 parameters with filters of 1 px, 4,224 of them tuned. The coefficient stays in 0..1, as in the code. An
    odd side gets its last row again, which is cut afterwards.
    """

    tuned = "tuned"

    def __init__(self, config: AdaFMConfig) -> None:
        super().__init__(config)
        feats = config.num_feat
        self.conv_first = nn.Conv2d(3, feats, 3, 2, 1)
        self.body = nn.ModuleList(AdaFMBlock(feats, config.filter_size) for _ in range(config.num_block))
        self.conv_body, self.tuned_last = nn.Conv2d(feats, feats, 3, padding=1), _filter(feats, config.filter_size)
        self.upconv = nn.Conv2d(feats, 4 * feats, 3, padding=1)
        self.conv_hr = nn.Conv2d(feats, feats, 3, padding=1)
        self.conv_last = nn.Conv2d(feats, 3, 3, padding=1)
        for name, part in self.named_modules():
            if isinstance(part, nn.Conv2d) and not self.is_tuned(name):
                scaled_kaiming(part, 0.1)

    def between(self, image: Tensor, coefficient: Tensor) -> Tensor:
        height, width = image.shape[2:]
        told = wide(coefficient.clamp(0, 1))
        first = self.conv_first(functional.pad(image, (0, width % 2, 0, height % 2), mode="replicate"))
        x = first
        for block in self.body:
            x = block(x, told)
        x = self.conv_body(x)
        x = first + x + told * self.tuned_last(x)
        x = functional.relu(functional.pixel_shuffle(self.upconv(x), 2))
        return self.conv_last(functional.relu(self.conv_hr(x)))[:, :, :height, :width]

"""EDSR (Lim et al. 2017): residual blocks without norms. Parameter names are BasicSR's; official files are read too."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ....eval.images.kept import row
from ..base import NetworkConfig, Shapes

_MEAN = (0.4488, 0.4371, 0.4040)  # of DIV2K, in 0..1
_OFFICIAL = (
    (r"head\.0\.", "conv_first."),
    (r"body\.(\d+)\.body\.0\.", r"body.\1.conv1."),
    (r"body\.(\d+)\.body\.2\.", r"body.\1.conv2."),
    (r"body\.\d+\.(weight|bias)", r"conv_after_body.\1"),
    (r"tail\.0\.", "upsample."),
    (r"tail\.1\.", "conv_last."),
)
_LEFT_OUT = ("sub_mean.", "add_mean.", "upsampler.", "mean")  # constants, and tensors that are there twice


class EdsrConfig(NetworkConfig):
    """Sizes; the defaults are those of the baseline (1,517,571 parameters at scale 4)."""

    arch: Literal["edsr"] = "edsr"
    scale: Literal[1, 2, 3, 4] = 4
    """How many times it enlarges."""
    num_feat: Annotated[int, Field(ge=1, le=4096)] = 64
    """Channels; 256 of the large one."""
    num_block: Annotated[int, Field(ge=1, le=256)] = 16
    """Residual blocks; 32 of the large one."""
    res_scale: Annotated[float, Field(gt=0)] = 1
    """Of what each block adds; 0.1 of the large one."""
    img_range: Annotated[float, Field(gt=0)] = 255
    """The numbers inside go to this for white."""

    def build(self) -> "Edsr":
        return Edsr(self)

    @classmethod
    def renamed(cls, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By the official names too."""
        if not {"head.0.weight", "tail.1.weight"} <= weights.keys():
            return dict(weights)
        found: dict[str, Tensor] = {}
        for name, value in weights.items():
            if name.startswith(_LEFT_OUT):
                continue
            for old, new in _OFFICIAL:
                renamed, count = re.subn(rf"^{old}", new, name)
                if count:
                    found[renamed] = value
                    break
        return found

    @classmethod
    def detect(cls, shapes: Shapes) -> Self | None:
        """The scale of what its blocks add is not in a file: 0.1 of those that are 256 wide."""
        blocks = len({name.split(".")[1] for name in shapes if re.match(r"body\.\d+\.conv1\.weight", name)})
        if not blocks or "conv_after_body.weight" not in shapes or "conv_last.weight" not in shapes:
            return None
        feats = shapes["conv_first.weight"][0]
        wide = {name: shape[0] // feats for name, shape in shapes.items() if re.match(r"upsample\.\d\.weight", name)}
        scale = 1 if not wide else 3 if 9 in wide.values() else 2 ** len(wide)
        return cls(scale=scale, num_feat=feats, num_block=blocks, res_scale=0.1 if feats == 256 else 1)  # type: ignore[arg-type]


class _Block(nn.Module):
    def __init__(self, feats: int, res_scale: float) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(feats, feats, 3, padding=1) for _ in range(2))
        self.res_scale = res_scale

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(functional.relu(self.conv1(x))) * self.res_scale


def _upsample(scale: int, feats: int) -> nn.Sequential:
    steps = {1: (), 2: (2,), 3: (3,), 4: (2, 2)}[scale]
    layers = [(nn.Conv2d(feats, step**2 * feats, 3, padding=1), nn.PixelShuffle(step)) for step in steps]
    return nn.Sequential(*(layer for pair in layers for layer in pair))


class Edsr(nn.Module):
    """LR [B, 3, h, w] -> SR [B, 3, s*h, s*w]."""

    def __init__(self, config: EdsrConfig) -> None:
        super().__init__()
        feats, self.scale, self.img_range = config.num_feat, config.scale, config.img_range
        self.conv_first = nn.Conv2d(3, feats, 3, padding=1)
        self.body = nn.Sequential(*(_Block(feats, config.res_scale) for _ in range(config.num_block)))
        self.conv_after_body = nn.Conv2d(feats, feats, 3, padding=1)
        self.upsample = _upsample(config.scale, feats)
        self.conv_last = nn.Conv2d(feats, 3, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        mean = row(*_MEAN, like=lr)
        x = self.conv_first((lr - mean) * self.img_range)
        x = self.upsample(x + self.conv_after_body(self.body(x)))
        return self.conv_last(x) / self.img_range + mean

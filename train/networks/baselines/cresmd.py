"""CResMD (He, Dong and Qiao, ECCV 2020): a residual network whose every residual is weighed by the condition."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..base import Conditioned, NetworkConfig, Shapes
from ..rrdb import scaled_kaiming

_THEIRS = {"recon_trunk": "body", "HRconv": "conv_hr", "local_scale": "gate", "global_scale": "gate_image"}


class CResMDConfig(NetworkConfig):
    """Width and residual blocks; the defaults are the published ones."""

    arch: Literal["cresmd"] = "cresmd"
    scale: Literal[1] = 1
    """It restores, and does not enlarge."""
    num_feat: Annotated[int, Field(ge=1, le=4096)] = 64
    """Width."""
    num_block: Annotated[int, Field(ge=1, le=1024)] = 32
    """Residual blocks."""
    conditioned: bool = True
    """Without it no residual is weighed: the code's BaseNet, trained on one degradation."""

    @property
    def num_conditions(self) -> int:
        return 2 if self.conditioned else 0

    def build(self) -> "CResMD":
        return CResMD(self)

    @classmethod
    def renamed(cls, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By the names of its authors' code too."""
        return {".".join(_THEIRS.get(part, part) for part in name.split(".")): value for name, value in weights.items()}

    @classmethod
    def detect(cls, shapes: Shapes) -> Self | None:
        """Of their file for blur and noise; the one with JPEG as a third number is another network."""
        blocks = sum(name.startswith("body.") and name.endswith(".conv1.weight") for name in shapes)
        stem, gated = shapes.get("conv_first.weight"), "gate_image.weight" in shapes
        if stem is None or not blocks or not {"upconv.weight", "conv_hr.weight", "conv_last.bias"} <= shapes.keys():
            return None
        if (gated and shapes["gate_image.weight"] != (3, 2)) or shapes["upconv.weight"][0] != 4 * stem[0]:
            return None
        return cls(num_feat=stem[0], num_block=blocks, conditioned=gated)


class GatedBlock(nn.Module):
    """x + w(z) * conv(ReLU(conv(x))), w one linear layer of z."""

    def __init__(self, feats: int, *, conditioned: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(feats, feats, 3, padding=1)
        self.conv2 = nn.Conv2d(feats, feats, 3, padding=1)
        self.gate = nn.Linear(2, feats) if conditioned else None

    def forward(self, x: Tensor, z: Tensor | None) -> Tensor:
        residual = self.conv2(functional.relu(self.conv1(x)))
        return x + (residual if self.gate is None else self.gate(z)[:, :, None, None] * residual)


class CResMD(Conditioned):
    """Degraded [B, 3, h, w] in [0, 1] and z [B, 2] = (r / 4, sigma / 50) -> restored [B, 3, h, w].

    2,557,708 parameters, 6,153 of them of the condition. It works at half the resolution; an odd side gets its last
    row again, which is cut afterwards (the published code takes even sides alone). At the start z = 0 gives the image
    back.
    """

    scale = 1

    def __init__(self, config: CResMDConfig) -> None:
        super().__init__()
        feats, self.conditioned = config.num_feat, config.conditioned
        self.conv_first = nn.Conv2d(3, feats, 3, 2, 1)
        self.body = nn.ModuleList(GatedBlock(feats, conditioned=self.conditioned) for _ in range(config.num_block))
        self.upconv = nn.Conv2d(feats, 4 * feats, 3, padding=1)
        self.conv_hr = nn.Conv2d(feats, feats, 3, padding=1)
        self.conv_last = nn.Conv2d(feats, 3, 3, padding=1)
        self.gate_image = nn.Linear(2, 3) if self.conditioned else None
        scaled_kaiming(self, 0.1)

    def forward(self, image: Tensor, z: Tensor | None = None) -> Tensor:
        height, width = image.shape[2:]
        padded = functional.pad(image, (0, width % 2, 0, height % 2), mode="replicate")
        x = self.conv_first(padded)
        for block in self.body:
            x = block(x, z)
        x = functional.relu(functional.pixel_shuffle(self.upconv(x), 2))
        x = self.conv_last(functional.relu(self.conv_hr(x)))
        restored = padded + (x if self.gate_image is None else self.gate_image(z)[:, :, None, None] * x)
        return restored[:, :, :height, :width]

"""CUGAN's generator: a U-Net of three scales whose every residual is weighed by a condition (Cai et al. 2021).

Toward Interactive Modulation for Photo-Realistic Image Restoration; bilibili's Real-CUGAN is another network.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from .base import Conditioned, NetworkConfig, Shapes
from .rrdb import scaled_kaiming

_THEIRS = {  # names in the authors' code, and here
    **{f"CResBlocks_stage{i}_{side}": f"{side}{i}" for i in (1, 2, 3) for side in ("left", "right")},
    "conv_stage1_left": "conv_first",
    "conv_stage2_left": "down1",
    "conv_stage3_left": "down2",
    "conv_stage3_right": "up2",
    "conv_stage2_right": "up1",
    "conv_stage1_right": "conv_last",
    "stage3_scale": "fuse2.fc",
    "stage2_scale": "fuse1.fc",
    "stage1_scale": "fuse_image.fc",
}
_OURS = {ours: theirs for theirs, ours in _THEIRS.items()}
_Feats = Annotated[int, Field(ge=1, le=4096)]


class CUnetConfig(NetworkConfig):
    """Widths of the scales and residual blocks on each side of each; the defaults are the paper's."""

    arch: Literal["cunet"] = "cunet"
    scale: Literal[1] = 1
    """It restores, and does not enlarge."""
    num_feat: Annotated[tuple[_Feats, ...], Field(min_length=1, max_length=3)] = (64, 128, 256)
    """Widths of the scales, from the finest; one is a plain network (figure 7's CUGAN-1)."""
    num_block: Annotated[int, Field(ge=1, le=256)] = 2
    """Residual blocks on each side of each scale; of figure 7 6 with one scale, 3 with two, 2 with three."""
    conditioned: bool = True
    """Without it no residual is weighed and nothing is said of the degradation: the paper's Unet and UGAN, each trained
    on one.
    """
    identity_at_zero: bool = False
    """The weights of z = 0 are 0 for ever, so that z = 0 gives the image back; in the published network they may move
    while it is trained.
    """

    @property
    def num_conditions(self) -> int:
        return 2 if self.conditioned else 0

    def build(self) -> "CUnet":
        return CUnet(self)

    @classmethod
    def renamed(cls, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By the names of its authors' code too."""
        return {to_ours(name): value for name, value in weights.items()}

    @classmethod
    def detect(cls, shapes: Shapes) -> Self | None:
        """Of their file; one without a condition, or that gives the image back at z = 0, is ours."""
        strided = (name for name in ("conv_first", "down1", "down2") if f"{name}.weight" in shapes)
        widths = tuple(shapes[f"{name}.weight"][0] for name in strided)
        blocks = len({name.split(".")[1] for name in shapes if re.match(r"left1\.\d+\.conv1", name)})
        if not blocks or not widths or "fuse_image.fc.weight" not in shapes:
            return None
        bias = "fuse_image.fc.bias" in shapes
        return cls(num_feat=widths, num_block=blocks, identity_at_zero=not bias)


def to_ours(name: str) -> str:
    """The name here of a tensor of the authors' code; one of ours stays."""
    head, _, rest = name.partition(".")
    return f"{_THEIRS.get(head, head)}.{rest.replace('local_scale', 'gate.fc')}"


def to_theirs(name: str) -> str:
    """The name in the authors' code of a tensor here."""
    head, _, rest = name.partition(".")
    if rest.startswith("fc."):
        head, rest = f"{head}.fc", rest.removeprefix("fc.")
    return f"{_OURS[head]}.{rest.replace('gate.fc', 'local_scale')}"


class Gate(nn.Module):
    """Weights of the channels of a residual: one linear layer of z, without activation; or 1 where z is not told."""

    def __init__(self, feats: int, config: CUnetConfig) -> None:
        super().__init__()
        self.fc = nn.Linear(2, feats, bias=not config.identity_at_zero) if config.conditioned else None
        scaled_kaiming(self, 0.1)

    def forward(self, residual: Tensor, z: Tensor | None) -> Tensor:
        if self.fc is None:
            return residual
        assert z is not None
        return self.fc(z)[:, :, None, None] * residual


class ModulatedResidualBlock(nn.Module):
    """x + w(z) * conv(ReLU(conv(x))) (section 3.2)."""

    def __init__(self, feats: int, config: CUnetConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(feats, feats, 3, padding=1)
        self.conv2 = nn.Conv2d(feats, feats, 3, padding=1)
        self.gate = Gate(feats, config)

    def forward(self, x: Tensor, z: Tensor | None) -> Tensor:
        return x + self.gate(self.conv2(functional.relu(self.conv1(x))), z)


class Blocks(nn.ModuleList):
    """Modulated residual blocks, one after the other."""

    def __init__(self, feats: int, config: CUnetConfig) -> None:
        super().__init__(ModulatedResidualBlock(feats, config) for _ in range(config.num_block))

    def forward(self, x: Tensor, z: Tensor | None) -> Tensor:
        for block in self:
            x = block(x, z)
        return x


class CUnet(Conditioned):
    """Degraded [B, 3, h, w] in [0, 1] and z [B, 2] = (r / 4, sigma / 50) -> restored [B, 3, h, w].

    6,534,476 parameters, 5,961 of them the condition network (the paper prints 1.370M, which its own widths do not
    give). Sizes that are not multiples of 4 get their last pixels again and are cut afterwards; the published code cuts
    images down to multiples of 16. At the start every weight of z = 0 is 0, and the image comes back as it was.
    """

    scale = 1

    def __init__(self, config: CUnetConfig) -> None:
        super().__init__()
        widths = config.num_feat
        self.conditioned = config.conditioned
        self.num_scales = len(widths)
        self.conv_first = nn.Conv2d(3, widths[0], 3, padding=1)
        for i, width in enumerate(widths, 1):
            self.add_module(f"left{i}", Blocks(width, config))
            if i < len(widths):
                self.add_module(f"down{i}", nn.Conv2d(width, widths[i], 2, 2))
        for i in range(len(widths), 0, -1):
            self.add_module(f"right{i}", Blocks(widths[i - 1], config))
            if i > 1:
                self.add_module(f"up{i - 1}", nn.ConvTranspose2d(widths[i - 1], widths[i - 2], 2, 2))
                self.add_module(f"fuse{i - 1}", Gate(widths[i - 2], config))
        self.conv_last = nn.Conv2d(widths[0], 3, 3, padding=1)
        self.fuse_image = Gate(3, config)
        scaled_kaiming(self, 0.1)  # but for the transposed convs, as published

    def forward(self, image: Tensor, z: Tensor | None = None) -> Tensor:
        height, width = image.shape[2:]
        multiple = 2 ** (self.num_scales - 1)  # which strided convs take without losing a row
        padded = functional.pad(image, (0, -width % multiple, 0, -height % multiple), mode="replicate")
        restored = padded + self.fuse_image(self.conv_last(self._within(1, self.conv_first(padded), z)), z)
        return restored[:, :, :height, :width]

    def _within(self, i: int, x: Tensor, z: Tensor | None) -> Tensor:
        """The i-th scale, with all that are coarser inside it."""
        part = self.get_submodule
        x = part(f"left{i}")(x, z)
        if i < self.num_scales:
            coarse = part(f"up{i}")(self._within(i + 1, part(f"down{i}")(x), z))
            x = x + part(f"fuse{i}")(coarse, z)
        return part(f"right{i}")(x, z)

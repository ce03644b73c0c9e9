"""CinCGAN's networks (Yuan et al., CVPRW 2018): one cleans LR, EDSR enlarges it, and two make the LR it was again."""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..base import NetworkConfig
from ..published.edsr import EdsrConfig

_SLOPE = 0.2


class CinCganConfig(NetworkConfig):
    """Sizes; the defaults are what the five codes that people made have in common, with EDSR's baseline."""

    arch: Literal["cincgan"] = "cincgan"
    scale: Literal[1, 2, 4] = 4
    """How many times it enlarges."""
    num_feat: Annotated[int, Field(ge=1, le=4096)] = 64
    """Channels of what cleans LR, and of what makes LR again."""
    num_block: Annotated[int, Field(ge=1, le=256)] = 6
    """Residual blocks of each."""
    edsr_feat: Annotated[int, Field(ge=1, le=4096)] = 64
    """Channels of the EDSR."""
    edsr_block: Annotated[int, Field(ge=1, le=256)] = 16
    """Residual blocks of the EDSR."""
    edsr_res_scale: Annotated[float, Field(gt=0)] = 1
    """Of what each of them adds."""
    edsr_range: Annotated[float, Field(gt=0)] = 255
    """The numbers inside go to this for white."""

    def edsr(self) -> EdsrConfig:
        """Of what enlarges."""
        return EdsrConfig(
            scale=self.scale,
            num_feat=self.edsr_feat,
            num_block=self.edsr_block,
            res_scale=self.edsr_res_scale,
            img_range=self.edsr_range,
        )

    def build(self) -> "CinCgan":
        return CinCgan(self)


class _Block(nn.Module):
    def __init__(self, feats: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(feats, feats, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return x + functional.leaky_relu(self.conv2(functional.leaky_relu(self.conv1(x), _SLOPE)), _SLOPE)


class Translator(nn.Module):
    """An image [B, 3, H, W] as another domain has it; smaller: so many times smaller (1, 2, 4). 609,731 parameters,
    667,075 where it is made four times smaller.
    """

    def __init__(self, feats: int = 64, blocks: int = 6, smaller: int = 1) -> None:
        super().__init__()
        strided = [smaller >= 2, smaller >= 4]
        halves = [
            nn.Conv2d(feats, feats, 4, 2, 1) if is_so else nn.Conv2d(feats, feats, 3, padding=1) for is_so in strided
        ]
        self.conv_input = nn.Sequential(
            nn.Conv2d(3, feats, 7, padding=3), nn.LeakyReLU(_SLOPE),
            halves[0], nn.LeakyReLU(_SLOPE), halves[1], nn.LeakyReLU(_SLOPE),
        )  # fmt: skip
        self.residual = nn.Sequential(*(_Block(feats) for _ in range(blocks)))
        self.conv_output = nn.Sequential(
            nn.Conv2d(feats, feats, 3, padding=1), nn.LeakyReLU(_SLOPE),
            nn.Conv2d(feats, feats, 3, padding=1), nn.LeakyReLU(_SLOPE),
            nn.Conv2d(feats, 3, 7, padding=3),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        return self.conv_output(self.residual(self.conv_input(image)))


class CinCgan(nn.Module):
    """LR [B, 3, h, w] -> SR [B, 3, s*h, s*w]: cleaned (G1), then enlarged.

    to_lr (G2) and hr_to_lr (G3) make LR as it was of what is clean, and of SR; only the training asks for that.
    """

    def __init__(self, config: CinCganConfig) -> None:
        super().__init__()
        self.scale, sizes = config.scale, (config.num_feat, config.num_block)
        self.clean, self.to_lr = Translator(*sizes), Translator(*sizes)
        self.hr_to_lr = Translator(*sizes, config.scale)
        self.sr = config.edsr().build()

    def forward(self, lr: Tensor) -> Tensor:
        return self.sr(self.clean(lr))

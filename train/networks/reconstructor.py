"""LR reconstruction of HR-aware fine-tuning: what a degradation encoder knows of LR, put on an HR (arXiv 2411.16175).

The paper gives no code; these are the modules of DegAE, which it follows by way of LWay.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...degrade.errors import UserError
from .keyed_noise import Normal
from .rrdb import scaled_kaiming
from .udem import ResidualBlock

FEATS = 64  # of the image encoder, C_i
CODE_FEATS = 512  # of the degradation's code, C_d
LEAST_PX = 22  # three unpadded strided 4x4 convs need as much
_SLOPE = 0.1
_DEMODULATION_EPS = 1e-8


class ImageEncoder(nn.Sequential):
    """E_img: HR [B, 3, H, W] -> e_im [B, 64, H, W]; a conv and six residual blocks. 444,928 parameters.

    It starts from whole Kaiming weights: from a tenth of them, as SR networks do, FAR learns next to nothing in
    thousands of steps. carries: its first three channels start as R, G and B.
    """

    def __init__(self, feats: int = FEATS, blocks: int = 6, *, carries: bool = False) -> None:
        first, rest = nn.Conv2d(3, feats, 3, padding=1), [ResidualBlock(feats) for _ in range(blocks)]
        super().__init__(first, *rest)
        scaled_kaiming(self, 1)
        if carries:
            _start_as_image(first)
            with torch.no_grad():
                for block in rest:
                    block.conv2.weight[:3] = 0


def _start_as_image(conv: nn.Conv2d) -> None:
    """Let the first three channels that come in go out as the first three, untouched by any other."""
    assert conv.bias is not None
    with torch.no_grad():
        conv.weight[:3] = 0
        conv.bias[:3] = 0
        for colour in range(3):
            conv.weight[colour, colour, 1, 1] = 1


class DegradationEncoder(nn.Module):
    """E_deg: an image [B, 3, h, w] -> e_d [B, 512], how it is degraded.

    16 residual blocks (SRResNet's body, 1,183,488 parameters), then three strided convs, the mean over all places, and
    three layers (3,541,376 parameters).
    """

    def __init__(self, feats: int = FEATS, blocks: int = 16, code: int = CODE_FEATS) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, feats, 3, padding=1), *(ResidualBlock(feats) for _ in range(blocks)))
        self.down = nn.ModuleList(
            nn.Conv2d(came, width, 4, 2)
            for came, width in ((feats, 2 * feats), (2 * feats, 4 * feats), (4 * feats, code))
        )
        self.fc = nn.ModuleList(nn.Linear(code, code) for _ in range(3))
        scaled_kaiming(self.body, 0.1)

    def forward(self, image: Tensor) -> Tensor:
        """Raises UserError where the image has less than 22 px on a side."""
        if min(image.shape[2:]) < LEAST_PX:
            height, width = image.shape[2:]
            raise UserError(
                f"the degradation encoder takes {LEAST_PX} px or more on each side, not {width}x{height}; use larger "
                "patches"
            )
        x = self.body[1:](functional.leaky_relu(self.body[0](image), _SLOPE))
        for conv in self.down:
            x = functional.leaky_relu(conv(x), _SLOPE)
        x = x.mean(dim=(2, 3))
        for number, layer in enumerate(self.fc):
            x = layer(x if not number else functional.leaky_relu(x, _SLOPE))
        return x


class Modulation(nn.Module):
    """StyleGAN2's modulated conv, noise, and an ordinary conv: features [B, F, H, W] under a code [B, C].

    demodulate: each output channel is brought back to unit strength, as published, which all but cancels a factor on
    the whole code; without it the controller's strength reaches the features. style_bias: what a style
    starts at without a code; StyleGAN2 has 1, the published module torch's small ones (0). 106,625 parameters.
    """

    def __init__(self, feats: int, code: int, *, demodulate: bool, style_bias: Literal[0, 1] = 0) -> None:
        super().__init__()
        self.demodulate = demodulate
        self.style = nn.Linear(code, feats)
        if style_bias:
            nn.init.ones_(self.style.bias)
        self.weight = nn.Parameter(torch.randn(feats, feats, 3, 3))
        self.noise = nn.Parameter(torch.zeros(1))
        self.conv = nn.Conv2d(feats, feats, 3, padding=1)
        self._strength = (9 * feats) ** -0.5

    def forward(self, x: Tensor, code: Tensor, normal: Normal) -> Tensor:
        batch, feats, height, width = x.shape
        weight = self._strength * self.weight * self.style(code)[:, None, :, None, None]  # [B, out, in, 3, 3]
        if self.demodulate:
            weight = weight * (weight.square().sum(dim=(2, 3, 4), keepdim=True) + _DEMODULATION_EPS).rsqrt()
        x = functional.conv2d(x.reshape(1, -1, height, width), weight.flatten(0, 1), padding=1, groups=batch)
        x = x.reshape(batch, feats, height, width)
        x = x + self.noise * normal(1, height, width, like=x)
        return functional.leaky_relu(self.conv(x), _SLOPE)


class Reconstructor(nn.Module):
    """R: e_im [B, 64, H, W] under a code [B, 512] -> the reconstructed image [B, 3, H, W]. 797,511 parameters.

    Four times a residual block and a modulation. entering: channels of what comes in, 3 for LWay's, which takes an
    image (762,375 parameters). skip: a conv around them all, which starts as the image in the first three channels, and
    all else as nothing; the published module has none and first learns for long to carry an image through. normal: of
    the modulations' noise.
    """

    def __init__(
        self,
        feats: int = FEATS,
        code: int = CODE_FEATS,
        *,
        entering: int = FEATS,
        demodulate: bool = True,
        style_bias: Literal[0, 1] = 0,
        skip: bool = False,
    ) -> None:
        super().__init__()
        self.conv_first = nn.Conv2d(entering, feats, 3, padding=1)
        self.num_block = nn.ModuleList(ResidualBlock(feats) for _ in range(4))
        self.modulations = nn.ModuleList(
            Modulation(feats, code, demodulate=demodulate, style_bias=style_bias) for _ in range(4)
        )
        self.conv_hr = nn.Conv2d(feats, feats, 3, padding=1)
        self.conv_last = nn.Conv2d(feats, 3, 3, padding=1)
        self.skip = nn.Conv2d(entering, 3, 3, padding=1) if skip else None
        if self.skip is not None:
            _start_as_image(self.skip)
            for value in self.conv_last.parameters():
                nn.init.zeros_(value)

    def forward(self, image_features: Tensor, code: Tensor, normal: Normal) -> Tensor:
        x = functional.leaky_relu(self.conv_first(image_features), _SLOPE)
        for block, modulate in zip(self.num_block, self.modulations, strict=True):
            x = modulate(block(x), code, normal)
        found = self.conv_last(functional.leaky_relu(self.conv_hr(x), _SLOPE))
        return found if self.skip is None else found + self.skip(image_features)

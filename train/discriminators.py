"""Discriminators: an image [B, 3, H, W] -> logits, high where it looks like a photograph; and their losses."""

from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

VGG_INPUT_PX = 128


class GanConfig(BaseModel):
    """weight: of the generator's term; 0 leaves it and the discriminator out. relativistic: real and fake are judged
    against each other's mean (ESRGAN eq. 1, 2) instead of each by itself. feats: width of the discriminator.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    weight: Annotated[float, Field(ge=0)] = 0.1
    relativistic: bool = False
    discriminator: Literal["unet", "vgg128"] = "unet"
    feats: Annotated[int, Field(ge=1)] = 64


def _normalised(conv: nn.Conv2d) -> nn.Module:
    return spectral_norm(conv)


class UnetDiscriminator(nn.Module):
    """The U-Net with spectral normalisation of Real-ESRGAN (Wang et al. 2021), which MM-RealSR uses: a logit a pixel.

    4,376,897 parameters at 64 features. The image's sides are multiples of 8. The first and the last conv are plain,
    as published.
    """

    def __init__(self, feats: int = 64) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, feats, 3, padding=1)
        self.conv1 = _normalised(nn.Conv2d(feats, 2 * feats, 4, 2, 1, bias=False))
        self.conv2 = _normalised(nn.Conv2d(2 * feats, 4 * feats, 4, 2, 1, bias=False))
        self.conv3 = _normalised(nn.Conv2d(4 * feats, 8 * feats, 4, 2, 1, bias=False))
        self.conv4 = _normalised(nn.Conv2d(8 * feats, 4 * feats, 3, 1, 1, bias=False))
        self.conv5 = _normalised(nn.Conv2d(4 * feats, 2 * feats, 3, 1, 1, bias=False))
        self.conv6 = _normalised(nn.Conv2d(2 * feats, feats, 3, 1, 1, bias=False))
        self.conv7 = _normalised(nn.Conv2d(feats, feats, 3, 1, 1, bias=False))
        self.conv8 = _normalised(nn.Conv2d(feats, feats, 3, 1, 1, bias=False))
        self.conv9 = nn.Conv2d(feats, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits [B, 1, H, W]."""
        seen = [functional.leaky_relu(self.conv0(image), 0.2)]
        for conv in (self.conv1, self.conv2, self.conv3):
            seen.append(functional.leaky_relu(conv(seen[-1]), 0.2))
        x = seen[3]
        for conv, skip in ((self.conv4, seen[2]), (self.conv5, seen[1]), (self.conv6, seen[0])):
            wide = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = functional.leaky_relu(conv(wide), 0.2) + skip
        for conv in (self.conv7, self.conv8):
            x = functional.leaky_relu(conv(x), 0.2)
        return self.conv9(x)


class VggDiscriminator(nn.Module):
    """SRGAN's and ESRGAN's discriminator of images of 128 px (Ledig et al. 2017, section 2.1.2): a logit an image.

    Five pairs of a 3x3 and a strided 4x4 conv, batch normalisation after all but the first, then two linear layers.
    14,499,401 parameters at 64 features; parameter names are those of the published checkpoints.
    """

    def __init__(self, feats: int = 64) -> None:
        super().__init__()
        widths = [feats, 2 * feats, 4 * feats, 8 * feats, 8 * feats]
        came = 3
        for stage, width in enumerate(widths):
            self.add_module(f"conv{stage}_0", nn.Conv2d(came, width, 3, padding=1, bias=stage == 0))
            if stage:
                self.add_module(f"bn{stage}_0", nn.BatchNorm2d(width))
            self.add_module(f"conv{stage}_1", nn.Conv2d(width, width, 4, 2, 1, bias=False))
            self.add_module(f"bn{stage}_1", nn.BatchNorm2d(width))
            came = width
        self.linear1 = nn.Linear(came * (VGG_INPUT_PX // 32) ** 2, 100)
        self.linear2 = nn.Linear(100, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits [B, 1] of images [B, 3, 128, 128]."""
        x = image
        for stage in range(5):
            for half in range(2):
                x = self.get_submodule(f"conv{stage}_{half}")(x)
                if stage or half:
                    x = self.get_submodule(f"bn{stage}_{half}")(x)
                x = functional.leaky_relu(x, 0.2)
        return self.linear2(functional.leaky_relu(self.linear1(x.flatten(1)), 0.2))


Discriminator = UnetDiscriminator | VggDiscriminator


def discriminator(config: GanConfig) -> Discriminator:
    """With fresh weights."""
    return UnetDiscriminator(config.feats) if config.discriminator == "unet" else VggDiscriminator(config.feats)


def _photograph(logits: Tensor) -> Tensor:
    """Binary cross-entropy of logits against "a photograph"."""
    return functional.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


def _none(logits: Tensor) -> Tensor:
    """Binary cross-entropy of logits against "none"."""
    return functional.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))


def generator_loss(fake: Tensor) -> Tensor:
    """Of the logits of restored images (the vanilla GAN loss)."""
    return _photograph(fake)


def relativistic_generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Of the logits of photographs and restored images, each against the mean of the others (ESRGAN eq. 2), halved as
    in its code. The means are those of the micro-batch of one process.
    """
    return (_none(real - fake.mean()) + _photograph(fake - real.mean())) / 2


def discriminator_losses(real: Tensor, fake: Tensor, *, relativistic: bool = False) -> tuple[Tensor, Tensor]:
    """Of the logits of photographs against "a photograph", and of restored images against "none".

    relativistic: each against the mean of the others (ESRGAN eq. 1), both halved as in its code.
    """
    if relativistic:
        return _photograph(real - fake.mean()) / 2, _none(fake - real.mean()) / 2
    return _photograph(real), _none(fake)

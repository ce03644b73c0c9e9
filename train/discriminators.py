"""Discriminators: an image [B, 3, H, W] -> logits, high where it looks like a photograph."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm


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


def generator_loss(fake: Tensor) -> Tensor:
    """Binary cross-entropy of the logits of restored images against "a photograph" (the vanilla GAN loss)."""
    return functional.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))


def discriminator_losses(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Of the logits of photographs against "a photograph", and of restored images against "none"."""
    ones = functional.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    return ones, functional.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))

"""DASR's discriminator (Wei et al. 2021): a small PatchGAN of the high band of images."""

from torch import Tensor, nn

from ...losses.frequencies import Split
from ..rrdb import scaled_kaiming

LEAST_PX = 16  # of a band


class BandDiscriminator(nn.Module):
    """Images [B, 3, H, W] -> logits [B, 1, h, w] of their high band, high where it looks like a photograph's.

    668,737 parameters with a wavelet's nine channels; bands of 64 px give 14x14 logits.
    """

    def __init__(self, split: Split, feats: int = 64) -> None:
        super().__init__()
        self.split = split
        layers: list[nn.Module] = [nn.Conv2d(split.channels, feats, 4, 2, 1), nn.LeakyReLU(0.2)]
        for came, width, stride in ((feats, 2 * feats, 2), (2 * feats, 4 * feats, 1)):
            layers += [
                nn.Conv2d(came, width, 4, stride, 1, bias=False),
                nn.InstanceNorm2d(width),
                nn.LeakyReLU(0.2),
            ]
        self.model = nn.Sequential(*layers, nn.Conv2d(4 * feats, 1, 4, 1, 1))
        scaled_kaiming(self, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.model(self.split.high(image))

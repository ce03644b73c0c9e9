"""FASRGAN's discriminator (Yan et al., IEEE TMM 2021): a U-Net that judges the whole image, and every pixel of it."""

import torch
from torch import Tensor, nn
from torch.nn import functional

_DEEP = 8  # how many times the deepest scale is smaller
_HIDDEN = 1024


def _two_convs(came: int, width: int, *, published_eps: bool) -> nn.Sequential:
    """Twice a 3x3 conv, a norm and ReLU. published_eps: the first norm adds the number of its channels to the variance
    (BatchNorm2d(c, c)), as the code does by a slip, and all that is published was trained so.
    """
    first = nn.BatchNorm2d(width, eps=width if published_eps else 1e-5)
    return nn.Sequential(
        nn.Conv2d(came, width, 3, padding=1), first, nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
    )  # fmt: skip


class FineGrainedDiscriminator(nn.Module):
    """Images [B, 3, n, n] of the side that it is made for, a multiple of 8 -> logits of each [B, 1], and of each pixel
    and channel [B, 3, n, n]; high where it looks like a photograph.

    70,473,220 parameters with 64 features at 128 px.
    """

    def __init__(self, side_px: int, feats: int = 64, *, published_eps: bool = True) -> None:
        super().__init__()
        widths = (feats, 2 * feats, 4 * feats, 4 * feats)

        def convs(came: int, width: int) -> nn.Sequential:
            return _two_convs(came, width, published_eps=published_eps)

        self.down = nn.ModuleList(convs(a, b) for a, b in zip((3, *widths), widths, strict=False))
        self.up = nn.ModuleList((convs(8 * feats, 2 * feats), convs(4 * feats, feats), convs(2 * feats, feats)))
        self.conv_map = nn.Conv2d(feats, 3, 1)
        self.linear1 = nn.Linear(4 * feats * (side_px // _DEEP) ** 2, _HIDDEN)
        self.linear2 = nn.Linear(_HIDDEN, 1)
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(part.weight)
                nn.init.zeros_(part.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        seen = [self.down[0](image)]
        for part in list(self.down)[1:]:
            seen.append(part(functional.max_pool2d(seen[-1], 2)))
        x = seen.pop()
        score = self.linear2(functional.leaky_relu(self.linear1(x.flatten(1)), 0.2))
        for part in self.up:
            wide = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            x = part(torch.cat((seen.pop(), wide), dim=1))
        return score, self.conv_map(x)

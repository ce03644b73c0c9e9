"""The controller and FAR of HR-aware fine-tuning (arXiv 2411.16175, equations 7 to 11)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Features = Callable[[Tensor], Tensor]


def gram(features: Tensor) -> Tensor:
    """G = F F^T / (C H W) of features [B, C, H, W], [B, C, C].

    The paper does not say by what it is divided; this makes it independent of the patch's size (facts: 3.5).
    """
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def descriptors(features: Tensor, *, diagonal: bool = True) -> tuple[Tensor, Tensor]:
    """S_avg and S_max [B, C]: mean and greatest of each row of the Gram matrix (Eq. 10).

    diagonal: with each channel's correlation to itself, as the equation has it; without, as the text reads.
    """
    found = gram(features)
    if diagonal:
        return found.mean(dim=2), found.amax(dim=2)
    own = torch.eye(found.shape[1], dtype=torch.bool, device=found.device)
    mean = found.masked_fill(own, 0).sum(dim=2) / (found.shape[2] - 1)
    return mean, found.masked_fill(own, -torch.inf).amax(dim=2)


class Far(nn.Module):
    """L_far (Eq. 11): how far the image encoder's descriptors, carried over by T_a and T_m, are from an established
    encoder's; high where an image is unlike the natural ones that the two agree on.
    """

    def __init__(self, feats: int, established_feats: int, *, diagonal: bool = True) -> None:
        super().__init__()
        self.mean = nn.Linear(feats, established_feats, bias=False)
        self.greatest = nn.Linear(feats, established_feats, bias=False)
        self._diagonal = diagonal

    def forward(self, image_features: Tensor, established: Tensor) -> Tensor:
        """e_im [B, C_i, H, W] and e_cl [B, C_c, h, w] -> [B]."""
        ours = descriptors(image_features, diagonal=self._diagonal)
        theirs = descriptors(established, diagonal=self._diagonal)
        return (self.mean(ours[0]) - theirs[0]).norm(dim=1) + (self.greatest(ours[1]) - theirs[1]).norm(dim=1)


def quality(lr_enlarged: Tensor, hr: Tensor, lpips: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """HQI = 1 - LPIPS(enlarged LR, HR) of images [B, 3, H, W], [B] in 0..1, without gradient (Eq. 7).

    LPIPS can be more than 1, which the paper's range leaves out: HQI is 0 there.
    """
    with torch.no_grad():
        return (1 - lpips(lr_enlarged, hr)).clamp(0, 1)


def controller(strength: Tensor, feats: int, noise_std: float, generator: torch.Generator | None = None) -> Tensor:
    """s = n + strength, [B, feats], n normal (Eq. 8). strength [B]: 1 - HQI while pretraining, HQI while fine-tuning.

    With the published noise_std of 1 most of s is noise: a channel changes its sign with a probability of 0.27 to 0.42.
    """
    noise = torch.randn(len(strength), feats, generator=generator, device=strength.device)
    return noise_std * noise + strength[:, None]

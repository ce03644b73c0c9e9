"""The controller and FAR of HR-aware fine-tuning (arXiv 2411.16175, equations 7 to 11)."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..networks.keyed_noise import Normal

Divisor = Literal["energy", "size"]
_TINY = 1e-20


def gram(features: Tensor, divisor: Divisor = "energy") -> Tensor:
    """G = F F^T of features [B, C, H, W], [B, C, C], by its trace or by the number of its terms.

    The paper does not say by what it is divided. Either way the patch's size does not matter. Divided by its energy it
    says which features go together and not how strong they all are; FAR then rises where an image is blurred, which has
    less energy and so, divided by C H W, less FAR (measured: area under curve 0.70 against 0.46 for a sigma of 2).
    """
    flat = features.flatten(2)
    product = flat @ flat.transpose(1, 2)
    if divisor == "size":
        return product / (flat.shape[1] * flat.shape[2])
    return product / flat.square().sum(dim=(1, 2))[:, None, None].clamp_min(_TINY)


def descriptors(features: Tensor, *, diagonal: bool = True, divisor: Divisor = "energy") -> tuple[Tensor, Tensor]:
    """S_avg and S_max [B, C]: mean and greatest of each row of the Gram matrix (Eq. 10).

    diagonal: with each channel's correlation to itself, as the equation has it; without, as the text reads.
    """
    found = gram(features, divisor)
    if diagonal:
        return found.mean(dim=2), found.amax(dim=2)
    own = torch.eye(found.shape[1], dtype=torch.bool, device=found.device)
    mean = found.masked_fill(own, 0).sum(dim=2) / (found.shape[2] - 1)
    return mean, found.masked_fill(own, -torch.inf).amax(dim=2)


class Far(nn.Module):
    """L_far (Eq. 11): how far the image encoder's descriptors, carried over by T_a and T_m, are from an established
    encoder's; high where an image is unlike the natural ones that the two agree on.

    T_a and T_m start from zero: random ones would have to be unlearnt first, in directions that images hardly take.
    """

    def __init__(
        self, feats: int, established_feats: int, *, diagonal: bool = True, divisor: Divisor = "energy"
    ) -> None:
        super().__init__()
        self.mean = nn.Linear(feats, established_feats, bias=False)
        self.greatest = nn.Linear(feats, established_feats, bias=False)
        for carried in (self.mean, self.greatest):
            nn.init.zeros_(carried.weight)
        self._diagonal = diagonal
        self._divisor: Divisor = divisor

    def forward(self, image_features: Tensor, established: Tensor) -> Tensor:
        """e_im [B, C_i, H, W] and e_cl [B, C_c, h, w] -> [B], in fp32: fp16 does not hold what features sum up to."""
        with torch.autocast(image_features.device.type, enabled=False):
            ours, theirs = (
                descriptors(each.float(), diagonal=self._diagonal, divisor=self._divisor)
                for each in (image_features, established)
            )
            apart = (self.mean(ours[0]) - theirs[0]).norm(dim=1)
            return apart + (self.greatest(ours[1]) - theirs[1]).norm(dim=1)


def quality(lr_enlarged: Tensor, hr: Tensor, lpips: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """HQI = 1 - LPIPS(enlarged LR, HR) of images [B, 3, H, W], [B] in 0..1, without gradient (Eq. 7).

    LPIPS can be more than 1, which the paper's range leaves out: HQI is 0 there.
    """
    with torch.no_grad():
        return (1 - lpips(lr_enlarged, hr)).clamp(0, 1)


def hqi_of(lpips: Callable[[Tensor, Tensor], Tensor], lr_enlarged: Tensor, hr: Tensor) -> Tensor:
    """HQI of images in 0..1 by an LPIPS, which takes -1..1."""
    return quality(lr_enlarged, hr, lambda a, b: lpips(2 * a - 1, 2 * b - 1))


Strength = Literal["hqi", "1-hqi"]  # what s is noise around


def strength_of(hqi: Tensor, kind: Strength) -> Tensor:
    """What the controller is noise around (Eq. 8): 1 - HQI while pretraining, HQI while fine-tuning."""
    return hqi if kind == "hqi" else 1 - hqi


def controller(strength: Tensor, feats: int, noise_std: float, normal: Normal) -> Tensor:
    """s = n + strength, [B, feats], n normal (Eq. 8). strength [B]: as of `strength_of`.

    With the published noise_std of 1 most of s is noise: a channel changes its sign with a probability of 0.27 to 0.42.
    """
    return noise_std * normal(feats, like=strength) + strength[:, None]


class _Parted(torch.autograd.Function):
    """Two copies of an image or of features; the second one's gradient comes back as long as a share of the first's."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, share: float) -> tuple[Tensor, Tensor]:
        ctx.share = share
        return x.view_as(x), x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        first, second = gradients
        whole = tuple(range(1, first.ndim))
        lengths = [each.float().square().sum(dim=whole, keepdim=True).sqrt() for each in (first, second)]
        factor = torch.where(lengths[1] > 0, ctx.share * lengths[0] / lengths[1].clamp_min(1e-30), 0)
        return first + (factor * second).to(first), None


def parted(x: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """[B, ...] for the reconstruction and for FAR, whose gradient is scaled to `share` of the other's, each sample's by
    itself.

    In place of a lambda in Eq. 5 and 6, which would have to be found for every encoder.
    """
    return _Parted.apply(x, share)  # pyright: ignore

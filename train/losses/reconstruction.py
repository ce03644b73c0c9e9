"""L_rec of LWay and HR-aware: how far a reconstructed LR is from LR, by pixels and by LPIPS, where there is detail.

Weights and nets are in no paper: L1 and LPIPS-VGG count alike.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from ...degrade.family import Frozen
from ...degrade.images.pixels import BT601
from ...eval.images.kept import row
from ...eval.metrics.lpips_dists import Lpips, Net


class ReconstructionLossConfig(Frozen):
    """Weights of the two terms; lpips = 0 leaves it, and the need for published weights, out."""

    l1: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the mean absolute error."""
    lpips: Annotated[float, Field(ge=0)] = 1.0
    """Weight of LPIPS."""
    net: Net = "vgg"
    """Of LPIPS."""


def detail(image: Tensor, size: tuple[int, int]) -> Tensor:
    """How much detail an image has at each place, RGB [B, 3, h, w] -> [B, 1, *size] in 0..1 (LWay).

    The length of the three detail bands of a Haar transform of luma, stretched to 0..1 in each image, and enlarged
    bilinearly; sides of odd length get their last line again. An image without any detail counts everywhere alike.
    """
    luma = (image * row(*BT601, like=image)).sum(dim=1, keepdim=True)
    luma = functional.pad(luma, (0, luma.shape[3] % 2, 0, luma.shape[2] % 2), mode="replicate")
    a, b, c, d = (luma[:, :, y::2, x::2] for y in (0, 1) for x in (0, 1))
    bands = torch.cat([a - b + c - d, a + b - c - d, a - b - c + d], dim=1) / 2
    length = bands.square().sum(dim=1, keepdim=True).sqrt()
    low, high = length.amin(dim=(2, 3), keepdim=True), length.amax(dim=(2, 3), keepdim=True)
    stretched = torch.where(high > low, (length - low) / (high - low).clamp_min(1e-12), 1)
    return functional.interpolate(stretched, size=size, mode="bilinear", align_corners=False)


def _weighted(of_places: Tensor, weight: Tensor | None) -> Tensor:
    """The mean of [B, C, h, w] under a map of another size; a map of ones changes nothing."""
    if weight is None:
        return of_places.mean()
    return (of_places * functional.interpolate(weight, size=of_places.shape[2:], mode="area")).mean()


def reconstruction_terms(
    found: Tensor, wanted: Tensor, config: ReconstructionLossConfig, lpips: Lpips | None, weight: Tensor | None = None
) -> dict[str, Tensor]:
    """The weighted terms of images [B, 3, H, W], RGB in 0..1; weight: a map [B, 1, H, W] that both are multiplied by.

    At each layer of LPIPS the map is averaged over what a place of it covers.
    """
    terms: dict[str, Tensor] = {}
    if config.l1:
        terms["l1"] = config.l1 * _weighted((found - wanted).abs(), weight)
    if lpips is not None and config.lpips:
        maps = lpips.maps(2 * found - 1, 2 * wanted - 1)
        terms["lpips"] = config.lpips * torch.stack([_weighted(each, weight) for each in maps]).sum()
    return terms

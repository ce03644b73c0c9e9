"""The perceptual loss: differences between what a classifier sees in SR and in HR, before its activations."""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ...degrade.family import Frozen
from ...eval.metrics import weights
from ...eval.metrics.backbones import normalised, published, squeezenet, vgg

Net = Literal["vgg19", "squeezenet"]

_VGG19_TAPS = (2, 7, 16, 25, 34)  # conv1_2, conv2_2, conv3_4, conv4_4, conv5_4, before their ReLU
_SQUEEZE_TAPS = (1, 4, 7, 10, 12)
LayerWeights = tuple[float, float, float, float, float]
REAL_ESRGAN: LayerWeights = (0.1, 0.1, 1.0, 1.0, 1.0)  # and MM-RealSR
ESRGAN: LayerWeights = (0.0, 0.0, 0.0, 0.0, 1.0)


class PerceptualConfig(Frozen):
    """The perceptual loss."""

    weight: Annotated[float, Field(ge=0)] = 1.0
    """0 switches the loss, and the need for published weights, off."""
    net: Net = "vgg19"
    """Squeezenet is no paper's choice, but small; its true weights serve where VGG-19's cannot be had."""
    layers: LayerWeights = REAL_ESRGAN
    """Weights of VGG-19's conv1_2, conv2_2, conv3_4, conv4_4 and conv5_4, or of five depths of squeezenet."""


class PerceptualLoss(nn.Module):
    """The weighted mean absolute differences of features of SR and HR [B, 3, H, W], RGB in 0..1.

    VGG-19 with the layers and ImageNet normalisation of the published code; nothing in it is trained.
    """

    compiled_parts: ClassVar[tuple[str, ...]] = ("backbone",)

    def __init__(self, net: Net, layers: LayerWeights = REAL_ESRGAN) -> None:
        super().__init__()
        self.layer_weights = layers
        self.backbone = vgg(19, _VGG19_TAPS) if net == "vgg19" else squeezenet(_SQUEEZE_TAPS)
        self.requires_grad_(False).eval()

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """hr: one for each SR, or for as many in a row."""
        with torch.no_grad():
            wanted = self.backbone(normalised(hr))
        found = [each.unflatten(0, (len(hr), -1)) for each in self.backbone(normalised(sr))]
        terms = [
            weight * functional.l1_loss(a, b[:, None].expand_as(a))
            for weight, a, b in zip(self.layer_weights, found, wanted, strict=True)
            if weight
        ]
        return torch.stack(terms).sum()


def _file(config: PerceptualConfig) -> weights.WeightFile:
    return weights.VGG19 if config.net == "vgg19" else weights.SQUEEZENET


def check_weights(config: PerceptualConfig) -> None:
    """Raises MissingWeights where the loss has a weight and its published file is not there."""
    if config.weight:
        weights.find(_file(config))


def perceptual_loss(config: PerceptualConfig) -> PerceptualLoss | None:
    """With the published weights, or none where the loss has no weight; raises MissingWeights, StoreError."""
    if not config.weight:
        return None
    loss = PerceptualLoss(config.net, config.layers)
    published(loss.backbone, _file(config))
    return loss

"""The perceptual loss: differences between what a classifier sees in SR and in HR, before its activations."""

from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from ..eval import weights
from ..eval.backbones import normalised, published, squeezenet, vgg

Net = Literal["vgg19", "squeezenet"]

# Real-ESRGAN's and MM-RealSR's layers of VGG-19: conv1_2, conv2_2, conv3_4, conv4_4, conv5_4, before their ReLU.
_VGG19_TAPS, _VGG19_WEIGHTS = (2, 7, 16, 25, 34), (0.1, 0.1, 1.0, 1.0, 1.0)
_SQUEEZE_TAPS, _SQUEEZE_WEIGHTS = (1, 4, 7, 10, 12), (0.1, 0.1, 1.0, 1.0, 1.0)


class PerceptualConfig(BaseModel):
    """weight: 0 switches the loss, and the need for published weights, off. net: squeezenet is no paper's choice, but
    small; its true weights serve where VGG-19's cannot be had.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    weight: Annotated[float, Field(ge=0)] = 1.0
    net: Net = "vgg19"


class PerceptualLoss(nn.Module):
    """The weighted mean absolute differences of features of SR and HR [B, 3, H, W], RGB in 0..1.

    VGG-19 with the layers, weights and ImageNet normalisation of the published code; nothing in it is trained.
    """

    def __init__(self, net: Net) -> None:
        super().__init__()
        if net == "vgg19":
            self.backbone, self.layer_weights = vgg(19, _VGG19_TAPS), _VGG19_WEIGHTS
        else:
            self.backbone, self.layer_weights = squeezenet(_SQUEEZE_TAPS), _SQUEEZE_WEIGHTS
        self.requires_grad_(False).eval()

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.backbone(normalised(hr))
        found = self.backbone(normalised(sr))
        terms = [
            weight * functional.l1_loss(a, b) for weight, a, b in zip(self.layer_weights, found, wanted, strict=True)
        ]
        return torch.stack(terms).sum()


def perceptual_loss(net: Net) -> PerceptualLoss:
    """With the published weights; raises MissingWeights, StoreError."""
    loss = PerceptualLoss(net)
    published(loss.backbone, weights.VGG19 if net == "vgg19" else weights.SQUEEZENET)
    return loss

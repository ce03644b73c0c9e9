"""CUGAN's discriminator: told the degradation as the generator is (Cai et al. 2021, section 3.3)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

_HIDDEN = 100


class FeatureModulation(nn.Module):
    """x * alpha(z) + beta(z) of each channel, two linear layers; starts as the identity, near it for any z."""

    def __init__(self, feats: int) -> None:
        super().__init__()
        self.alpha, self.beta = nn.Linear(2, feats), nn.Linear(2, feats)
        with torch.no_grad():
            for layer, bias in ((self.alpha, 1.0), (self.beta, 0.0)):
                layer.weight.mul_(0.1)
                layer.bias.fill_(bias)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return x * self.alpha(z)[:, :, None, None] + self.beta(z)[:, :, None, None]


class ConditionedDiscriminator(nn.Module):
    """Image [B, 3, H, W] of 32 px or more and z [B, 2] -> logits [B, 1].

    The module is missing from the published code. The paper says: ten convs, widths that double up to 512, leaky ReLU,
    modulation after each batch normalisation, global average pooling, two linear layers; strides and the rest are those
    of the VGG-128 in the same family of code. 13,748,681 parameters, 17,280 of them the condition network C_D.
    """

    def __init__(self, feats: int = 64) -> None:
        super().__init__()
        widths = [feats, 2 * feats, 4 * feats, 8 * feats, 8 * feats]
        self.convs, self.norms, self.modulations = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        came = 3
        for stage, width in enumerate(widths):
            self.convs += [
                nn.Conv2d(came, width, 3, padding=1, bias=stage == 0),
                nn.Conv2d(width, width, 4, 2, 1, bias=False),
            ]
            normalised = 1 if stage == 0 else 2  # the first conv is not
            self.norms += [nn.BatchNorm2d(width) for _ in range(normalised)]
            self.modulations += [FeatureModulation(width) for _ in range(normalised)]
            came = width
        self.linear1 = nn.Linear(came, _HIDDEN)
        self.linear2 = nn.Linear(_HIDDEN, 1)

    def forward(self, image: Tensor, z: Tensor) -> Tensor:
        x = functional.leaky_relu(self.convs[0](image), 0.2)
        for conv, norm, modulate in zip(self.convs[1:], self.norms, self.modulations, strict=True):
            x = functional.leaky_relu(modulate(norm(conv(x)), z), 0.2)
        return self.linear2(functional.leaky_relu(self.linear1(x.mean(dim=(2, 3))), 0.2))

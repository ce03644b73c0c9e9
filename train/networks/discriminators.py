"""Discriminators: an image [B, 3, H, W] -> logits, high where it looks like a photograph; and their losses."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from ...degrade.family import Frozen

VGG_INPUT_PX, _PATCH_INPUT_PX = 128, 24


class GanConfig(Frozen):
    """The adversarial loss."""

    weight: Annotated[float, Field(ge=0)] = 0.1
    """Of the generator's term; 0 leaves it and the discriminator out."""
    relativistic: bool = False
    """Real and fake are judged against each other's mean (ESRGAN eq. 1, 2) instead of each by itself."""
    discriminator: Literal["unet", "vgg128", "patch"] = "unet"
    """unet: of Real-ESRGAN; vgg128: of ESRGAN; patch: of RWSR-EDL."""
    num_feat: Annotated[int, Field(ge=1, le=4096)] = 64
    """Width of the discriminator."""


class _InFp32(parametrizations._SpectralNorm):  # pyright: ignore[reportPrivateUsage]
    """torch's own, but that autocast does not take its products of matrix and vector for ones of a layer."""

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            return super().forward(weight)


def _normalised(conv: nn.Conv2d) -> nn.Module:
    found: Any = parametrizations.spectral_norm(conv)
    found.parametrizations.weight[0].__class__ = _InFp32
    return found


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


class PatchDiscriminator(nn.Sequential):
    """The PatchGAN of RWSR-EDL and of Impressionism for DPED (Isola et al. 2017): a logit for each field of 70x70.

    2,765,633 parameters at 64 features; images of 128 px give 14x14 logits. strided: False is CinCGAN's of LR, whose
    logits are of fields of 16x16: 27x27 of 32 px.
    """

    def __init__(self, feats: int = 64, *, strided: bool = True) -> None:
        half = 2 if strided else 1
        layers: list[nn.Module] = [nn.Conv2d(3, feats, 4, half, 1), nn.LeakyReLU(0.2)]
        for came, width, stride in ((1, 2, half), (2, 4, half), (4, 8, 1)):
            layers += [
                nn.Conv2d(came * feats, width * feats, 4, stride, 1, bias=False),
                nn.BatchNorm2d(width * feats),
                nn.LeakyReLU(0.2),
            ]
        super().__init__(*layers, nn.Conv2d(8 * feats, 1, 4, 1, 1))


Discriminator = UnetDiscriminator | VggDiscriminator | PatchDiscriminator


_OLD_NORM = {  # of torch's first spectral norm, in the published files, and now
    "weight_orig": "parametrizations.weight.original",
    "weight_u": "parametrizations.weight.0._u",
    "weight_v": "parametrizations.weight.0._v",
}


def renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a published discriminator by the names that they have here."""
    parts = ((*name.rpartition("."), value) for name, value in weights.items())
    return {f"{head}{dot}{_OLD_NORM.get(last, last)}": value for head, dot, last, value in parts}


def discriminator(config: GanConfig) -> Discriminator:
    """With fresh weights."""
    match config.discriminator:
        case "unet":
            return UnetDiscriminator(config.num_feat)
        case "vgg128":
            return VggDiscriminator(config.num_feat)
        case "patch":
            return PatchDiscriminator(config.num_feat)


def check_input(config: GanConfig, lr_patch_px: int, scale: int) -> None:
    """Raises ValueError where the discriminator, if there is one, does not take the HR of such crops."""
    hr_patch_px = lr_patch_px * scale
    if not config.weight or config.discriminator == "unet":
        return
    if config.discriminator == "vgg128" and hr_patch_px != VGG_INPUT_PX:
        raise ValueError(
            f"losses.gan.discriminator = vgg128 takes {VGG_INPUT_PX} px, not loop.lr_patch_px = {lr_patch_px} times "
            f"{scale}; use {VGG_INPUT_PX // scale}"
        )
    if config.discriminator == "patch" and hr_patch_px < _PATCH_INPUT_PX:
        raise ValueError(
            f"losses.gan.discriminator = patch takes {_PATCH_INPUT_PX} px or more, not loop.lr_patch_px = "
            f"{lr_patch_px} times {scale}; use {-(-_PATCH_INPUT_PX // scale)}"
        )


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


# CUGAN's, conditioned on the degradation as the generator is (Cai et al. 2021, section 3.3)

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


class _Unmodulated(nn.Module):
    """What stands in its place where z is not told."""

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return x


class ConditionedDiscriminator(nn.Module):
    """Image [B, 3, H, W] of 32 px or more and z [B, 2] -> logits [B, 1].

    The module is missing from the published code. The paper says: ten convs, widths that double up to 512, leaky ReLU,
    modulation after each batch normalisation, global average pooling, two linear layers; strides and the rest are those
    of the VGG-128 in the same family of code. 13,748,681 parameters, 17,280 of them the condition network C_D.
    modulated: False is told nothing (figure 8's CUGAN without GFM, and UGAN).
    """

    def __init__(self, feats: int = 64, *, modulated: bool = True) -> None:
        super().__init__()
        widths = [feats, 2 * feats, 4 * feats, 8 * feats, 8 * feats]
        self.num_conv, self.norms, self.modulations = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        came = 3
        for stage, width in enumerate(widths):
            self.num_conv += [
                nn.Conv2d(came, width, 3, padding=1, bias=stage == 0),
                nn.Conv2d(width, width, 4, 2, 1, bias=False),
            ]
            normalised = 1 if stage == 0 else 2  # the first conv is not
            self.norms += [nn.BatchNorm2d(width) for _ in range(normalised)]
            self.modulations += [FeatureModulation(width) if modulated else _Unmodulated() for _ in range(normalised)]
            came = width
        self.linear1 = nn.Linear(came, _HIDDEN)
        self.linear2 = nn.Linear(_HIDDEN, 1)

    def forward(self, image: Tensor, z: Tensor) -> Tensor:
        x = functional.leaky_relu(self.num_conv[0](image), 0.2)
        for conv, norm, modulate in zip(self.num_conv[1:], self.norms, self.modulations, strict=True):
            x = functional.leaky_relu(modulate(norm(conv(x)), z), 0.2)
        return self.linear2(functional.leaky_relu(self.linear1(x.mean(dim=(2, 3))), 0.2))

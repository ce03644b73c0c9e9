"""The established encoders that FAR holds an image encoder against: CLIP RN50 as published, and those of table 3.

Each is frozen, takes RGB [B, 3, H, W] in 0..1 and gives back one feature map. Which of CLIP's is not published; the
one at an eighth of the size has 8x8 places in the paper's patches of 64 px, so that a Gram matrix is of full use.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor, nn

from ...degrade.errors import UserError
from ...degrade.family import Frozen
from ...eval.metrics import weights
from ...eval.metrics.backbones import CLIP_MEAN, CLIP_STD, clip_rn50, normalised, published, squeezenet, vgg
from ..files.open import open_restorer
from .far import Divisor

Encoder = Literal["clip-rn50", "vgg19", "squeezenet", "sr"]
_STRIDES: dict[Encoder, dict[int, tuple[int, int]]] = {  # stride: which layer of the network, its channels
    "clip-rn50": {4: (0, 256), 8: (1, 512), 16: (2, 1024), 32: (3, 2048)},
    "vgg19": {4: (17, 256), 8: (26, 512), 16: (35, 512)},  # relu3_4, relu4_4, relu5_4
    "squeezenet": {4: (4, 128), 8: (7, 256), 16: (12, 512)},
    "sr": {1: (0, 0)},  # as wide as the model is
}
_FILES = {
    "clip-rn50": weights.CLIP_RN50,
    "vgg19": weights.VGG19,
    "squeezenet": weights.SQUEEZENET,
}


class FarConfig(Frozen):
    """FAR's established encoder."""

    net: Encoder = "clip-rn50"
    """Sr is an SR model, named by --far-model, as EDSR in table 3."""
    stride: Literal[1, 4, 8, 16, 32] = 8
    """Of the feature map, 1 for sr."""
    diagonal: bool = True
    """Each channel's correlation to itself counts, as Eq. 10 has it; the text reads as if it did not."""
    divisor: Divisor = "energy"
    """Of Gram matrices, their energy or the number of their terms; `far.gram` says why."""

    @model_validator(mode="after")
    def _has_that_map(self) -> Self:
        if self.stride not in _STRIDES[self.net]:
            known = ", ".join(map(str, _STRIDES[self.net]))
            raise ValueError(f"far.stride = {self.stride} is not a feature map of {self.net}; choose of {known}")
        return self

    @property
    def text(self) -> str:
        """For a person: which encoder, and which of its maps."""
        stand_in = "" if self.net == "clip-rn50" else ", in place of the paper's CLIP RN50"
        return f"{self.net}, features at 1/{self.stride}{stand_in}"


class Established(nn.Module):
    """A frozen encoder: RGB [B, 3, H, W] in 0..1 -> one map of features [B, channels, h, w]."""

    compiled_parts: ClassVar[tuple[str, ...]] = ("features",)

    def __init__(self, features: nn.Module, of_image: Callable[[Tensor], Tensor], channels: int) -> None:
        super().__init__()
        self.features = features.requires_grad_(False).eval()
        self.channels = channels
        self._of_image = of_image

    def train(self, mode: bool = True) -> Self:
        """It is never in training mode: its normalisations keep their figures."""
        return super().train(False)

    def forward(self, image: Tensor) -> Tensor:
        return self._of_image(image)


class _AtSize(nn.Module):
    """What goes into the last conv of an SR model that works at its input's size: its deepest features before it
    enlarges. RGB [B, 3, h, w] -> [B, C, h, w]."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self._seen: list[Tensor] = []
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_pre_hook(self._see)

    def _see(self, _: nn.Module, given: tuple[Any, ...]) -> None:
        self._seen.append(given[0])

    def forward(self, image: Tensor) -> Tensor:
        self._seen = []
        self.net(image)
        found = [each for each in self._seen if each is not image and each.shape[2:] == image.shape[2:]]
        self._seen = []
        if not found:
            raise UserError("the model has no features of its input's size; name another --far-model")
        return found[-1]


def _of_sr(net: nn.Module) -> Established:
    at_size = _AtSize(net).eval()
    with torch.inference_mode():
        channels = at_size(next(net.parameters()).new_zeros(1, 3, 32, 32)).shape[1]
    return Established(at_size, at_size, channels)


def established(config: FarConfig, sr: nn.Module | None = None) -> Established:
    """The encoder, with its published weights; sr: the model that `sr` stands for.

    Raises:
        MissingWeights: its file is not there.
        UserError: there is no model for `sr`, or one where none is meant.
    """
    if (config.net == "sr") != (sr is not None):
        raise UserError(
            "far.net = sr takes its features from an SR model; name it with --far-model"
            if sr is None
            else f"--far-model is for far.net = sr, not {config.net}; drop it, or set far.net"
        )
    if sr is not None:
        return _of_sr(sr)
    layer, channels = _STRIDES[config.net][config.stride]
    if config.net == "clip-rn50":
        clip = clip_rn50()
        return Established(clip, lambda image: clip(normalised(image, CLIP_MEAN, CLIP_STD))[layer], channels)
    net = vgg(19, (layer,)) if config.net == "vgg19" else squeezenet((layer,))
    published(net, _FILES[config.net])
    return Established(net, lambda image: net(normalised(image))[0], channels)


def check_weights(config: FarConfig) -> None:
    """Raises MissingWeights where the encoder's published file is not there."""
    if config.net != "sr":
        weights.find(_FILES[config.net])


def encoder_of(config: FarConfig | None, far_model: Path | None) -> Established | None:
    """The encoder, where there is FAR; far_model: the file or run of the model that `sr` stands for.

    Raises:
        MissingWeights: its file is not there.
        UserError: there is no model for `sr`, or one where none is meant.
    """
    if config is None:
        return None
    sr = None if far_model is None else open_restorer(far_model, torch.device("cpu")).net
    return established(config, sr)

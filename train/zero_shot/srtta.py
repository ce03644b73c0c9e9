"""SRTTA (Deng et al., NeurIPS 2023): a network adapts to each image by degrading it once more in the way it was.

A classifier says which of blur, noise and JPEG befell LR. Crops of it get the same again, and the network learns to see
in those what it sees in the crops; weights that matter for clean images are put back after each step.
"""

import copy
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, WithJsonSchema, model_validator
from torch import Tensor, nn

from ...degrade.family import OneOf
from ...degrade.images.pixels import U8
from ...degrade.ops.blur import Blur
from ...degrade.ops.codecs import Jpeg
from ...degrade.ops.gaussian import GaussianNoise
from ...degrade.ops.kernels import Kernel
from ...degrade.ops.render import apply
from ...degrade.ops.step import Step, field_key
from ...eval.images.restoring import Model
from ...eval.images.tensors import to_pixels, to_tensor
from ..data.crops import drawn_turn
from ..networks.base import NetworkConfig
from ..networks.baselines.corruption_classifier import KINDS, ClassifierConfig
from .base import ZeroShot, stream_of, turned, turned_back

_ADAPTED = ("body", "conv_after_body", "conv_body")
_WHITE, _EPS = 255, 1e-3  # of the features' numbers, and of their loss
Kind = Literal["blur", "noise", "jpeg"]


class SrttaConfig(NetworkConfig):
    """The network that adapts, what says how, and the published numbers."""

    arch: Literal["srtta"] = "srtta"
    scale: Annotated[int, Field(ge=1, le=8)] = 4
    """How many times it enlarges: the network's."""
    of_pairs: ClassVar[bool] = False
    inner: Annotated[NetworkConfig, OneOf(NetworkConfig, "arch"), WithJsonSchema({"type": "object"})]
    """The network: one with a body of blocks and a last conv, as EDSR and ESRGAN."""
    classifier: ClassifierConfig | None = ClassifierConfig()
    """Sizes of what says which of blur, noise and JPEG befell an image; none: kinds say it."""
    kinds: tuple[Kind, ...] = ()
    """Of every image, where there is no classifier."""
    steps: Annotated[int, Field(ge=1)] = 10
    """Of Adam, for each image."""
    batch_size: Annotated[int, Field(ge=1)] = 32
    """Crops of a step."""
    crop_px: Annotated[int, Field(ge=8)] = 64
    """Their side, where the image is as large."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    """Of Adam."""
    teacher: Annotated[float, Field(ge=0)] = 1
    """Weight of what the network saw before it adapted, beside what it sees now."""
    kept_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Of the numbers of each tensor, those that matter most for clean images (by Fisher's information) stay."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of every random draw, beside the image itself."""

    @model_validator(mode="after")
    def _says_how(self) -> Self:
        if (self.classifier is None) != bool(self.kinds):
            raise ValueError("name a --classifier, or what befell all images (--set kinds=[noise]): one of the two")
        if self.inner.num_conditions or not self.inner.of_pairs:
            raise ValueError(f"{self.inner.arch} is told what images are, or learns of each; name one that is not")
        return self

    def build(self) -> "Srtta":
        return Srtta(self)


class Srtta(ZeroShot):
    """LR [B, 3, h, w] in [0, 1] -> SR, by the network as it is after it adapted to the image; as it was where nothing
    befell that.
    """

    def __init__(self, config: SrttaConfig) -> None:
        super().__init__()
        self.config, self.scale = config, config.scale
        self.net = config.inner.build()
        check_adapts(self.net, config.inner.arch)
        self.classifier = None if config.classifier is None else config.classifier.build()
        self.kept = nn.Module()
        for name, value in adapted(self.net).items():
            self.kept.register_buffer(_flat(name), torch.zeros(value.shape, dtype=torch.bool))

    def keep(self, clean: Sequence[Tensor]) -> None:
        """Find the numbers that stay, of clean images [1, 3, h, w]: Fisher's information of each, averaged over them.

        The published code takes the last image alone, by a slip.
        """
        info = fisher(self.net, clean)
        for name, value in info.items():
            count = int(self.config.kept_share * value.numel())
            mask = torch.zeros(value.numel(), dtype=torch.bool, device=value.device)
            mask[value.flatten().topk(count).indices] = True
            self.kept.get_buffer(_flat(name)).copy_(mask.view(value.shape))

    def befell(self, lr: Tensor) -> tuple[Kind, ...]:
        """Which of blur, noise and JPEG an image [1, 3, h, w] carries."""
        if self.classifier is None:
            return self.config.kinds
        with torch.no_grad():
            logits = self.classifier(lr)[0].tolist()
        return tuple(kind for kind, logit in zip(KINDS, logits, strict=True) if logit > 0)  # type: ignore[misc]

    def learn(self, lr: Tensor) -> Model:
        """Raises nothing: an image of any size can be learned from."""
        kinds = self.befell(lr)
        if not kinds:
            return self.net
        config, rng = self.config, stream_of(self.config.seed, lr)
        image = to_pixels(lr[0])
        student = copy.deepcopy(self.net)
        body = adapted(student)
        began = {name: value.detach().clone() for name, value in body.items()}
        optimizer = torch.optim.Adam(
            [value.requires_grad_() for value in body.values()], config.learning_rate, betas=(0.9, 0.999)
        )
        for step in range(config.steps):
            crops = _crops(image, config.batch_size, config.crop_px, rng)
            again = [
                apply(crop, degraded_again(kinds, rng, field_key(config.seed, "srtta", step, number)))
                for number, crop in enumerate(crops)
            ]
            seen, told = (to_tensor(np.stack(each)).to(lr.device) for each in (crops, again))
            optimizer.zero_grad(set_to_none=True)
            with torch.no_grad():
                before, now = features(self.net, seen), features(student, seen)
            found = features(student, told)
            loss = charbonnier(found, now) + config.teacher * charbonnier(found, before)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for name, value in body.items():
                    value.copy_(torch.where(self.kept.get_buffer(_flat(name)), began[name], value))
        return student.requires_grad_(False)


def _flat(name: str) -> str:
    return name.replace(".", "/")


def check_adapts(net: nn.Module, arch: str) -> None:
    """Raises ValueError where a network has no body and last conv, as SRTTA looks at them."""
    parts: Any = dict(net.named_children())
    if "body" not in parts or not isinstance(parts.get("conv_last"), nn.Conv2d):
        raise ValueError(f"{arch} has no body of blocks and last conv, as SRTTA takes them; name an edsr, or an ESRGAN")


def adapted(net: nn.Module) -> dict[str, nn.Parameter]:
    """What of a network adapts: its blocks, and the conv behind them; not what comes before and after."""
    return {name: value for name, value in net.named_parameters() if name.partition(".")[0] in _ADAPTED}


def charbonnier(a: Tensor, b: Tensor) -> Tensor:
    """Mean of the root of squared differences and a thousandth."""
    return (a - b).square().add(_EPS).sqrt().mean()


@contextmanager
def _before_last(net: nn.Module) -> Generator[list[Tensor]]:
    found: list[Tensor] = []
    hook = net.get_submodule("conv_last").register_forward_pre_hook(lambda _, given: found.append(given[0]))
    try:
        yield found
    finally:
        hook.remove()


def features(net: nn.Module, lr: Tensor) -> Tensor:
    """What enters the last conv, for white of 255."""
    with _before_last(net) as found:
        net(lr)
    return found[0] * (_WHITE / getattr(net, "img_range", 1))


def fisher(net: nn.Module, clean: Sequence[Tensor]) -> dict[str, Tensor]:
    """Squared gradients of each number of the body, averaged over images, of how far SR lies from the mean of what is
    made of the image turned and mirrored in eight ways.
    """
    net = copy.deepcopy(net)
    body = {name: value.requires_grad_() for name, value in adapted(net).items()}
    info = {name: torch.zeros_like(value) for name, value in body.items()}
    for lr in clean:
        with torch.no_grad():
            mean = torch.stack([turned_back(net(turned(lr, way)), way) for way in range(8)]).mean(dim=0)
        net.zero_grad(set_to_none=True)
        charbonnier(net(lr) * _WHITE, mean * _WHITE).backward()
        for name, value in body.items():
            if value.grad is not None:
                info[name] += value.grad.square() / len(clean)
    return info


def _crops(image: U8, count: int, side: int, rng: np.random.Generator) -> list[U8]:
    side = min(side, *image.shape[:2])
    found: list[U8] = []
    for _ in range(count):
        y, x = (int(rng.integers(length - side + 1)) for length in image.shape[:2])
        found.append(np.ascontiguousarray(drawn_turn(rng, use_rot90=True).of(image[y : y + side, x : x + side])))
    return found


def degraded_again(kinds: Sequence[Kind], rng: np.random.Generator, field: str) -> tuple[Step, ...]:
    """What befell an image once more, as strong as it is drawn."""
    steps: list[Step] = []
    if "blur" in kinds:
        size, wide, narrow = 2 * int(rng.integers(3, 11)) + 1, *rng.uniform(0.2, 3, 2)
        if rng.random() < 0.5:
            kernel = Kernel(kind="iso", size=size, sigma_x=wide, sigma_y=wide)
        else:
            turn = rng.uniform(-np.pi, np.pi)
            kernel = Kernel(kind="aniso", size=size, sigma_x=wide, sigma_y=narrow, theta=turn)
        steps.append(Blur(kernel=kernel))
    if "noise" in kinds:
        sigma, gray = float(rng.uniform(1, 30)), bool(rng.random() < 0.4)
        steps.append(GaussianNoise(sigma_255=sigma, gray=gray, field=field))
    if "jpeg" in kinds:
        steps.append(Jpeg(quality=int(rng.integers(30, 96))))
    return tuple(steps)

"""ZSSR (Shocher, Cohen and Irani, CVPR 2018): a small network that learns of one image how to enlarge it.

Pairs are crops of the image itself and the same made smaller, by the cubic or by the kernel that made the image.
"""

import math
from collections.abc import Callable, Iterator
from typing import Annotated, ClassVar, Literal, Self

import cv2
import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ...degrade.errors import ImageError
from ...degrade.images.pixels import BT601
from ...degrade.ops.optics.estimated_kernel import of_twice_the_scale
from ...eval.images.restoring import Model
from ..networks.base import NetworkConfig
from .base import ZeroShot, stream_of, turned, turned_back
from .kernelgan import KernelGanConfig, estimated
from .resampling import F64, centred, resized, smaller_by

_LEAST_PX, _MOST_PX = 16, 512  # of an image's sides, and of the middle that is looked at while it is learned from
_CHECK_EVERY, _LOOK_EVERY, _WAIT, _LOOK_BACK = 50, 60, 256, 5  # steps, and points of a fit
_SLOWEST = 9e-6  # of the rate, when it ends
_STD = math.sqrt(3)  # numpy's error of a slope was so much larger when the policy was written

Kernel = tuple[tuple[float, ...], ...]


class ZssrConfig(NetworkConfig):
    """How the network is made and trained; the defaults are those of the published code."""

    of_pairs: ClassVar[bool] = False
    arch: Literal["zssr"] = "zssr"
    scale: Literal[2, 3, 4] = 2
    """How many times it enlarges; 4 is learned after 2."""
    kernel: Kernel | Literal["cubic", "kernelgan"] = "cubic"
    """What made the image small: MATLAB's cubic, KernelGAN's estimate of each image, or a kernel by its rows, of scale
    2 (or of its scale where that is 3)."""
    kernelgan: KernelGanConfig = KernelGanConfig()
    """How kernels are estimated."""
    num_feat: Annotated[int, Field(ge=1, le=4096)] = 64
    """Width."""
    num_conv: Annotated[int, Field(ge=2, le=64)] = 8
    """3x3 convs."""
    steps: Annotated[int, Field(ge=1)] = 3000
    """Training steps of each scale at most."""
    crop_px: Annotated[int, Field(ge=8)] = 128
    """Side of the crops."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Of Adam, to begin with."""
    augment: bool = True
    """Crops are turned, mirrored, sheared and made smaller; without it they are cut out alone, and edges weigh more, as
    published with a kernel."""
    ensemble: bool = True
    """The median of what is made of the image turned and mirrored in eight ways."""
    back_projections: Annotated[int, Field(ge=0, le=100)] = 10
    """How often what is lacking in the result, made small again, is added."""
    noise_255: Annotated[float, Field(ge=0)] = 0
    """Of what is made small, gray levels: of real photographs 3."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of every random draw, beside the image itself."""

    @model_validator(mode="after")
    def _kernel_fits(self) -> Self:
        if isinstance(self.kernel, tuple):
            sides = {len(self.kernel), *map(len, self.kernel)}
            if len(sides) > 1 or sum(map(sum, self.kernel)) <= 0:
                raise ValueError("kernel is not square, or sums up to nothing; give one by its rows")
        if self.kernel == "kernelgan" and self.scale == 3:
            raise ValueError("kernelgan estimates kernels of scale 2, and from them of 4; use one of the two")
        return self

    def build(self) -> "Zssr":
        return Zssr(self)


class _Net(nn.Module):
    """LR enlarged by the cubic [1, 3, H, W] -> sharper; 224,640 parameters with the defaults, none a bias."""

    def __init__(self, feats: int, convs: int) -> None:
        super().__init__()
        widths = [3, *[feats] * (convs - 1), 3]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in zip(widths, widths[1:], strict=False)
        )

    def forward(self, image: Tensor) -> Tensor:
        x = image
        for conv in self.convs[:-1]:
            x = functional.relu(conv(x))
        return image + self.convs[-1](x)


class Zssr(ZeroShot):
    """LR [B, 3, h, w] in [0, 1], each side 16 px or more -> SR [B, 3, scale*h, scale*w]; each image by a network that
    is trained on it when it is asked for, the same to the bit whenever it is asked.
    """

    def __init__(self, config: ZssrConfig) -> None:
        super().__init__()
        self.config, self.scale = config, config.scale

    def kernels(self, lr: Tensor) -> dict[int, F64 | None]:
        """By scale the kernel that makes an image [1, 3, h, w] small; None is the cubic."""
        scales = (2, 4) if self.scale == 4 else (self.scale,)
        told = self.config.kernel
        if told == "cubic":
            return dict.fromkeys(scales)
        if told == "kernelgan":
            first = estimated(self.config.kernelgan, lr)
        else:
            first = np.array(told, dtype=np.float64)
            first = centred(first / first.sum(), scales[0])
        return {scale: first if i == 0 else centred(of_twice_the_scale(first), 4) for i, scale in enumerate(scales)}

    def learn(self, lr: Tensor) -> Model:
        config = self.config
        if min(lr.shape[-2:]) < _LEAST_PX:
            raise ImageError("too-small", f"has less than {_LEAST_PX} px on a side, which ZSSR learns from")
        rng = stream_of(config.seed, lr)
        net = _net(config, lr, rng)
        optimizer = torch.optim.Adam(net.parameters(), config.learning_rate)
        down = smaller_by(None, self.scale, lr)
        for scale, kernel in self.kernels(lr).items():
            down = smaller_by(kernel, scale, lr)
            _learn(config, net, optimizer, lr, scale, down, rng)
        return lambda image: self._restored(net, image, down)

    def _restored(self, net: nn.Module, lr: Tensor, down: Callable[[Tensor], Tensor]) -> Tensor:
        """An image by the network: the median over eight ways to turn it, each held against LR, and that again."""
        height, width = (side * self.scale for side in lr.shape[-2:])

        def projected(sr: Tensor) -> Tensor:
            for _ in range(self.config.back_projections):
                sr = (sr + resized(lr - down(sr), height, width)).clamp(0, 1)
            return sr

        with torch.no_grad():
            found = [
                projected(turned_back(net(_large(turned(lr, way), self.scale)).clamp(0, 1), way))
                for way in (range(8) if self.config.ensemble else (0,))
            ]
            stacked = torch.stack(found).sort(0).values
            return projected((stacked[(len(found) - 1) // 2] + stacked[len(found) // 2]) / 2)


def _net(config: ZssrConfig, like: Tensor, rng: np.random.Generator) -> _Net:
    net = _Net(config.num_feat, config.num_conv)
    with torch.no_grad():
        for conv in net.convs:
            assert isinstance(conv, nn.Conv2d)
            std = math.sqrt(0.1 / (9 * conv.in_channels))
            conv.weight.copy_(torch.from_numpy(rng.normal(0, std, conv.weight.shape)))
    return net.to(like.device)


def _large(image: Tensor, scale: int) -> Tensor:
    return resized(image, image.shape[-2] * scale, image.shape[-1] * scale)


# ------------------------------------------------------------------------------------------------------- training


def _learn(
    config: ZssrConfig,
    net: _Net,
    optimizer: torch.optim.Optimizer,
    lr: Tensor,
    scale: int,
    down: Callable[[Tensor], Tensor],
    rng: np.random.Generator,
) -> None:
    """Train on crops of the image until its own reconstruction no longer gets better at the third rate."""
    rate, changed, points = config.learning_rate, 0, list[tuple[int, float]]()
    height, width = (min(side, _MOST_PX) // scale * scale for side in lr.shape[-2:])
    top, left = ((side - wanted) // 2 for side, wanted in zip(lr.shape[-2:], (height, width), strict=True))
    whole = lr[..., top : top + height, left : left + width]

    def son_of(father: Tensor) -> Tensor:
        son = down(father)
        if config.noise_255:
            noise = rng.normal(0, config.noise_255 / 255, son.shape)
            son = son + torch.from_numpy(noise).to(son)
        return resized(son.clamp(0, 1), *father.shape[-2:])

    for step, (father, weights) in enumerate(_fathers(config, lr, scale, rng)):
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        difference = (net(son_of(father)) - father).abs()
        (difference if weights is None else difference * weights).mean().backward()
        optimizer.step()
        if step % _CHECK_EVERY == 0:
            with torch.no_grad():
                error = (net(son_of(whole)).clamp(0, 1) - whole).square().mean().item()
            points.append((step, error))
        if (step + 1) % _LOOK_EVERY == 0 and step - changed > _WAIT and no_better(points):
            rate, changed = rate / 10, step
            if rate < _SLOWEST:
                return


def no_better(points: list[tuple[int, float]]) -> bool:
    """Whether a line through the last points of (step, error) does not fall by more than its slope's doubt."""
    x, y = np.array(points[-_LOOK_BACK:]).T
    centred_x = x - x.mean()
    slope = (centred_x * y).sum() / np.square(centred_x).sum()
    rest = y - y.mean() - slope * centred_x
    doubt = _STD * math.sqrt(np.square(rest).sum() / (len(x) - 2) / np.square(centred_x).sum())
    return -1.5 * slope < doubt


def _fathers(
    config: ZssrConfig, lr: Tensor, scale: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Crops of the image [1, 3, n, n], and how much each of their pixels weighs, where not all alike."""
    image = np.ascontiguousarray(lr[0].permute(1, 2, 0).cpu().numpy(), dtype=np.float32)
    side = min(config.crop_px, *image.shape[:2]) // scale * scale
    weights = None if config.augment else edges(image)
    for _ in range(config.steps):
        if config.augment:
            crop = np.clip(_warped(image, side, rng), 0, 1)
            yield _tensor(crop, lr), None
        else:
            y, x = (int(rng.integers(0, length - side + 1)) for length in image.shape[:2])
            assert weights is not None
            yield _tensor(image[y : y + side, x : x + side], lr), _tensor(weights[y : y + side, x : x + side], lr)


def _tensor(pixels: np.ndarray, like: Tensor) -> Tensor:
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None].to(like)


def edges(image: np.ndarray) -> np.ndarray:
    """How steep [H, W, 3] is around each pixel, [H, W], 1 on average; 0 in a frame of 3 px."""
    gray = image @ np.array(BT601, dtype=np.float32)
    down, across = np.gradient(gray)
    steep = np.hypot(down, across)
    around = cv2.boxFilter(steep, -1, (5, 5), normalize=False, borderType=cv2.BORDER_CONSTANT)
    framed = np.zeros_like(around)
    framed[3:-3, 3:-3] = around[3:-3, 3:-3]
    mean = framed.mean()
    return framed / mean if mean > 0 else np.ones_like(framed)


def _warped(image: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """A crop: one in twenty as it is, the others mirrored or turned by right angles, half of all sheared and made
    smaller, by any angle.
    """
    height, width = image.shape[:2]
    chosen = rng.random()
    as_is, affine = chosen < 0.05, chosen >= 0.5
    size = rng.uniform(0.5, 1) if affine else 1.0
    apart = rng.normal(0, 0.25) if affine else 0.0
    mirror = 1 if as_is else int(rng.choice([-1, 1]))
    shift = [rng.random() * max(size * length - side, 0) for length in (width, height)]
    angle = 0.0 if as_is else rng.uniform(0, 2 * np.pi) if affine else int(rng.integers(4)) * np.pi / 2
    shear = rng.normal(0, 0.1, 2) if affine else np.zeros(2)

    def moved(x: float, y: float) -> np.ndarray:
        found = np.eye(3)
        found[:2, 2] = (x, y) if affine else (round(x), round(y))
        return found

    turn = np.eye(3)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    sheared = np.eye(3)
    sheared[0, 1], sheared[1, 0] = shear
    sized = np.diag([mirror * (size + apart / 2), size - apart / 2, 1])
    middle = width / 2, height / 2
    matrix = moved(*middle) @ moved(-shift[0], -shift[1]) @ sheared @ turn @ sized @ moved(-middle[0], -middle[1])
    warped = cv2.warpPerspective(image, matrix, (side, side), flags=cv2.INTER_CUBIC)
    return np.asarray(warped, dtype=np.float32)

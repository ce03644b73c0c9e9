"""KernelGAN (Bell-Kligler, Shocher and Irani, NeurIPS 2019): the kernel that made an image small, from the image alone.

A linear network makes the image smaller still so that a discriminator cannot tell patches of the result from patches of
the image; its layers, convolved with each other, are the kernel.
"""

from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from ...degrade.errors import ImageError
from ...degrade.family import Frozen
from ...degrade.images.pixels import BT601
from ...eval.images.kept import kept
from .base import stream_of
from .resampling import F64, centred, resized

KERNEL_PX, _MARGIN_PX = 13, 6  # of the kernel, and what a crop loses of the cubic's result
_CROP_PX = 64  # of the generator
_SEEN_PX = (_CROP_PX - KERNEL_PX + 1) // 2  # of the discriminator
_LEAST_PX = _CROP_PX + 8
_BICUBIC_MET, _TIMES_MET, _DECAY_EVERY, _LEAST_WEIGHT, _INSERT_BELOW = 0.4, 3, 200, 5e-6, 5e-3
_LARGEST = 40  # elements of a kernel, of which three quarters of the next are taken away from all


class KernelGanConfig(Frozen):
    """How a kernel is estimated; the defaults are those of the published code."""

    num_feat: Annotated[int, Field(ge=1, le=1024)] = 64
    """Width of both networks."""
    steps: Annotated[int, Field(ge=1)] = 3000
    """Training steps; the rate falls to a tenth four times meanwhile."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Of Adam, to begin with."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of every random draw, beside the image itself."""


class LinearGenerator(nn.Module):
    """Six convs without bias, activation or edges, the last of every second pixel: [B, 1, h, w] -> half of the size,
    less 6 px. 150,656 parameters with 64 features.
    """

    def __init__(self, feats: int) -> None:
        super().__init__()
        sizes, widths = (7, 5, 3, 1, 1, 1), (1, *[feats] * 5, 1)
        strides = (1, 1, 1, 1, 1, 2)
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, size, stride, bias=False)
            for a, b, size, stride in zip(widths, widths[1:], sizes, strides, strict=False)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Each channel by itself: [1, 3, h, w] -> [1, 3, ...]."""
        x = image.transpose(0, 1)
        for conv in self.convs:
            x = conv(x)
        return x.transpose(0, 1)

    def kernel(self) -> Tensor:
        """What all layers do as one, [13, 13], to be correlated with an image."""
        weights = [value for _, value in self.named_parameters()]
        x = torch.ones(1, 1, 1, 1, device=weights[0].device)
        for i, weight in enumerate(weights):
            x = functional.conv2d(x, weight, padding=KERNEL_PX - 1 if i == 0 else 0)
        return x[0, 0].flip(0, 1)


class PatchJudge(nn.Module):
    """Whether patches of 7 px are of the image: [1, 3, h, w] in [-1, 1] -> [1, 1, h - 6, w - 6] in [0, 1].

    30,977 parameters with 64 features, under spectral norm.
    """

    def __init__(self, feats: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [_normalised(nn.Conv2d(3, feats, 7))]
        for _ in range(5):
            layers += [_normalised(nn.Conv2d(feats, feats, 1)), nn.BatchNorm2d(feats), nn.ReLU()]
        self.layers = nn.Sequential(*layers, _normalised(nn.Conv2d(feats, 1, 1)), nn.Sigmoid())

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)


def _normalised(conv: nn.Conv2d) -> nn.Module:
    return parametrizations.spectral_norm(conv)


# ---------------------------------------------------------------------------------------------- where crops are cut


def edge_map(image: np.ndarray, crop: int) -> np.ndarray:
    """How likely a crop is cut around each pixel of [H, W, 3] in [0, 1]: where there are edges; sums up to 1."""
    gray = image @ np.array(BT601)
    down, across = np.gradient(gray)
    parts = [np.abs(across), np.abs(down), np.hypot(down, across)]
    for part in parts:
        framed = part[5:-5, 5:-5].copy()
        part[...] = 0
        part[5:-5, 5:-5] = framed
    strong = [_strongest(parts[0]), _strongest(parts[1]), parts[2]]
    found = sum(part / part.sum() if part.sum() else part for part in strong)
    found = ndimage.uniform_filter(found, 5, mode="constant")
    found = ndimage.uniform_filter(found, crop // 2, mode="constant")
    inside = np.zeros_like(found)
    half = crop // 2
    inside[half:-half, half:-half] = found[half:-half, half:-half]
    total = inside.sum()
    return inside / total if total > 0 else np.full_like(inside, 1 / inside.size)


def _strongest(values: np.ndarray) -> np.ndarray:
    """What is left of the largest 3 in 100, all but alike."""
    ranked = np.sort(values, axis=None)
    i = int(0.97 * ranked.size)
    low, high = ranked[i], ranked[min(i + 1, ranked.size - 1)]
    return np.clip(values, low, high if high > low else low + 1e-5) - low


def _corners(likely: np.ndarray, crop: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Top left corners of crops, even, as often as their middles are likely; [count, 2]."""
    cells = rng.choice(likely.size, count, p=likely.ravel())
    middles = np.stack(np.unravel_index(cells, likely.shape), axis=1)
    corners = np.clip(middles - crop // 2, 0, np.array(likely.shape) - crop)
    return corners // 2 * 2


# --------------------------------------------------------------------------------------------------- the estimate


def _edge_weights(side: int) -> F64:
    """How much an element of a kernel counts at its rim: nothing within 9 px of the middle."""
    at = np.arange(side) - side // 2
    bell = np.exp(-(at[:, None] ** 2 + at[None] ** 2) / (2 * side**2))
    found = 30 * (1 - bell / bell.max())
    found[2:-2, 2:-2] = 0
    return found


class _Constraints:
    """What a kernel should be like, and how much each of that counts as the training goes on."""

    def __init__(self) -> None:
        self.bicubic, self.centre, self.sparse = 5.0, 0.0, 0.0
        self._met, self._let_go = 0, False

    def loss(self, kernel: Tensor, made: Tensor, wanted: Tensor) -> tuple[Tensor, float]:
        """The sum of them, and how far what was made is from the cubic's, [1, 3, h, w] both."""
        bicubic = functional.mse_loss(made, wanted)
        side = len(kernel)
        found = self.bicubic * bicubic + 0.5 * (1 - kernel.sum()).abs()
        rim = kept(_edge_weights, side, device=kernel.device, dtype=kernel.dtype)
        found = found + 0.5 * (kernel * rim).abs().mean()
        if self.centre:
            at = torch.arange(side, dtype=kernel.dtype, device=kernel.device)
            place = torch.stack([(kernel.sum(1) * at).sum(), (kernel.sum(0) * at).sum()]) / kernel.sum()
            found = found + self.centre * (place - (side // 2 + 0.5)).square().mean()
        if self.sparse:
            found = found + self.sparse * (kernel.abs() + 1e-12).pow(0.2).mean()
        return found, bicubic.item()

    def after(self, step: int, bicubic: float) -> None:
        """Let the cubic go once it is met, and then ask for a kernel that is centred and sparse."""
        if not self._let_go:
            self._met = self._met + 1 if bicubic < _BICUBIC_MET else 0
            self._let_go = self._met >= _TIMES_MET
        elif step % _DECAY_EVERY == 0 and self.bicubic > _LEAST_WEIGHT:
            self.bicubic = max(self.bicubic / 100, _LEAST_WEIGHT)
            if self.bicubic < _INSERT_BELOW and not self.centre:
                self.centre, self.sparse = 1.0, 5.0


def estimated(config: KernelGanConfig, lr: Tensor) -> F64:
    """The kernel of scale 2 that made an image [1, 3, h, w] in [0, 1] of 72 px or more, for `by_kernel`.

    The same of the same image. Raises ImageError where it is smaller.
    """
    height, width = (side // 2 * 2 for side in lr.shape[-2:])
    if min(height, width) < _LEAST_PX:
        raise ImageError("too-small", f"has less than {_LEAST_PX} px on a side, of which KernelGAN cuts {_CROP_PX}")
    image = lr[..., :height, :width].detach()
    with torch.enable_grad():
        return centred(_sharpened(_trained(config, image)), 2)


def _sharpened(kernel: F64) -> F64:
    """Without what is small: three quarters of the 41st largest element are taken away from all; sums up to 1."""
    flat = np.sort(kernel, axis=None)
    found = np.clip(kernel - 0.75 * flat[-_LARGEST - 1], 0, None)
    return found / found.sum()


def _trained(config: KernelGanConfig, image: Tensor) -> F64:
    rng = stream_of(config.seed, image)
    generator, judge = _networks(config, image, rng)
    pixels = image[0].permute(1, 2, 0).double().cpu().numpy()
    small = resized(image.double(), image.shape[-2] // 2, image.shape[-1] // 2)[0].permute(1, 2, 0).cpu().numpy()
    likely = np.kron(edge_map(small, _CROP_PX), np.ones((2, 2)))
    corners = _corners(likely / likely.sum(), _CROP_PX, config.steps, rng)
    seen = _corners(edge_map(pixels, _SEEN_PX), _SEEN_PX, config.steps, rng)
    wanted = 2 * image - 1
    optimizers = [
        torch.optim.Adam(net.parameters(), config.learning_rate, betas=(0.5, 0.999)) for net in (generator, judge)
    ]
    constraints = _Constraints()
    noise_like = torch.empty(1, 3, _SEEN_PX, _SEEN_PX)
    for step in range(config.steps):
        y, x = corners[step]
        crop = wanted[..., y : y + _CROP_PX, x : x + _CROP_PX]
        y, x = seen[step]
        real = wanted[..., y : y + _SEEN_PX, x : x + _SEEN_PX]
        real = real + 2 * _noise(noise_like, rng).to(real) / 255
        bicubic = _step_of_generator(generator, judge, optimizers[0], crop, constraints)
        with torch.no_grad():
            fake = generator(crop)
        fake = fake + _noise(noise_like, rng).to(fake) / 255
        _step_of_judge(judge, optimizers[1], real, fake)
        constraints.after(step, bicubic)
        if step and step % max(1, config.steps // 4) == 0:
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] /= 10
    return generator.kernel().detach().double().cpu().numpy()


def _noise(like: Tensor, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.standard_normal(like.shape))


def _networks(config: KernelGanConfig, like: Tensor, rng: np.random.Generator) -> tuple[LinearGenerator, PatchJudge]:
    """Begun as published: the generator by Xavier's rule times 0.1, the discriminator as torch does."""
    state = torch.random.get_rng_state()
    torch.manual_seed(int(rng.integers(2**31)))
    generator, judge = LinearGenerator(config.num_feat), PatchJudge(config.num_feat)
    for conv in generator.convs:
        assert isinstance(conv, nn.Conv2d)
        nn.init.xavier_normal_(conv.weight, 0.1)
    for part in judge.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1, 0.02)
    torch.random.set_rng_state(state)
    return generator.to(like), judge.to(like)


def _step_of_generator(
    generator: LinearGenerator,
    judge: PatchJudge,
    optimizer: torch.optim.Optimizer,
    crop: Tensor,
    constraints: _Constraints,
) -> float:
    """Gives how far the generator is from the cubic, of which the published code sums up the channels by mistake."""
    optimizer.zero_grad(set_to_none=True)
    made = generator(crop)
    half = _MARGIN_PX // 2
    by_cubic = resized(crop, _CROP_PX // 2, _CROP_PX // 2)[..., half:-half, half:-half]
    loss, bicubic = constraints.loss(generator.kernel(), made, by_cubic)
    ((1 - judge(made)).abs().mean() + loss).backward()
    optimizer.step()
    return bicubic


def _step_of_judge(judge: PatchJudge, optimizer: torch.optim.Optimizer, real: Tensor, fake: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    (0.5 * ((1 - judge(real)).abs().mean() + judge(fake).abs().mean())).backward()
    optimizer.step()


def kernel_error(found: F64, true: F64) -> float:
    """The mean square difference of two kernels of any sides, each laid by its centre of mass."""
    side = max(len(found), len(true)) + 4
    side += 1 - side % 2
    laid = [_laid(each / each.sum(), side) for each in (found, true)]
    return float(np.square(laid[0] - laid[1]).sum() / np.square(laid[1]).sum())


def _laid(kernel: F64, side: int) -> F64:
    frame = np.zeros((side, side))
    top, left = ((side - length) // 2 for length in kernel.shape)
    frame[top : top + kernel.shape[0], left : left + kernel.shape[1]] = kernel
    move = np.array([side // 2, side // 2]) - ndimage.center_of_mass(frame)
    return np.asarray(ndimage.shift(frame, move, order=3), dtype=np.float64)

"""The blur kernels of `degrade.ops.kernels` on a device, many at once; the formulas are there."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ...degrade.ops.kernels import Kernel
from .images import numbers

SIDES = (21, 51)  # of the papers' kernels, and of the largest


def side_of(kernel: Kernel) -> int:
    """The side of the square that a kernel is computed in, by its own alone."""
    return next(side for side in SIDES if side >= kernel.size)


def weights_of(kernels: Sequence[Kernel], device: torch.device) -> Tensor:
    """[N, S, S] float64, S by the largest: each kernel in the middle, of sum 1, and 0 around it."""
    side = max(map(side_of, kernels))
    steps = torch.arange(side, device=device, dtype=torch.float64) - side // 2

    def told(name: str) -> Tensor:
        return numbers([getattr(kernel, name) for kernel in kernels], device, torch.float64)[:, None, None]

    def of_kind(*kinds: str) -> Tensor:
        held = [any(kernel.kind.startswith(kind) for kind in kinds) for kernel in kernels]
        return numbers(held, device, torch.bool)[:, None, None]

    x, y = steps[None, None, :], steps[None, :, None]
    cos, sin = told("theta").cos(), told("theta").sin()
    form = ((cos * x + sin * y) / told("sigma_x")) ** 2 + ((cos * y - sin * x) / told("sigma_y")) ** 2
    beta = told("beta")
    weights = torch.exp(-0.5 * form ** torch.where(of_kind("generalized"), beta, 1.0))
    if any(kernel.kind.startswith("plateau") for kernel in kernels):
        weights = torch.where(of_kind("plateau"), 1 / (1 + form**beta), weights)
    if any(kernel.kind == "sinc" for kernel in kernels):
        weights = torch.where(of_kind("sinc"), _sinc(torch.hypot(x, y), told("cutoff")), weights)
    reach = told("size") / 2
    weights = weights * ((x.abs() < reach) & (y.abs() < reach))
    return weights / weights.sum(dim=(1, 2), keepdim=True)


def _sinc(radius: Tensor, cutoff: Tensor) -> Tensor:
    far = radius.clamp(min=1)  # the middle has a value of its own
    around = cutoff * torch.special.bessel_j1(cutoff * far) / (2 * math.pi * far)
    return torch.where(radius == 0, cutoff**2 / (4 * math.pi), around)

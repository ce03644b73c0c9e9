"""Activations of a network's blocks computed again in the backward pass instead of kept: less memory for more time."""

from collections import Counter
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...degrade.errors import UserError

_LEAST = 3  # blocks that are a row


class _Kept(torch.autograd.Function):
    """What a block is given, which is kept for it, as what counts the kept sees it."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        ctx.save_for_backward(value)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        assert ctx.saved_tensors
        return gradients[0]


def _again(block: nn.Module, *given: Any) -> Any:
    plain = type(block).forward
    if not torch.is_grad_enabled():
        return plain(block, *given)
    kept = [_Kept.apply(each) if isinstance(each, Tensor) and each.requires_grad else each for each in given]
    return checkpoint(plain, block, *kept, use_reentrant=False)


def blocks_of(net: nn.Module) -> list[nn.Module]:
    """The longest row of a network: of all its lists the equal modules that have the most parameters together."""
    found: list[nn.Module] = []
    for each in net.modules():
        if isinstance(each, nn.ModuleList | nn.Sequential) and len(each) >= _LEAST:
            kind, count = Counter(type(part) for part in each).most_common(1)[0]
            row = [part for part in each if type(part) is kind]
            if count >= _LEAST and _size(row) > _size(found):
                found = row
    return found


def _size(row: list[nn.Module]) -> int:
    return sum(value.numel() for part in row for value in part.parameters())


def recompute(net: nn.Module) -> None:
    """Let the blocks of a network keep what they are given, and no more.

    What the network computes stays the same, but for the order in which gradients are summed.

    Raises:
        UserError: it has no row of blocks.
    """
    row = blocks_of(net)
    if not row:
        raise UserError(f"{type(net).__name__} has no row of {_LEAST} equal blocks; leave loop.checkpointing out")
    for block in row:
        block.forward = MethodType(_again, block)  # a method of the block, so that a copy of it has its own

"""The random fields of `degrade.ops.fields` on a device, bit for bit: Philox4x64-10 of many keys at once.

Salmon et al. 2011 (Random123), in the form of numpy's `Philox`: the first block has the counter 1. Words of 64 bits are
int64 here, whose products wrap around as unsigned ones do.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...degrade.ops.fields import normal_quantiles
from ...eval.images.kept import kept
from .images import Stack, numbers

_ROUNDS = 10
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_LOW = 0xFFFFFFFF
_OF_A_BLOCK = 16  # numbers of 16 bits in four words


def _signed(word: int) -> int:
    word &= 2**64 - 1
    return word - 2**64 if word >= 2**63 else word


def _high(word: Tensor, multiplier: int) -> Tensor:
    """The upper half of the product of 128 bits."""
    low, high = word & _LOW, (word >> 32) & _LOW
    by_low, by_high = multiplier & _LOW, multiplier >> 32
    first, second = low * by_high, high * by_low
    carried = ((low * by_low >> 32) & _LOW) + (first & _LOW) + (second & _LOW)
    return high * by_high + ((first >> 32) & _LOW) + ((second >> 32) & _LOW) + ((carried >> 32) & _LOW)


def _blocks(keys: Sequence[int], count: int, device: torch.device) -> Tensor:
    """[K, count, 4] int64: the first blocks of the stream of each key."""
    lows, highs = ([_signed(key >> shift) for key in keys] for shift in (0, 64))
    k0, k1 = (numbers(words, device, torch.int64)[:, None] for words in (lows, highs))
    c0 = torch.arange(1, count + 1, device=device)[None].expand(len(keys), -1)
    c1 = c2 = c3 = torch.zeros_like(c0)
    for _ in range(_ROUNDS):
        high0, low0 = _high(c0, _MULTIPLIERS[0]), c0 * _signed(_MULTIPLIERS[0])
        high1, low1 = _high(c2, _MULTIPLIERS[1]), c2 * _signed(_MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = k0 + _signed(_WEYL[0]), k1 + _signed(_WEYL[1])
    return torch.stack([c0, c1, c2, c3], dim=-1)


def uniform(keys: Sequence[int], count: int, device: torch.device) -> Tensor:
    """[K, n] int32 of 0 to 65535, n at least count: what `uniform_field` is made of, for each key."""
    words = _blocks(keys, -(-count // _OF_A_BLOCK), device)
    return words.view(torch.int16).flatten(1).int() & 0xFFFF


def normal(keys: Sequence[int], count: int, device: torch.device) -> Tensor:
    """[K, n] float32: what `normal_field` is made of, for each key."""
    return kept(_table, device=device)[uniform(keys, count, device)]


def _table() -> npt.NDArray[np.float32]:
    return normal_quantiles()


def laid_out(values: Tensor, which: Sequence[int], gray: Sequence[bool], on: Stack) -> Tensor:
    """Fields [N, 3, H, W] of streams of numbers [K, n], as an image takes them: by rows, columns and channels.

    which: the stream of each image. gray: one channel, for all three. on: the images.
    """
    fields = values.new_zeros(len(on), 3, *on.values.shape[2:])
    for canvas, number, is_gray, height, width in zip(fields, which, gray, on.heights, on.widths, strict=True):
        channels = 1 if is_gray else 3
        field = values[number, : height * width * channels].view(height, width, channels)
        canvas[:, :height, :width] = field.movedim(-1, 0)
    return fields

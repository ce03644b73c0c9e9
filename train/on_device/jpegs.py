"""JPEG of many images at once, each at its quality, in the whole numbers of libjpeg-turbo: its colours, its transform
(`JDCT_ISLOW`), its rounding of coefficients and its smooth upsampling (ITU-T T.81 says the rest).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...degrade.ops.codecs import Jpeg
from ...eval.images.kept import kept
from .images import Border, Stack, apart, bordered, levels, numbers, picked

# ITU-T T.81, Annex K.1: luminance and chrominance at quality 50.
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
_BLOCK = 8
_LEAST_SMOOTH = 2  # columns of chroma: so few libjpeg only repeats
_ONE = 8192
_ROTATIONS = (
    *(0.298631336, 0.390180644, 0.541196100, 0.765366865, 0.899976223, 1.175875602),
    *(1.501321110, 1.847759065, 1.961570560, 2.053119869, 2.562915447, 3.072711026),
)
_R = {int(1000 * value): round(_ONE * value) for value in _ROTATIONS}  # by their first digits
_LEVEL = float(np.float32(1 / 255))


def has_form(step: Jpeg) -> bool:
    """Whether a JPEG can be computed here: whole chroma, or half of it both ways."""
    return step.sampling in ("444", "420")


def _quantisers(qualities: Sequence[int], base: tuple[tuple[int, ...], ...], device: torch.device) -> Tensor:
    """[N, 1, 1, 8, 8]: libjpeg's tables, whole numbers of 1 to 255."""
    whole = np.array(base, dtype=np.int64)
    scales = [5000 // quality if quality < 50 else 200 - 2 * quality for quality in qualities]
    tables = np.stack([np.clip((whole * scale + 50) // 100, 1, 255) for scale in scales])
    return numbers(tables.ravel().tolist(), device).view(len(qualities), 1, 1, _BLOCK, _BLOCK)


def _transform() -> npt.NDArray[np.float64]:
    """[8, 8] the DCT-II times 8192 * sqrt(8), in the whole numbers that libjpeg's butterflies (Loeffler, Ligtenberg and
    Moschytz 1989) have for it; rows are frequencies.
    """
    half = [[0] * 4 for _ in range(8)]  # of each frequency, for sums (even) or differences (odd) of opposite samples
    half[0], half[4] = [_ONE] * 4, [_ONE, -_ONE, -_ONE, _ONE]
    half[2] = [_R[541] + _R[765], _R[541], -_R[541], -_R[541] - _R[765]]
    half[6] = [_R[541], _R[541] - _R[1847], _R[1847] - _R[541], -_R[541]]
    one = _R[1175]
    half[1] = [_R[1501] - _R[899] - _R[390] + one, one, one - _R[390], one - _R[899]]
    half[3] = [one, _R[3072] - _R[2562] - _R[1961] + one, one - _R[2562], one - _R[1961]]
    half[5] = [one - _R[390], one - _R[2562], _R[2053] - _R[2562] - _R[390] + one, one]
    half[7] = [one - _R[899], one - _R[1961], one, _R[298] - _R[899] - _R[1961] + one]
    return np.array([row + ([-x for x in row[::-1]] if k % 2 else row[::-1]) for k, row in enumerate(half)], np.float64)


def _rounded(value: Tensor, bits: int) -> Tensor:
    """Whole numbers over a power of two, half way up."""
    return ((value + 2.0 ** (bits - 1)) / 2.0**bits).floor()


def _coded(plane: Tensor, quantisers: Tensor) -> Tensor:
    """[N, H, W] levels, sides multiples of 8, through the quantised transform of each block and back.

    In libjpeg's whole numbers, of 31 bits at most, which float64 holds: rows and columns, and columns and rows.
    """
    dct = kept(_transform, device=plane.device)
    blocks = (plane.double() - 128).unflatten(1, (-1, _BLOCK)).unflatten(3, (-1, _BLOCK)).transpose(2, 3)
    eighths = _rounded(dct @ _rounded(blocks @ dct.mT, 11), 15)
    whole = ((eighths.abs() + 4 * quantisers) / (8 * quantisers)).floor().copysign(eighths)
    again = _rounded(_rounded(dct.mT @ (whole * quantisers), 11) @ dct, 18)
    return (again + 128).clamp(0, 255).float().transpose(2, 3).flatten(3).flatten(1, 2)


def _shifted(value: Tensor) -> Tensor:
    return value >> 16


def _to_ycc(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Levels [N, 3, H, W] -> Y, Cb, Cr, in libjpeg's 1/65536."""
    r, g, b = rgb.int().unbind(1)
    half, middle = 1 << 15, (128 << 16) + (1 << 15) - 1
    y = _shifted(19595 * r + 38470 * g + 7471 * b + half)
    cb = _shifted(-11059 * r - 21709 * g + 32768 * b + middle)
    cr = _shifted(32768 * r - 27439 * g - 5329 * b + middle)
    return y.float(), cb.float(), cr.float()


def _to_rgb(y: Tensor, cb: Tensor, cr: Tensor) -> Tensor:
    luma, blue, red, half = y.int(), cb.int() - 128, cr.int() - 128, 1 << 15
    r = luma + _shifted(91881 * red + half)
    g = luma + _shifted(-22554 * blue - 46802 * red + half)
    b = luma + _shifted(116130 * blue + half)
    return torch.stack([r, g, b], dim=1).clamp(0, 255).float()


def _halved(plane: Tensor) -> Tensor:
    """[N, H, W] with even sides: the mean of each four, rounded down and up in turns along a row."""
    total = plane[:, ::2, ::2] + plane[:, 1::2, ::2] + plane[:, ::2, 1::2] + plane[:, 1::2, 1::2]
    bias = torch.arange(total.shape[2], device=plane.device) % 2 + 1
    return ((total + bias) / 4).floor()


def _doubled(plane: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """[N, h, w] of which so many rows and columns are the image's -> [N, 2h, 2w]: three quarters of the nearest, a
    quarter of the next, along both axes; libjpeg's "fancy" upsampling.
    """
    at = torch.arange(2 * plane.shape[1], device=plane.device)[None]
    down = _near_and_next(at, height)
    near, next_ = (picked(plane[:, None], rows, _all(plane)) for rows in down)
    columns = 3 * near + next_
    across = torch.arange(2 * plane.shape[2], device=plane.device)[None]
    beside = _near_and_next(across, width)
    near, next_ = (picked(columns, _all(columns[:, 0].mT), places) for places in beside)
    bias = torch.where(across % 2 == 0, 8, 7)[:, None, None]
    smooth = ((3 * near + next_ + bias) / 16).floor()[:, 0]
    plain = picked(plane[:, None], down[0], beside[0])[:, 0]
    return torch.where((width > _LEAST_SMOOTH)[:, None, None], smooth, plain)


def _all(plane: Tensor) -> Tensor:
    return torch.arange(plane.shape[2], device=plane.device)[None].expand(len(plane), -1)


def _near_and_next(at: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
    """For each place of a doubled axis the sample over it and the one beside, that of the edge where there is none."""
    near = (at // 2).expand(len(length), -1)
    next_ = near + torch.where(at % 2 == 0, -1, 1)
    last = length[:, None] - 1
    return torch.minimum(near, last), torch.minimum(next_.clamp(min=0), last)


def jpeg(stack: Stack, steps: Sequence[Jpeg]) -> list[Tensor]:
    """`Jpeg` of each image, those with whole chroma apart from those with half."""
    return apart(stack, steps, lambda step: step.sampling, _jpeg)


def _jpeg(stack: Stack, steps: Sequence[Jpeg]) -> Stack:
    qualities, halves = [step.quality for step in steps], steps[0].sampling == "420"
    device, (height, width) = stack.device, stack.values.shape[2:]
    sides = tuple(-(-side // 16) * 16 for side in (height, width))
    borders: list[Border] = ["replicate"] * len(stack)
    filled = bordered(stack.of(levels(stack.values)), 0, (sides[0], sides[1]), borders)
    planes = list(_to_ycc(filled))
    heights, widths = (
        numbers([-(-side // 2) for side in lengths], device, torch.int64) for lengths in (stack.heights, stack.widths)
    )
    tables = [_quantisers(qualities, base, device) for base in (_LUMA, _CHROMA)]
    luma = _coded(planes[0], tables[0])
    chroma = planes[1:]
    if halves:
        chroma = [_continued(_halved(plane), heights) for plane in chroma]
    chroma = [_coded(plane, tables[1]) for plane in chroma]
    if halves:
        chroma = [_doubled(plane, heights, widths) for plane in chroma]
    rgb = _to_rgb(luma, *chroma)
    return stack.of(rgb[:, :, :height, :width] * _LEVEL)


def _continued(plane: Tensor, heights: Tensor) -> Tensor:
    """With the last row of each image below it, as libjpeg fills blocks up; its columns it fills before it halves."""
    rows = torch.minimum(torch.arange(plane.shape[1], device=plane.device)[None], heights[:, None] - 1)
    return picked(plane[:, None], rows, _all(plane))[:, 0]

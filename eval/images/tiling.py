"""Restoring images with a model, which is any callable LR [B, 3, h, w] -> SR [B, 3, s*h, s*w], both in [0, 1]."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from ...degrade.errors import UserError
from .imresize import F64, cubic, lanczos3, taps
from .kept import kept
from .tensors import to_pixels

Model = Callable[[Tensor], Tensor]
Device = torch.device
Pixels = npt.NDArray[np.uint8 | np.uint16]

TILE_PX, OVERLAP_PX = 256, 48  # of LR; 34 px is how far the deepest model that we measured sees
LEAST_TILE_PX = 32
_LEAST_PX = 32  # smaller images are continued by their edges first
_MOST_SR_PIXELS = 2**22  # of what is restored in one call: 64 feature maps of them are 1 GiB


def _along_rows(image: Tensor, scale: int, kernel: Callable[[F64], F64]) -> Tensor:
    """Enlarge the last axis by a kernel."""
    sides = image.shape[-1], image.shape[-1] * scale, kernel
    at = kept(_places, *sides, device=image.device)
    return (image[..., at] * kept(_weights, *sides, device=image.device, dtype=image.dtype)).sum(dim=-1)


def _places(old: int, new: int, kernel: Callable[[F64], F64]) -> npt.NDArray[np.int64]:
    return taps(old, new, kernel)[0]


def _weights(old: int, new: int, kernel: Callable[[F64], F64]) -> F64:
    return taps(old, new, kernel)[1]


def bicubic(lr: Tensor, scale: int) -> Tensor:
    """The baseline of every paper: MATLAB's bicubic enlargement (a = -0.5; OpenCV and torch have -0.75), clipped."""
    return _along_rows(_along_rows(lr, scale, cubic).mT, scale, cubic).mT.clamp(0, 1)


def smaller(image: Tensor, scale: int) -> Tensor:
    """Bicubic with antialiasing, [B, C, H, W] -> [B, C, H // scale, W // scale]; not clipped."""
    height, width = (side // scale for side in image.shape[2:])
    return functional.interpolate(image, size=(height, width), mode="bicubic", antialias=True, align_corners=False)


def unchanged(image: Tensor) -> Tensor:
    """The baseline at scale 1: nothing is done."""
    return image


def bicubic_model(scale: int) -> Model:
    """Bicubic as a model."""
    return partial(bicubic, scale=scale)


def lanczos(lr: Tensor, scale: int) -> Tensor:
    """Lanczos enlargement with three lobes, as Pillow's but for the borders, clipped to [0, 1]."""
    return _along_rows(_along_rows(lr, scale, lanczos3).mT, scale, lanczos3).mT.clamp(0, 1)


def lanczos_model(scale: int) -> Model:
    """Lanczos as a model."""
    return partial(lanczos, scale=scale)


@contextmanager
def in_fp32(*, tf32: bool = False) -> Generator[None]:
    """How CUDA multiplies fp32 for the block: as IEEE says, or in TF32, which cuDNN has where nobody says."""
    backends: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    were = [each.allow_tf32 for each in backends]
    for each in backends:
        each.allow_tf32 = tf32
    try:
        yield
    finally:
        for each, was in zip(backends, were, strict=True):
            each.allow_tf32 = was


def restore(model: Model, lr: Tensor, device: torch.device) -> Tensor:
    """SR of LR on the CPU, clipped to [0, 1], computed in fp32; no gradient is kept.

    Not by torch's inference mode: a network that folds its convs into one when it restores (SPAN) could not be trained
    on afterwards.
    """
    with torch.no_grad(), in_fp32():
        return model(lr.to(device)).clamp(0, 1).cpu()


def pick_device() -> torch.device:
    """CUDA where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def name_of(device: torch.device) -> str:
    """What a report calls a device: "cpu", or a card by its name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


# ------------------------------------------------------------------------------------------------------ tiles


@dataclass(frozen=True)
class _Span:
    """One axis of a tile, in LR pixels: what it reads, what it writes, and how far it fades in over the one before."""

    read: range
    write: range
    fade: int


def _spans(length: int, tile: int, overlap: int) -> list[_Span]:
    """Tiles of one size, `tile` pixels at most, as few and as small as reach; neighbours read twice the overlap both.

    The border between two is in the middle of that; a quarter of the overlap to each side of it is faded over, the rest
    only feeds the model.
    """
    if tile == 0 or length <= tile:
        return [_Span(range(length), range(length), 0)]
    count = -(-(length - 2 * overlap) // (tile - 2 * overlap))
    size = max(_LEAST_PX, -(-(length + 2 * overlap * (count - 1)) // count))  # smaller ones would be filled up
    starts = [number * (length - size) // (count - 1) for number in range(count)]
    borders, fade = [0, *(start + overlap for start in starts[1:]), length], overlap // 4
    spans: list[_Span] = []
    for start, (first, stop) in zip(starts, pairwise(borders), strict=True):
        write = range(first - fade if first else 0, min(length, stop + fade))
        spans.append(_Span(range(start, start + size), write, 2 * fade if first else 0))
    return spans


def _ramp(span: _Span, scale: int) -> npt.NDArray[np.float32]:
    """The weight of a tile at each SR pixel that it writes: rising where it fades in, else 1."""
    weight = np.ones(len(span.write) * scale, dtype=np.float32)
    rise = span.fade * scale
    weight[:rise] = (np.arange(rise) + 0.5) / max(1, rise)
    return weight


def _padded(lr: Tensor) -> Tensor:
    below, right = (max(0, _LEAST_PX - side) for side in lr.shape[-2:])
    return functional.pad(lr, (0, right, 0, below), mode="replicate") if below or right else lr


def restore_pixels(
    model: Model,
    lr: Pixels,
    scale: int,
    device: torch.device,
    *,
    tile_px: int = TILE_PX,
    overlap_px: int | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Pixels:
    """SR [s*h, s*w, 3] of LR [h, w, 3], with as many bits as LR has, a tile at a time.

    tile_px: what the model sees at once, in LR pixels; 0 is the whole image. Beside the image itself, memory is that
    of one tile. overlap_px: how far a tile reads over its border, 48 or a quarter of a small tile; where the model
    sees no farther than three quarters of it, the tiles are the same as the whole. advance: called with the LR pixels
    that are done.

    Raises:
        UserError: the tile is too small, or the model gives another size than it should, or what is no number.
    """
    height, width = lr.shape[:2]
    out = np.empty((height * scale, width * scale, 3), dtype=lr.dtype)
    _fill(out, model, lr, scale, device, tile_px, overlap_px, advance)
    return out


def is_large(lr: Tensor, scale: int) -> bool:
    """Whether an image [..., h, w] is restored in tiles where it is measured: whole, its features fill the memory."""
    return lr.shape[-2] * lr.shape[-1] * scale**2 > _MOST_SR_PIXELS


def restore_in_tiles(model: Model, lr: Tensor, scale: int, device: Device) -> Tensor:
    """As `restore`, of images that are 8-bit levels, tile by tile; not rounded."""
    found: list[Tensor] = []
    for pixels in to_pixels(lr):
        sr = np.empty((pixels.shape[0] * scale, pixels.shape[1] * scale, 3), dtype=np.float32)
        _fill(sr, model, pixels, scale, device, TILE_PX, None, lambda _: None)
        found.append(torch.from_numpy(sr).movedim(-1, 0))
    return torch.stack(found)


def _fill(
    out: npt.NDArray[np.uint8 | np.uint16 | np.float32],
    model: Model,
    lr: Pixels,
    scale: int,
    device: Device,
    tile_px: int,
    overlap_px: int | None,
    advance: Callable[[int], None],
) -> None:
    """Restore [h, w, 3] into [s*h, s*w, 3]: levels as LR has them, or float32 in [0, 1]."""
    overlap = min(OVERLAP_PX, tile_px // 4) if overlap_px is None else overlap_px
    if tile_px and (tile_px < LEAST_TILE_PX or tile_px < 2.5 * overlap):
        least = max(LEAST_TILE_PX, round(2.5 * overlap))
        raise UserError(f"a tile of {tile_px} px is too small; use {least} or more, or 0 for the whole image")
    height, width = lr.shape[:2]
    top, in_levels = float(np.iinfo(lr.dtype).max), np.issubdtype(out.dtype, np.integer)
    for down in _spans(height, tile_px, overlap):
        for across in _spans(width, tile_px, overlap):
            part = lr[down.read.start : down.read.stop, across.read.start : across.read.stop].astype(np.float32) / top
            tile = torch.from_numpy(np.ascontiguousarray(part)).movedim(-1, 0)[None]
            sr = restore(model, _padded(tile), device)[0]
            wanted = [max(side, _LEAST_PX) * scale for side in part.shape[:2]]
            if list(sr.shape) != [3, *wanted]:
                raise UserError(
                    f"the model gives {list(sr.shape[1:])} for {list(part.shape[:2])}, not {scale} times as much"
                )
            if not bool(torch.isfinite(sr).all()):
                raise UserError("the model gives values that are not numbers; look at its checkpoint")
            rows = slice((down.write.start - down.read.start) * scale, (down.write.stop - down.read.start) * scale)
            columns = slice(
                (across.write.start - across.read.start) * scale, (across.write.stop - across.read.start) * scale
            )
            new = sr[:, rows, columns].movedim(0, -1).numpy() * (top if in_levels else 1)
            at = (
                slice(down.write.start * scale, down.write.stop * scale),
                slice(across.write.start * scale, across.write.stop * scale),
            )
            if down.fade or across.fade:
                weight = (_ramp(down, scale)[:, None] * _ramp(across, scale))[..., None]
                old = np.where(weight < 1, out[at], 0)
                new = old + (new - old) * weight
            out[at] = np.rint(new) if in_levels else new
            advance(len(down.write) * len(across.write))

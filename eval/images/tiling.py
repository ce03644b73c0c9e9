"""Images restored tile by tile, and blended on the device: beside the image, a row of tiles is held there, and no more.

While a row is computed, the one before is on its way to the host; nothing waits for a tile.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from ...degrade.errors import UserError
from .kept import kept
from .restoring import Device, Model, restored
from .tensors import to_pixels

OutOfMemoryError = torch.OutOfMemoryError  # of a device
Pixels = npt.NDArray[np.uint8 | np.uint16]
Written = npt.NDArray[np.uint8 | np.uint16 | np.float32]

TILE_PX, OVERLAP_PX = 256, 48  # of LR; 34 px is how far the deepest model that we measured sees
CUDA_TILE_PX = 512  # a large device is busy with such a one, and less is computed twice
LEAST_TILE_PX = 32
_LEAST_PX = 32  # smaller images are continued by their edges first
_MOST_SR_PIXELS = 2**22  # of what is restored in one call: 64 feature maps of them are 1 GiB


def tile_of(device: Device) -> int:
    """The side of tiles that suit a device, in LR pixels."""
    return CUDA_TILE_PX if device.type == "cuda" else TILE_PX


@dataclass(frozen=True)
class _Span:
    """One axis of a tile, in LR pixels: what it reads, what it writes, and how far it fades in over the one before."""

    read: range
    write: range
    fade: int

    def of_read(self, scale: int) -> slice:
        """What is written, in SR pixels from the first that is read."""
        return slice((self.write.start - self.read.start) * scale, (self.write.stop - self.read.start) * scale)


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


def _ramp(length: int, rise: int) -> npt.NDArray[np.float32]:
    """The weight of a tile at each SR pixel that it writes: rising where it fades in, else 1."""
    weight = np.ones(length, dtype=np.float32)
    weight[:rise] = (np.arange(rise) + 0.5) / max(1, rise)
    return weight


def _ramp_of(span: _Span, scale: int, device: Device) -> Tensor:
    return kept(_ramp, len(span.write) * scale, span.fade * scale, device=device)


def _padded(lr: Tensor) -> Tensor:
    below, right = (max(0, _LEAST_PX - side) for side in lr.shape[-2:])
    return functional.pad(lr, (0, right, 0, below), mode="replicate") if below or right else lr


def restore_pixels(
    model: Model,
    lr: Pixels,
    scale: int,
    device: Device,
    *,
    tile_px: int = TILE_PX,
    overlap_px: int | None = None,
    half: bool = False,
    advance: Callable[[int], None] = lambda _: None,
) -> Pixels:
    """SR [s*h, s*w, 3] of LR [h, w, 3], with as many bits as LR has, a tile at a time.

    tile_px: what the model sees at once, in LR pixels; 0 is the whole image. Beside the image itself, the device holds
    LR, one tile and a row of tiles. overlap_px: how far a tile reads over its border, 48 or a quarter of a small tile;
    where the model sees no farther than three quarters of it, the tiles are the same as the whole. half: layers are
    computed in fp16, which CUDA is fast in. advance: called with the LR pixels that are under way.

    Raises:
        UserError: the tile is too small, or the model gives another size than it should, or what is no number.
    """
    height, width = lr.shape[:2]
    out = np.empty((height * scale, width * scale, 3), dtype=lr.dtype)
    _Tiles(model, scale, device, tile_px, overlap_px, half).fill(out, lr, advance)
    return out


def is_large(lr: Tensor, scale: int) -> bool:
    """Whether an image [..., h, w] is restored in tiles where it is measured: whole, its features fill the memory."""
    return lr.shape[-2] * lr.shape[-1] * scale**2 > _MOST_SR_PIXELS


def restore_in_tiles(model: Model, lr: Tensor, scale: int, device: Device) -> Tensor:
    """As `restore`, of images that are 8-bit levels, tile by tile; not rounded."""
    found: list[Tensor] = []
    for pixels in to_pixels(lr):
        sr = np.empty((pixels.shape[0] * scale, pixels.shape[1] * scale, 3), dtype=np.float32)
        _Tiles(model, scale, device, TILE_PX, None, half=False).fill(sr, pixels, lambda _: None)
        found.append(torch.from_numpy(sr).movedim(-1, 0))
    return torch.stack(found)


class _Row:
    """A row of tiles on its way to the host. fine: whether all of it are numbers."""

    def __init__(self, first: int, pixels: Tensor, fine: Tensor) -> None:
        self._first = first
        self._pixels, self._fine = (_sent(each) for each in (pixels, fine))
        self._sent = torch.cuda.current_stream(pixels.device).record_event() if pixels.is_cuda else None

    def put_into(self, out: Written) -> None:
        """Raises UserError where the model gave what is no number."""
        if self._sent is not None:
            self._sent.synchronize()
        if not bool(self._fine):
            raise UserError("the model gives values that are not numbers; look at its checkpoint")
        out[self._first : self._first + len(self._pixels)] = self._pixels.numpy()


def _sent(value: Tensor) -> Tensor:
    """On the host, or on its way there."""
    if not value.is_cuda:
        return value
    return torch.empty(value.shape, dtype=value.dtype, pin_memory=True).copy_(value, non_blocking=True)


class _Tiles:
    """How images are cut, restored and put together."""

    def __init__(
        self, model: Model, scale: int, device: Device, tile_px: int, overlap_px: int | None, half: bool
    ) -> None:
        overlap = min(OVERLAP_PX, tile_px // 4) if overlap_px is None else overlap_px
        if tile_px and (tile_px < LEAST_TILE_PX or tile_px < 2.5 * overlap):
            least = max(LEAST_TILE_PX, round(2.5 * overlap))
            raise UserError(f"a tile of {tile_px} px is too small; use {least} or more, or 0 for the whole image")
        self._model, self._scale, self._device, self._half = model, scale, device, half
        self._tile, self._overlap = tile_px, overlap

    def fill(self, out: Written, pixels: Pixels, advance: Callable[[int], None]) -> None:
        """Restore [h, w, 3] into [s*h, s*w, 3]: levels as LR has them, or float32 in [0, 1]."""
        height, width, scale = *pixels.shape[:2], self._scale
        top, in_levels = float(np.iinfo(pixels.dtype).max), np.issubdtype(out.dtype, np.integer)
        held = pixels if pixels.dtype == np.uint8 else pixels.astype(np.int32)  # torch does little with 16 bits
        lr = torch.from_numpy(np.require(held, requirements=["C", "W"])).to(self._device)
        dtype = lr.dtype if in_levels else torch.float32
        rows, columns = (_spans(length, self._tile, self._overlap) for length in (height, width))
        last: Tensor | None = None
        waiting: _Row | None = None
        for number, down in enumerate(rows):
            row = torch.empty((len(down.write) * scale, width * scale, 3), dtype=dtype, device=self._device)
            if last is not None:
                row[: len(last)] = last
            fine = torch.ones((), dtype=torch.bool, device=self._device)
            for across in columns:
                sr = self._restored(lr, down, across, top)
                fine &= torch.isfinite(sr).all()
                new = sr[:, down.of_read(scale), across.of_read(scale)].movedim(0, -1) * (top if in_levels else 1)
                place = row[:, across.write.start * scale : across.write.stop * scale]
                if down.fade or across.fade:
                    weight = _ramp_of(down, scale, self._device)[:, None] * _ramp_of(across, scale, self._device)
                    old = torch.where(weight[..., None] < 1, place, 0)
                    new = old + (new - old) * weight[..., None]
                place.copy_(new.round() if in_levels else new)
                advance(len(down.write) * len(across.write))
            whole = (rows[number + 1].write.start if number + 1 < len(rows) else height) - down.write.start
            last = row[whole * scale :].clone()
            if waiting is not None:
                waiting.put_into(out)
            waiting = _Row(down.write.start * scale, row[: whole * scale], fine)
        if waiting is not None:
            waiting.put_into(out)

    def _restored(self, lr: Tensor, down: _Span, across: _Span, top: float) -> Tensor:
        """A tile [3, H, W] in [0, 1], on the device."""
        part = lr[down.read.start : down.read.stop, across.read.start : across.read.stop].float() / top
        sr = restored(self._model, _padded(part.movedim(-1, 0)[None].contiguous()), half=self._half)[0]
        wanted = [max(side, _LEAST_PX) * self._scale for side in part.shape[:2]]
        if list(sr.shape) != [3, *wanted]:
            raise UserError(
                f"the model gives {list(sr.shape[1:])} for {list(part.shape[:2])}, not {self._scale} times as much"
            )
        return sr

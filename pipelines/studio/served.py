"""Pictures that the page shows, by addresses of their own; the oldest go where there are too many."""

import secrets
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ...degrade.images.pixels import U8

if TYPE_CHECKING:
    from ...eval.images.tiling import Pixels

PICTURES = "/pictures"
_MOST_BYTES = 512 * 2**20
_QUICK = (cv2.IMWRITE_PNG_COMPRESSION, 1)


class Served:
    """The files of pictures, in memory."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self._bytes, self._most, self._lock = 0, most_bytes, Lock()

    def put(self, data: bytes, suffix: str = ".png") -> str:
        """Keep a file; gives its address, which nobody can guess."""
        name = f"{secrets.token_urlsafe(12)}{suffix}"
        with self._lock:
            self._files[name] = data
            self._bytes += len(data)
            while self._bytes > self._most and len(self._files) > 1:
                _, gone = self._files.popitem(last=False)
                self._bytes -= len(gone)
        return f"{PICTURES}/{name}"

    def get(self, name: str) -> bytes | None:
        """The file, while it is kept."""
        with self._lock:
            return self._files.get(name)


def quick_png(pixels: "Pixels") -> bytes:
    """A PNG of 8 bits of [H, W, 3] of 8 or 16, packed little so that it is there at once."""
    done, data = cv2.imencode(".png", eight_bits(pixels)[..., ::-1], _QUICK)
    assert done
    return data.tobytes()


def eight_bits(pixels: "Pixels") -> U8:
    """Levels of 8 or 16 bits as levels of 8."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


SERVED = Served()

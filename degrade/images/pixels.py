"""Pixels [H, W, 3] uint8 RGB as numbers, upright, as luma and as a PNG file."""

from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
I64 = npt.NDArray[np.int64]  # counts, and numbers of samples
Levels = TypeVar("Levels", U8, U16)
F32 = npt.NDArray[np.float32]
BT601 = (0.299, 0.587, 0.114)  # of R, G, B in luma
_BT601 = np.array([BT601], dtype=np.float32)
# BT.601 in 1/65536, and one half to round with. Each product and sum is below 2^24 of these: exact in float32.
_LUMA = np.array([[19595, 38470, 7471, 32768]], dtype=np.float32) / 65536
_LUMA_PIXELS = 2**15  # whose float32 form fits into the cache


def to_float(pixels: U8) -> F32:
    """[0, 255] uint8 -> [0, 1] float32, any shape."""
    return pixels.astype(np.float32) * np.float32(1 / 255)


def to_uint8(image: F32) -> U8:
    """[0, 1] float32 -> [0, 255] uint8, rounded to nearest (never truncated) and saturated."""
    if not image.size:
        return np.empty(image.shape, dtype=np.uint8)
    levels = cv2.convertScaleAbs(np.maximum(image, np.float32(0)), alpha=255)  # it saturates, and rounds half to even
    return np.asarray(levels, dtype=np.uint8).reshape(image.shape)


def luma_of(image: F32) -> F32:
    """The BT.601 luma [H, W] of [H, W, 3] float32, of the same range."""
    return np.asarray(cv2.transform(image, _BT601), dtype=np.float32)


def luma(pixels: U8) -> U8:
    """The BT.601 luma [H, W] of [H, W, 3] uint8 RGB, exactly as Pillow's mode L rounds it.

    RWSR-EDL and Impressionism measure patches on this luma. OpenCV's own differs by a gray level in
    some colours.
    """
    height, width = pixels.shape[:2]
    gray = np.empty((height, width), dtype=np.uint8)
    step = max(1, _LUMA_PIXELS // width)
    rgb, one = np.empty((step, width, 3), dtype=np.float32), np.empty((step, width), dtype=np.float32)
    for top in range(0, height, step):
        rows = slice(top, min(top + step, height))
        part = slice(0, rows.stop - top)
        np.copyto(rgb[part], pixels[rows])
        cv2.transform(rgb[part], _LUMA, one[part])
        np.copyto(gray[rows], one[part], casting="unsafe")  # cuts off: the half is added already
    return gray


def middle(pixels: U8, side_px: int) -> U8:
    """The middle of an image [H, W, ...], of so many pixels a side where there are as many."""
    y, x = (max(0, (side - side_px) // 2) for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[y : y + side_px, x : x + side_px])


def encode_png(pixels: U8) -> bytes:
    """A PNG file of [H, W, 3] uint8 RGB."""
    done, data = cv2.imencode(".png", pixels[..., ::-1])
    assert done
    return data.tobytes()


def upright(pixels: Levels, orientation: int) -> Levels:
    """The pixels turned as EXIF says; 1 and what is not defined leave them as they are."""
    match orientation:
        case 2:
            turned = pixels[:, ::-1]
        case 3:
            turned = pixels[::-1, ::-1]
        case 4:
            turned = pixels[::-1]
        case 5:
            turned = pixels.transpose(1, 0, 2)
        case 6:
            turned = pixels[::-1].transpose(1, 0, 2)
        case 7:
            turned = pixels[::-1, ::-1].transpose(1, 0, 2)
        case 8:
            turned = pixels[:, ::-1].transpose(1, 0, 2)
        case _:
            return pixels
    return np.ascontiguousarray(turned)  # pyright: ignore[reportReturnType]

"""Pixels turned as EXIF says."""

from typing import TypeVar

import numpy as np

from .pixels import U8, U16

Levels = TypeVar("Levels", U8, U16)


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

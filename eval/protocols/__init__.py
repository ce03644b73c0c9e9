"""The protocols of the papers by file, each with what it measures, what it shows and what it says."""

from typing import Any

from . import (
    cugan_tables,
    far,
    interpolation,
    modulation,
    reconstruction,
    restoration,
    scores,
    segmented,
    steering,
    udem_curves,
)
from .base import Protocol

PROTOCOLS: tuple[Protocol[Any], ...] = (
    restoration.PROTOCOL,
    udem_curves.PROTOCOL,
    scores.PROTOCOL,
    steering.PROTOCOL,
    modulation.PROTOCOL,
    interpolation.PROTOCOL,
    segmented.PROTOCOL,
    cugan_tables.PROTOCOL,
    far.PROTOCOL,
    reconstruction.PROTOCOL,
)

"""The methods of training by file, each with its config, presets, networks and losses."""

from typing import Any

from . import cugan, hr_aware_pretrain, mm_realsr, rwsr_edl, sr
from .base import Method
from .baselines import (
    adafm,
    cfsnet,
    cincgan,
    corruption_classifier,
    cresmd,
    dasr,
    downscaling,
    dynamic_net,
    fasrgan,
    fssr,
)

METHODS: tuple[Method[Any], ...] = (
    mm_realsr.METHOD,
    cugan.METHOD,
    rwsr_edl.METHOD,
    hr_aware_pretrain.METHOD,
    sr.METHOD,
    cresmd.METHOD,
    adafm.METHOD,
    cfsnet.METHOD,
    dynamic_net.METHOD,
    fasrgan.METHOD,
    downscaling.METHOD,
    fssr.METHOD,
    dasr.METHOD,
    cincgan.METHOD,
    corruption_classifier.METHOD,
)

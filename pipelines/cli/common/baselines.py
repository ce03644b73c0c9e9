"""`rwsr train` of the methods that the papers compare with: a command each, all with the options of any training."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import click

from . import options


class _Told(NamedTuple):
    """What `--help` says of a method. about: a paragraph and an example."""

    short: str
    default: str
    presets: str
    about: str


_TWO_STAGES = "Stage 1 on the start level, stage 2 (-tuned) on the end level; in minutes on a CPU (-small)."
_BETWEEN = """The main network is trained on one degradation, by default noise of {start} gray levels; the tuned parts
    alone, from a run of it, on another, noise of 50. Each wants a store of `rwsr degrade build --preset cugan --set
    recipe.fixed_level=[0,{start}]` (and [0,50]). Restoring, --condition says where between the two."""

BASELINES = {
    "cresmd": _Told(
        "CResMD, the baseline of CUGAN's tables",
        "cresmd",
        "By the published training file; its BaseNet, which has no condition; minutes on a CPU.",
        """Train CResMD (He et al. 2020): restoration at scale 1, every residual weighed by how blurred and noisy an
    image is.

    \b
    Example:
      rwsr train cresmd --store pairs.zarr --out run --preset cresmd-small
    """,
    ),
    "adafm": _Told(
        "AdaFM: filters between two levels",
        "adafm",
        _TWO_STAGES,
        f"""Train AdaFM (He et al. 2019): depth-wise filters that lead a network from one level of a degradation to
    another.

    {_BETWEEN.format(start=15)}

    \b
    Example:
      rwsr train adafm --store start.zarr --out run --preset adafm-small
    """,
    ),
    "cfsnet": _Told(
        "CFSNet: a branch between two levels",
        "cfsnet",
        _TWO_STAGES,
        f"""Train CFSNet (Wang et al. 2019): a tuning branch beside the main one, coupled by learned shares of each
    channel.

    {_BETWEEN.format(start=25)}

    \b
    Example:
      rwsr train cfsnet --store start.zarr --out run --preset cfsnet-small
    """,
    ),
    "dynamic-net": _Told(
        "Dynamic-Net: blocks between two levels",
        "dynamic-net",
        _TWO_STAGES,
        f"""Train Dynamic-Net (Shoshan et al. 2019): blocks whose output is added to features, so many times.

    {_BETWEEN.format(start=15)}

    \b
    Example:
      rwsr train dynamic-net --store start.zarr --out run --preset dynamic-net-small
    """,
    ),
    "fasrgan": _Told(
        "FASRGAN: ESRGAN that minds what looks made up",
        "fasrgan",
        "By the published training file, from a run of esrgan-psnr; minutes on a CPU.",
        """Train FASRGAN (Yan et al. 2021): ESRGAN's generator against a discriminator that judges every pixel too, and
    whose doubt is the weight of the pixel's error.

    \b
    Example:
      rwsr train fasrgan --store pairs.zarr --out run --preset fasrgan-small
    """,
    ),
}


def commands(train: Callable[..., None]) -> Iterator[click.Command]:
    """A command of each method. train: what does it, by the options of any training."""
    for name, told in BASELINES.items():
        with_options = options.of_a_training(name, told.default, told.presets)

        def run(**values: Any) -> None:
            train(**values)

        yield click.command(name, short_help=told.short, help=inspect.cleandoc(told.about))(with_options(run))

"""`rwsr train` of the methods that the papers compare with: a command each, all with the options of any training."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import click

from . import options
from .params import LOCAL, PLACE

PHOTOGRAPHS = click.option(
    "--photographs",
    multiple=True,
    type=PLACE,
    help="Folder of photographs of a camera, of which nobody has HR; repeatable.",
)
_DOWNSCALING = click.option(
    "--downscaling", type=LOCAL, default=None, help="The run of `rwsr train downscaling` that made the LR."
)


class _Told(NamedTuple):
    """What `--help` says of a method. about: a paragraph and an example. also: options that others have not."""

    short: str
    default: str
    presets: str
    about: str
    also: tuple[Callable[[Any], Any], ...] = ()


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
    "downscaling": _Told(
        "Learned downscaling: LR as a camera makes it",
        "fssr-downscaling",
        "FSSR's, of a camera's photographs alone; DASR's, of clean images and --photographs; minutes on a CPU.",
        """Train a downscaling: LR that keeps bicubic's low band and has the high band of a camera's photographs (FSSR,
    Fritsche et al. 2019; DASR, Wei et al. 2021).

    `rwsr pairs make` makes LR of HR with it, which `rwsr train fssr` and `rwsr train dasr` learn from.

    \b
    Example:
      rwsr train downscaling --source photographs --out camera --preset fssr-downscaling-small
    """,
        (PHOTOGRAPHS,),
    ),
    "fssr": _Told(
        "FSSR: low band by pixels, high band by a GAN",
        "fssr",
        "By the published training file, from ESRGAN's weights; minutes on a CPU.",
        """Train FSSR (Fritsche et al. 2019) on pairs whose LR a learned downscaling made: ESRGAN whose pixels are
    compared in the low band, and whose discriminator sees the high one.

    \b
    Example:
      rwsr train fssr --store pairs.zarr --out run --preset fssr-small
    """,
    ),
    "dasr": _Told(
        "DASR: pixels by how near LR is to a camera's",
        "dasr",
        "By the published training file for AIM 2019; minutes on a CPU.",
        """Train DASR (Wei et al. 2021) on pairs whose LR a learned downscaling made, and on --photographs of the
    camera: the nearer LR is to those, the more its pixels count.

    \b
    Example:
      rwsr train dasr --store pairs.zarr --photographs photographs --downscaling camera --out run --preset dasr-small
    """,
        (PHOTOGRAPHS, _DOWNSCALING),
    ),
    "corruption-classifier": _Told(
        "SRTTA's: which of blur, noise and JPEG LR carries",
        "corruption-classifier",
        "ResNet-50 by the published script; minutes on a CPU.",
        """Train the classifier of SRTTA (Deng et al. 2023), which says what befell an image, so that `rwsr train
    srtta` knows what to adapt to. It learns from a store of `rwsr degrade build --preset corruptions`.

    \b
    Example:
      rwsr train corruption-classifier --store corrupted.zarr --out classifier --preset corruption-classifier-small
    """,
    ),
    "cincgan": _Told(
        "CinCGAN: a camera's LR cleaned, without pairs",
        "cincgan-inner",
        "The first stage, from an EDSR (`rwsr train sr --set network.arch=edsr`); all, from a run of that; minutes on "
        "a CPU.",
        """Train CinCGAN (Yuan et al. 2018) on clean pairs, and on --photographs of a camera that have no HR: the
    photographs are cleaned, then enlarged, and both can be taken back.

    \b
    Example:
      rwsr train cincgan --store clean.zarr --photographs photographs --start-from edsr --out run \\
        --preset cincgan-inner-small
    """,
        (PHOTOGRAPHS,),
    ),
}


def commands(train: Callable[..., None]) -> Iterator[click.Command]:
    """A command of each method. train: what does it, by the options of any training."""
    for name, told in BASELINES.items():
        with_options = options.of_a_training(name, told.default, told.presets, told.also)

        def run(**values: Any) -> None:
            train(**values)

        yield click.command(name, short_help=told.short, help=inspect.cleandoc(told.about))(with_options(run))

"""Whether FAR tells degraded images from clean ones (HR-aware figure 8)."""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch

from ...degrade.errors import UserError
from ...degrade.images.pixels import U8
from ...degrade.ops.blur import Blur
from ...degrade.ops.codecs import Jpeg
from ...degrade.ops.gaussian import GaussianNoise
from ...degrade.ops.kernels import Kernel
from ...degrade.ops.render import apply
from ...degrade.ops.resize import Resize
from ...degrade.ops.step import Step, field_key
from ..images.sets import Item, opened
from ..images.tensors import to_tensor
from ..metrics.base import Figure
from ..report.examples import Crop
from ..report.page import Part, Picture, Section, Table
from ..report.parts import unique_of
from ..report.plots import histograms_against
from ..report.table import MetricRow
from .base import Counted, Far, Protocol, ProtocolOptions, Setup, Subject, by_member

FAR = "far"
CLEAN = "clean"
_LEAST_PX = 32  # of HR

_log = logging.getLogger("rwsr")


def _steps(pixels: U8, key: str, kind: str) -> tuple[Step, ...]:
    """What a degradation of figure 8 does to an HR photograph; key: of its noise."""
    height, width = pixels.shape[:2]
    blur = Blur(kernel=Kernel(kind="iso", size=21, sigma_x=2, sigma_y=2))
    noise = GaussianNoise(sigma_255=25, gray=False, field=field_key(0, "far", key))
    lower = Resize(height=max(1, height // 4), width=max(1, width // 4), mode="matlab-bicubic")
    again = Resize(height=height, width=width, mode="matlab-bicubic")
    wild = noise.model_copy(update={"sigma_255": 10})
    kinds: dict[str, tuple[Step, ...]] = {
        "blur": (blur,),
        "noise": (noise,),
        "jpeg": (Jpeg(quality=30),),
        "enlarged": (lower, again),
        "wild": (blur, lower, wild, again),
    }
    return kinds[kind]


def degradations() -> dict[str, Callable[[U8, str], U8]]:
    """Those of figure 8 in small, by name: blur of sigma 2, noise of 25 gray levels, JPEG of quality 30; LR enlarged
    again; and blur, LR with noise of 10 and that enlarged, as the wild sets of NTIRE 2018 are."""

    def make(kind: str, pixels: U8, key: str) -> U8:
        return apply(pixels, _steps(pixels, key, kind))

    return {kind: partial(make, kind) for kind in ("blur", "noise", "jpeg", "enlarged", "wild")}


def large_enough(items: Sequence[Item]) -> Iterator[Item]:
    """The images that the networks have features of; the others are named (logger `rwsr`) and left out."""
    for item in items:
        height, width = (item.lr if item.hr is None else item.hr).shape[:2]
        if min(height, width) >= _LEAST_PX:
            yield item
        else:
            _log.warning(
                "left out: too-small: %s is %dx%d px, and %d is the least", item.source, width, height, _LEAST_PX
            )


class FarOptions(ProtocolOptions):
    """Nothing."""


def _far_of(subject: Subject) -> Far:
    if subject.far is None:
        raise UserError(f"{subject.name} has no FAR; name a run of hr-aware-pretrain with it")
    return subject.far


def _measure(setup: Setup, options: FarOptions) -> Counted:
    """FAR of each HR image as it is and under each degradation, by each network."""
    kinds = degradations()
    for subject, far in [(each, _far_of(each)) for each in setup.subjects]:
        version = f"HR-aware figure 8; established encoder: {far.encoder}"
        figure = Figure("far", "lower", "RGB, 0..1", version)
        for count, items in opened(setup.images):
            rows: list[MetricRow] = []
            for item in large_enough(items):
                clean = item.lr if item.hr is None else item.hr
                versions = {CLEAN: clean} | {kind: make(clean, item.source) for kind, make in kinds.items()}
                for kind, pixels in versions.items():
                    with torch.inference_mode():
                        value = far.value_of(to_tensor(pixels)[None].to(setup.device)).item()
                    rows.append(setup.row(FAR, subject, item, figure, value, setting="{}", member=kind))
            yield count, rows


def area_under_curve(clean: Sequence[float], degraded: Sequence[float]) -> float:
    """The chance that a degraded image has the greater value, ties counted half: 1 parts them, 0.5 knows nothing."""
    a, b = np.asarray(clean)[:, None], np.asarray(degraded)[None]
    return float(((b > a) + 0.5 * (b == a)).mean())


def area_of(rows: Sequence[MetricRow], model: str, kind: str) -> float:
    """The area under curve of a degradation, by a model of a report."""
    clean, degraded = (
        [row.value for row in rows if (row.protocol, row.model, row.member) == (FAR, model, member)]
        for member in (CLEAN, kind)
    )
    return area_under_curve(clean, degraded)


def rises(rows: Sequence[MetricRow], model: str, kind: str) -> float:
    """How often an image has a greater FAR when it is degraded than when it is clean, of all images."""
    clean, degraded = (
        {
            (row.data_sha256, row.sample): row.value
            for row in rows
            if (row.protocol, row.model, row.member) == (FAR, model, member)
        }
        for member in (CLEAN, kind)
    )
    return float(np.mean([degraded[image] > value for image, value in clean.items()]))


# ------------------------------------------------------------------------------------------------ what is shown


def _lines(rows: Sequence[MetricRow]) -> list[str]:
    """Whether FAR tells degraded images from clean ones."""
    return [
        f"{model}: {member}: area under curve {area_of(rows, model, member):.3f}, greater than of the same image clean "
        f"in {rises(rows, model, member):.0%}"
        for model, member in dict.fromkeys((row.model, row.member) for row in rows)
        if member != CLEAN
    ]


def _section(rows: list[MetricRow], crops: Sequence[Crop]) -> Section:
    kinds, body = unique_of(row.member for row in rows), list[Part]()
    for model in unique_of(row.model for row in rows):
        values = {kind: [row.value for row in rows if (row.model, row.member) == (model, kind)] for kind in kinds}
        picture = histograms_against(values.pop(CLEAN), values, "FAR")
        body.append(Picture(picture, f"FAR of natural images and of their degraded versions, by {model}."))
        lines = tuple(
            (
                kind,
                f"{area_of(rows, model, kind):.3f}",
                f"{rises(rows, model, kind):.0%}",
            )
            for kind in kinds
            if kind != CLEAN
        )
        body.append(Table(("degradation", "area under curve", "greater than of the same image clean"), lines))
    text = (
        "The area is the chance that a degraded image has the greater FAR of two: 1 parts them, 0.5 knows nothing "
        "(HR-aware figure 8). Degraded are: blur of sigma 2, noise of 25 gray levels, JPEG of quality 30, LR enlarged, "
        "and as wild sets are: blur, LR with noise of 10, enlarged.",
        f"{rows[0].version}.",
    )
    return Section("FAR: natural against degraded", text, body)


PROTOCOL = Protocol(
    FAR,
    "Whether FAR tells degraded images",
    """Measure whether FAR is greater of degraded photographs than of clean ones (HR-aware figure 8).

    \b
    Example:
      rwsr eval far --images photos --reconstruction reconstruction --out far.parquet
    """,
    FarOptions,
    _measure,
    _section,
    on="photographs",
    of="reconstructions",
    passes=lambda _, models: models,
    label=by_member,
    lines=_lines,
)

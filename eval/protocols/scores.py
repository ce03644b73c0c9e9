"""What a UDEM says of photographs: how noisy and how blurred each is (MM-RealSR figure 7)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch

from ...degrade.images.pixels import U8, encode_png
from ..images.sets import Item, opened
from ..images.tensors import to_tensor
from ..metrics.base import Figure
from ..report.examples import Crop
from ..report.page import Part, Picture, Section, Strip, Table
from ..report.parts import unique_of
from ..report.plots import COLOURS, Plot, new_figure, plain, to_plot
from ..report.table import MetricRow
from .base import Counted, Protocol, ProtocolOptions, Setup
from .udem_curves import scored

SCORES = "scores"
NAMES = ("score-blur", "score-noise")
_SHOWN, _SHOWN_PX = 24, 160  # photographs on the page, and their longer side


class ScoresOptions(ProtocolOptions):
    """What scores can be told: nothing."""


def _measure(setup: Setup, options: ScoresOptions) -> Counted:
    figures = [Figure(name, "higher", "LR in 0..1", "MM-RealSR figure 7, of the whole image") for name in NAMES]
    models = [(subject, scored(subject)) for subject in setup.named()]
    for subject, score in models:
        told = replace(subject, setting="{}")
        for count, items in opened(setup.images):
            rows: list[MetricRow] = []
            for item in items:
                with torch.inference_mode():
                    found = score(to_tensor(item.lr)[None].to(setup.device)).double().cpu()[0]
                rows += [
                    setup.row(SCORES, told, item, figure, found[column].item()) for column, figure in enumerate(figures)
                ]
            yield count, rows


def _of_images(rows: Sequence[MetricRow], model: str) -> dict[tuple[str, int, str], dict[str, float]]:
    """Both scores of every image, the most degraded first."""
    found: dict[tuple[str, int, str], dict[str, float]] = {}
    for row in rows:
        if row.model == model:
            found.setdefault(row.image, {})[row.metric] = row.value
    return dict(sorted(found.items(), key=lambda each: -sum(each[1].values())))


# ------------------------------------------------------------------------------------------------ what is shown


def _crops(setup: Setup, rows: Sequence[MetricRow]) -> list[Crop]:
    """The photographs themselves, made small: evenly from the most to the least degraded."""
    model = setup.subjects[-1].name
    images = list(_of_images(rows, model))
    at = sorted({round(i) for i in np.linspace(0, len(images) - 1, min(_SHOWN, len(images)))})
    wanted = {images[i]: i for i in at}
    found: dict[int, Crop] = {}
    for _, items in opened(setup.images):
        for item in items:
            image = (item.source, item.sample, item.member)
            if image in wanted:
                found[wanted[image]] = _small(setup.images.sha256, model, item)
    return [found[i] for i in sorted(found)]


def _small(sha256: str, model: str, item: Item) -> Crop:
    zoom = _SHOWN_PX / max(item.lr.shape[:2])
    size = tuple(max(1, round(side * zoom)) for side in item.lr.shape[1::-1])
    small: U8 = np.asarray(cv2.resize(item.lr, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return Crop(sha256, model, item.source, item.sample, item.member, "LR", 0, 0, encode_png(small))


def _lines(rows: Sequence[MetricRow]) -> list[str]:
    return [
        f"{image[0]}: " + ("" if len(models) == 1 else f"{model}: ") + _said(scores)
        for models in [unique_of(row.model for row in rows)]
        for model in models
        for image, scores in _of_images(rows, model).items()
    ]


def _said(scores: dict[str, float]) -> str:
    return ", ".join(f"{name.removeprefix('score-')} {scores[name]:.2f}" for name in NAMES if name in scores)


def _values(rows: Sequence[MetricRow]) -> dict[str, Any]:
    return {
        "scores": {
            model: {image[0]: dict(scores) for image, scores in _of_images(rows, model).items()}
            for model in unique_of(row.model for row in rows)
        }
    }


def plot(rows: Sequence[MetricRow]) -> Plot:
    """Noise score over blur score, a dot a photograph, a colour a model."""
    figure, (axes,) = new_figure(5.2, 4.4)
    for number, model in enumerate(unique_of(row.model for row in rows)):
        found = _of_images(rows, model).values()
        across, up = ([scores.get(name, np.nan) for scores in found] for name in NAMES)
        axes.plot(across, up, ".", color=COLOURS[(number + 1) % len(COLOURS)], alpha=0.8, label=plain(model))
    axes.set_xlabel("blur score")
    axes.set_ylabel("noise score")
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.legend(frameon=False, fontsize=8)
    return to_plot(figure)


def _section(rows: list[MetricRow], crops: Sequence[Crop]) -> Section:
    body: list[Part] = [Picture(plot(rows), "Every dot is a photograph.")]
    body += list(_strips(rows, crops))
    models = unique_of(row.model for row in rows)
    lines = tuple(
        (model, image[0], *(f"{scores[name]:.3f}" if name in scores else "" for name in NAMES))
        for model in models
        for image, scores in _of_images(rows, model).items()
    )
    body.append(Table(("model", "photograph", "blur score", "noise score"), lines))
    text = (
        "What the UDEM takes each photograph for: 0 is clean, 1 as degraded as what it learned from; the most degraded "
        "first (MM-RealSR figure 7).",
    )
    return Section(f"Scores: {rows[0].data}", text, body)


def _strips(rows: Sequence[MetricRow], crops: Sequence[Crop]) -> Iterator[Strip]:
    for model in unique_of(crop.judged for crop in crops):
        scores = _of_images(rows, model)
        named = [
            (crop.png, f"{crop.source}: {_said(scores.get((crop.source, crop.sample, crop.member), {}))}")
            for crop in crops
            if crop.judged == model
        ]
        for start in range(0, len(named), 6):
            part = tuple(named[start : start + 6])
            yield Strip(part, f"{model}: photographs {start + 1} to {start + len(part)} of those shown.")


PROTOCOL = Protocol(
    SCORES,
    "A UDEM's scores of photographs",
    """Score photographs by the UDEM of runs: how blurred and how noisy it takes each for, without restoring any
    (MM-RealSR figure 7).

    \b
    Example:
      rwsr eval scores --images photos --model run --out metrics.parquet
    """,
    ScoresOptions,
    _measure,
    _section,
    on="photographs",
    passes=lambda _, models: models,
    lines=_lines,
    values=_values,
    crops=_crops,
)

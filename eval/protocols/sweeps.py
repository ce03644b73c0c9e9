"""Protocols that restore each image many times: under a grid of scores, along an interpolation, by several models.

MM-RealSR table 1 gives CUGAN the best of 121 outputs by LPIPS against HR (an oracle that no user has), table 2 the
best of four models each trained on a quarter of the range. Both are readings of the rows that `restoration` writes.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from ...degrade.errors import UserError
from ..images.sets import ImageSet
from ..metrics.by_name import Metric
from ..report.table import Image, MetricRow, mean_of, setting_of
from .restoration import Method, evaluate

MODULATION, INTERPOLATION, SEGMENTED = "modulation", "interpolation", "segmented"
GRID = 11  # a side of the grid of scores: 121 outputs of each image

Modulated = Callable[[Tensor, float, float], Tensor]  # LR, blur score, noise score -> SR


def modulation(
    images: ImageSet,
    restore: Modulated,
    name: str,
    checkpoint: str,
    metrics: Sequence[Metric],
    device: torch.device,
    *,
    grid: int = GRID,
) -> Iterator[tuple[int, list[MetricRow]]]:
    """Restore each image under every pair of scores of a grid over [0, 1]^2; (images done, rows) as they come."""
    scores = [round(float(score), 4) for score in np.linspace(0, 1, grid)]
    methods = [
        Method(
            name, lambda lr, b=blur, n=noise: restore(lr, b, n), checkpoint, setting_of({"blur": blur, "noise": noise})
        )
        for blur in scores
        for noise in scores
    ]
    return evaluate(images, methods, metrics, device, protocol=MODULATION)


def interpolation(
    images: ImageSet,
    model_at: Callable[[float], "Between"],
    name: str,
    checkpoint: str,
    metrics: Sequence[Metric],
    device: torch.device,
    *,
    steps: int = 11,
    conditioned: bool = False,
) -> Iterator[tuple[int, list[MetricRow]]]:
    """Restore each image by models along alpha in [0, 1] (deep network interpolation, Wang et al. 2019).

    conditioned: the models are told the condition of each image.
    """
    alphas = [round(float(alpha), 4) for alpha in np.linspace(0, 1, steps)]
    models = [model_at(alpha) for alpha in alphas]
    methods = [
        Method(name, model, checkpoint, setting_of({"alpha": alpha}), model if conditioned else None)
        for alpha, model in zip(alphas, models, strict=True)
    ]
    return evaluate(images, methods, metrics, device, protocol=INTERPOLATION)


def interpolated(a: Mapping[str, Tensor], b: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """(1 - alpha) of the weights a and alpha of the weights b.

    Raises:
        UserError: they are not of one network.
    """
    if {name: value.shape for name, value in a.items()} != {name: value.shape for name, value in b.items()}:
        raise UserError(
            "the two checkpoints are not of one network; interpolate models that were trained from one another"
        )
    return {
        name: (1 - alpha) * value + alpha * b[name] if value.is_floating_point() else value for name, value in a.items()
    }


@dataclass
class Between:
    """A network between two of one kind: `net` gets its weights when it is called, so that one serves all alphas."""

    net: nn.Module
    a: Mapping[str, Tensor]
    b: Mapping[str, Tensor]
    alpha: float

    def __call__(self, lr: Tensor, *condition: Tensor) -> Tensor:
        self.net.load_state_dict(interpolated(self.a, self.b, self.alpha))
        return self.net(lr, *condition)


def between(net: nn.Module, other: nn.Module) -> Callable[[float], Between]:
    """The networks between two, by alpha: 0 is the first. The first one's weights are changed as they are asked for.

    Raises:
        UserError: they are not of one kind.
    """
    a = {name: value.clone() for name, value in net.state_dict().items()}
    b = other.state_dict()
    interpolated(a, b, 0.5)  # says at once where they do not fit
    return lambda alpha: Between(net, a, b, alpha)


def segmented(
    images: ImageSet, methods: Sequence[Method], metrics: Sequence[Metric], device: torch.device
) -> Iterator[tuple[int, list[MetricRow]]]:
    """Restore each image by each of the models that share the range of degradations among them."""
    return evaluate(images, methods, metrics, device, protocol=SEGMENTED)


def best_of(rows: Sequence[MetricRow], metric: str, *, name: str) -> list[MetricRow]:
    """The rows of each image's best restoration by one metric, of all methods and settings, as one method `name`.

    The choice looks at HR: an upper bound, not a method.

    Raises:
        UserError: no row has the metric.
    """
    judged = [row for row in rows if row.metric == metric]
    if not judged:
        raise UserError(f"there is no {metric} to choose by; measure it")
    sign = 1 if judged[0].better == "higher" else -1
    best: dict[Image, MetricRow] = {}
    for row in judged:
        if math.isfinite(row.value) and (row.image not in best or sign * row.value > sign * best[row.image].value):
            best[row.image] = row
    for row in judged:
        best.setdefault(row.image, row)  # none has a value: the first stands for all
    chosen = {(image, row.model, row.setting) for image, row in best.items()}
    return [
        replace(row, model=name, checkpoint="", setting=setting_of({"best by": metric}))
        for row in rows
        if (row.image, row.model, row.setting) in chosen
    ]


@dataclass(frozen=True)
class Found:
    """What an image was degraded by, and the pair of a grid that restored it best: blur and noise, in 0..1."""

    true: tuple[float, float]
    best: tuple[float, float]


def best_and_true(rows: Sequence[MetricRow], model: str, metric: str) -> list[Found]:
    """Of every image of a modulation whose own condition the model was told besides: CUGAN's pairs, which have a z."""
    true: dict[Image, tuple[float, float]] = {}
    best: dict[Image, tuple[float, tuple[float, float]]] = {}
    for row in rows:
        if (row.protocol, row.model, row.metric) != (MODULATION, model, metric):
            continue
        setting = json.loads(row.setting)
        if "z" in setting:
            true[row.image] = setting["z"][0], setting["z"][1]
        elif "blur" in setting:
            value = row.value if row.better == "higher" else -row.value
            if not math.isnan(value) and (row.image not in best or value > best[row.image][0]):
                best[row.image] = value, (setting["blur"], setting["noise"])
    return [Found(true[image], best[image][1]) for image in best if image in true]


def mean_distances(found: Sequence[Found]) -> tuple[float, float]:
    """How far the best pair is from the true one on average: blur, noise."""
    apart = np.abs([np.subtract(each.best, each.true) for each in found]).mean(axis=0)
    return float(apart[0]), float(apart[1])


@dataclass(frozen=True)
class Sweep:
    """The mean of a metric at each setting, in order of the rows; axes are the names of what was set."""

    metric: str
    axes: tuple[str, ...]
    settings: tuple[tuple[float, ...], ...]
    means: tuple[float, ...]


def sweep_of(rows: Sequence[MetricRow], protocol: str, metric: str) -> Sweep | None:
    """The sweep in a report; None where there is none."""
    values: dict[str, list[float]] = {}
    for row in rows:
        if (row.protocol, row.metric) == (protocol, metric) and "best by" not in row.setting:
            values.setdefault(row.setting, []).append(row.value)
    if not values:
        return None
    parsed = [json.loads(setting) for setting in values]
    axes = tuple(parsed[0])
    settings = tuple(tuple(float(each[axis]) for axis in axes) for each in parsed)
    return Sweep(metric, axes, settings, tuple(mean_of(found) for found in values.values()))

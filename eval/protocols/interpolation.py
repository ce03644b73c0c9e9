"""The networks between two of one kind, their weights mixed (deep network interpolation, Wang et al. 2019)."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from ...degrade.errors import UserError
from ..report.examples import Crop
from ..report.page import Part, Picture, Section, Table
from ..report.parts import conditions_table, figure_of, unique_of
from ..report.plots import lines
from ..report.sweeps import largest_step, spearman, sweep_of
from ..report.table import MetricRow, setting_of
from .base import Counted, Metrics, Protocol, ProtocolOptions, Setup, Subject
from .restoration import evaluate

INTERPOLATION = "interpolation"


class InterpolationOptions(ProtocolOptions):
    """What interpolation can be told."""

    metrics: Metrics = ()
    steps: Annotated[int, Field(ge=2, le=101)] = 11
    """Networks from the first to the second model, both included."""


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


def _measure(setup: Setup, options: InterpolationOptions) -> Counted:
    """Restore each image by the networks along alpha in [0, 1]."""
    if len(setup.subjects) != 2:
        raise UserError("name two --model: the networks between them are measured")
    setup.of_scale()
    first, second = setup.subjects
    if first.weights is None or second.weights is None:
        raise UserError(f"{first.name} and {second.name} are not both networks whose weights can be mixed")
    model_at = between(first.weights, second.weights)
    metrics = setup.metrics_with_hr(options.metrics)
    name, checkpoint = f"{first.name} to {second.name}", f"{first.checkpoint[:16]} {second.checkpoint[:16]}"
    alphas = [round(float(alpha), 4) for alpha in np.linspace(0, 1, options.steps)]
    told = [
        Subject(name, model, checkpoint, setting_of({"alpha": alpha}), model if first.conditioned else None)
        for alpha, model in ((alpha, model_at(alpha)) for alpha in alphas)
    ]
    yield from evaluate(replace(setup, subjects=told), metrics, protocol=INTERPOLATION)


# ------------------------------------------------------------------------------------------------ what is shown


def _label(row: MetricRow) -> str | None:
    return f"{row.model}, alpha {json.loads(row.setting)['alpha']:g}"


def _lines(rows: Sequence[MetricRow]) -> list[str]:
    """How the metrics run along alpha."""
    found: list[str] = []
    for metric in dict.fromkeys(row.metric for row in rows):
        sweep = sweep_of(rows, INTERPOLATION, metric)
        if sweep is not None:
            found.append(
                f"{metric} along alpha: Spearman {spearman(sweep.means):.3f}, largest step "
                f"{largest_step(sweep.means):.3f} of all"
            )
    return found


def _section(rows: list[MetricRow], crops: Sequence[Crop]) -> Section:
    body: list[Part] = []
    for model in unique_of(row.model for row in rows):
        of_model = [row for row in rows if row.model == model]
        found = {
            metric: sweep
            for metric in unique_of(row.metric for row in of_model)
            if (sweep := sweep_of(of_model, INTERPOLATION, metric)) is not None
        }
        settings = next(iter(found.values())).settings
        text_of = tuple(
            (f"{setting[0]:g}", *(figure_of(metric, sweep.means[i]) for metric, sweep in found.items()))
            for i, setting in enumerate(settings)
        )
        body.append(
            Picture(
                lines({metric: {model: sweep} for metric, sweep in found.items()}, "alpha"),
                f"{model}: alpha 0 is the first, 1 the second.",
            )
        )
        body.append(Table(("alpha", *found), text_of))
        trends = tuple(
            (metric, f"{spearman(sweep.means):.3f}", f"{largest_step(sweep.means):.3f}")
            for metric, sweep in found.items()
        )
        body.append(Table(("along alpha", "Spearman", "largest step"), trends))
    text = (
        "The networks between two, their weights mixed. A Spearman correlation of 1 or -1 means that a metric always "
        "rises or always falls; the largest step is the share of the whole change that one step of alpha makes.",
    )
    return Section(f"Interpolation: {rows[0].data}", text, (*body, conditions_table(rows)))


PROTOCOL = Protocol(
    INTERPOLATION,
    "The networks between two",
    """Measure the networks between two models of one network, their weights mixed.

    \b
    Example:
      rwsr eval interpolation --model general-wdn.param --model general.param --hr Set5 --out metrics.parquet
    """,
    InterpolationOptions,
    _measure,
    _section,
    label=_label,
    lines=_lines,
)

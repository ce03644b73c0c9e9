"""The measurement of an ablation's trainings, and its page: the table with spread, the curves, the crops."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq

from ..degrade.disk import write_atomic
from ..degrade.places import Place
from ..eval import ablations, plots, report
from ..eval.ablations import Ablation
from ..eval.page import Part, Picture, Section, Table, page
from ..eval.published import EDL_ABLATIONS
from .ablation import SCALE, TOOK_NOTHING, Plan, took_nothing
from .evaluating import image_set, restoration
from .pages import sections_of

_METRICS = ("psnr-y", "ssim-y", "lpips-squeeze")


def measure(plan: Plan, hr: Place, lr: Place) -> dict[str, Ablation]:
    """Restore the held-out images by every training; what each metric says of the variants, by metric."""
    runs = {variant.name: [variant.run(seed) for seed in plan.all_seeds] for variant in plan.variants}
    models = {run: plan.out / "runs" / run for names in runs.values() for run in names}
    found = restoration(image_set(None, hr, lr, SCALE), models, _METRICS, None, plan.out / "metrics.parquet")
    measured = [metric for metric in _METRICS if metric not in found.skipped]
    return {metric: ablations.ablation(found.rows, runs, metric) for metric in measured}


def _said(metric: str, value: float) -> str:
    return f"{value:.3f}" if metric.startswith("psnr") else f"{value:.4f}"


def _mean(found: Ablation, variant: str) -> str:
    mean = _said(found.metric, found.mean(variant))
    return mean if _alone(found) else f"{mean} ± {_said(found.metric, found.spread(variant))}"


def _alone(found: Ablation) -> bool:
    """Whether there is one training of each variant, and so no spread."""
    return all(len(runs) == 1 for runs in found.runs.values())


def lines(plan: Plan, found: Mapping[str, Ablation]) -> list[str]:
    """The table, a line a variant, and of each metric whether the paper's order is there."""
    rows = [
        f"{variant.name}: " + ", ".join(f"{metric} {_mean(each, variant.name)}" for metric, each in found.items())
        for variant in plan.variants
    ]
    return [*rows, *(_order(plan.table, each) for each in found.values())]


def _order(table: str, found: Ablation) -> str:
    """Whether a metric puts the variants in the paper's order, where the paper has such a metric."""
    column = ("psnr", "ssim", "lpips").index(found.metric.partition("-")[0])
    paper = {name: value for name, values in EDL_ABLATIONS[table].items() if (value := values[column]) is not None}
    together = [f"{a} and {b}" for a, b in pairwise(found.order) if not found.holds(a, b)]
    if _alone(found):
        sure = "one training of each tells no order"
    else:
        sure = f"within the standard error: {'; '.join(together)}" if together else "each beyond the standard error"
    ours = f"{found.metric}, best first: {', '.join(found.order)} ({sure})"
    if not paper:
        return f"{ours}; the paper has no such figure"
    expected = tuple(sorted(paper, key=paper.__getitem__, reverse=found.better == "higher"))
    return f"{ours}, as in the paper" if found.order == expected else f"{ours}; in the paper: {', '.join(expected)}"


def _table(plan: Plan, found: Mapping[str, Ablation]) -> Table:
    rows = tuple(
        (
            variant.name,
            *(_mean(each, variant.name) for each in found.values()),
            *("" if value is None else f"{value:g}" for value in EDL_ABLATIONS[plan.table][variant.name]),
        )
        for variant in plan.variants
    )
    return Table(("variant", *found, "the paper's PSNR", "its SSIM", "its LPIPS"), rows)


def write(plan: Plan, found: Mapping[str, Ablation]) -> Path:
    """The page of an ablation."""
    rows = report.read(plan.out / "metrics.parquet")
    logs = {
        variant.name: [
            pq.read_table(plan.out / "runs" / variant.run(seed) / "train.parquet") for seed in plan.all_seeds
        ]
        for variant in plan.variants
    }
    curves = plots.validation_curves(logs)
    body: list[Part] = [_table(plan, found)]
    body += [
        Picture(plots.spread(each), f"{metric}: a dot is a training, the bar a mean.") for metric, each in found.items()
    ]
    if curves is not None:
        body.append(Picture(curves, "Measured while training; thin lines are the runs, thick ones their means."))
    text = (
        f"Variants: {len(plan.variants)}; trainings of each: {plan.seeds}, measured on {rows[0].data}; ± is their "
        "standard deviation. The paper's figures are of other data, networks and lengths: only the order can be "
        "compared.",
        *([f"Note: {TOOK_NOTHING}."] if took_nothing(plan) else []),
        *(_order(plan.table, each) for each in found.values()),
    )
    title = f"RWSR-EDL table {plan.table}"
    sections = [Section(title, text, body), *sections_of(plan.out / "metrics.parquet")]
    write_atomic(plan.out / "report.html", page(title, str(plan.out), sections))
    return plan.out / "report.html"

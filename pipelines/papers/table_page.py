"""The measurement of an ablation's trainings, and its page: the table with spread, the curves, the crops."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ...degrade.storage.local import write_atomic
from ...eval.images.restoring import pick_device
from ...eval.images.sets import ImageSet
from ...eval.measure import measure as measured_by
from ...eval.metrics import lpips_here
from ...eval.pages import sections_of
from ...eval.protocols import restoration
from ...eval.report import ablation, plots, table
from ...eval.report.ablation import Ablation
from ...eval.report.page import Part, Picture, Section, Table, page
from ...train.runs.checkpoint import read_log
from ..evaluate import open_subjects

Paper = Mapping[str, tuple[float | None, ...]]  # PSNR, SSIM, LPIPS of each variant


@dataclass(frozen=True)
class Sheet:
    """A table to measure and draw. runs: of each variant its models by name, with their files. logs: of each variant
    the folders of its trainings. paper, paper_data: what the paper has, and of which set. notes,
    tables: what else there is to say.
    """

    title: str
    runs: Mapping[str, Mapping[str, Path]]
    logs: Mapping[str, Sequence[Path]]
    paper: Paper
    paper_data: str
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()

    @property
    def trainings(self) -> int:
        """Of each variant that is trained."""
        return max(len(each) for each in self.runs.values())


def metrics_of(told: Sequence[str]) -> tuple[str, ...]:
    """What an ablation measures: what it is told, or PSNR, SSIM and LPIPS, by AlexNet where its files are."""
    return tuple(told) or ("psnr-y", "ssim-y", lpips_here())


def measure(sheet: Sheet, images: ImageSet, out: Path, metrics: Sequence[str]) -> dict[str, Ablation]:
    """Restore the held-out images by every model, into the report `out`; what each metric says of the variants."""
    models = {name: path for each in sheet.runs.values() for name, path in each.items()}
    subjects = open_subjects(models, pick_device())
    options = restoration.RestorationOptions(metrics=tuple(metrics))
    found = measured_by(restoration.PROTOCOL, images, subjects, options, out)
    measured = [metric for metric in metrics if metric not in found.skipped]
    names = {variant: list(each) for variant, each in sheet.runs.items()}
    return {metric: ablation.ablation(found.rows, names, metric) for metric in measured}


def _said(metric: str, value: float) -> str:
    return f"{value:.3f}" if metric.startswith("psnr") else f"{value:.4f}"


def _mean(found: Ablation, variant: str) -> str:
    mean = _said(found.metric, found.mean(variant))
    return mean if len(found.runs[variant]) == 1 else f"{mean} ± {_said(found.metric, found.spread(variant))}"


def _alone(found: Ablation) -> bool:
    """Whether there is one training of each variant, and so no spread."""
    return all(len(runs) == 1 for runs in found.runs.values())


def lines(sheet: Sheet, found: Mapping[str, Ablation]) -> list[str]:
    """The table, a line a variant, and of each metric whether the paper's order is there."""
    rows = [
        f"{variant}: " + ", ".join(f"{metric} {_mean(each, variant)}" for metric, each in found.items())
        for variant in sheet.runs
    ]
    return [*rows, *(_order(sheet, each) for each in found.values())]


_COLUMNS = ("psnr", "ssim", "lpips")


def _order(sheet: Sheet, found: Ablation) -> str:
    """Whether a metric puts the variants in the paper's order, where the paper has such a metric of all of them."""
    family = found.metric.partition("-")[0]
    column = _COLUMNS.index(family) if family in _COLUMNS else None
    measured = {name: each for name, each in sheet.paper.items() if name in found.order}
    values = {} if column is None else {name: each[column] for name, each in measured.items()}
    paper = {name: value for name, value in values.items() if value is not None}
    together = [f"{a} and {b}" for a, b in pairwise(found.order) if not found.holds(a, b)]
    if _alone(found):
        sure = "one training of each tells no order"
    else:
        sure = f"within the standard error: {'; '.join(together)}" if together else "each beyond the standard error"
    ours = f"{found.metric}, best first: {', '.join(found.order)} ({sure})"
    if not paper:
        return f"{ours}; the paper has no such figure"
    expected = tuple(sorted(paper, key=paper.__getitem__, reverse=found.better == "higher"))
    known = tuple(name for name in found.order if name in paper)
    on = f"on {sheet.paper_data}"
    return f"{ours}, as in the paper {on}" if known == expected else f"{ours}; in the paper {on}: {', '.join(expected)}"


def _table(sheet: Sheet, found: Mapping[str, Ablation]) -> Table:
    rows = tuple(
        (
            variant,
            *(_mean(each, variant) for each in found.values()),
            *("" if value is None else f"{value:g}" for value in sheet.paper.get(variant, (None, None, None))),
        )
        for variant in sheet.runs
    )
    return Table(("variant", *found, "the paper's PSNR", "its SSIM", "its LPIPS"), rows)


def _section(sheet: Sheet, found: Mapping[str, Ablation], data: str) -> Section:
    curves = plots.validation_curves({variant: [read_log(run) for run in runs] for variant, runs in sheet.logs.items()})
    body: list[Part] = [_table(sheet, found)]
    body += [
        Picture(plots.spread(each), f"{metric}: a dot is a training, the bar a mean.") for metric, each in found.items()
    ]
    if curves is not None:
        body.append(Picture(curves, "Measured while training; thin lines are the runs, thick ones their means."))
    body += sheet.tables
    text = (
        f"Variants: {len(sheet.runs)}; trainings of each: {sheet.trainings}, measured on {data}; ± is their standard "
        f"deviation. The paper's figures are of {sheet.paper_data}, other networks and lengths: only the order can be "
        "compared.",
        *(f"Note: {each}." for each in sheet.notes),
        *(_order(sheet, each) for each in found.values()),
    )
    return Section(sheet.title, text, body)


def write(title: str, out: Path, sheets: Sequence[tuple[Sheet, Mapping[str, Ablation]]]) -> Path:
    """The page `out`/report.html of what was measured into `out`/metrics.parquet."""
    metrics = out / "metrics.parquet"
    data = table.read(metrics)[0].data
    sections = [_section(sheet, found, data) for sheet, found in sheets]
    write_atomic(out / "report.html", page(title, str(out), [*sections, *sections_of(metrics)]))
    return out / "report.html"


@dataclass(frozen=True)
class Finished:
    """What an ablation tells: its page, its lines, and of each metric the figures of each variant's trainings."""

    page: Path
    lines: list[str]
    runs: dict[str, dict[str, list[float]]]


def finished(out: Path, images: ImageSet, title: str, sheets: Sequence[Sheet], metrics: Sequence[str]) -> Finished:
    """Measure the trainings of tables into out/metrics.parquet, and draw out/report.html."""
    measured = [(sheet, measure(sheet, images, out / "metrics.parquet", metrics)) for sheet in sheets]
    told: list[str] = []
    runs: dict[str, dict[str, list[float]]] = {}
    for sheet, found in measured:
        told += [*([f"{sheet.title}:"] if len(sheets) > 1 else []), *lines(sheet, found)]
        for metric, each in found.items():
            prefix = f"{sheet.title}, " if len(sheets) > 1 else ""
            runs.setdefault(metric, {}).update({f"{prefix}{name}": list(values) for name, values in each.runs.items()})
    at = write(title, out, measured)
    return Finished(at, [*told, f"wrote {at}"], runs)

"""What a report's page shows of each protocol."""

from collections.abc import Mapping, Sequence

import numpy as np

from ..metrics.by_name import better_of
from ..protocols import cugan_tables, steering, sweeps, udem_curves
from ..protocols import hr_aware_probes as probes
from ..protocols.published_figures import CUGAN_ERRATA, beside
from ..protocols.trends import largest_step, spearman
from . import plots
from . import table as report
from .examples import Crop
from .page import Caution, Part, Picture, Section, Table
from .parts import beside_papers, conditions_table, crop_strips, figure_of, means_table, unique_of, unit_of, worst_table
from .table import MetricRow


def restoration_section(rows: list[MetricRow], crops: Sequence[Crop]) -> Section:
    first, metric = rows[0], rows[0].metric
    model = [row.model for row in rows if row.metric == metric][-1]
    images = len({row.image for row in rows})
    body: list[Part] = [means_table(rows)]
    if len({row.member for row in rows}) > 1:
        body += [
            Picture(plots.metric_bars(report.shared(rows), each, unit_of(each)), f"Mean {each} of each member.")
            for each in unique_of(row.metric for row in rows)[:2]
        ]
    if any(np.isfinite(row.value) for row in rows if row.metric == metric):
        body.append(Picture(plots.each_image(rows, metric), f"{metric} of each image; every dot is one."))
        body.append(worst_table(rows, metric, model))
    body += [*crop_strips(crops, rows, metric), conditions_table(rows), *beside_papers(rows)]
    for name, (without, exact) in report.not_finite(rows).items():
        if without:
            body.append(Caution(f"{name} has no value for {without} of them: its means are over the others."))
        if exact:
            body.append(Caution(f"{name} is infinite for {exact} of them: its means are over the others."))
    text = (
        f"Means over {images} images of {first.data} (SHA-256 {first.data_sha256[:12]}), then each image, and crops of "
        "the worst ones and of a middling one; hold the pointer over a crop to enlarge all beside it."
    )
    return Section(f"Restoration: {first.data}", (text,), body)


def _udem_section(rows: list[MetricRow]) -> Section:
    models = unique_of(row.model for row in rows)
    found = {model: udem_curves.curves_of(rows, model) for model in models}
    table = Table(
        ("model", "rising", "score", "Spearman", "dynamic range"),
        tuple(
            (model, each.degradation, each.score, f"{each.spearman:.3f}", f"{each.dynamic_range:.3f}")
            for model, all_curves in found.items()
            for each in all_curves
        ),
    )
    text = (
        "One degradation at a time on clean photographs (MM-RealSR figure 6). A Spearman correlation of 1 means that "
        "every stronger level got a higher score; the dynamic range is how far apart the scores are.",
    )
    pictures = Picture(plots.score_curves(found), "The mean score over all photographs at each level.")
    return Section(f"UDEM: {rows[0].data}", text, (pictures, table))


def _steering_section(rows: list[MetricRow]) -> Section:
    models = unique_of(row.model for row in rows)
    found = {model: steering.steering_of(rows, model) for model in models}
    table = Table(
        ("model", "told", "figure", "under 0", "under 1", "Spearman", "largest step"),
        tuple(
            (
                model,
                f"{each.told} score",
                steering.METRICS[each.told],
                f"{each.values[0]:.3f}",
                f"{each.values[-1]:.3f}",
                f"{each.spearman:.3f}",
                f"{each.largest_step:.3f}",
            )
            for model, every in found.items()
            for each in every
        ),
    )
    text = (
        "Photographs with noise, restored under a rising noise score: what the noise changes in SR is what is left of "
        "it. Photographs with blur, restored under a rising blur score: how far neighbouring pixels are apart. A "
        "Spearman correlation of 1 means that more of the score always mends more; the largest step is the share of "
        "the whole change that one step of the score makes.",
    )
    pictures = Picture(plots.steering_curves(found), "The mean over all photographs under each score.")
    return Section(f"Steering: {rows[0].data}", text, (pictures, table))


def _modulation_section(rows: list[MetricRow]) -> Section:
    grid = [row for row in rows if '"blur"' in row.setting]
    whole = [row for row in rows if '"blur"' not in row.setting]
    maps: list[Part] = []
    for model in unique_of(row.model for row in grid):
        for metric in unique_of(row.metric for row in grid):
            of_model = [row for row in grid if row.model == model]
            sweep = sweeps.sweep_of(of_model, sweeps.MODULATION, metric)
            if sweep is not None:
                text = f"{model}: mean {metric}; the star is the best pair."
                maps.append(Picture(plots.heat_map(sweep, better_of(metric)), text))
            found = sweeps.best_and_true(rows, model, metric)
            if found:
                maps.append(Picture(plots.best_against_true(found), _nearness(model, metric, found)))
    text = (
        "Every image under every pair of scores. The best of each image is chosen by its figures: what the model "
        "could do if it were always told right, and no method that anybody could use (MM-RealSR table 1).",
    )
    return Section(f"Modulation: {rows[0].data}", text, (means_table(whole), *maps, conditions_table(rows)))


def _nearness(model: str, metric: str, found: Sequence[sweeps.Found]) -> str:
    blur, noise = sweeps.mean_distances(found)
    return (
        f"{model}: the pair that is best by {metric} over the true one; {blur:.3f} of blur and {noise:.3f} of noise "
        "apart on average."
    )


def _interpolation_section(rows: list[MetricRow]) -> Section:
    body: list[Part] = []
    for model in unique_of(row.model for row in rows):
        of_model = [row for row in rows if row.model == model]
        found = {
            metric: sweep
            for metric in unique_of(row.metric for row in of_model)
            if (sweep := sweeps.sweep_of(of_model, sweeps.INTERPOLATION, metric)) is not None
        }
        settings = next(iter(found.values())).settings
        lines = tuple(
            (f"{setting[0]:g}", *(figure_of(metric, sweep.means[i]) for metric, sweep in found.items()))
            for i, setting in enumerate(settings)
        )
        body.append(
            Picture(
                plots.lines({metric: {model: sweep} for metric, sweep in found.items()}, "alpha"),
                f"{model}: alpha 0 is the first, 1 the second.",
            )
        )
        body.append(Table(("alpha", *found), lines))
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


def _segmented_section(rows: list[MetricRow]) -> Section:
    text = (
        "Each image by each model, and the best of them, chosen by its figures (MM-RealSR table 2): an upper bound.",
    )
    body = (means_table(rows), conditions_table(rows), *beside_papers(rows))
    return Section(f"Segmented models: {rows[0].data}", text, body)


def _by_setting(title: str, metric: str, members: Sequence[str], means: Mapping[str, Mapping[str, float]]) -> Table:
    """A row a name, a column a setting."""
    lines = (
        (name, *(figure_of(metric, values[member]) if member in values else "" for member in members))
        for name, values in means.items()
    )
    return Table((title, *members), tuple(lines))


def _cugan_section(rows: list[MetricRow]) -> Section:
    members = unique_of(row.member for row in rows)
    body: list[Part] = []
    errata: list[str] = []
    apart = ""
    for metric in unique_of(row.metric for row in rows):
        means: dict[str, dict[str, list[float]]] = {}
        for row in rows:
            if row.metric == metric:
                means.setdefault(row.model, {}).setdefault(row.member, []).append(row.value)
        for each in beside(rows[0].data, [metric], cugan_tables.PROTOCOL):
            means.setdefault(f"{each.method} (the paper's)", {}).setdefault(each.member, []).append(each.value)
            errata += [text for text in CUGAN_ERRATA.get(metric, ()) if text not in errata]
        table = {name: {member: report.mean_of(v) for member, v in by.items()} for name, by in means.items()}
        body.append(_by_setting(metric, metric, members, table))
        distances = cugan_tables.modulation_distances(rows, metric)
        if distances:
            body.append(_by_setting(f"distance in {metric}", metric, members, distances))
            apart = (
                "A distance is how much better the best of the models is that were told nothing, each trained on one "
                "degradation (the paper's Unet and UGAN); negative where the model that is told is better."
            )
    text = [
        "Images blurred by r (sigma in pixels) and given noise of sigma (of 255), restored at the same size. The crop, "
        "the colours and LPIPS's range are those of the published code.",
        *([apart] if apart else []),
    ]
    if errata:
        text.append("Where the paper contradicts itself or its code, its rows are set right: " + " ".join(errata))
    return Section(f"CUGAN's settings: {rows[0].data}", tuple(text), (*body, conditions_table(rows)))


def _far_section(rows: list[MetricRow]) -> Section:
    kinds, body = unique_of(row.member for row in rows), list[Part]()
    for model in unique_of(row.model for row in rows):
        values = {kind: [row.value for row in rows if (row.model, row.member) == (model, kind)] for kind in kinds}
        picture = plots.histograms_against(values.pop(probes.CLEAN), values, "FAR")
        body.append(Picture(picture, f"FAR of natural images and of their degraded versions, by {model}."))
        lines = tuple(
            (
                kind,
                f"{probes.area_of(rows, model, kind):.3f}",
                f"{probes.rises(rows, model, kind):.0%}",
            )
            for kind in kinds
            if kind != probes.CLEAN
        )
        body.append(Table(("degradation", "area under curve", "greater than of the same image clean"), lines))
    text = (
        "The area is the chance that a degraded image has the greater FAR of two: 1 parts them, 0.5 knows nothing "
        "(HR-aware figure 8). Degraded are: blur of sigma 2, noise of 25 gray levels, JPEG of quality 30, LR enlarged, "
        "and as wild sets are: blur, LR with noise of 10, enlarged.",
        f"{rows[0].version}.",
    )
    return Section("FAR: natural against degraded", text, body)


def _reconstruction_section(rows: list[MetricRow]) -> Section:
    found = {metric: probes.reconstructions(rows, metric) for metric in unique_of(row.metric for row in rows)}
    picture = Picture(plots.lines(found, "i: 0 is HR, 1 is LR enlarged"), "How well LR is reconstructed from Y_i.")
    which = {(row.model, row.metric): row.version for row in rows}
    lines = tuple(
        (
            model,
            metric,
            f"{spearman(sweep.means):.3f}",
            f"{sweep.means[0]:.4g}",
            f"{sweep.means[-1]:.4g}",
            which[model, metric],
        )
        for metric, by_model in found.items()
        for model, sweep in by_model.items()
    )
    text = (
        "Y_i is i times LR enlarged and 1 - i times HR (HR-aware equation 12, figure 7). Where the reconstruction gets "
        "better with i, it rewards a model for degraded SR; a controller around HQI, as while fine-tuning, should stop "
        "that.",
    )
    table = Table(("network", "metric", "Spearman along i", "of HR", "of LR enlarged", "which"), lines)
    return Section("LR reconstruction", text, (picture, table))


SECTIONS = {
    udem_curves.PROTOCOL: _udem_section,
    steering.PROTOCOL: _steering_section,
    sweeps.MODULATION: _modulation_section,
    sweeps.INTERPOLATION: _interpolation_section,
    sweeps.SEGMENTED: _segmented_section,
    cugan_tables.PROTOCOL: _cugan_section,
    probes.FAR: _far_section,
    probes.RECONSTRUCTION: _reconstruction_section,
}

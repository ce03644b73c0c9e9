"""The page of metric reports: tables of means, the images behind them, crops to look at, the papers' curves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from ...degrade.errors import UserError
from ...degrade.storage import location
from ...degrade.storage.location import Place
from ..metrics.by_name import better_of
from ..protocols import cugan_tables, steering, sweeps, udem_curves
from ..protocols import hr_aware_probes as probes
from ..protocols.published_figures import CUGAN_ERRATA, Published, beside
from ..protocols.restoration import PROTOCOL
from ..protocols.trends import largest_step, spearman
from . import examples, plots
from . import table as report
from .examples import Crop
from .page import Caution, Part, Picture, Section, Strip, Table, page
from .table import Image, MetricRow

_UNITS = {"psnr": "dB", "ssim": "1 is equal", "lpips": "0 is equal", "dists": "0 is equal", "niqe": "lower is better"}
_WORST = 5


def _unit(metric: str) -> str:
    return _UNITS.get(metric.partition("-")[0], "")


def _number(metric: str, value: float) -> str:
    if not np.isfinite(value):
        return str(value)
    return f"{value:.2f}" if metric.startswith("psnr") else f"{value:.4f}"


def _unique(values: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _apart(rows: Sequence[MetricRow]) -> list[MetricRow]:
    """The rows with metrics that were measured in several ways called apart, so that no mean mixes them."""
    ways: dict[str, set[tuple[str, int, str]]] = {}
    for row in rows:
        ways.setdefault(row.metric, set()).add((row.space, row.border, row.version))
    return [
        replace(row, metric=f"{row.metric}, {row.border} px cropped") if len(ways[row.metric]) > 1 else row
        for row in rows
    ]


def _mean(rows: Sequence[MetricRow]) -> float | None:
    return report.mean_of([row.value for row in rows]) if rows else None


def _means_table(rows: Sequence[MetricRow]) -> Table:
    """A row a model, a column a metric, over all images; what is best to the digits shown is marked."""
    rows = report.shared(rows)
    models, metrics = _unique(row.model for row in rows), _unique(row.metric for row in rows)
    by: dict[tuple[str, str], list[MetricRow]] = {}
    for row in rows:
        by.setdefault((row.model, row.metric), []).append(row)
    better = {row.metric: row.better for row in rows}
    text = [[model, *(_text(metric, by.get((model, metric), [])) for metric in metrics)] for model in models]
    best: set[tuple[int, int]] = set()
    for x, metric in enumerate(metrics, start=1):
        means = {y: mean for y, model in enumerate(models) if (mean := _mean(by.get((model, metric), []))) is not None}
        if len(means) > 1:
            chosen = (
                max(means, key=means.__getitem__) if better[metric] == "higher" else min(means, key=means.__getitem__)
            )
            best |= {(y, x) for y in means if text[y][x] == text[chosen][x]}
    return Table(("model", *metrics), tuple(map(tuple, text)), frozenset(best))


def _text(metric: str, rows: Sequence[MetricRow]) -> str:
    mean = _mean(rows)
    return "" if mean is None else _number(metric, mean)


def _conditions(rows: Sequence[MetricRow]) -> Table:
    """What each metric saw."""
    seen = list(dict.fromkeys((row.metric, row.space, str(row.border), row.better, row.version) for row in rows))
    return Table(("metric", "on", "px cropped", "better", "which"), tuple(seen))


def _values(rows: Sequence[MetricRow], metric: str) -> dict[tuple[Image, str], float]:
    return {(row.image, row.model): row.value for row in rows if row.metric == metric}


def _worst_table(rows: Sequence[MetricRow], metric: str, model: str) -> Table:
    """The images that a model does worst at, beside what the others make of them."""
    values = _values(rows, metric)
    models = _unique(name for _, name in values)
    chosen = examples.ranked(rows, metric, model)[:_WORST]
    lines = tuple(
        (
            image[0],
            image[2],
            *("" if (value := values.get((image, each))) is None else _number(metric, value) for each in models),
        )
        for image in chosen
    )
    return Table(("image", "member", *models), lines, caption=f"{metric}: the images that {model} does worst at.")


def _strips(crops: Sequence[Crop], rows: Sequence[MetricRow], metric: str) -> list[Strip]:
    values = _values(rows, metric)
    by: dict[tuple[str, Image], list[Crop]] = {}
    for crop in crops:
        by.setdefault((crop.judged, (crop.source, crop.sample, crop.member)), []).append(crop)
    found: list[Strip] = []
    for (judged, image), group in by.items():
        named: list[tuple[bytes, str]] = []
        for crop in group:
            value = values.get((image, crop.method))
            named.append((crop.png, crop.method if value is None else f"{crop.method} {_number(metric, value)}"))
        text = (
            f"{image[0]}, {image[2]}, chosen by {judged}: {metric} of the whole image; x {group[0].x}, y {group[0].y}."
        )
        found.append(Strip(tuple(named), text))
    return found


def _as_printed(value: float) -> str:
    """With as many digits as the paper has."""
    return f"{value:.2f}" if round(value, 2) == value else f"{value:.4f}".rstrip("0")


def _beside_papers(rows: Sequence[MetricRow]) -> list[Part]:
    """What papers print for a set of that name."""
    metrics = _unique(row.metric.partition(",")[0] for row in rows)
    found: list[Published] = beside(rows[0].data, metrics, rows[0].protocol)
    if not found:
        return []
    lines = tuple(
        (each.paper, each.table, each.method, each.member, each.metric, _as_printed(each.value), each.note)
        for each in found
    )
    caution = Caution(
        f"Published figures for {found[0].data}, as they are printed: other images, borders, LR or weights than in "
        "this report may lie behind them. Compare only where the notes and the conditions above agree."
    )
    return [caution, Table(("paper", "table", "method", "setting", "metric", "value", "note"), lines)]


def _restoration_section(rows: list[MetricRow], crops: Sequence[Crop]) -> Section:
    first, metric = rows[0], rows[0].metric
    model = [row.model for row in rows if row.metric == metric][-1]
    images = len({row.image for row in rows})
    body: list[Part] = [_means_table(rows)]
    if len({row.member for row in rows}) > 1:
        body += [
            Picture(plots.metric_bars(report.shared(rows), each, _unit(each)), f"Mean {each} of each member.")
            for each in _unique(row.metric for row in rows)[:2]
        ]
    if any(np.isfinite(row.value) for row in rows if row.metric == metric):
        body.append(Picture(plots.each_image(rows, metric), f"{metric} of each image; every dot is one."))
        body.append(_worst_table(rows, metric, model))
    body += [*_strips(crops, rows, metric), _conditions(rows), *_beside_papers(rows)]
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
    models = _unique(row.model for row in rows)
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
    models = _unique(row.model for row in rows)
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
    for model in _unique(row.model for row in grid):
        for metric in _unique(row.metric for row in grid):
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
    return Section(f"Modulation: {rows[0].data}", text, (_means_table(whole), *maps, _conditions(rows)))


def _nearness(model: str, metric: str, found: Sequence[sweeps.Found]) -> str:
    blur, noise = sweeps.mean_distances(found)
    return (
        f"{model}: the pair that is best by {metric} over the true one; {blur:.3f} of blur and {noise:.3f} of noise "
        "apart on average."
    )


def _interpolation_section(rows: list[MetricRow]) -> Section:
    body: list[Part] = []
    for model in _unique(row.model for row in rows):
        of_model = [row for row in rows if row.model == model]
        found = {
            metric: sweep
            for metric in _unique(row.metric for row in of_model)
            if (sweep := sweeps.sweep_of(of_model, sweeps.INTERPOLATION, metric)) is not None
        }
        settings = next(iter(found.values())).settings
        lines = tuple(
            (f"{setting[0]:g}", *(_number(metric, sweep.means[i]) for metric, sweep in found.items()))
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
    return Section(f"Interpolation: {rows[0].data}", text, (*body, _conditions(rows)))


def _segmented_section(rows: list[MetricRow]) -> Section:
    text = (
        "Each image by each model, and the best of them, chosen by its figures (MM-RealSR table 2): an upper bound.",
    )
    body = (_means_table(rows), _conditions(rows), *_beside_papers(rows))
    return Section(f"Segmented models: {rows[0].data}", text, body)


def _by_setting(title: str, metric: str, members: Sequence[str], means: Mapping[str, Mapping[str, float]]) -> Table:
    """A row a name, a column a setting."""
    lines = (
        (name, *(_number(metric, values[member]) if member in values else "" for member in members))
        for name, values in means.items()
    )
    return Table((title, *members), tuple(lines))


def _cugan_section(rows: list[MetricRow]) -> Section:
    members = _unique(row.member for row in rows)
    body: list[Part] = []
    errata: list[str] = []
    apart = ""
    for metric in _unique(row.metric for row in rows):
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
    return Section(f"CUGAN's settings: {rows[0].data}", tuple(text), (*body, _conditions(rows)))


def _far_section(rows: list[MetricRow]) -> Section:
    kinds, body = _unique(row.member for row in rows), list[Part]()
    for model in _unique(row.model for row in rows):
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
        "(HR-aware figure 8). Degraded are: blur of sigma 2, noise of 25 grey levels, JPEG of quality 30, LR enlarged, "
        "and as wild sets are: blur, LR with noise of 10, enlarged.",
        f"{rows[0].version}.",
    )
    return Section("FAR: natural against degraded", text, body)


def _reconstruction_section(rows: list[MetricRow]) -> Section:
    found = {metric: probes.reconstructions(rows, metric) for metric in _unique(row.metric for row in rows)}
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


_SECTIONS = {
    udem_curves.PROTOCOL: _udem_section,
    steering.PROTOCOL: _steering_section,
    sweeps.MODULATION: _modulation_section,
    sweeps.INTERPOLATION: _interpolation_section,
    sweeps.SEGMENTED: _segmented_section,
    cugan_tables.PROTOCOL: _cugan_section,
    probes.FAR: _far_section,
    probes.RECONSTRUCTION: _reconstruction_section,
}


def _sections(rows: Sequence[MetricRow], crops: Sequence[Crop]) -> list[Section]:
    """A section for each protocol and set of images."""
    groups: dict[tuple[str, str], list[MetricRow]] = {}
    for row in rows:
        groups.setdefault((row.protocol, row.data_sha256), []).append(row)
    found: list[Section] = []
    for (protocol, data), mixed in groups.items():
        group = _apart(mixed) if protocol in (PROTOCOL, sweeps.SEGMENTED, cugan_tables.PROTOCOL) else mixed
        if protocol == PROTOCOL:
            found.append(_restoration_section(group, [crop for crop in crops if crop.data_sha256 == data]))
        elif protocol in _SECTIONS:
            found.append(_SECTIONS[protocol](report.shared(group)))
    return found


# ------------------------------------------------------------------------------------------------- comparison


def _differences(runs: Mapping[str, Sequence[MetricRow]]) -> list[Part]:
    """Why the columns of a comparison may not be comparable."""
    cautions: list[Part] = []
    conditions: dict[str, dict[tuple[object, ...], list[str]]] = {}
    sets: dict[str, dict[str, list[str]]] = {}
    for name, rows in runs.items():
        for metric, border, space, version in dict.fromkeys((r.metric, r.border, r.space, r.version) for r in rows):
            conditions.setdefault(metric, {}).setdefault((border, space, version), []).append(name)
        for data, sha256 in dict.fromkeys((r.data, r.data_sha256) for r in rows):
            sets.setdefault(data, {}).setdefault(sha256, []).append(name)
    for metric, seen in conditions.items():
        if len(seen) > 1:
            said = "; ".join(f"{', '.join(names)}: border {c[0]}, {c[1]}, {c[2]}" for c, names in seen.items())
            cautions.append(Caution(f"{metric} was measured under different conditions: {said}."))
    for data, seen in sets.items():
        if len(seen) > 1:
            said = "; ".join(f"{', '.join(names)}: {sha256[:12]}" for sha256, names in seen.items())
            cautions.append(Caution(f"{data} is not the same set of images in all reports ({said})."))
    names = {frozenset(r.data_sha256 for r in rows) for rows in runs.values()}
    if len(names) > 1 and not cautions:
        cautions.append(Caution("The reports are of different sets of images; only what they share can be compared."))
    return cautions


def _comparison(runs: Mapping[str, Sequence[MetricRow]]) -> list[Section]:
    """The means of every report next to each other, a section for each set of images."""
    together = [
        replace(row, model=f"{row.model} ({name})")
        for name, rows in runs.items()
        for row in rows
        if row.protocol == PROTOCOL
    ]
    text = f"{len(runs)} reports side by side: {', '.join(runs)}."
    cautions = _differences(runs)
    if not together:
        cautions.append(
            Caution("None of the reports holds a restoration; their other protocols are below, one by one.")
        )
    found = [Section("Comparison", (text,), cautions)]
    for data in _unique(row.data_sha256 for row in together):
        of_set = _apart([row for row in together if row.data_sha256 == data])
        body: list[Part] = [_means_table(of_set)]
        if any(np.isfinite(row.value) for row in of_set if row.metric == of_set[0].metric):
            body.append(Picture(plots.each_image(of_set, of_set[0].metric), f"{of_set[0].metric} of each image."))
        title = f"Comparison: {of_set[0].data} ({data[:12]})"
        found.append(Section(title, (), (*body, *_beside_papers(of_set))))
    return found


def _named_alike(report_: Place, name: str) -> bool:
    return name in (report_.stem, f"{report_.parent.name}/{report_.stem}")


def _names(reports: Sequence[Place]) -> dict[str, Place]:
    """Each report by as much of its path as tells it from the others."""
    found: dict[str, Place] = {}
    for each in reports:
        name = each.stem
        for longer in (f"{each.parent.name}/{name}", str(each)):
            if sum(_named_alike(other, name) for other in dict.fromkeys(reports)) > 1:
                name = longer
        found[name] = each
    return found


def sections_of(metrics: Place) -> list[Section]:
    """The sections of one report, for a page of something larger; raises StoreError."""
    return _sections(report.read(metrics), examples.read(metrics))


def write_report(reports: Sequence[Place], log: pa.Table | None, out: Place) -> None:
    """Draw metric reports, and the losses of a run out of its log, as one HTML page.

    Raises:
        StoreError: a report is missing.
    """
    named = _names(reports)
    if out in (*reports, *map(examples.beside, reports)):
        raise UserError(f"--out {out} is what the page is drawn of; name another file")
    runs = {name: report.read(path) for name, path in named.items()}
    sections = _comparison(runs) if len(runs) > 1 else []
    for name, rows in runs.items():
        of_run = _sections(rows, examples.read(named[name]))
        sections += of_run if len(runs) == 1 else [replace(each, title=f"{name}: {each.title}") for each in of_run]
    if log is not None:
        sections.append(Section("Training", (), (Picture(plots.loss_curves(log), "The losses while training."),)))
    models = dict.fromkeys((row.model, row.checkpoint) for rows in runs.values() for row in rows if row.checkpoint)
    if models:
        table = Table(("model", "SHA-256 of its checkpoint"), tuple(models))
        sections.append(Section("Checkpoints", (), (table,)))
    title = "Metric report" if len(runs) == 1 else "Metric reports compared"
    location.write(out, page(f"{title}: {', '.join(runs)}", ", ".join(map(str, reports)), sections))

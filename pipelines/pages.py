"""The page of metric reports: tables of means, the images behind them, crops to look at, the papers' curves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ..degrade import places
from ..degrade.errors import StoreError
from ..degrade.places import Place
from ..eval import cugan_settings, curves, examples, plots, probes, report, sweeps
from ..eval.examples import Crop
from ..eval.metrics import better_of
from ..eval.page import Caution, Part, Picture, Section, Strip, Table, page
from ..eval.published import Published, beside
from ..eval.report import MetricRow
from ..eval.restoration import PROTOCOL

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


def _best(cells: Sequence[Sequence[float | None]], metrics: Sequence[str]) -> frozenset[tuple[int, int]]:
    """The cells of each column that are the best of it, where there is something to choose from; after one of names."""
    found: set[tuple[int, int]] = set()
    for x, metric in enumerate(metrics):
        values = {y: row[x] for y, row in enumerate(cells) if row[x] is not None}
        if len(values) < 2:
            continue
        best = max(values.values()) if better_of(metric) == "higher" else min(values.values())  # type: ignore[type-var]
        found |= {(y, x + 1) for y, value in values.items() if value == best}
    return frozenset(found)


def _mean(rows: Sequence[MetricRow]) -> float | None:
    return report.mean_of([row.value for row in rows]) if rows else None


def _means_table(rows: Sequence[MetricRow]) -> Table:
    """A row a model, a column a metric, over all images."""
    models, metrics = _unique(row.model for row in rows), _unique(row.metric for row in rows)
    by: dict[tuple[str, str], list[MetricRow]] = {}
    for row in rows:
        by.setdefault((row.model, row.metric), []).append(row)
    cells = [[_mean(by.get((model, metric), [])) for metric in metrics] for model in models]
    text = tuple(
        (model, *("" if value is None else _number(metric, value) for metric, value in zip(metrics, line, strict=True)))
        for model, line in zip(models, cells, strict=True)
    )
    return Table(("model", *metrics), text, _best(cells, metrics))


def _conditions(rows: Sequence[MetricRow]) -> Table:
    """What each metric saw."""
    seen = list(dict.fromkeys((row.metric, row.space, str(row.border), row.better, row.version) for row in rows))
    return Table(("metric", "on", "px cropped", "better", "which"), tuple(seen))


def _worst_table(rows: Sequence[MetricRow], metric: str, model: str) -> Table:
    """The images that a model does worst at, beside what the others make of them."""
    models = _unique(row.model for row in rows)
    values = {(row.source, row.sample, row.member, row.model): row.value for row in rows if row.metric == metric}
    chosen = examples.worst(rows, metric, model)[:_WORST]
    lines = tuple(
        (source, member, *(_number(metric, values[source, sample, member, each]) for each in models))
        for source, sample, member in chosen
    )
    return Table(("image", "member", *models), lines)


def _strips(crops: Sequence[Crop], rows: Sequence[MetricRow], metric: str) -> list[Strip]:
    values = {(row.source, row.sample, row.member, row.model): row.value for row in rows if row.metric == metric}
    by: dict[tuple[str, int, str], list[Crop]] = {}
    for crop in crops:
        by.setdefault((crop.source, crop.sample, crop.member), []).append(crop)
    found: list[Strip] = []
    for image, group in by.items():
        named = [
            (
                crop.png,
                f"{crop.method} {_number(metric, value)}"
                if (value := values.get((*image, crop.method)))
                else crop.method,
            )
            for crop in group
        ]
        source, _, member = image
        text = f"{source}, {member}: {metric} of the whole image; the crop is at x {group[0].x}, y {group[0].y}."
        found.append(Strip(tuple(named), text))
    return found


def _beside_papers(rows: Sequence[MetricRow]) -> list[Part]:
    """What papers print for a set of that name."""
    data, metrics = rows[0].data, _unique(row.metric for row in rows)
    found: list[Published] = beside(data, metrics)
    if not found:
        return []
    lines = tuple(
        (each.paper, each.table, each.method, each.member, each.metric, _number(each.metric, each.value), each.note)
        for each in found
    )
    caution = Caution(
        f"Published figures for {found[0].data}, as they are printed: other images, borders, LR or weights than in "
        "this report may lie behind them. Compare only where the notes and the conditions above agree."
    )
    return [caution, Table(("paper", "table", "method", "setting", "metric", "value", "note"), lines)]


def _restoration_section(rows: list[MetricRow], crops: Sequence[Crop]) -> Section:
    first, model = rows[0], rows[-1].model
    metric = first.metric
    images = len({(row.source, row.sample, row.member) for row in rows})
    body: list[Part] = [_means_table(rows)]
    if len({row.member for row in rows}) > 1:
        body += [
            Picture(plots.metric_bars(rows, each, _unit(each)), f"Mean {each} of each member.")
            for each in _unique(row.metric for row in rows)[:2]
        ]
    if any(np.isfinite(row.value) for row in rows if row.metric == metric):
        body.append(Picture(plots.each_image(rows, metric), f"{metric} of each image; every dot is one."))
    body += [_worst_table(rows, metric, model), *_strips(crops, rows, metric), _conditions(rows), *_beside_papers(rows)]
    text = (
        f"Means over {images} images of {first.data} (SHA-256 {first.data_sha256[:12]}). Below them: each image, the "
        f"ones that {model} does worst at, and crops of some; hold the pointer over a crop to enlarge all beside it."
    )
    return Section(f"Restoration: {first.data}", (text,), body)


def _udem_section(rows: list[MetricRow]) -> Section:
    models = _unique(row.model for row in rows)
    found = {model: curves.curves_of(rows, model) for model in models}
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


def _modulation_section(rows: list[MetricRow]) -> Section:
    metrics = _unique(row.metric for row in rows)
    grid = [row for row in rows if '"blur"' in row.setting]
    whole = [row for row in rows if '"blur"' not in row.setting]
    maps: list[Part] = []
    for metric in metrics:
        sweep = sweeps.sweep_of(grid, sweeps.MODULATION, metric)
        if sweep is not None:
            maps.append(Picture(plots.heat_map(sweep, better_of(metric)), f"Mean {metric}; the star is the best pair."))
    text = (
        "Every image under every pair of scores. The best of each image is chosen by looking at HR: what the model "
        "could do if it were always told right, and no method that anybody could use (MM-RealSR table 1).",
    )
    return Section(f"Modulation: {rows[0].data}", text, (_means_table(whole), *maps, _conditions(rows)))


def _interpolation_section(rows: list[MetricRow]) -> Section:
    found = {
        metric: sweep
        for metric in _unique(row.metric for row in rows)
        if (sweep := sweeps.sweep_of(rows, sweeps.INTERPOLATION, metric)) is not None
    }
    ends = {f"alpha {setting[0]:g}": (sweep, i) for sweep in found.values() for i, setting in enumerate(sweep.settings)}
    table = Table(
        ("", *found),
        tuple((name, *(_number(m, s.means[i]) for m, s in found.items())) for name, (_, i) in ends.items()),
    )
    picture = Picture(plots.lines(found, "alpha"), f"{rows[0].model}: 0 is the first, 1 the second.")
    return Section(f"Interpolation: {rows[0].data}", (), (picture, table, _conditions(rows)))


def _segmented_section(rows: list[MetricRow]) -> Section:
    text = (
        "Each image by each model, and the best of them, chosen by looking at HR (MM-RealSR table 2): an upper bound.",
    )
    body = (_means_table(rows), _conditions(rows), *_beside_papers(rows))
    return Section(f"Segmented models: {rows[0].data}", text, body)


def _cugan_section(rows: list[MetricRow]) -> Section:
    models, members = _unique(row.model for row in rows), _unique(row.member for row in rows)
    tables: list[Part] = []
    for metric in _unique(row.metric for row in rows):
        cells = {
            model: [
                _mean([r for r in rows if (r.model, r.member, r.metric) == (model, member, metric)])
                for member in members
            ]
            for model in models
        }
        lines = tuple(
            (model, *("" if value is None else _number(metric, value) for value in values))
            for model, values in cells.items()
        )
        tables.append(Table((metric, *members), lines))
    text = (
        "Images blurred by r (sigma in pixels) and given noise of sigma (of 255), restored at the same size. The crop, "
        "the colours and LPIPS's range are those of the published code; r = 1 is z = 0.25.",
    )
    return Section(f"CUGAN's settings: {rows[0].data}", text, (*tables, _conditions(rows), *_beside_papers(rows)))


def _far_section(rows: list[MetricRow]) -> Section:
    kinds = _unique(row.member for row in rows)
    values = {kind: [row.value for row in rows if row.member == kind] for kind in kinds}
    lines = tuple(
        (kind, f"{probes.area_under_curve(values[probes.CLEAN], values[kind]):.3f}")
        for kind in kinds
        if kind != probes.CLEAN
    )
    picture = Picture(plots.histogram(values, "FAR"), "FAR of natural images and of their degraded versions.")
    return Section("FAR: natural against degraded", (), (picture, Table(("degradation", "area under curve"), lines)))


def _reconstruction_section(rows: list[MetricRow]) -> Section:
    found = {
        metric: sweep
        for metric in _unique(row.metric for row in rows)
        if (sweep := sweeps.sweep_of(rows, probes.RECONSTRUCTION, metric)) is not None
    }
    picture = Picture(plots.lines(found, "i: 0 is HR, 1 is LR enlarged"), "How well LR is reconstructed from Y_i.")
    return Section("LR reconstruction", (), (picture,))


_SECTIONS = {
    curves.PROTOCOL: _udem_section,
    sweeps.MODULATION: _modulation_section,
    sweeps.INTERPOLATION: _interpolation_section,
    sweeps.SEGMENTED: _segmented_section,
    cugan_settings.PROTOCOL: _cugan_section,
    probes.FAR: _far_section,
    probes.RECONSTRUCTION: _reconstruction_section,
}


def _sections(rows: Sequence[MetricRow], crops: Sequence[Crop]) -> list[Section]:
    """A section for each protocol and set of images."""
    groups: dict[tuple[str, str], list[MetricRow]] = {}
    for row in rows:
        groups.setdefault((row.protocol, row.data_sha256), []).append(row)
    found: list[Section] = []
    for (protocol, data), group in groups.items():
        if protocol == PROTOCOL:
            found.append(_restoration_section(group, [crop for crop in crops if crop.data_sha256 == data]))
        elif protocol in _SECTIONS:
            found.append(_SECTIONS[protocol](group))
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


def _comparison(runs: Mapping[str, Sequence[MetricRow]]) -> Section:
    """The means of every report next to each other."""
    together = [
        replace(row, model=f"{row.model} ({name})")
        for name, rows in runs.items()
        for row in rows
        if row.protocol == PROTOCOL
    ]
    body: list[Part] = _differences(runs)
    for data in _unique(row.data for row in together):
        of_set = [row for row in together if row.data == data]
        body.append(_means_table(of_set))
        if any(np.isfinite(row.value) for row in of_set if row.metric == of_set[0].metric):
            body.append(Picture(plots.each_image(of_set, of_set[0].metric), f"{data}: each image."))
        body += _beside_papers(of_set)
    if not together:
        body.append(Caution("None of the reports holds a restoration; their other protocols are below, one by one."))
    text = f"{len(runs)} reports side by side: {', '.join(runs)}."
    return Section("Comparison", (text,), body)


def _names(reports: Sequence[Place]) -> dict[str, Place]:
    """Each report by as much of its path as tells it from the others."""
    found: dict[str, Place] = {}
    for each in reports:
        name = each.stem
        if any(other.stem == name for other in reports if other != each):
            name = f"{each.parent.name}/{name}"
        found[name] = each
    return found


def write_report(reports: Sequence[Place], run: Path | None, out: Place) -> None:
    """Draw metric reports, and the losses of a run, as one HTML page.

    Raises:
        StoreError: a report or the run's log is missing.
    """
    named = _names(reports)
    runs = {name: report.read(path) for name, path in named.items()}
    sections = [_comparison(runs)] if len(runs) > 1 else []
    for name, rows in runs.items():
        of_run = _sections(rows, examples.read(named[name]))
        sections += of_run if len(runs) == 1 else [replace(each, title=f"{name}: {each.title}") for each in of_run]
    if run is not None:
        log = run / "train.parquet"
        if not log.exists():
            raise StoreError(f"{log} does not exist; name the folder of a finished run, or finish it with rwsr train")
        sections.append(
            Section("Training", (), (Picture(plots.loss_curves(pq.read_table(log)), "The losses while training."),))
        )
    models = {row.model: row.checkpoint for rows in runs.values() for row in rows if row.checkpoint}
    if models:
        table = Table(("model", "SHA-256 of its checkpoint"), tuple(models.items()))
        sections.append(Section("Checkpoints", (), (table,)))
    title = "Metric report" if len(runs) == 1 else "Metric reports compared"
    places.write(out, page(f"{title}: {', '.join(runs)}", ", ".join(map(str, reports)), sections))

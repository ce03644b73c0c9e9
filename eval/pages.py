"""The page of metric reports: tables of means, the images behind them, crops to look at, the papers' curves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..degrade.errors import UserError
from ..degrade.storage import location
from ..degrade.storage.location import Place
from .protocols import PROTOCOLS
from .protocols.base import Protocol
from .protocols.restoration import RESTORATION
from .report import examples, plots
from .report import table as report
from .report.examples import Crop
from .report.page import Caution, Part, Picture, Section, Table, page
from .report.parts import beside_papers, conditions_table, means_table, told_apart, unique_of
from .report.table import MetricRow


def _sections(rows: Sequence[MetricRow], crops: Sequence[Crop], protocols: Sequence[Protocol[Any]]) -> list[Section]:
    """A section for each protocol and set of images; means and conditions alone of a protocol that is not known."""
    known = {each.name: each for each in protocols}
    groups: dict[tuple[str, str], list[MetricRow]] = {}
    for row in rows:
        groups.setdefault((row.protocol, row.data_sha256), []).append(row)
    found: list[Section] = []
    for (name, data), mixed in groups.items():
        protocol = known.get(name)
        if protocol is None:
            found.append(
                Section(f"{name}: {mixed[0].data}", (), (means_table(told_apart(mixed)), conditions_table(mixed)))
            )
            continue
        group = told_apart(mixed) if protocol.averaged else mixed
        of_set = [crop for crop in crops if crop.data_sha256 == data]
        found.append(protocol.section(group if protocol.crops else report.shared(group), of_set))
    return found


# ------------------------------------------------------------------------------------------------- comparison


def _of_devices(what: str, names: Mapping[str, Sequence[str]]) -> list[Caution]:
    """That figures are of several devices, if they are; names: of reports or models, by the device."""
    if len(names) < 2:
        return []
    said = "; ".join(f"{', '.join(each)}: {device}" for device, each in names.items())
    return [Caution(f"Not {what} was computed by one device, whose last digits may differ: {said}.")]


def _differences(runs: Mapping[str, Sequence[MetricRow]]) -> list[Part]:
    """Why the columns of a comparison may not be comparable."""
    cautions: list[Part] = []
    conditions: dict[str, dict[tuple[object, ...], list[str]]] = {}
    sets: dict[str, dict[str, list[str]]] = {}
    devices: dict[str, list[str]] = {}
    for name, rows in runs.items():
        for metric, border, space, version in dict.fromkeys((r.metric, r.border, r.space, r.version) for r in rows):
            conditions.setdefault(metric, {}).setdefault((border, space, version), []).append(name)
        for data, sha256 in dict.fromkeys((r.data, r.data_sha256) for r in rows):
            sets.setdefault(data, {}).setdefault(sha256, []).append(name)
        for device in sorted({row.device for row in rows if row.device}):
            devices.setdefault(device, []).append(name)
    cautions += _of_devices("all", devices)
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
        if row.protocol == RESTORATION
    ]
    text = f"{len(runs)} reports side by side: {', '.join(runs)}."
    cautions = _differences(runs)
    if not together:
        cautions.append(
            Caution("None of the reports holds a restoration; their other protocols are below, one by one.")
        )
    found = [Section("Comparison", (text,), cautions)]
    for data in unique_of(row.data_sha256 for row in together):
        of_set = told_apart([row for row in together if row.data_sha256 == data])
        body: list[Part] = [means_table(of_set)]
        if any(np.isfinite(row.value) for row in of_set if row.metric == of_set[0].metric):
            body.append(Picture(plots.each_image(of_set, of_set[0].metric), f"{of_set[0].metric} of each image."))
        title = f"Comparison: {of_set[0].data} ({data[:12]})"
        found.append(Section(title, (), (*body, *beside_papers(of_set))))
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
    return _sections(report.read(metrics), examples.read(metrics), PROTOCOLS)


def write_report(
    reports: Sequence[Place],
    out: Place,
    *,
    training: Sequence[Section] = (),
    protocols: Sequence[Protocol[Any]] = PROTOCOLS,
    refresh_s: int | None = None,
) -> None:
    """Draw metric reports, and a training, as one HTML page.

    training: its sections. protocols: whose sections are known. refresh_s: a browser reads it again after so many
    seconds.

    Raises:
        StoreError: a report is missing.
    """
    named = _names(reports)
    if out in (*reports, *map(examples.beside, reports)):
        raise UserError(f"--out {out} is what the page is drawn of; name another file")
    runs = {name: report.read(path) for name, path in named.items()}
    sections = _comparison(runs) if len(runs) > 1 else []
    for name, rows in runs.items():
        of_run = _sections(rows, examples.read(named[name]), protocols)
        sections += of_run if len(runs) == 1 else [replace(each, title=f"{name}: {each.title}") for each in of_run]
    sections += training
    models = dict.fromkeys((row.model, row.checkpoint) for rows in runs.values() for row in rows if row.checkpoint)
    if models:
        table = Table(("model", "SHA-256 of its checkpoint"), tuple(models))
        sections.append(Section("Checkpoints", (), (table,)))
    kind = "Metric report" if len(runs) == 1 else "Metric reports compared"
    title = f"{kind}: {', '.join(runs)}" if runs else sections[0].title
    for name, rows in runs.items():
        by_device: dict[str, list[str]] = {}
        for device, model in dict.fromkeys((row.device, row.model) for row in rows if row.device):
            by_device.setdefault(device, []).append(model)
        cautions = _of_devices(f"all of {name}", by_device)
        if cautions:
            sections.insert(0, Section("Devices", (), cautions))
    location.write(out, page(title, ", ".join(map(str, reports)), sections, refresh_s=refresh_s))

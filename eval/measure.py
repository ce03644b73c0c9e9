"""Measure models by a protocol, into a report: what the command, the flows and other programs call."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..degrade.errors import UserError, did_you_mean
from ..degrade.progress import progress, say
from ..degrade.storage.location import Place
from .images.restoring import Device, in_fp32, pick_device
from .images.sets import ImageSet
from .metrics import printed
from .protocols import PROTOCOLS
from .protocols.base import O, Protocol, Setup, Subject
from .report import examples, table
from .report.published import NO_HR
from .report.table import MetricRow


@dataclass(frozen=True)
class Measured:
    """What a protocol gave: its rows, by name why some metrics could not be measured, and how many images are left out
    since they cannot be read.
    """

    rows: list[MetricRow]
    skipped: dict[str, str]
    left_out: int = 0


def protocol_of(name: str) -> Protocol[Any]:
    """The protocol of a name; raises UserError where there is none."""
    for each in PROTOCOLS:
        if each.name == name:
            return each
    raise UserError(f"protocol {name} is unknown; {did_you_mean(name, [each.name for each in PROTOCOLS])}")


def measure(
    protocol: Protocol[O],
    images: ImageSet,
    subjects: Sequence[Subject],
    options: O,
    out: Place,
    device: Device | None = None,
) -> Measured:
    """Measure models on images by a protocol, and put the rows into the report `out`, beside what it holds.

    Raises:
        UserError: a model or a metric does not fit, no image could be read, or something else is at `out`.
    """
    table.check(out)
    if protocol.on == "photographs":  # which are HR themselves
        images = replace(images, name=images.name.removesuffix(f" {NO_HR}"))
    setup = Setup(images, subjects, pick_device() if device is None else device)
    if protocol.of == "reconstructions" and not subjects:
        raise UserError("name a --reconstruction")
    rows: list[MetricRow] = []
    total = sum(each.count for each in images.items) * protocol.passes(options, len(subjects))
    with in_fp32(), progress(protocol.name, total) as advance:
        for count, found in protocol.measure(setup, options):
            rows += found
            advance(count, "")
    if not rows:
        raise UserError("none of the images could be measured on; see the lines above")
    _say_what_has_no_value(rows)
    table.add(out, rows)
    if protocol.crops is not None:
        examples.add(out, protocol.crops(setup, rows), rows)
    left_out = len(set(range(len(images.items))) - {row.sample for row in rows}) + images.num_unreadable
    return Measured(rows, setup.skipped, left_out)


def _say_what_has_no_value(rows: Sequence[MetricRow]) -> None:
    if all(math.isnan(row.value) and row.metric != "niqe" for row in rows):
        raise UserError("no image is large enough for any of the metrics; lower --border, or name larger images")
    for metric, (without, exact) in table.not_finite(rows).items():
        if without:
            say(f"{metric} has no value for {without} images (too small or flat); its mean is over the others")
        if exact:
            say(f"{metric} is infinite for {exact} images (equal to the bit); its mean is over the others")


def means_of(protocol: Protocol[Any], rows: Sequence[MetricRow]) -> dict[str, dict[str, float]]:
    """The mean of each metric over all images, by what the protocol calls it: a model, or a model at a setting."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in table.shared(rows):
        label = protocol.label(row)
        if label is not None:
            found.setdefault(label, {}).setdefault(row.metric, []).append(row.value)
    return {model: {name: table.mean_of(v) for name, v in by.items()} for model, by in found.items()}


def lines_of(protocol: Protocol[Any], rows: Sequence[MetricRow]) -> list[str]:
    """The means, a line a model, and what else the protocol is about."""
    means = [
        f"{model}: {', '.join(f'{name} {printed(name, value)}' for name, value in by.items())}"
        for model, by in means_of(protocol, rows).items()
    ]
    return [*means, *protocol.lines(table.shared(rows))]


def summary_of(report: Place) -> tuple[dict[str, dict[str, float]], list[str]]:
    """The means and the lines of a report, of all protocols that are known."""
    rows, means, lines = table.read(report), dict[str, dict[str, float]](), list[str]()
    for protocol in PROTOCOLS:
        own = [row for row in rows if row.protocol == protocol.name]
        means |= means_of(protocol, own)
        lines += lines_of(protocol, own) if own else []
    return means, lines

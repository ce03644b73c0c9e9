"""What a noise bank, and the yield of a scan, say about themselves: as plain values and as lines for a person."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..degrade.progress import printable
from .bank import NoiseBank
from .cati import AnyRule, BoxRule, ThresholdRule
from .yields import Yield


def describe_rule(rule: AnyRule) -> str:
    """`bottom 2 %`, `variance < 20`."""
    if isinstance(rule, ThresholdRule):
        return f"variance < {rule.max_var:g}"
    if isinstance(rule, BoxRule):
        (low, high), (dark, light) = rule.variance, rule.mean
        return f"variance {low:g} to {high:g}, mean {dark:g} to {light:g}"
    strata = f", {rule.strata} strata" if rule.strata > 1 else ""
    return f"bottom {rule.quantile * 100:g} %{strata}{', paper_exact' if rule.paper_exact else ''}"


def between(spans: Sequence[tuple[float, float]], digits: int) -> str:
    """`3.5 to 252`: from the least to the greatest end; `-` for none."""
    if not spans:
        return "-"
    low, high = min(span[0] for span in spans), max(span[1] for span in spans)
    return f"{low:.{digits}f} to {high:.{digits}f}"


def yield_values(found: Yield) -> dict[str, Any]:
    """What a rule would take, as plain values."""
    return {
        "size": found.size,
        "rule": found.rule.model_dump(),
        "cati": found.cati.model_dump() if found.cati else None,
        "sets": [asdict(one) for one in found.sets],
    }


def yield_lines(found: Sequence[Yield]) -> list[str]:
    """A table for each size."""
    lines: list[str] = []
    sizes = dict.fromkeys(each.size for each in found)
    for size in sizes:
        rows = [each for each in found if each.size == size]
        names = [each.name for each in rows[0].sets]
        head = f"{'rule':<26} {'mean >':>6}  {'variance':>18}  {'mean':>15}"
        tiles = ", ".join(f"{each.num_tiles:,} of {each.name}" for each in rows[0].sets)
        lines += ["", f"tiles of {size} px: {tiles}; taken of each, and from how many images:"]
        lines.append(head + "".join(f"  {name:>16}" for name in names))
        for each in rows:
            parts = each.cati.intervals if each.cati else ()
            taken = "".join(f"  {f'{one.num_patches:,} ({one.num_images:,})':>16}" for one in each.sets)
            variance = between([part.variance for part in parts], 2)
            mean = between([part.mean for part in parts], 1)
            lines.append(f"{describe_rule(each.rule):<26} {each.rule.min_mean:>6g}  {variance:>18}  {mean:>15}{taken}")
    return lines[1:]


def bank_values(bank: NoiseBank) -> dict[str, Any]:
    """What a bank holds, as plain values."""
    return {
        "bank": bank.store.path,
        "num_patches": len(bank.patches),
        "size": bank.size_px,
        "digest": bank.digest,
        "rule": bank.rule.model_dump(),
        "cati": bank.cati.model_dump() if bank.cati else None,
        "sigma": bank.sigma,
        "sets": [each.model_dump() for each in bank.sets],
        "notes": bank_notes(bank),
    }


_PUBLISHED_VARIANCE = ThresholdRule().max_var  # Impressionism's, which RWSR-EDL's code has too
_HANDFUL = 16  # patches: fewer repeat themselves in every batch


def bank_notes(bank: NoiseBank) -> list[str]:
    """What of a bank is likely to be no noise, or too little of it."""
    notes: list[str] = []
    variance = float(np.asarray(bank.table["variance"]).max())
    if variance > _PUBLISHED_VARIANCE:
        notes.append(
            f"note: patches of a variance up to {variance:,.0f} are in it, where the published threshold is "
            f"{_PUBLISHED_VARIANCE:g}: that is texture rather than noise; take a smaller --size, a lower --quantile, "
            "--rule threshold, or photographs with flat places"
        )
    if len(bank.patches) < _HANDFUL:
        notes.append(f"note: it has few patches ({len(bank.patches)}); name more photographs, or take a smaller --size")
    sources = set(bank.table["source_sha256"].to_pylist())
    if len(sources) == 1 and sum(each.num_images for each in bank.sets) > 1:
        notes.append(f"note: all patches are of one image, {printable(bank.table['source'][0].as_py())}")
    return notes


def bank_lines(bank: NoiseBank) -> list[str]:
    """What a bank holds, for a person."""
    lines = [*bank.store.attributes["sizes_without_yield"]]
    for each in bank.sets:
        shared = f" ({each.num_shared} more are in an earlier set)" if each.num_shared else ""
        constant = f" ({each.num_constant} of them constant)" if each.num_constant else ""
        lines.append(
            f"{each.name}: {each.num_images - each.num_shared:,} images{shared}; {each.num_tiles:,} tiles, "
            f"{each.num_left_out:,} constant or clipped and left out; {each.num_taken:,} taken{constant}, "
            f"from {each.num_contributing:,} images"
        )
    for part in bank.cati.intervals if bank.cati else ():
        lines.append(
            f"CATI of the {describe_rule(bank.rule)}: variance {part.variance[0]:.3f} to {part.variance[1]:.3f}, "
            f"mean {part.mean[0]:.1f} to {part.mean[1]:.1f}"
        )
    if bank.cati is None:
        lines.append(f"rule: {describe_rule(bank.rule)}, mean > {bank.rule.min_mean:g}")
    size = f"{len(bank.patches):,} patches of {bank.size_px} px"
    by_variance = float(np.median(np.sqrt(np.asarray(bank.table["variance"]))))
    noise = f"noise (median): {bank.sigma:.2f} gray levels by scikit-image, {by_variance:.2f} by the variance of luma"
    return [*lines, size, noise, *bank_notes(bank)]

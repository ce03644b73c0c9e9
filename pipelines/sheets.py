"""Contact sheets of what a build made or is about to make."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..degrade.contact_sheet import Cell, contact_sheet
from ..degrade.groups import ROLES
from ..degrade.image import U8, read_source
from ..degrade.reader import ShardReader
from ..degrade.shards import Store
from ..noisebank.bank import NoiseBank
from .build_groups import Plan, Sample, manifest, render_sample

_AMPLIFIED = 8
_MOST_PATCHES = 32


def amplified_noise(patch: U8) -> U8:
    """The patch less its mean per channel, eight times as strong, around mid-grey."""
    centred = patch - patch.mean(axis=(0, 1))
    return np.clip(128 + _AMPLIFIED * centred, 0, 255).astype(np.uint8)


def bank_sheet(bank: NoiseBank, *, columns: int = 4) -> U8:
    """Patches spread evenly over the bank, each beside its noise made eight times as strong."""
    chosen = np.unique(np.linspace(0, len(bank.patches) - 1, _MOST_PATCHES).round().astype(int)).tolist()
    table = bank.table.take(chosen).to_pylist()
    cells = [
        Cell(
            np.concatenate([patch, amplified_noise(patch)], axis=1),
            (Path(row["source"]).name, f"mean {row['mean']:.0f}, variance {row['variance']:.2f}"),
        )
        for patch, row in zip(bank.patches.read(chosen), table, strict=True)
    ]
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    title = f"{len(chosen)} of {len(bank.patches)} patches, each beside its noise x{_AMPLIFIED}"
    return contact_sheet(rows, cell_px=220, title=title)


def describe(steps: list[dict[str, Any]]) -> tuple[str, ...]:
    """The levels of a member, a line a step that has one."""
    lines: list[str] = []
    for step in steps:
        match step["op"]:
            case "blur" if step["kernel"]["kind"] == "sinc":
                lines.append(f"sinc {step['kernel']['cutoff']:.2f} rad/px")
            case "blur":
                kernel = step["kernel"]
                lines.append(f"blur {kernel['sigma_x']:.2f}, {kernel['sigma_y']:.2f} px")
            case "resize":
                lines.append(f"{step['mode']} to {step['width']} px")
            case "gaussian":
                lines.append(f"noise {step['sigma_255']:.1f}{' grey' if step['grey'] else ''}")
            case "poisson":
                lines.append(f"photon x{step['scale']:.2f}{' grey' if step['grey'] else ''}")
            case _:
                lines.append(f"JPEG {step['quality']}")
    return tuple(lines)


def _group_cells(row: dict[str, Any], sample: Sample) -> list[Cell]:
    """HR and its members, with every drawn parameter below."""
    members = [
        Cell(lr, (role.value.upper(), *describe(row[role.value]))) for role, lr in zip(ROLES, sample.lr, strict=True)
    ]
    return [Cell(sample.hr, ("HR", row["source"], f"at {row['x']}, {row['y']}")), *members]


def preview_sheet(planned: Plan) -> U8:
    """Every group of a plan, rendered now."""
    roots = {row.sha256: Path(row.root) for row in planned.rows}
    rows = [row for table in manifest(planned) for row in table.to_pylist()]
    cells = [
        _group_cells(
            row,
            render_sample(row, read_source(roots[row["source_sha256"]], row["source"], row["source_sha256"])),
        )
        for row in rows
    ]
    return contact_sheet(cells, cell_px=200, title="HR and the five LR members of each group")


def store_sheet(store: Store, samples: Sequence[int]) -> U8:
    """Some groups of a finished store, as they are stored."""
    rows = store.manifest().take(list(samples)).to_pylist()
    hr, lr = (ShardReader(store, name).read(samples) for name in ("hr", "lr"))
    cells = [_group_cells(row, Sample(hr[i], lr[i])) for i, row in enumerate(rows)]
    return contact_sheet(cells, cell_px=200)

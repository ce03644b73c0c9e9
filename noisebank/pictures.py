"""A picture of a bank: its patches, each beside its noise."""

from pathlib import Path

import numpy as np

from ..degrade.images.contact_sheet import Cell, contact_sheet
from ..degrade.images.pixels import U8
from .bank import NoiseBank

_AMPLIFIED = 8
_MOST_PATCHES = 32


def amplified_noise(patch: U8) -> U8:
    """The patch less its mean per channel, eight times as strong, around mid-gray."""
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

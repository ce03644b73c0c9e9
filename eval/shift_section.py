"""The part of a store's quality report that says how far LR lies beside HR in real pairs."""

import numpy as np

from ..degrade.pairs.shifts import left_of, shifts_of
from ..degrade.storage.shards.store import Store
from .report.page import Picture, Section
from .report.store_plots import histograms


def shift_section(store: Store) -> Section:
    """Of all samples of a store of real pairs."""
    found = shifts_of(store)
    text = (
        "LR beside HR, as they are stored, measured of each sample when it was cut: the translation with the greatest "
        "correlation of their luma. Rotation, lens distortion and what moved in the scene are in it as far as they "
        "move the place."
    )
    y, x, similarity = left_of(store)
    names = ("to the right (HR pixels)", "down (HR pixels)", "similarity (correlation)")
    values = {
        name: {"lr": known}
        for name, each in zip(names, (x, y, similarity), strict=True)
        if len(known := each[np.isfinite(each)])
    }
    plots = (Picture(histograms(values), "How far LR lies beside HR, over all samples of which it can be told."),)
    return Section("Registration", (text, *found.lines), plots if values else ())

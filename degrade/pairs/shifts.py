"""How far LR lies beside HR in a store of real pairs, by what was measured of each sample when it was cut."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..progress import printable
from ..recipes.store_config import StoreConfig
from ..storage.shards.store import Store
from .recipe import RealPairs

_FAR = 0.5  # LR pixels
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shifts:
    """Of a store of real pairs, in HR pixels: what is left between HR and LR as they are stored.

    num_flat, num_unlike: samples of which nothing could be told, since they are flat, or since HR and LR are not alike
    there. num_far: those with more than half an LR pixel; far, unlike: the LR files that have the most of them.
    """

    num_samples: int
    num_flat: int
    num_unlike: int
    num_far: int
    median: float | None
    percentile_95: float | None
    most: float | None
    far: str | None
    unlike: str | None
    aligned: bool

    @property
    def lines(self) -> list[str]:
        """What a person is told."""
        told = self.num_samples - self.num_flat - self.num_unlike
        what = "left after alignment" if self.aligned else "between HR and LR"
        said = [f"shift {what}: nothing to be told by, all {self.num_samples} samples are flat"]
        if told:
            said = [
                f"shift {what}: {self.median:.2f} HR pixels in the middle, {self.percentile_95:.2f} in the worst "
                f"twentieth, {self.most:.2f} at most, of {told} samples ({self.num_flat} more are flat)"
            ]
        if self.num_far:
            mend = "their scenes moved" if self.aligned else "--align shift brings them together"
            said.append(f"note: more than half an LR pixel apart: {self.num_far} (most of {self.far}); {mend}")
        if self.num_unlike:
            said.append(
                f"note: LR is like no part of HR nearby: {self.num_unlike} (most of {self.unlike}); look at them in "
                "`rwsr store report`, and leave files out with --exclude"
            )
        return said

    def as_dict(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


def left_of(store: Store) -> tuple[F64, F64, F64]:
    """(y, x, similarity) of each sample: what is left between HR and LR, in HR pixels, NaN where nothing tells."""
    table = store.manifest(columns=["y", "x", "lr_y", "lr_x", "shift_y", "shift_x", "similarity"])
    column = {name: np.asarray(table[name].to_numpy(), dtype=np.float64) for name in table.column_names}
    scale = int(store.attributes["scale"])
    y, x = _left(column, scale)
    return y, x, column["similarity"]


def distance_in(row: Mapping[str, Any], scale: int) -> float | None:
    """What is left between HR and LR of a sample, by its row of the manifest: HR pixels, None where nothing tells."""
    if row["shift_y"] is None or row["shift_x"] is None:
        return None
    return float(np.hypot(*_left(row, scale)))


def _left(measured: Mapping[str, Any], scale: int) -> list[Any]:
    """(y, x): how far LR was found beside HR, but for how far the two were cut beside each other."""
    return [measured[f"shift_{axis}"] - (measured[axis] - measured[f"lr_{axis}"] * scale) for axis in "yx"]


def shifts_of(store: Store) -> Shifts:
    """Of all samples of a store of real pairs."""
    y, x, similarity = left_of(store)
    names = np.array(store.manifest(columns=["lr_source"])["lr_source"].to_pylist())
    recipe = StoreConfig.model_validate(store.provenance.values).recipe
    distance = np.hypot(y, x)
    known = distance[np.isfinite(distance)]
    flat, unlike = np.isnan(similarity), ~np.isnan(similarity) & ~np.isfinite(distance)
    far = np.nan_to_num(distance) > _FAR * recipe.scale
    return Shifts(
        num_samples=len(names),
        num_flat=int(flat.sum()),
        num_unlike=int(unlike.sum()),
        num_far=int(far.sum()),
        median=float(np.median(known)) if len(known) else None,
        percentile_95=float(np.percentile(known, 95)) if len(known) else None,
        most=float(known.max()) if len(known) else None,
        far=_commonest(names[far]),
        unlike=_commonest(names[unlike]),
        aligned=isinstance(recipe, RealPairs) and recipe.align == "shift",
    )


def _commonest(names: npt.NDArray[np.str_]) -> str | None:
    if not len(names):
        return None
    found, counts = np.unique(names, return_counts=True)
    return printable(str(found[counts.argmax()]))

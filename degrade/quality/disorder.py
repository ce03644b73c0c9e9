"""How many groups of a store are not in the order that their levels mean, and of which sources they are."""

from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from ..manifest import is_disordered
from ..progress import printable
from ..recipes.store_config import GROUPS, StoreConfig
from ..storage.shards.store import Store

_MOST_NAMED = 3


@dataclass(frozen=True)
class Disorder:
    """Of a store of groups: how many draws it took, how many groups took more than one, and how many are disordered, of
    which sources; left_out: whether readers leave them out.
    """

    num_draws: int
    num_redrawn: int
    num_disordered: int
    sources: tuple[str, ...]
    left_out: bool

    @property
    def line(self) -> str:
        kept = ", all in measured order"
        if self.num_disordered:
            named = ", ".join(self.sources[:_MOST_NAMED]) + (", ..." if len(self.sources) > _MOST_NAMED else "")
            then = "readers leave them out" if self.left_out else "they are given all the same"
            kept = f"; {self.num_disordered} are not in order ({named}): {then}"
        return f"{self.num_redrawn} groups were drawn again, {self.num_draws} draws in all{kept}"

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def disorder_of(store: Store) -> Disorder | None:
    """None for a store of pairs, which have no order."""
    if store.provenance.kind != GROUPS:
        return None
    table = store.manifest(columns=["draw", "disorder", "source"])
    draws = np.asarray(table["draw"])
    disordered = table["source"].filter(pa.array(is_disordered(table))).to_pylist()
    left_out = not StoreConfig.model_validate(store.provenance.values).recipe.keeps_disorder
    named = tuple(dict.fromkeys(map(printable, disordered)))
    return Disorder(int((draws + 1).sum()), int((draws > 0).sum()), len(disordered), named, left_out)

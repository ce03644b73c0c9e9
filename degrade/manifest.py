"""The manifest of a store: a row for each sample, with every parameter, from which it can be rendered again."""

from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel

from .images.pixels import I64
from .ops.step import Step, from_rows, to_rows
from .pairs.recipe import RealPairs
from .quality.group_order import MEASURE_TYPE, disorders
from .recipes.base import Recipe
from .recipes.store_config import StoreConfig
from .samples import Draw, Rendered, Source
from .storage.shards.store import Store
from .storage.tables import compute

_OF_REAL_PAIRS = (
    ("lr_source", pa.string()),
    ("lr_sha256", pa.string()),
    ("lr_y", pa.int32()),
    ("lr_x", pa.int32()),
    ("shift_y", pa.float64()),
    ("shift_x", pa.float64()),
    ("similarity", pa.float64()),
)
_PLAIN: dict[Any, pa.DataType] = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


def step_type(kinds: Sequence[type[Step]]) -> pa.DataType:
    """One flat type for every step, so that any Parquet tool can ask for, say, members.base[1].kernel.sigma_x.

    Raises:
        TypeError: a field is of a type that has no column, or two steps give one name to fields of different types.
    """
    fields: dict[str, pa.DataType] = {}
    for kind in kinds:
        for name, field in kind.model_fields.items():
            found = _type_of(field.annotation, f"{kind.__name__}.{name}")
            if fields.setdefault(name, found) != found:
                raise TypeError(f"{kind.__name__}.{name} is {found}, but another step's is {fields[name]}; rename one")
    return pa.struct(list(fields.items()))


def _type_of(annotation: Any, where: str) -> pa.DataType:
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_of(parts[0], where)
    if origin is Literal:
        return _PLAIN[type(parts[0])]
    if origin in (Union, UnionType):
        return _type_of(next(each for each in parts if each is not type(None)), where)
    if origin is tuple:
        return pa.list_(_type_of(parts[0], where))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        below = annotation.model_fields.items()
        return pa.struct([(name, _type_of(field.annotation, f"{where}.{name}")) for name, field in below])
    raise TypeError(
        f"{where} is {annotation}, which has no column; use str, bool, int, float, tuples or models of them"
    )


def manifest_schema(recipe: Recipe) -> pa.Schema:
    """The columns of the manifest of a store of a recipe."""
    steps, members = pa.list_(step_type(recipe.ops)), recipe.members
    of_pairs = _OF_REAL_PAIRS if isinstance(recipe, RealPairs) else ()
    return pa.schema(
        [
            ("sample", pa.int64()),
            ("source", pa.string()),
            ("source_sha256", pa.string()),
            ("draw", pa.int32()),
            ("y", pa.int32()),
            ("x", pa.int32()),
            ("size", pa.int32()),
            ("condition", pa.list_(pa.float64())),
            ("disorder", pa.list_(pa.string())),
            ("hr", steps),
            *((name, steps) for name in members),
            ("measured", pa.struct([(name, MEASURE_TYPE) for name in members])),
            *of_pairs,
        ]
    )


def to_row(sample: int, path: str, source: Source, drawn: Draw, rendered: Rendered) -> dict[str, Any]:
    """The manifest's row of a sample."""
    measured = rendered.measured
    return {
        "sample": sample,
        "source": path,
        "source_sha256": source.sha256,
        "draw": drawn.draw,
        "y": drawn.y,
        "x": drawn.x,
        "size": drawn.size,
        "condition": drawn.condition,
        "disorder": None if measured is None else list(disorders(measured)),
        "hr": to_rows(drawn.hr),
        **{name: to_rows(steps) for name, steps in drawn.members.items()},
        "measured": None
        if measured is None
        else {str(role): {"detail": each.detail, "noise": each.noise} for role, each in measured.items()},
    }


def from_row(row: Mapping[str, Any], members: tuple[str, ...]) -> Draw:
    """The draw that a row of the manifest records."""
    return Draw(
        draw=row["draw"],
        y=row["y"],
        x=row["x"],
        size=row["size"],
        hr=from_rows(row["hr"]),
        members={name: from_rows(row[name]) for name in members},
        condition=None if row["condition"] is None else tuple(row["condition"]),
    )


def in_use(store: Store) -> I64:
    """The samples that readers give: all, but for groups that the build measured as disordered: flagged, or such as no
    draw brought in order (a flat photograph has no blur to order). Those of `recipe.order_check=keep` are given.
    """
    if StoreConfig.model_validate(store.provenance.values).recipe.keeps_disorder:
        return np.arange(store.layout.num_samples)
    return np.flatnonzero(~is_disordered(store.manifest(columns=["disorder"])))


def is_disordered(rows: pa.Table) -> npt.NDArray[np.bool_]:
    """Of rows of a manifest with the column `disorder`, which name some."""
    lengths = [np.asarray(compute.list_value_length(each).fill_null(0)) for each in rows["disorder"].chunks]
    return np.concatenate([np.empty(0, np.int64), *lengths]) > 0


def conditions_of(store: Store) -> npt.NDArray[np.float32]:
    """What each sample of a store tells a network of its degradation, [N, C]; C is 0 where it tells nothing."""
    count = store.layout.num_samples
    if not StoreConfig.model_validate(store.provenance.values).recipe.num_conditions:
        return np.zeros((count, 0), dtype=np.float32)
    told = store.manifest(columns=["condition"])["condition"].combine_chunks()
    return told.flatten().to_numpy().astype(np.float32).reshape(count, -1)

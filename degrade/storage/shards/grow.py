"""A finished store made larger: what is whole stays as it is, byte for byte, and the rest is built like any store.

In an order in which every stop can be gone on from by the same command: the marks of the whole shards are written as
those of a store that is being built (building/grown.json says that all are there), the arrays get their new shapes, the
mark of the finished store and its manifest go, and last zarr.json says what the store is to be.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from ...errors import StoreError
from .. import location
from ..location import Place
from ..provenance import Provenance, canonical, check_same_environment, check_written
from .commits import BUILDING, COMMITS, Commit, mark_name, rows_name
from .layout import Layout
from .parts import ROWS_AT_ONCE, to_part
from .store import Store, finished_of, metadata_files, open_unfinished, stored_file

_MARKED = f"{BUILDING}/grown.json"


def grow(
    path: Place, layout: Layout, provenance: Provenance, attributes: Mapping[str, Any], *, schema: pa.Schema
) -> None:
    """Turn a finished store, which the caller holds, into one of more samples that is being built.

    schema: of the rows of its manifest.

    Raises:
        StoreError: it is not finished, of a former format, or was built in another environment.
    """
    store = open_unfinished(path, provenance.kind)
    check_written(store.provenance, provenance, str(path))
    check_same_environment(store.provenance, provenance, str(path))
    if not (path / _MARKED).is_file():
        _mark_whole_shards(store, provenance, schema)
    rwsr = {"provenance": provenance.model_dump(), "layout": asdict(layout), "attributes": dict(attributes)}
    files = metadata_files(layout, {"rwsr": rwsr})
    for name, data in files.items():
        if name != "zarr.json":
            location.write(path / name, data)
    for name in (COMMITS, *store.layout.manifests):
        (path / name).unlink(missing_ok=True)
    location.write(path / "zarr.json", files["zarr.json"])


def _mark_whole_shards(store: Store, provenance: Provenance, schema: pa.Schema) -> None:
    finished = finished_of(store)
    if finished is None:
        count = store.layout.num_samples
        raise StoreError(f"{store.path} is unfinished; build it with --samples {count} first, and then with more")
    location.remove_below(store.path / BUILDING)
    for shard, commit in finished.shards.items():
        if len(store.layout.rows(shard)) < store.layout.samples_per_shard:
            continue  # the last one has room for more, and is rendered again
        name, rows = rows_name(shard, provenance.format), store.manifest_of(shard).to_pylist()
        starts = range(0, len(rows), ROWS_AT_ONCE)
        packed = to_part([pa.Table.from_pylist(rows[i : i + ROWS_AT_ONCE], schema=schema) for i in starts])
        location.write(store.path / name, packed)
        mark = Commit(shard, commit.files, stored_file(name, packed))
        location.write(store.path / mark_name(shard), canonical(asdict(mark)).encode())
    location.write(store.path / _MARKED, canonical({"from": store.layout.num_samples}).encode())

"""What any store of ours says about itself, and what is wrong with it."""

from functools import partial
from typing import Any

from ...progress import progress
from ...tasks import Run
from ..location import Place
from .commits import Commit
from .store import Store, commits_of, kind_of, missing_shards, open_unfinished
from .verify import digest, verify, verify_whole


def _open(path: Place) -> Store:
    return open_unfinished(path, kind_of(path))


def info(path: Place) -> dict[str, Any]:
    """What a store is, how it lies on the disk, and what made it; plain values."""
    store = _open(path)
    layout, missing = store.layout, len(missing_shards(store))
    return {
        "store": str(path),
        "kind": store.provenance.kind,
        "format": store.provenance.format,
        "arrays": {a.name: [layout.num_samples, *a.sample_shape] for a in layout.arrays},
        "num_shards": layout.num_shards,
        "samples_per_shard": layout.samples_per_shard,
        "missing": missing,
        "digest": None if missing else digest(store),
        "attributes": store.attributes,
        "config": store.provenance.config,
        "versions": store.provenance.versions,
        "cpu": store.provenance.cpu,
    }


def _verify_shard(task: tuple[int, Commit | None], store: Store) -> list[str]:
    return verify(store, *task)


def problems(path: Place, run: Run) -> list[str]:
    """Everything about a store that is not as it was committed, a line each; empty when it is whole."""
    store = _open(path)
    found = verify_whole(store)
    marks = commits_of(store)
    if not marks:
        return [*found, f"none of {store.layout.num_shards} shards has a commit mark; run the build again"]
    tasks = [(shard, marks.get(shard)) for shard in range(store.layout.num_shards)]
    by_shard: dict[int, list[str]] = {}
    with progress("verify", len(tasks)) as advance:
        for outcome in run(partial(_verify_shard, store=store), tasks):
            by_shard[outcome.task[0]] = outcome.result if outcome.error is None else [str(outcome.error)]  # type: ignore[assignment]
            advance(1, "")
    return found + [line for shard in sorted(by_shard) for line in by_shard[shard]]

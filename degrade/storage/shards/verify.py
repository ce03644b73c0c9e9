"""Whether every byte of a store is the one that was committed, and the one hash for all of them."""

import json

import pyarrow.parquet as pq

from .. import location, tables
from ..provenance import canonical, sha256
from .commits import Commit, read_finished
from .store import Store, commits_of, metadata_files, metadata_of


def digest(store: Store) -> str:
    """One hash for all that a finished store holds: every shard file, the manifest's rows of each shard, and each
    zarr.json.
    """
    files = [f"{file.path} {file.sha256}" for c in commits_of(store).values() for file in (*c.files, c.rows)]
    files += [f"{file.path} {file.sha256}" for file in metadata_of(store)]
    return sha256("\n".join(files))


def verify(store: Store, shard: int, commit: Commit | None) -> list[str]:
    """What is wrong with a shard, in words; reads every byte of it. commit: its mark, None where it has none."""
    if commit is None:
        return [f"shard {shard} has no commit mark"]
    if [file.path for file in commit.files] != [store.layout.shard_name(spec, shard) for spec in store.layout.arrays]:
        return [f"the mark of shard {shard} is the mark of another shard"]
    problems: list[str] = []
    for file in commit.files:
        try:
            found = location.sha256(store.path / file.path)
        except OSError as error:
            problems.append(f"{file.path} cannot be read: {error.strerror}")
            continue
        if found != file.sha256:
            problems.append(f"{file.path} is not what was committed; remove it, and the build makes it again")
    return problems


def _verify_array_metadata(store: Store) -> list[str]:
    """Which arrays' zarr.json is not the one that the layout asks for."""
    problems: list[str] = []
    for name, data in metadata_files(store.layout, {}).items():
        if name == "zarr.json":
            continue
        try:
            found = json.loads((store.path / name).read_bytes())
        except (OSError, ValueError) as error:
            problems.append(f"{name} cannot be read: {error}")
            continue
        if found != json.loads(data):
            problems.append(f"{name} does not describe the array that was written")
    return problems


def _strangers(store: Store) -> list[str]:
    """Files among the shards that belong to no shard of this store."""
    found: list[str] = []
    for spec in store.layout.arrays:
        layout = store.layout
        expected = {layout.shard_name(spec, shard) for shard in range(layout.num_shards)} | {f"{spec.name}/zarr.json"}
        found += [
            name
            for below in location.names_below(store.path / spec.name)
            if (name := f"{spec.name}/{below}") not in expected
        ]
    return [f"{name} belongs to no shard" for name in found]


def verify_whole(store: Store) -> list[str]:
    """What is wrong with all but the shards: manifest, metadata, config, files that do not belong."""
    problems = _verify_manifest(store) + _verify_array_metadata(store) + _strangers(store)
    if sha256(canonical(store.provenance.config)) != store.provenance.config_sha256:
        problems.append("zarr.json holds a config that is not the one that was hashed")
    return problems


def _verify_manifest(store: Store) -> list[str]:
    """What is wrong with the manifest, in words."""
    finished = read_finished(store.path, store.provenance)
    if finished is None:
        return [f"{store.layout.manifests[0]} has no commit mark: the store is not finished"]
    problems: list[str] = []
    rows = 0
    for committed in finished.manifests:
        path = store.path / committed.path
        try:
            found = location.sha256(path)
        except OSError as error:
            return [*problems, f"{committed.path} cannot be read: {error.strerror}"]
        if found != committed.sha256:
            return [*problems, f"{committed.path} is not the one that was committed"]
        with location.open_file(path) as opened:
            rows += pq.read_metadata(opened).num_rows
        if tables.read_provenance(path, store.provenance.kind) != store.provenance:
            problems.append(f"{committed.path} is that of another store")
    return problems or ([] if rows == store.layout.num_samples else [f"the manifest has {rows} rows"])

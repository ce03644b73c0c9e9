"""Whether every byte of a store is the one that was committed, and the one hash for all of them."""

import hashlib
import json
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from . import tables
from .provenance import canonical, sha256
from .shards import (
    MANIFEST,
    Store,
    commit_path,
    manifest_mark_path,
    read_commit,
    read_manifest_mark,
    write_metadata,
)


def digest(store: Store) -> str:
    """One hash for all that a finished store holds: every shard file, and the manifest's rows of each shard."""
    commits = (read_commit(store, shard) for shard in range(store.layout.num_shards))
    files = (f"{file.path} {file.sha256}" for commit in commits if commit for file in (*commit.files, commit.rows))
    return sha256("\n".join(files))


def verify(store: Store, shard: int) -> list[str]:
    """What is wrong with a shard, in words; reads every byte of it."""
    commit = read_commit(store, shard)
    if commit is None:
        return [f"shard {shard} has no commit mark"]
    rows = store.layout.rows(shard)
    expected = [spec.shard_name(shard) for spec in store.layout.arrays]
    if (commit.shard, commit.first_sample, commit.num_samples) != (shard, rows.start, len(rows)) or [
        file.path for file in commit.files
    ] != expected:
        return [f"{commit_path(store, shard)} is the mark of another shard"]
    problems: list[str] = []
    for file in commit.files:
        try:
            with open(store.path / file.path, "rb") as opened:
                found = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            problems.append(f"{file.path} cannot be read: {error.strerror}")
            continue
        if found != file.sha256:
            problems.append(f"{file.path} is not what was committed")
    return problems


def _verify_array_metadata(store: Store) -> list[str]:
    """Which arrays' zarr.json is not the one that the layout asks for."""
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        write_metadata(Path(folder) / "expected", store.layout, {})
        for spec in store.layout.arrays:
            name = f"{spec.name}/zarr.json"
            try:
                found = json.loads((store.path / name).read_bytes())
            except (OSError, ValueError) as error:
                problems.append(f"{name} cannot be read: {error}")
                continue
            if found != json.loads((Path(folder) / "expected" / name).read_bytes()):
                problems.append(f"{name} does not describe the array that was written")
    return problems


def _strangers(store: Store) -> list[str]:
    """Files among the shards and the marks that belong to no shard of this store."""
    shards = range(store.layout.num_shards)
    expected = {commit_path(store, shard) for shard in shards} | {manifest_mark_path(store)}
    for spec in store.layout.arrays:
        expected |= {store.path / spec.shard_name(shard) for shard in shards}
        expected.add(store.path / spec.name / "zarr.json")
    folders = ["commits", *(spec.name for spec in store.layout.arrays)]
    found = {path for folder in folders for path in (store.path / folder).rglob("*") if not path.is_dir()}
    return [f"{path.relative_to(store.path)} belongs to no shard" for path in sorted(found - expected)]


def verify_whole(store: Store) -> list[str]:
    """What is wrong with all but the shards: manifest, metadata, config, files that do not belong."""
    problems = _verify_manifest(store) + _verify_array_metadata(store) + _strangers(store)
    if sha256(canonical(store.provenance.config)) != store.provenance.config_sha256:
        problems.append("zarr.json holds a config that is not the one that was hashed")
    return problems


def _verify_manifest(store: Store) -> list[str]:
    """What is wrong with the manifest, in words."""
    mark = read_manifest_mark(store)
    if mark is None:
        return [f"{MANIFEST} has no commit mark"]
    try:
        data = (store.path / MANIFEST).read_bytes()
    except OSError as error:
        return [f"{MANIFEST} cannot be read: {error.strerror}"]
    if sha256(data) != mark.sha256:
        return [f"{MANIFEST} is not the one that was committed"]
    rows = pq.read_metadata(store.path / MANIFEST).num_rows
    of = tables.read_provenance(store.path / MANIFEST, store.provenance.kind)
    if rows != store.layout.num_samples or of != store.provenance:
        return [f"{MANIFEST} is that of another store"]
    return []

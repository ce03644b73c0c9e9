"""Whether every byte of a store is the one that was committed, and the one hash for all of them."""

import hashlib

from .provenance import sha256
from .shards import MANIFEST, Store, commit_path, read_commit


def digest(store: Store) -> str:
    """One hash for all that a finished store holds: its manifest and every shard file."""
    commits = (read_commit(store, shard) for shard in range(store.layout.num_shards))
    files = (f"{file.path} {file.sha256}" for commit in commits if commit for file in commit.files)
    return sha256("\n".join([store.manifest_sha256, *files]))


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


def verify_manifest(store: Store) -> list[str]:
    """What is wrong with the manifest, in words."""
    try:
        data = (store.path / MANIFEST).read_bytes()
    except OSError as error:
        return [f"{MANIFEST} cannot be read: {error.strerror}"]
    return [] if sha256(data) == store.manifest_sha256 else [f"{MANIFEST} is not the one that was planned"]

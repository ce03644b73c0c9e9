"""A store that several tests train on."""

from pathlib import Path

import pytest

from rwsr.degrade.storage.shards.store import Store

from ..builders import tiny_store


@pytest.fixture
def store(photos: Path, tmp_path: Path) -> Store:
    """Twelve small groups."""
    return tiny_store(photos, tmp_path / "groups.zarr")

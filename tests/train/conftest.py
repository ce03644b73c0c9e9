"""A store that several tests train on."""

from pathlib import Path

import pytest

from rwsr.degrade import build_store
from rwsr.degrade.config import compose
from rwsr.degrade.images import sources
from rwsr.degrade.recipes.store_config import store_preset
from rwsr.degrade.storage.shards.writer import Store
from rwsr.pipelines.executors import runner


@pytest.fixture
def store(photos: Path, tmp_path: Path) -> Store:
    """Twelve small groups."""
    rows = sources.index([photos], tmp_path / "index.parquet", sources.IndexConfig(), runner(1))
    config = compose(store_preset("mm-realsr"), hr_size_px=64, num_samples=12)
    return build_store.build(tmp_path / "groups.zarr", build_store.plan(config, rows), runner(1))[0]

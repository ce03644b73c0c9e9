"""The smallest of what tests need built: a store, a noise bank, a run; each in a second or so."""

from pathlib import Path

from rwsr.degrade import build_store
from rwsr.degrade.config import compose
from rwsr.degrade.images import sources
from rwsr.degrade.recipes.store_config import store_preset
from rwsr.degrade.storage.shards.store import Store
from rwsr.noisebank import build_bank
from rwsr.noisebank.bank import NoiseBank
from rwsr.noisebank.build_bank import BankConfig
from rwsr.noisebank.scan import scan
from rwsr.noisebank.set_scan import ScanConfig, scan_grids
from rwsr.noisebank.tiles import TileGrid
from rwsr.pipelines.executors import runner

from .commands import TINY, flags, rwsr


def tiny_store(
    photos: Path, out: Path, preset: str = "mm-realsr", *sets: str, num_samples: int = 12, hr_size_px: int = 64
) -> Store:
    """A store of a preset, of several shards, with its index beside it. sets: more keys, as of `--set`."""
    index = out.with_name(f"{out.name}.index.parquet")
    rows = sources.index([photos], index, sources.IndexConfig(), runner(1))
    config = compose(store_preset(preset), sets=sets, num_samples=num_samples, hr_size_px=hr_size_px, shard_mib=0.05)
    return build_store.build(out, build_store.plan(config, rows), runner(1))[0]


def tiny_bank(photos: Path, out: Path, *auxiliary: Path, size: int = 16, config: BankConfig | None = None) -> NoiseBank:
    """A bank of the flattest tiles of a folder, with its scan beside it."""
    config = config or BankConfig(grid=TileGrid(size=size, stride=size))
    grids = ScanConfig(grids=scan_grids(config.grids()))
    index = sources.IndexConfig(min_side_px=8)
    scans, _ = scan(out.with_name(f"{out.name}.scan"), [photos], auxiliary, grids, index, runner(1))
    return build_bank.build(out, scans, config, runner(1))[0]


def tiny_run(store: Store, out: Path, *sets: str, steps: int = 3) -> Path:
    """A finished run of the smallest MM-RealSR, by the command."""
    rwsr("train", "mm-realsr", "--store", store.path, "--out", out, "--preset", "mm-realsr-small", "--steps", steps,
         *flags("--set", [*TINY, *sets]))  # fmt: skip
    return out

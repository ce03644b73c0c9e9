"""RWSR-EDL's pairs: target and distilled images, cleaned up, with the noise of a bank at LR size."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rwsr.degrade import build_store
from rwsr.degrade.config import compose
from rwsr.degrade.errors import UserError
from rwsr.degrade.images import sources
from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.listing import IndexConfig
from rwsr.degrade.images.pixels import to_float, to_uint8
from rwsr.degrade.ops.resize import resize
from rwsr.degrade.quality.render_again import render_again
from rwsr.degrade.recipes.store_config import StoreConfig, store_preset
from rwsr.degrade.seeds import stream
from rwsr.degrade.storage.shards.reader import ShardReader
from rwsr.degrade.storage.shards.store import Store
from rwsr.degrade.tasks import Run
from rwsr.noisebank import build_bank
from rwsr.noisebank.bank import BankConfig, NoiseBank
from rwsr.noisebank.cati import ThresholdRule
from rwsr.noisebank.scan import scan
from rwsr.noisebank.set_scan import ScanConfig, scan_grids
from rwsr.noisebank.tiles import TileGrid
from rwsr.pipelines.executors import runner

from ...commands import rwsr

CONFIG = compose(store_preset("rwsr-edl"), hr_size_px=64, num_samples=10, shard_mib=0.05)
RULE = BankConfig(grid=TileGrid(size=32, stride=32), rule=ThresholdRule(max_var=20, min_mean=0))


@pytest.fixture
def bank(photos: Path, tmp_path: Path) -> NoiseBank:
    """The flat, noisy skies of the photographs, and of one auxiliary image that has such a sky."""
    auxiliary = tmp_path / "auxiliary"
    auxiliary.mkdir()
    rng = stream(5, "auxiliary")
    sky = 150 + rng.normal(0, 1.5, (200, 200, 3))
    Image.fromarray(np.clip(sky, 0, 255).astype(np.uint8)).save(auxiliary / "sky.png")
    Image.fromarray(rng.integers(0, 256, (200, 200, 3), dtype=np.uint8)).save(auxiliary / "busy.png")
    grids = ScanConfig(grids=scan_grids(RULE.grids()))
    scans, _ = scan(tmp_path / "b.scan", [photos], [auxiliary], grids, IndexConfig(), runner(1))
    return build_bank.build(tmp_path / "b.zarr", scans, RULE, runner(1))[0]


def _build(photos: Path, out: Path, bank: NoiseBank, executor: Run, config: StoreConfig = CONFIG) -> Store:
    rows = sources.index([photos], out.with_suffix(".parquet"), IndexConfig(), runner(1))
    listed = build_bank.read_distilled(build_bank.distilled_path(bank.store.path))
    planned = build_store.plan(config, sources.mark_duplicates([*rows, *listed]), bank)
    build_store.build(out, planned, executor)
    return build_store.open_samples(out)


def test_every_pair_is_its_equations(photos: Path, tmp_path: Path, bank: NoiseBank) -> None:
    """HR is the cut halved (Eq. 9); LR is HR before rounding, quartered (Eq. 10), plus the noise (Eq. 11)."""
    store = _build(photos, tmp_path / "s.zarr", bank, runner(2))
    hr, lr = (ShardReader(store, name).read(range(10)) for name in ("hr", "lr"))
    for i, row in enumerate(store.manifest().to_pylist()):
        folder = photos if (photos / row["source"]).exists() else tmp_path / "auxiliary"
        pixels = to_float(decode((folder / row["source"]).read_bytes()).pixels)
        cut = pixels[row["y"] : row["y"] + 128, row["x"] : row["x"] + 128]
        clean = resize(cut, 64, 64, "matlab-bicubic")
        step = row["lr"][1]
        noise = bank.crop(step["patch"], step["y"], step["x"], 16, 16)
        assert np.array_equal(hr[i], to_uint8(clean))
        assert np.array_equal(lr[i, 0], to_uint8(resize(clean, 16, 16, "matlab-bicubic") + noise))


def test_distilled_images_are_sources_too(photos: Path, tmp_path: Path, bank: NoiseBank) -> None:
    """The auxiliary image with a sky is drawn from, the busy one is not."""
    store = _build(photos, tmp_path / "s.zarr", bank, runner(1))
    assert set(store.manifest()["source"].to_pylist()) == {"a.png", "b.png", "below/c.png", "d.png", "sky.png"}


@pytest.mark.slow
@pytest.mark.parametrize("executor", [runner(2), runner(2, "local")], ids=["threads", "dask"])
def test_pairs_are_the_same_for_any_executor(
    photos: Path, tmp_path: Path, bank: NoiseBank, executor: Run, tree: Callable[[Path], dict[str, bytes]]
) -> None:
    """Each worker opens the bank for itself; the bytes are the serial ones."""
    _build(photos, tmp_path / "1.zarr", bank, runner(1))
    _build(photos, tmp_path / "2.zarr", bank, executor)
    assert tree(tmp_path / "1.zarr") == tree(tmp_path / "2.zarr")


def test_a_pair_renders_again_and_needs_its_bank(photos: Path, tmp_path: Path, bank: NoiseBank) -> None:
    """From the bank that was recorded, or the one that is named; another bank is refused by its digest."""
    store = _build(photos, tmp_path / "s.zarr", bank, runner(1))
    assert render_again(store, 4, [], open_bank=NoiseBank.open)[1]
    moved = tmp_path / "moved.zarr"
    bank.store.path.rename(moved)
    assert render_again(store, 4, [], moved, open_bank=NoiseBank.open)[1]
    grids = ScanConfig(grids=scan_grids(RULE.grids()))
    scans, _ = scan(tmp_path / "c.scan", [photos], [], grids, IndexConfig(), runner(1))
    other, _ = build_bank.build(tmp_path / "c.zarr", scans, RULE, runner(1))
    with pytest.raises(UserError, match="a step takes noise from bank"):
        render_again(store, 4, [], other.store.path, open_bank=NoiseBank.open)


def test_a_bank_where_it_has_no_meaning_is_refused(photos: Path, tmp_path: Path, bank: NoiseBank) -> None:
    """A recipe that takes no noise from a bank, and a recipe that lacks one."""
    rows = sources.index([photos], tmp_path / "i.parquet", IndexConfig(), runner(1))
    with pytest.raises(UserError, match="leave --bank out"):
        build_store.plan(compose(store_preset("bicubic"), hr_size_px=64), rows, bank)
    with pytest.raises(UserError, match="name one with --bank"):
        build_store.plan(CONFIG, rows)
    with pytest.raises(UserError, match="use --hr-size 128 at most"):
        build_store.plan(compose(CONFIG, hr_size_px=160), rows, bank)


def test_hr_of_clean_sources_is_the_source_itself(photos: Path, tmp_path: Path) -> None:
    """The published mix: corrupted sources are halved, clean targets are taken as they are; both from one command."""
    noisy, clean = tmp_path / "noisy", tmp_path / "clean"
    for folder, names in ((noisy, ("a.png", "d.png")), (clean, ("b.png",))):
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes((photos / name).read_bytes())
    command = ("degrade", "build", "--preset", "rwsr-edl-noisefree", "--source", noisy, "--clean", clean,
               "--out", tmp_path / "s.zarr", "--samples", 9, "--hr-size", 64, "--set", "shard_mib=0.05")  # fmt: skip
    assert "1 of them are clean: HR as it is" in rwsr(*command)
    store = build_store.open_samples(tmp_path / "s.zarr")
    hr, lr = (ShardReader(store, name).read(range(9)) for name in ("hr", "lr"))
    sizes = {}
    for i, row in enumerate(store.manifest().to_pylist()):
        sizes.setdefault(row["source"], set()).add((row["size"], len(row["hr"])))
        assert render_again(store, i, [], open_bank=NoiseBank.open)[1]
        if row["source"] == "b.png":
            pixels = decode((clean / "b.png").read_bytes()).pixels
            cut = pixels[row["y"] : row["y"] + 64, row["x"] : row["x"] + 64]
            assert np.array_equal(hr[i], cut)
            assert np.array_equal(lr[i, 0], to_uint8(resize(to_float(cut), 16, 16, "matlab-bicubic")))
    assert sizes == {"a.png": {(128, 1)}, "d.png": {(128, 1)}, "b.png": {(64, 0)}}
    other = [part if part != "rwsr-edl-noisefree" else "bicubic" for part in command]
    other[other.index(tmp_path / "s.zarr")] = tmp_path / "t.zarr"
    assert "cleans no source up" in rwsr(*other, code=1)

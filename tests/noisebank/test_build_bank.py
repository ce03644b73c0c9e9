"""Noise banks from folders: exactly the tiles that the rules say, the same bytes however they were made."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from rwsr.degrade.errors import StoreError, UserError
from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.listing import IndexConfig
from rwsr.degrade.images.pixels import U8
from rwsr.degrade.ops.bank_noise import BankNoise
from rwsr.degrade.ops.render import apply
from rwsr.degrade.seeds import stream
from rwsr.degrade.storage import tables
from rwsr.degrade.tasks import Run
from rwsr.noisebank import build_bank
from rwsr.noisebank.bank import BankConfig, NoiseBank
from rwsr.noisebank.cati import CatiRule, ThresholdRule
from rwsr.noisebank.scan import scan
from rwsr.noisebank.set_scan import ScanConfig, open_scan, scan_grids
from rwsr.noisebank.tiles import TileGrid
from rwsr.pipelines.executors import runner

from ..commands import rwsr

Tree = Callable[[Path], dict[str, bytes]]
Box = tuple[str, int, int]
GRID = TileGrid(size=16, stride=16)
BANK = BankConfig(grid=GRID)


def _bank(
    out: Path,
    target: Path,
    *auxiliary: Path,
    config: BankConfig = BANK,
    executor: Run = runner(1),  # noqa: B008 (frozen)
) -> NoiseBank:
    grids = ScanConfig(grids=scan_grids(config.grids()))
    scans, _ = scan(out.with_suffix(".scan"), [target], auxiliary, grids, IndexConfig(min_side_px=8), executor)
    return build_bank.build(out, scans, config, executor)[0]


def _boxes(bank: NoiseBank, name: str = "target") -> set[Box]:
    rows = bank.table.to_pylist()
    return {(row["source"], row["y"], row["x"]) for row in rows if row["set"] == name}


def _save(folder: Path, name: str, pixels: U8) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / name)


# ------------------------------------------------------------------------------ against independent readings


def _tiles(folder: Path, size: int) -> list[tuple[float, float, Box]]:
    """(variance, mean, box) of every full tile, by Pillow and numpy alone."""
    found: list[tuple[float, float, Box]] = []
    for path in sorted(folder.iterdir()):
        gray = np.asarray(Image.open(path).convert("L")).astype(float)
        for y in range(0, gray.shape[0] - size + 1, size):
            for x in range(0, gray.shape[1] - size + 1, size):
                tile = gray[y : y + size, x : x + size]
                found.append((tile.var(), tile.mean(), (path.name, y, x)))
    return found


def _algorithm_1(target: Path, size: int, quantile: float) -> tuple[set[Box], Callable[[Path], set[Box]]]:
    """RWSR-EDL's Algorithm 1, line by line: the boxes of N_a, and a function that gives those of N_b."""
    patches = sorted(_tiles(target, size))
    sigma = patches[int(np.ceil(quantile * len(patches))) - 1][0]
    bottom = [(v, m) for v, m, _ in patches if v <= sigma + 1e-9 and m > 0]
    cati_sigma = min(v for v, _ in bottom), max(v for v, _ in bottom)
    cati_m = min(m for _, m in bottom), max(m for _, m in bottom)

    def inside(folder: Path) -> set[Box]:
        return {
            box
            for v, m, box in _tiles(folder, size)
            if cati_sigma[0] - 1e-9 <= v <= cati_sigma[1] + 1e-9 and cati_m[0] - 1e-9 <= m <= cati_m[1] + 1e-9 and m > 0
        }

    return inside(target), inside


def _random_images(folder: Path, seed: int, count: int) -> Path:
    """Images of blocks with few levels, so that many tiles tie, some of them constant."""
    rng = stream(seed, "random-images")
    for i in range(count):
        height, width = rng.integers(40, 130, 2)
        spread = np.kron(rng.choice([0, 0, 1, 1, 2, 9, 40], (9, 9)), np.ones((16, 16), int))[:height, :width, None]
        pixels = rng.integers(0, 200) + spread * rng.integers(0, 2, (height, width, 3))
        _save(folder, f"{i}.png", pixels.clip(0, 255).astype(np.uint8))
    return folder


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("quantile", [0.02, 0.2])
def test_the_literal_rule_is_algorithm_1(tmp_path: Path, seed: int, quantile: float) -> None:
    """The accepted boxes of target and auxiliary set, ties included, equal a brute-force reading."""
    target, auxiliary = (_random_images(tmp_path / name, 10 * seed + i, 8) for i, name in enumerate(("a", "b")))
    config = BankConfig(grid=GRID, rule=CatiRule(quantile=quantile, paper_exact=True))
    bank = _bank(tmp_path / "b.zarr", target, auxiliary, config=config)
    expected, inside = _algorithm_1(target, 16, quantile)
    assert _boxes(bank) == expected and len(expected) > 0
    assert _boxes(bank, "auxiliary-1") == inside(auxiliary)


@pytest.mark.slow
def test_the_threshold_rule_is_the_published_one(tmp_path: Path) -> None:
    """Luma variance < 20 and mean > 0 over 256/256 tiles; the last row and column, which the script drops, too."""
    rng = stream(0, "threshold")
    sigma = np.kron(rng.choice([1.0, 4.0, 5.5, 8.0], (4, 3)), np.ones((256, 256)))
    gray = 120 + sigma * rng.standard_normal((1024, 768))
    _save(tmp_path / "photos", "a.png", np.repeat(gray.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2))
    _save(tmp_path / "photos", "black.png", np.zeros((256, 256, 3), np.uint8))
    _save(tmp_path / "photos", "flat.png", np.full((256, 511, 3), 7, np.uint8))
    bank = _bank(tmp_path / "b.zarr", tmp_path / "photos", config=BankConfig(rule=ThresholdRule()))
    expected = {box for v, m, box in _tiles(tmp_path / "photos", 256) if v < 20 and m > 0}
    assert _boxes(bank) == expected and ("flat.png", 0, 0) in expected
    assert any(y == 768 or x == 512 for _, y, x in expected)
    assert bank.cati is None and bank.sets[0].num_constant == 1


def _planted(folder: Path, num_images: int, sigma: float) -> set[Box]:
    """Textured photographs with known flat regions of noise; gives back their tiles of 32 px."""
    rng = stream(0, "planted")
    boxes: set[Box] = set()
    for i in range(num_images):
        y, x = np.mgrid[0:256, 0:320]
        texture = 110 + 60 * np.sin(x / rng.uniform(1.5, 4)) * np.cos(y / rng.uniform(1.5, 4))
        pixels = texture[..., None] + rng.normal(0, 8, (256, 320, 3)) + rng.uniform(-20, 20, 3)
        for _ in range(2):
            top, left = 32 * int(rng.integers(8)), 32 * int(rng.integers(10))
            pixels[top : top + 32, left : left + 32] = rng.uniform(60, 190) + rng.normal(0, sigma, (32, 32, 3))
            boxes.add((f"{i}.png", top, left))
        _save(folder, f"{i}.png", np.rint(pixels).clip(0, 255).astype(np.uint8))
    return boxes


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [2.0, 6.0])
def test_a_bank_is_exactly_the_planted_noise(tmp_path: Path, sigma: float) -> None:
    """Nothing but the planted tiles, all of them, and their noise's standard deviation within 3 %."""
    boxes = _planted(tmp_path / "photos", 12, sigma)
    config = BankConfig(grid=TileGrid(size=32, stride=32), rule=CatiRule(quantile=len(boxes) / (12 * 80)))
    bank = _bank(tmp_path / "b.zarr", tmp_path / "photos", config=config)
    assert _boxes(bank) == boxes
    noise = np.stack([bank.crop(i, 0, 0, 32, 32) for i in range(len(bank.patches))]) * 255
    assert np.sqrt((noise**2).mean() - 1 / 12) == pytest.approx(sigma, rel=0.03)
    assert np.sqrt(np.mean(bank.table["variance_g"].to_numpy()) - 1 / 12) == pytest.approx(sigma, rel=0.03)


# ------------------------------------------------------------------------------------------ sets and choices


@pytest.mark.slow
def test_auxiliary_images_with_a_tile_are_distilled(tmp_path: Path) -> None:
    """Those with a tile inside the target's interval are listed with their number of patches; the others are not."""
    _planted(tmp_path / "target", 6, 3.0)
    _planted(tmp_path / "auxiliary", 9, 3.0)
    y, x = np.mgrid[0:128, 0:128]
    checks = np.repeat((100 + 90 * ((x // 2 + y // 2) % 2))[..., None], 3, axis=2).astype(np.uint8)
    _save(tmp_path / "auxiliary", "busy.png", checks)
    config = BankConfig(grid=TileGrid(size=32, stride=32))
    bank = _bank(tmp_path / "b.zarr", tmp_path / "target", tmp_path / "auxiliary", config=config)
    listed = pq.read_table(build_bank.distilled_path(tmp_path / "b.zarr")).to_pylist()
    taken = [source for source, _, _ in _boxes(bank, "auxiliary-1")]
    assert {row["path"]: row["num_patches"] for row in listed} == {name: taken.count(name) for name in taken}
    assert listed and "busy.png" not in taken
    assert {(row["set"], row["root"]) for row in listed} == {("auxiliary-1", str(tmp_path / "auxiliary"))}
    assert bank.sets[1].num_contributing == len(listed) and bank.sets[1].num_images == 10


def test_an_image_in_two_sets_counts_for_the_first(photos: Path, tmp_path: Path) -> None:
    """No patch twice; how many were left out is said."""
    shutil.copytree(photos, tmp_path / "again")
    _save(tmp_path / "again", "more.png", np.asarray(Image.open(photos / "a.png"))[::-1])
    bank = _bank(tmp_path / "b.zarr", photos, tmp_path / "again")
    assert bank.sets[1].num_shared == 4
    assert {source for source, _, _ in _boxes(bank, "auxiliary-1")} <= {"more.png"}


def test_a_smaller_size_is_taken_where_a_set_yields_nothing(photos: Path, tmp_path: Path) -> None:
    """256 px is more than any photograph has; the reason stands in the bank. Without a fallback it is an error."""
    with pytest.raises(UserError, match="no image is as large as a tile of 512 px"):
        _bank(tmp_path / "a.zarr", photos, config=BankConfig(grid=TileGrid(size=512, stride=512)))
    config = BankConfig(grid=TileGrid(size=512, stride=256), fallback_sizes=(400, 32))
    bank = _bank(tmp_path / "b.zarr", photos, config=config)
    assert bank.size_px == 32 and bank.store.attributes["grid"] == {"size": 32, "stride": 16}
    assert bank.store.attributes["sizes_without_yield"] == [
        f"no image is as large as a tile of {size} px" for size in (512, 400)
    ]


def test_a_threshold_that_takes_nothing_says_what_there_is(photos: Path, tmp_path: Path) -> None:
    """The least variance, for the next try."""
    config = BankConfig(grid=GRID, rule=ThresholdRule(max_var=0.1))
    with pytest.raises(UserError, match=r"has variance < 0.1 and mean > 0 \(the least variance is [0-9.]+\)"):
        _bank(tmp_path / "b.zarr", photos, config=config)


@pytest.mark.slow
def test_another_rule_decodes_only_images_that_contribute(tmp_path: Path) -> None:
    """With the scan at hand, photographs without a patch may even be gone."""
    boxes = _planted(tmp_path / "photos", 8, 2.0)
    _bank(tmp_path / "a.zarr", tmp_path / "photos", config=BankConfig(grid=TileGrid(size=32, stride=32)))
    scans = open_scan(tmp_path / "a.scan")
    config = BankConfig(grid=TileGrid(size=32, stride=32), rule=CatiRule(quantile=0.004))
    sources = {row["source"] for row in _bank_rows(build_bank.build(tmp_path / "b.zarr", scans, config, runner(1))[0])}
    assert 0 < len(sources) < 8 and sources <= {name for name, _, _ in boxes}
    for path in (tmp_path / "photos").iterdir():
        if path.name not in sources:
            path.unlink()
    shutil.rmtree(tmp_path / "b.zarr")
    assert len(build_bank.build(tmp_path / "b.zarr", scans, config, runner(1))[0].patches) >= 3


def _bank_rows(bank: NoiseBank) -> list[dict[str, object]]:
    return bank.table.to_pylist()


def test_a_size_that_was_not_scanned_is_an_error(photos: Path, tmp_path: Path) -> None:
    """It names those that were."""
    _bank(tmp_path / "a.zarr", photos)
    with pytest.raises(UserError, match="no tiles of size/stride 24/24, only of 16/16"):
        grid = TileGrid(size=24, stride=24)
        build_bank.build(tmp_path / "b.zarr", open_scan(tmp_path / "a.scan"), BankConfig(grid=grid), runner(1))


# ------------------------------------------------------------------------------------------------------ scan


def _scan(photos: Path, out: Path, *, executor: Run = runner(1), sizes: Sequence[int] = (16,)) -> int:  # noqa: B008
    grids = ScanConfig(grids=tuple(TileGrid(size=size, stride=size) for size in sizes))
    scan(out, [photos], [], grids, IndexConfig(), executor)
    return (out / "target/tiles.parquet").stat().st_mtime_ns


def test_a_finished_scan_is_not_repeated(photos: Path, tmp_path: Path) -> None:
    """Unless a file came, went or changed, or another size is wanted."""
    first = _scan(photos, tmp_path / "s", sizes=(32, 16))
    assert _scan(photos, tmp_path / "s") == first
    assert (second := _scan(photos, tmp_path / "s", sizes=(20,))) > first
    shutil.copy(photos / "a.png", photos / "copy.png")
    assert (third := _scan(photos, tmp_path / "s", sizes=(20,))) > second
    (photos / "b.png").write_bytes((photos / "a.png").read_bytes())
    assert _scan(photos, tmp_path / "s", sizes=(20,)) > third
    assert {path.name for path in (tmp_path / "s/target").iterdir()} == {"index.parquet", "tiles.parquet"}


def test_duplicates_have_no_tiles(photos: Path, tmp_path: Path) -> None:
    """The tiles of one photograph count once, also when both lie in one part of the scan."""
    _scan(photos, tmp_path / "1")
    before = pq.read_table(tmp_path / "1/target/tiles.parquet")
    shutil.copy(photos / "a.png", photos / "0-copy.png")
    _scan(photos, tmp_path / "2")
    after = pq.read_table(tmp_path / "2/target/tiles.parquet")
    assert after.num_rows == before.num_rows and "a.png" not in after["source"].unique().to_pylist()


def test_fewer_sets_than_a_scan_holds_are_refused(photos: Path, tmp_path: Path) -> None:
    """The scan of another auxiliary set would silently stay."""
    _bank(tmp_path / "b.zarr", photos, photos / "below")
    with pytest.raises(UserError, match="holds a scan of more sets"):
        _scan(photos, tmp_path / "b.scan")


def test_a_folder_that_is_no_scan_is_named(tmp_path: Path) -> None:
    """And a table that something else wrote is refused."""
    with pytest.raises(UserError, match="holds no finished scan"):
        open_scan(tmp_path)
    (tmp_path / "target").mkdir()
    (tmp_path / "target/tiles.parquet").write_bytes(b"junk")
    with pytest.raises(StoreError, match="not a whole Parquet file"):
        open_scan(tmp_path)


@pytest.mark.parametrize(("column", "value", "says"), [("y", -5, "names a tile"), ("x", 9999, "names a tile")])
def test_a_scan_that_was_tampered_with_is_refused(
    photos: Path, tmp_path: Path, column: str, value: int, says: str
) -> None:
    """Boxes outside of the image, before anything is cut."""
    _scan(photos, tmp_path / "s")
    path = tmp_path / "s/target/tiles.parquet"
    table = pq.read_table(path)
    field = table.schema.get_field_index(column)
    wrong = table.set_column(field, table.schema.field(field), pa.array([value] * len(table), pa.int32()))
    tables.write(path, wrong, tables.read_provenance(path, "tile-statistics"))
    with pytest.raises(StoreError, match=says):
        build_bank.build(tmp_path / "b.zarr", open_scan(tmp_path / "s"), BANK, runner(1))
    assert not (tmp_path / "b.zarr").exists()


def test_a_table_of_other_columns_is_refused(photos: Path, tmp_path: Path) -> None:
    """The missing column is named."""
    _scan(photos, tmp_path / "s")
    path = tmp_path / "s/target/tiles.parquet"
    made = tables.read_provenance(path, "tile-statistics")
    tables.write(path, pq.read_table(path).drop_columns(["clipped"]), made)
    with pytest.raises(StoreError, match=r"has other columns than it must \(clipped \(double\)\)"):
        open_scan(tmp_path / "s")


# ------------------------------------------------------------------------------------------------ same bytes


def _many(folder: Path, num_images: int) -> Path:
    rng = stream(1, "many")
    for i in range(num_images):
        pixels = np.kron(rng.uniform(40, 200, (8, 8, 3)), np.ones((20, 20, 1))) + rng.normal(0, 2, (160, 160, 3))
        _save(folder, f"{i:03d}.png", pixels.clip(0, 255).astype(np.uint8))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("executor", [runner(2), runner(2, "local")], ids=["threads", "dask"])
def test_bank_and_scan_are_the_same_for_any_executor(tmp_path: Path, tree: Tree, executor: Run) -> None:
    """Serial is the specification; three parts of a scan, and a set beside the target."""
    photos, more = _many(tmp_path / "photos", 70), _planted(tmp_path / "more", 4, 2.0) and tmp_path / "more"
    _bank(tmp_path / "1.zarr", photos, more)
    _bank(tmp_path / "2.zarr", photos, more, executor=executor)
    for suffix in (".zarr", ".scan"):
        assert tree(tmp_path / f"1{suffix}") == tree(tmp_path / f"2{suffix}")
    one, two = (build_bank.distilled_path(tmp_path / f"{i}.zarr").read_bytes() for i in (1, 2))
    assert one == two


@pytest.mark.slow
def test_killed_and_resumed_is_the_same_as_uninterrupted(tmp_path: Path, tree: Tree) -> None:
    """`rwsr noisebank build`, killed with SIGKILL at random moments of scan and harvest, then run to its end."""
    photos, broken = _many(tmp_path / "photos", 300), tmp_path / "broken.zarr"
    arguments = ["--target", str(photos), "--size", "32", "--stride", "16", "--workers", "2", "--quantile", "0.3"]
    command = [sys.executable, "-m", "rwsr", "noisebank", "build", *arguments, "--out"]
    subprocess.run([*command, str(tmp_path / "whole.zarr")], check=True, capture_output=True)
    rng, killed = random.Random(0), 0
    for pattern in ("broken.zarr.scan/target/parts/*", "broken.zarr/building/commits/*"):
        for wanted in (1, 3, 5):
            process = subprocess.Popen([*command, str(broken)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while process.poll() is None and len(list(tmp_path.glob(pattern))) < wanted:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.02))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                killed += 1
            process.wait()
    subprocess.run([*command, str(broken)], check=True, capture_output=True)
    assert killed >= 2
    assert tree(broken) == tree(tmp_path / "whole.zarr")
    assert tree(tmp_path / "broken.zarr.scan") == tree(tmp_path / "whole.zarr.scan")


# ------------------------------------------------------------------------------------------------------ draw


def test_drawn_noise_has_no_mean_and_knows_where_it_is_from(photos: Path, tmp_path: Path) -> None:
    """Zero in each channel of the piece itself, the pixels of the source at the place it names, reproducible."""
    bank = _bank(tmp_path / "b.zarr", photos)
    for seed in range(20):
        drawn = bank.draw(stream(seed, "draw"), 7)
        assert drawn.noise.shape == (7, 7, 3) and np.abs(drawn.noise.mean(axis=(0, 1))).max() < 1e-6
        pixels = decode((photos / drawn.source).read_bytes()).pixels
        piece = pixels[drawn.source_y : drawn.source_y + 7, drawn.source_x : drawn.source_x + 7] / 255
        assert np.abs(piece - piece.mean(axis=(0, 1)) - drawn.noise).max() < 1e-6
        assert np.array_equal(bank.draw(stream(seed, "draw"), 7).noise, drawn.noise)


@pytest.mark.slow
def test_draws_are_uniform_over_patches_and_places(photos: Path, tmp_path: Path) -> None:
    """Every patch and every corner comes up about as often."""
    bank = _bank(tmp_path / "b.zarr", photos)
    rng, size = stream(0, "uniform"), 14
    draws = [bank.draw(rng, size) for _ in range(3000)]
    for values, kinds in (([d.patch for d in draws], len(bank.patches)), ([3 * d.y + d.x for d in draws], 9)):
        counts = np.bincount(values, minlength=kinds)
        chi_square = ((counts - 3000 / kinds) ** 2 / (3000 / kinds)).sum()
        assert abs(chi_square - (kinds - 1)) < 5 * np.sqrt(2 * (kinds - 1))


def test_a_piece_larger_than_a_patch_is_refused(photos: Path, tmp_path: Path) -> None:
    """With the sizes and the mend."""
    bank = _bank(tmp_path / "b.zarr", photos)
    with pytest.raises(UserError, match="size_px = 17 is not from 1 to 16"):
        bank.draw(stream(0, "draw"), 17)
    with pytest.raises(UserError, match="hold no 10x10 at 0, 7"):
        bank.crop(0, 7, 0, 10, 10)
    with pytest.raises(UserError, match=f"has no patch {len(bank.patches)}"):
        bank.crop(len(bank.patches), 0, 0, 4, 4)


def test_a_step_injects_what_was_drawn(photos: Path, tmp_path: Path) -> None:
    """Eq. 11: LR + n, rounded; the step's numbers alone are enough to do it again."""
    bank = _bank(tmp_path / "b.zarr", photos)
    drawn = bank.draw(stream(3, "draw"), 12)
    lr = np.full((12, 12, 3), 100, np.uint8)
    step = BankNoise(bank=bank.digest, patch=drawn.patch, y=drawn.y, x=drawn.x)
    injected = apply(lr, (step,), bank=NoiseBank.open(tmp_path / "b.zarr"))
    assert np.array_equal(injected, np.rint(100 + 255 * drawn.noise).astype(np.uint8))


def test_a_changed_source_fails_with_its_name(photos: Path, tmp_path: Path) -> None:
    """After the scan, before the cut."""
    grids = ScanConfig(grids=scan_grids(BANK.grids()))
    scans, _ = scan(tmp_path / "s", [photos], [], grids, IndexConfig(), runner(1))
    for path in photos.rglob("*.png"):
        os.truncate(path, 100)
    with pytest.raises(UserError, match=r"\.png changed since it was indexed"):
        build_bank.build(tmp_path / "b.zarr", scans, BANK, runner(1))


def _made(folder: Path, contrast: float, count: int) -> Path:
    """Photographs all of whose places have that standard deviation, in gray levels."""
    folder.mkdir()
    for i in range(count):
        noise = stream(0, "texture", i).normal(0, contrast, (128, 128, 1)).repeat(3, axis=2)
        _save(folder, f"{i}.png", (128 + noise).clip(1, 254).astype(np.uint8))
    return folder


def test_a_bank_of_texture_is_not_built_without_a_word(tmp_path: Path) -> None:
    """Variances far above the published threshold, a handful of patches, all of one image; a bank of noise is quiet."""
    build = ("noisebank", "build", "--size", 32, "--out")
    said = rwsr(*build, tmp_path / "t.zarr", "--target", _made(tmp_path / "texture", 30, 2))
    assert "where the published threshold is 20: that is texture rather than noise" in said
    assert "note: it has few patches (1)" in said and "note: all patches are of one image" in said
    quiet = rwsr(
        *build, tmp_path / "n.zarr", "--target", _made(tmp_path / "noise", 3, 12), "--set", "rule.quantile=0.2"
    )
    assert "note:" not in quiet

"""The pictures of a noise bank: contact sheet, tiles and rule, spectrum and covariance against its sets."""

from collections.abc import Sequence

import numpy as np

from ..degrade import seeds
from ..degrade.errors import UserError
from ..degrade.images import sources
from ..degrade.images.pixels import U8, encode_png
from ..degrade.images.read import read_source
from ..degrade.images.rows import SourceRow
from ..degrade.progress import progress
from ..degrade.storage.location import Place, place, write
from ..noisebank.bank import NoiseBank, cut
from ..noisebank.build_bank import inputs_sha256
from ..noisebank.pictures import bank_sheet
from ..noisebank.set_scan import SetScan
from ..noisebank.statistics import noise_statistics
from ..noisebank.tiles import TileGrid
from .report import bank_plots

_MOST_PATCHES, _IMAGES_OF_A_SET, _TILES_OF_AN_IMAGE = 256, 24, 4


def _evenly(count: int, most: int) -> list[int]:
    """At most that many numbers below `count`, evenly spread."""
    return np.unique(np.linspace(0, count - 1, most).round().astype(int)).tolist()


def _some_tiles(row: SourceRow, size: int) -> list[U8]:
    """A few squares of an image, at places that depend on the image only."""
    pixels = read_source(place(row.root), row.path, row.sha256)
    rng = seeds.stream(0, "bank-pictures", row.sha256)
    height, width = pixels.shape[:2]
    corners = zip(
        rng.integers(height - size + 1, size=_TILES_OF_AN_IMAGE),
        rng.integers(width - size + 1, size=_TILES_OF_AN_IMAGE),
        strict=True,
    )
    return [cut(pixels, int(y), int(x), size) for y, x in corners]


def _sample(found: SetScan, size: int) -> U8:
    """[N, s, s, 3]: squares from anywhere in a set, of images spread evenly over it."""
    rows = [row for row in sources.usable(found.rows()) if min(row.width, row.height) >= size]
    chosen = _evenly(len(rows), _IMAGES_OF_A_SET) if rows else []
    tiles: list[U8] = []
    with progress(f"look at {found.name}", len(chosen)) as advance:
        for i in chosen:
            tiles += _some_tiles(rows[i], size)
            advance(1, "")
    return np.stack(tiles) if tiles else np.empty((0, size, size, 3), dtype=np.uint8)


def draw(bank: NoiseBank, scans: Sequence[SetScan], out: Place) -> list[Place]:
    """Write the four pictures into the folder `out`.

    Raises:
        UserError: the bank was made from other images, or one of them moved or changed since the scan.
    """
    if inputs_sha256(scans) != bank.store.provenance.inputs_sha256:
        raise UserError(
            f"{scans[0].folder.parent} is not a scan of what {bank.store.path} was made from; name it with --scan"
        )
    grid = TileGrid.model_validate(bank.store.attributes["grid"])
    tiles = {each.name: each.read_tiles(grid) for each in scans}
    statistics = {"bank": noise_statistics(bank.patches.read(_evenly(len(bank.patches), _MOST_PATCHES)))}
    for each in scans:
        anywhere = _sample(each, grid.size)
        if len(anywhere):
            statistics[f"{each.name}, anywhere"] = noise_statistics(anywhere)
    pictures = {
        "patches.png": encode_png(bank_sheet(bank)),
        "tiles.png": bank_plots.tiles_and_rule(tiles, bank.rule, bank.cati).light,
        "spectrum.png": bank_plots.spectra(statistics),
        "covariance.png": bank_plots.covariances(statistics),
    }
    for name, data in pictures.items():
        write(out / name, data)
    return [out / name for name in pictures]

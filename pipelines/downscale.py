"""HR and LR that a learned downscaling makes of images, as the two folders of pairs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..degrade.errors import UserError
from ..degrade.images import sources
from ..degrade.images.listing import IndexConfig
from ..degrade.images.pixels import U8, encode_png
from ..degrade.images.read import read_source
from ..degrade.images.rows import SourceRow
from ..degrade.ops.render import apply
from ..degrade.ops.resize import Resize
from ..degrade.progress import progress
from ..degrade.storage.local import write_atomic
from ..degrade.storage.location import Place, place
from ..degrade.tasks import Run
from ..eval.images.restoring import pick_device
from ..train.networks.baselines.downscaling import downscaled, open_downscaling


def make_pairs(
    folders: Sequence[Place], run: Path, out: Path, images: IndexConfig, on: Run, *, clean_up: int = 1
) -> tuple[list[SourceRow], int]:
    """Write OUT/HR and OUT/LR of the images below the folders, and give their index and how many pairs there are.

    clean_up: HR is the image so many times smaller, which takes its own noise out. Pairs that are there are left.

    Raises:
        UserError: the run is no learned downscaling, or no image can be used.
    """
    device = pick_device()
    net = open_downscaling(run, device)
    out.mkdir(parents=True, exist_ok=True)
    rows = list(sources.index(folders, out / "index.parquet", images, on))
    sources.name_left_out(rows)
    found = [row for row in sources.usable(rows) if min(row.width, row.height) >= net.scale * clean_up]
    if not found:
        raise UserError("none of the images can be used; see the lines above")
    for name in ("HR", "LR"):
        (out / name).mkdir(exist_ok=True)
    with progress("pairs", len(found)) as advance:
        for row in found:
            name = f"{Path(row.path).stem}-{row.sha256[:8]}.png"
            if not (out / "LR" / name).exists():  # written last
                hr = hr_of(read_source(place(row.root), row.path, row.sha256), net.scale, clean_up)
                write_atomic(out / "HR" / name, encode_png(hr))
                write_atomic(out / "LR" / name, encode_png(downscaled(net, hr)))
            advance(1, "")
    return rows, len(found)


def hr_of(pixels: U8, scale: int, clean_up: int) -> U8:
    """The image as HR, so many times smaller, its sides cut to multiples of the scale."""
    height, width = (side // clean_up for side in pixels.shape[:2])
    if clean_up > 1:
        pixels = apply(pixels, (Resize(height=height, width=width, mode="matlab-bicubic"),))
    return np.ascontiguousarray(pixels[: height // scale * scale, : width // scale * scale])

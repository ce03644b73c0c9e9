"""HR and LR that a learned downscaling makes of images, as the two folders of pairs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
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
from ..degrade.storage.location import Place, place, sha256
from ..degrade.storage.provenance import Json
from ..degrade.tasks import Run
from ..eval.images.restoring import pick_device
from ..train.networks.baselines.downscaling import downscaled, open_downscaling
from ..train.runs.moments import model_file


@dataclass(frozen=True)
class MadePairs:
    """Pairs of files. rows: of the images that were looked at. written: how many pairs are new."""

    rows: list[SourceRow]
    pairs: int
    written: int


def made_pairs(
    folders: Sequence[Place], run: Path, out: Path, images: IndexConfig, on: Run, *, clean_up: int = 1
) -> MadePairs:
    """Write OUT/HR and OUT/LR of the images below the folders.

    clean_up: HR is the image so many times smaller, which takes its own noise out. Pairs that are there are left, those
    of images that are gone removed.

    Raises:
        UserError: the run is no learned downscaling, no image can be used, or `out` holds pairs of another run.
    """
    device = pick_device()
    net = open_downscaling(run, device)
    for folder in folders:
        if isinstance(folder, Path) and out.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"--out {out} lies in {folder}, whose images it is made of; name a folder outside")
    _claim(out, {"run": sha256(model_file(run)), "clean_up": clean_up})
    rows = list(sources.index(folders, out / "index.parquet", images, on))
    sources.name_left_out(rows)
    found = [row for row in sources.usable(rows) if min(row.width, row.height) >= net.scale * clean_up]
    if not found:
        raise UserError("none of the images can be used; see the lines above")
    named = {f"{Path(row.path).stem}-{row.sha256[:8]}.png": row for row in found}
    for side in ("HR", "LR"):
        (out / side).mkdir(exist_ok=True)
        for path in (out / side).glob("*.png"):
            if path.name not in named:
                path.unlink()
    written = 0
    with progress("pairs", len(named)) as advance:
        for name, row in named.items():
            if not (out / "LR" / name).exists():  # written last
                hr = hr_of(read_source(place(row.root), row.path, row.sha256), net.scale, clean_up)
                write_atomic(out / "HR" / name, encode_png(hr))
                write_atomic(out / "LR" / name, encode_png(downscaled(net, hr)))
                written += 1
            advance(1, "")
    return MadePairs(rows, len(named), written)


def _claim(out: Path, told: Json) -> None:
    """Note what a folder's pairs are made by; raises UserError where it holds others, or something else."""
    noted = out / "made.json"
    if noted.exists():
        if json.loads(noted.read_text()) != told:
            raise UserError(f"{out} holds pairs of another run or --clean-up; use another --out, or remove {out}")
        return
    if out.exists() and (not out.is_dir() or any(each.name != "index.parquet" for each in out.iterdir())):
        raise UserError(f"--out {out} holds something else; name a new folder")
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(noted, json.dumps(told).encode())


def hr_of(pixels: U8, scale: int, clean_up: int) -> U8:
    """The image as HR, so many times smaller, its sides cut to multiples of the scale."""
    height, width = (side // clean_up for side in pixels.shape[:2])
    if clean_up > 1:
        pixels = apply(pixels, (Resize(height=height, width=width, mode="matlab-bicubic"),))
    return np.ascontiguousarray(pixels[: height // scale * scale, : width // scale * scale])

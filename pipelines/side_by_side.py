"""What several models made of the same images, beside each other on one page."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..degrade.errors import UserError
from ..degrade.images.decode import decode
from ..degrade.images.pixels import encode_png, middle
from ..degrade.images.read import read_bytes
from ..degrade.storage.local import write_atomic
from ..eval.report.page import Section, Strip, page
from .restore import Restored, is_one_file

_PIECE_PX = 320  # side of what is shown, of what was restored
PAGE = "side-by-side.html"


def places_of(models: Sequence[Path], out: Path, images: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Each model with the folder that its images go to: OUT itself of one, OUT/MODEL of several.

    Raises:
        UserError: two go by one name, or OUT is a file and there are several.
    """
    if len(models) == 1:
        return [(models[0], out)]
    if is_one_file(images, out):
        raise UserError(f"--out {out} is one file, and {len(models)} models make one each; name a folder")
    names = [model.resolve().name if model.is_dir() else model.name for model in models]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"two models are called {twice[0]}; copy one to another name, or restore with one at a time")
    return [(model, out / name.replace("@", "-at-")) for model, name in zip(models, names, strict=True)]


def write_side_by_side(done: Sequence[Restored], out: Path) -> Path:
    """OUT/side-by-side.html: of each image its middle, and what each model made of that."""
    of_image: dict[Path, list[Restored]] = {}
    for each in done:
        of_image.setdefault(each.source, []).append(each)
    strips = [_strip(source, found, out) for source, found in of_image.items()]
    models = sorted({each.path.relative_to(out).parts[0] for each in done})
    path = out / PAGE
    write_atomic(path, page("Side by side", ", ".join(models), [Section("The middle of each image", (), strips)]))
    return path


def _strip(source: Path, found: Sequence[Restored], out: Path) -> Strip:
    made = [(decode(each.path.read_bytes()).pixels, each.path.relative_to(out).parts[0]) for each in found]
    before = decode(read_bytes(source)).pixels
    height, width = made[0][0].shape[:2]
    enlarged = np.asarray(cv2.resize(before, (width, height), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    crops = [(encode_png(middle(image, _PIECE_PX)), name) for image, name in ((enlarged, "as it was"), *made)]
    return Strip(tuple(crops), source.name)

"""What a training made of held-out images on its way: PNG files in RUN/images, one folder a step."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from ...degrade.images.pixels import U8, encode_png
from ...degrade.storage.local import write_atomic

REFERENCE = "reference"  # beside the steps: LR and HR


def write_pictures(run: Path, folder: str, images: Mapping[str, U8]) -> None:
    """RUN/images/FOLDER/NAME.png of each."""
    for name, pixels in images.items():
        write_atomic(run / "images" / folder / f"{name}.png", encode_png(pixels))


def folder_of(step: int) -> str:
    return f"step-{step:08d}"


def read_pictures(run: Path) -> dict[str, dict[str, bytes]]:
    """The PNG files by name, of each by folder: the reference first, then the steps in order."""
    found: dict[str, dict[str, bytes]] = {}
    folders = sorted((run / "images").glob("step-????????"))
    for folder in (run / "images" / REFERENCE, *folders):
        for path in sorted(folder.glob("*.png")):
            found.setdefault(path.stem, {})[folder.name] = path.read_bytes()
    return found


def drop_pictures_after(run: Path, step: int) -> None:
    """Remove those of later steps, which are made again."""
    for folder in (run / "images").glob("step-????????"):
        if int(folder.name.removeprefix("step-")) > step:
            shutil.rmtree(folder)


def plain_name(number: int, name: str) -> str:
    """A name for a file, of an image's number and of what it is called."""
    return f"{number:02d}-{re.sub(r'[^A-Za-z0-9_.-]+', '_', Path(name).stem)[:40]}"

"""Photographs degraded by one camera that no training knows of: a camera to measure with, where none is had."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ...degrade.images import sources
from ...degrade.images.pixels import U8, encode_png
from ...degrade.images.read import read_source
from ...degrade.images.rows import SourceRow
from ...degrade.ops.blur import Blur
from ...degrade.ops.codecs import Jpeg
from ...degrade.ops.gaussian import GaussianNoise
from ...degrade.ops.kernels import Kernel
from ...degrade.ops.render import apply
from ...degrade.ops.resize import Resize
from ...degrade.ops.step import Step, field_key
from ...degrade.progress import progress
from ...degrade.seeds import stream
from ...degrade.storage.local import write_atomic
from ...degrade.storage.location import place


@dataclass(frozen=True)
class Camera:
    """blur: sigma of its optics, in pixels. noise_255: of its sensor. quality: of its JPEG."""

    blur: float
    noise_255: float
    quality: int


Simulated = Literal["noisy", "soft"]
CAMERAS: dict[Simulated, Camera] = {"noisy": Camera(0.6, 10, 90), "soft": Camera(1.0, 2, 92)}
NOISY = CAMERAS["noisy"]
_OTHERS_NOISE_255, _OTHERS_QUALITY = (0.0, 25.0), (50, 95)  # of other cameras, each photograph its own


def _steps(camera: Camera, key: str) -> tuple[Step, ...]:
    size = 7 if camera.blur < 1 else 13
    return (
        Blur(kernel=Kernel(kind="iso", size=size, sigma_x=camera.blur, sigma_y=camera.blur)),
        GaussianNoise(sigma_255=camera.noise_255, gray=False, field=field_key(0, "spoilt", key)),
        Jpeg(quality=camera.quality),
    )


def by_one_camera(pixels: U8, key: str, camera: Camera = NOISY) -> U8:
    """Always the same degradation; key: the photograph, for its own noise."""
    return apply(pixels, _steps(camera, key))


def by_others(pixels: U8, key: str) -> U8:
    """The same kinds, as strong as the photograph has it: an auxiliary set is of many cameras."""
    rng = stream(0, "others", key)
    noise, quality = rng.uniform(*_OTHERS_NOISE_255), rng.integers(*_OTHERS_QUALITY, endpoint=True)
    return apply(pixels, _steps(Camera(NOISY.blur, float(noise), int(quality)), key))


def made_smaller(pixels: U8, scale: int) -> U8:
    """LR by MATLAB's bicubic; sides are multiples of the scale."""
    height, width = (side // scale for side in pixels.shape[:2])
    return apply(pixels, (Resize(height=height, width=width, mode="matlab-bicubic"),))


def pairs_by(camera: Camera, rows: Sequence[SourceRow], folder: Path, scale: int) -> tuple[Path, Path]:
    """HR of an index, its sides cut to multiples of the scale, and LR of it by one camera: FOLDER/HR and FOLDER/LR."""

    def lr(pixels: U8, key: str) -> U8:
        return by_one_camera(made_smaller(pixels, scale), key, camera)

    hr_folder = written(rows, folder / "HR", "HR", lambda pixels, _: pixels, scale)
    return hr_folder, written(rows, folder / "LR", "LR by one camera", lr, scale)


def written(
    rows: Sequence[SourceRow], folder: Path, title: str, change: Callable[[U8, str], U8], multiple: int = 1
) -> Path:
    """The images of an index, changed, as the PNG files of a folder; those that are there already are left, and those
    of images that are gone removed. Gives the folder.

    change: pixels and the hash of their file -> pixels. multiple: sides are cut to multiples of it first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {folder / f"{Path(row.path).stem}-{row.sha256[:8]}.png": row for row in sources.usable(rows)}
    for path in set(folder.glob("*.png")) - set(wanted):
        path.unlink()
    with progress(title, len(wanted)) as advance:
        for path, row in wanted.items():
            if not path.exists():
                pixels = read_source(place(row.root), row.path, row.sha256)
                height, width = (side // multiple * multiple for side in pixels.shape[:2])
                cut = np.ascontiguousarray(pixels[:height, :width])
                write_atomic(path, encode_png(change(cut, row.sha256)))
            advance(1, "")
    return folder

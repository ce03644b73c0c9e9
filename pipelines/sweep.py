"""Images restored under one setting after another, as a strip, a GIF and a film: what turning a score does."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..degrade.errors import UserError
from ..degrade.images.contact_sheet import Cell, contact_sheet
from ..degrade.images.decode import decode
from ..degrade.images.pixels import U8, encode_png, middle
from ..degrade.progress import say
from ..degrade.storage.local import write_atomic
from ..eval.protocols.interpolation import interpolated
from ..train.files.open import Restorer
from .restore import LeftOut, Restored, restore_files

_PIECE_PX, _CELL_PX = 512, 256  # side of what a film shows of an image, and the strip, pixel for pixel
_SECONDS, _MOST_FPS, _LEAST_FPS = 4.0, 25, 2  # of a film, there and back
Scores = tuple[float | None, ...]  # None is the UDEM's own


@dataclass(frozen=True)
class Setting:
    """What one frame is restored under. alpha: of the networks between two models. name: by what is turned."""

    blur: float | None = None
    noise: float | None = None
    alpha: float | None = None
    name: str = ""


@dataclass(frozen=True)
class Sweep:
    """The settings of a sweep, and how many there are of each that is turned: rows and columns of the strip."""

    settings: tuple[Setting, ...]
    rows: int
    columns: int


def sweep_of(blur: Scores, noise: Scores, alpha: tuple[float, ...] | None) -> Sweep | None:
    """Every combination of the scores; None where nothing is turned, and no alpha is named.

    Raises:
        UserError: three are turned at once, or one has a value twice.
    """
    named = {"blur": blur, "noise": noise, "alpha": alpha or (None,)}
    turned = [name for name, each in named.items() if len(each) > 1]
    if len(turned) > 2:
        raise UserError("blur, noise and alpha are all turned; turn two at most, and name one value of the third")
    for name in turned:
        if len(set(named[name])) < len(named[name]):
            raise UserError(f"{name} has one value twice; name each once")
    if not turned and alpha is None:
        return None
    shown = turned or ["alpha"]
    settings = [
        Setting(b, n, a, "-".join(f"{name}-{_said({'blur': b, 'noise': n, 'alpha': a}[name])}" for name in shown))
        for b, n, a in product(*named.values())
    ]
    counts = [len(named[name]) for name in shown]
    return Sweep(tuple(settings), 1 if len(counts) == 1 else counts[0], counts[-1])


def _said(score: float | None) -> str:
    return "auto" if score is None else f"{score:.4f}".rstrip("0").ljust(4, "0")


def restore_sweep(
    images: Sequence[Path],
    restorer: Restorer,
    other: Restorer | None,
    out: Path,
    sweep: Sweep,
    *,
    tile_px: int | None = None,
    half: bool = False,
) -> tuple[list[Restored], list[LeftOut], list[Path]]:
    """Every image under every setting, OUT/SETTING/NAME.png, and of each image OUT/NAME-sweep.png, .gif and .mp4.

    other: the network that alpha leads to. Gives what was restored, what was left out, and the pictures of sweeps.

    Raises:
        UserError: the two are not of one network; and as `restore_files`.
    """
    if out.suffix.lower() == ".png":
        raise UserError(f"--out {out} is one image, and a sweep makes many; name a folder")
    ends = None if other is None else (_weights(restorer), _weights(other))
    if ends is not None:
        interpolated(*ends, 0.5)  # says before any image where they do not fit
    of_source: dict[Path, list[Restored]] = {}
    done, lost = list[Restored](), list[LeftOut]()
    for setting in sweep.settings:
        if ends is not None and setting.alpha is not None:
            restorer.net.load_state_dict(interpolated(*ends, setting.alpha))
        conditioned = restorer.conditioned is not None
        told: dict[str, Any] = {"blur": setting.blur, "noise": setting.noise}
        if conditioned:
            assert setting.blur is not None and setting.noise is not None
            told = {"condition": (setting.blur, setting.noise)}
        made, left_out = restore_files(images, restorer, out / setting.name, tile_px=tile_px, half=half, **told)
        done, lost = [*done, *made], [*lost, *left_out]
        for each in made:
            of_source.setdefault(each.source, []).append(each)
    pictures: list[Path] = []
    sources = {source.resolve() for source in of_source}
    for found in of_source.values():
        if len(found) == len(sweep.settings):
            pictures += _drawn(found, sweep, out, sources)
    return done, lost, pictures


def _weights(restorer: Restorer) -> dict[str, Any]:
    return {name: value.clone() for name, value in restorer.net.state_dict().items()}


def _drawn(found: Sequence[Restored], sweep: Sweep, out: Path, sources: set[Path]) -> list[Path]:
    """The strip of an image, and of what is turned alone the film, of the middle of it."""
    pieces = [middle(decode(each.path.read_bytes()).pixels, _PIECE_PX) for each in found]
    place = found[0].path.relative_to(out / sweep.settings[0].name)
    start = out / place.with_name(f"{place.name.removesuffix('.png')}-sweep")
    cells = [
        Cell(middle(piece, _CELL_PX), (_caption(setting, each),))
        for piece, setting, each in zip(pieces, sweep.settings, found, strict=True)
    ]
    rows = [cells[i : i + sweep.columns] for i in range(0, len(cells), sweep.columns)]
    written = {_ending(start, ".png"): encode_png(contact_sheet(rows, cell_px=_CELL_PX, title=found[0].source.name))}
    if sweep.rows == 1:
        frames = [*pieces, *pieces[-2:0:-1]]
        fps = float(np.clip(len(frames) / _SECONDS, _LEAST_FPS, _MOST_FPS))
        written[_ending(start, ".gif")] = _gif(frames, fps)
        film = _mp4(frames, fps)
        if film is None:
            say("note: no .mp4 was written: pip install 'rwsr[video]'")
        else:
            written[_ending(start, ".mp4")] = film
    for path, data in written.items():
        if path.resolve() in sources:
            raise UserError(f"{path} is restored, and would be written over; name another --out")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    return list(written)


def _ending(path: Path, suffix: str) -> Path:
    """A path with something at its end, whatever dots there are in it."""
    return path.with_name(f"{path.name}{suffix}")


def _caption(setting: Setting, made: Restored) -> str:
    """What is turned, with the scores that the image was restored under."""
    values = {"blur": made.blur, "noise": made.noise, "alpha": setting.alpha}
    return ", ".join(f"{name} {value:.2f}" for name, value in values.items() if value is not None)


def _gif(frames: Sequence[U8], fps: float) -> bytes:
    """There and back, for ever; the colours of all frames in one palette, so that none flickers."""
    whole = Image.fromarray(np.concatenate(frames, axis=0)).quantize(256, dither=Image.Dither.NONE)
    pictures = [Image.fromarray(frame).quantize(palette=whole, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames]
    sink = io.BytesIO()
    pictures[0].save(
        sink, "GIF", save_all=True, append_images=pictures[1:], duration=round(1000 / fps), loop=0, optimize=False
    )
    return sink.getvalue()


def _mp4(frames: Sequence[U8], fps: float) -> bytes | None:
    """H.264 of every frame once, there and back; None where PyAV is not there."""
    try:
        import av  # pyright: ignore
    except ImportError:
        return None
    height, width = (side - side % 2 for side in frames[0].shape[:2])
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as film:  # pyright: ignore
        stream: Any = film.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "14", "threads": "1"}
        for pixels in frames:
            cut = np.ascontiguousarray(pixels[:height, :width])
            film.mux(stream.encode(av.VideoFrame.from_ndarray(cut, format="rgb24")))
        film.mux(stream.encode(None))
    return sink.getvalue()

"""Restores the images of files and folders with any model."""

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..degrade.errors import ImageError, UserError
from ..degrade.images.decode import is_image, known_extensions
from ..degrade.images.formats.photos import unread
from ..degrade.images.read import read_bytes
from ..degrade.progress import printable, progress, say
from ..degrade.storage.local import write_atomic
from ..eval.images.files import Picture, encode_picture, enlarged_alpha, read_picture
from ..eval.images.restoring import Device, Model, pick_device
from ..eval.images.tiling import LEAST_TILE_PX, OutOfMemoryError, restore_pixels, tile_of
from ..train.files.open import Restorer, open_restorer
from ..train.networks import mm_realsr

# What one image's place may refuse while those of others do not; a full disk ends them all.
_OF_ONE_TARGET = (
    errno.ENAMETOOLONG,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EACCES,
    errno.EPERM,
    errno.EINVAL,  # a folder stands there, or the file system has no such names
    errno.EILSEQ,
)


@dataclass(frozen=True)
class Restored:
    """A restored image, what it was, and the scores or the condition that it was restored under where the model has
    such.
    """

    path: Path
    source: Path
    blur: float | None = None
    noise: float | None = None


@dataclass(frozen=True)
class LeftOut:
    """An image that could not be read or written, and why."""

    path: Path
    reason: str


def _named(images: Sequence[Path]) -> Iterator[tuple[Path, Path, str]]:
    """Each image once, its name below OUT (that of a file, or from a named folder on), and the name of its folder.

    Raises:
        UserError: a folder holds no image.
    """
    seen: set[Path] = set()
    for path in images:
        if not path.is_dir():
            found = [(path, Path(path.name))]
        else:
            files = sorted(each for each in path.rglob("*") if not each.is_dir())
            below = [each for each in files if is_image(each.relative_to(path).as_posix())]
            passed_over = unread(map(str, files))
            if passed_over is not None:
                say(f"note: {path}: {passed_over}")
            if not below:
                known = ", ".join(sorted(known_extensions()))
                raise UserError(f"no image below {path} (looked for {known}); name another folder")
            found = [(each, each.relative_to(path)) for each in below]
        folder = path if path.is_dir() else path.parent
        for file, name in found:
            real = file.absolute()
            if real not in seen:
                seen.add(real)
                yield file, name, folder.resolve().name


def images_of(images: Sequence[Path]) -> list[Path]:
    """Each image that is named, and each in a named folder, once; raises UserError where a folder holds none."""
    return [path for path, _, _ in _named(images)]


def _targets(images: Sequence[Path], out: Path) -> list[tuple[Path, Path]]:
    """Where each image goes: NAME.png; where several would go there, each to NAME.jpg.png; where that is not enough,
    below the name of its folder.
    """
    named = list(_named(images))
    ways = [
        (name.with_suffix(".png"), name.with_name(f"{name.name}.png"), folder / name.with_suffix(".png"),
         folder / name.with_name(f"{name.name}.png"))
        for _, name, folder in ((path, name, Path(folder)) for path, name, folder in named)
    ]  # fmt: skip
    counts = [Counter(way) for way in zip(*ways, strict=True)]
    taken: set[Path] = set()
    found: list[tuple[Path, Path]] = []
    for (path, _, _), choices in zip(named, ways, strict=True):
        free = (each for each, count in zip(choices, counts, strict=True) if count[each] == 1 and each not in taken)
        target, number = next(free, choices[-1]), 2
        while target in taken:
            target, number = choices[-1].with_stem(f"{choices[-1].stem}-{number}"), number + 1
        taken.add(target)
        found.append((path, out / target))
    return found


def _check_apart(images: Sequence[Path], todo: Sequence[tuple[Path, Path]], out: Path) -> None:
    """No image is written over, and none that was made is restored the next time."""
    for path in images:
        if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
            raise UserError(f"--out {out} lies in {path}, which is restored; name a folder outside")
        if not path.exists():
            raise UserError(f"{path} does not exist; name an image or a folder of images")
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file; name a folder, or another .png for one image")
    there = next(each for each in (out, *out.absolute().parents) if each.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"--out {out} cannot be written to ({there} is read-only for you); name another folder")
    sources = {path.resolve(): path for path, _ in todo}
    for _, target in todo:
        if target.resolve() in sources:
            raise UserError(f"{sources[target.resolve()]} would be written over; name another --out")


def _modulated(
    net: mm_realsr.MMRealSR, picture: Picture, blur: float | None, noise: float | None, tile_px: int
) -> tuple[Model, float, float]:
    """The model under the chosen scores, or those that the UDEM gives the whole image, whatever the tiles."""
    if blur is not None and noise is not None:
        return (lambda x: net.restore_at(x, blur, noise)), blur, noise
    own = mm_realsr.whole_scores(net, picture.pixels, tile_px)
    first, second = (score if told is None else told for score, told in zip(own, (blur, noise), strict=True))
    return (lambda x: net.restore_at(x, first, second)), first, second


@dataclass(frozen=True)
class _Told:
    """How images are restored: under which scores or condition, in which tiles, and whether in fp16."""

    blur: float | None
    noise: float | None
    condition: tuple[float, float] | None
    half: bool


class _Tile:
    """The side of a tile: as it was said, or what the device suits, until its memory holds no such one."""

    def __init__(self, told: int | None, device: Device) -> None:
        self._told, self._device = told, device
        self.px = tile_of(device) if told is None else told

    def make_smaller(self) -> None:
        """After the device had no memory left; raises UserError where there is nothing to be done about it."""
        if self._told is not None or self.px // 2 < LEAST_TILE_PX * 2:
            raise UserError(
                f"{self._device} has no memory left for "
                + (f"a tile of {self.px} px" if self.px else "a whole image")
                + "; name a smaller --tile, and let no other program hold any"
            ) from None
        say(f"note: {self._device} has no memory left for tiles of {self.px} px; {self.px // 2} from here on")
        self.px //= 2


def _restored(
    restorer: Restorer, path: Path, told: _Told, tile: _Tile, device: Device, advance: Callable[[int], None]
) -> tuple[Picture, tuple[float | None, float | None]]:
    """An image restored, and the scores or the condition of it; in smaller tiles where the device's memory is full."""
    picture = read_picture(read_bytes(path))
    while True:
        try:
            return _in_tiles(restorer, path, picture, told, tile.px, device, advance)
        except OutOfMemoryError:
            tile.make_smaller()


def _in_tiles(
    restorer: Restorer,
    path: Path,
    picture: Picture,
    told: _Told,
    tile_px: int,
    device: Device,
    advance: Callable[[int], None],
) -> tuple[Picture, tuple[float | None, float | None]]:
    model: Model = restorer.net
    scores: tuple[float, float] | tuple[None, None] = (None, None)
    if restorer.conditioned is not None:
        assert told.condition is not None
        blur, noise = scores = told.condition
        model = partial(restorer.conditioned.restore_at, blur=blur, noise=noise)
    elif restorer.modulated is not None:
        model, *found = _modulated(restorer.modulated, picture, told.blur, told.noise, tile_px)
        scores = (found[0], found[1])
    elif restorer.learning is not None:
        model = restorer.learning.learned_of(picture.pixels)
    scale = restorer.scale
    if restorer.pools_whole and tile_px and max(picture.pixels.shape[:2]) > tile_px:
        say(
            f"note: {printable(path.name)}: {restorer.name} looks at statistics of the whole image, which tiles of "
            f"{tile_px} px have not; --tile 0 restores it whole"
        )
    pixels = restore_pixels(model, picture.pixels, scale, device, tile_px=tile_px, half=told.half, advance=advance)
    alpha = None if picture.alpha is None else enlarged_alpha(picture.alpha, scale)
    return replace(picture, pixels=pixels, alpha=alpha), scores


def _write(target: Path, picture: Picture) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, encode_picture(picture))


def is_one_file(images: Sequence[Path], out: Path) -> bool:
    """Whether one image is to become one file: `a.png --out b.png`.

    Raises:
        UserError: several are to become one, or one is to become a file of another kind.
    """
    suffix = out.suffix.lower()
    if out.is_dir() or suffix not in known_extensions():
        return False
    if len(images) != 1 or images[0].is_dir():
        raise UserError(f"--out {out} is the name of one image, and several are restored; name a folder")
    if suffix != ".png":
        raise UserError(f"--out {out}: what is restored is written as PNG; name {out.with_suffix('.png')}, or a folder")
    return True


def told_model(
    model: Path, *, blur: float | None, noise: float | None, condition: tuple[float, float] | None
) -> Restorer:
    """A model that is told what it needs, ready to restore.

    Raises:
        UserError: it cannot be opened, or is not told what it needs, or what it does not have.
    """
    restorer = open_restorer(model, pick_device())
    if restorer.modulated is None and (blur, noise) != (None, None):
        instead = "name --condition instead" if restorer.conditioned else "leave out --blur and --noise"
        raise UserError(f"{model} takes no scores; {instead}")
    if (restorer.conditioned is None) != (condition is None):
        if condition is None:
            raise UserError(f"{model} needs a condition; name --condition BLUR NOISE, such as 0.25 0.30")
        raise UserError(f"{model} takes no condition; leave out --condition")
    return restorer


def restore_files(
    images: Sequence[Path],
    restorer: Restorer,
    out: Path,
    *,
    blur: float | None = None,
    noise: float | None = None,
    condition: tuple[float, float] | None = None,
    tile_px: int | None = None,
    half: bool = False,
) -> tuple[list[Restored], list[LeftOut]]:
    """Restore each image, and each in a folder, into `out`, by a model as `told_model` opens it; gives back what was
    written, and what was left out. While one image is restored, the one before is written.

    tile_px: of LR; None takes what the device suits, and less where its memory is too small. half: in fp16.

    Raises:
        UserError: a folder has no image, or `out` cannot be written to, or the device is too small or none for fp16.
    """
    device = pick_device()
    if half and device.type != "cuda":
        raise UserError("--half is for CUDA, and this machine has none; leave it out")
    if is_one_file(images, out):
        todo = [(images[0], out)]
        _check_apart(images, todo, out.parent)
    else:
        todo = _targets(images, out)
        _check_apart(images, todo, out)
    told, tile = _Told(blur, noise, condition, half), _Tile(tile_px, device)
    done: list[Restored] = []
    left_out: list[LeftOut] = []

    def settle(restored: Restored, written: "Future[None]") -> None:
        try:
            written.result()
            done.append(restored)
        except OSError as error:
            if error.errno not in _OF_ONE_TARGET:
                raise
            left_out.append(LeftOut(restored.source, f"cannot be written to {restored.path}: {error.strerror}"))

    with progress("restore", len(todo)) as advance, ThreadPoolExecutor(1) as writer:
        waiting: tuple[Restored, Future[None]] | None = None
        for path, target in todo:
            try:
                picture, scores = _restored(
                    restorer, path, told, tile, device, lambda _, name=path.name: advance(0, printable(name))
                )
            except ImageError as error:
                left_out.append(LeftOut(path, error.reason))
                continue
            finally:
                advance(1, "")
                if waiting is not None:
                    settle(*waiting)
                waiting = None
            waiting = Restored(target, path, *scores), writer.submit(_write, target, picture)
        if waiting is not None:
            settle(*waiting)
    return done, left_out

"""Sets of images to measure on: stores of groups or pairs, and folders of HR with LR beside them or made of them."""

import errno
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...degrade.errors import ImageError, UserError
from ...degrade.images.decode import decode, is_image, known_extensions
from ...degrade.images.formats.photos import unread
from ...degrade.images.pixels import U8
from ...degrade.images.read import read_bytes
from ...degrade.images.roles import Role
from ...degrade.manifest import in_use
from ...degrade.pairs.pairing import ALL, Selection, of_role, paired
from ...degrade.storage import location
from ...degrade.storage.location import Place
from ...degrade.storage.provenance import sha256_of
from ...degrade.storage.shards.reader import ShardReader
from ...degrade.storage.shards.store import Store
from ...degrade.storage.shards.verify import digest
from .imresize import reduced
from .known_sets import name_of, words_of

UNFIT = "unfit"  # the status of an HR and an LR whose sizes do not belong together

_log = logging.getLogger("rwsr")


@dataclass(frozen=True)
class Item:
    """An image to restore, [h, w, 3] uint8, and the HR that it should become, [scale*h, scale*w, 3], or None.

    source, sample, member: as in a report's rows. condition: how it was degraded, where that is known (CUGAN's z).
    """

    source: str
    sample: int
    member: str
    lr: U8
    hr: U8 | None
    condition: tuple[float, ...] | None = None


@dataclass(frozen=True)
class ImageSet:
    """Images by name. sha256 is the hash of all that is in it; items are read when they are asked for.

    num_unreadable: those that were named and left out when the set was made.
    """

    name: str
    sha256: str
    scale: int
    items: "Sequence[ItemSource]"
    num_unreadable: int = 0

    @property
    def has_hr(self) -> bool:
        return all(item.has_hr for item in self.items)

    def names(self, item: Item) -> dict[str, Any]:
        """The columns of a report that say which image of which set an item is."""
        return {"data": self.name, "data_sha256": self.sha256, "source": item.source, "sample": item.sample}


def first_of(images: ImageSet, count: int) -> ImageSet:
    """So many images of a set, spread over it: a smaller set, of another hash."""
    step = max(1, len(images.items) // count)
    kept = images.items[::step][:count]
    name = f"{len(kept)} of {images.name}"
    return ImageSet(name, sha256_of([images.sha256, str(step), str(count)]), images.scale, kept)


@dataclass(frozen=True)
class ItemSource:
    """One or more items that are read together; count is how many."""

    read: "partial[list[Item]]"
    count: int
    has_hr: bool


def opened(images: ImageSet) -> Iterator[tuple[int, list[Item]]]:
    """The images as they are read: (how many there should be, those that there are).

    A file that cannot be read is named in a line (logger `rwsr`) and left out.
    """
    for source in images.items:
        try:
            yield source.count, source.read()
        except ImageError as error:
            _log.warning("left out: %s: %s", error.status, error)
            yield source.count, []


def check_fits(images: ImageSet) -> None:
    """Read every image once, before long work; raises UserError where two do not belong together, or none is whole."""
    whole = 0
    for source in images.items:
        try:
            whole += len(source.read())
        except ImageError as error:
            if error.status == UNFIT:
                raise UserError(str(error)) from None
            _log.warning("left out: %s: %s", error.status, error)
    if not whole:
        raise UserError(f"none of the images of {images.name} can be read; see the lines above")


def _group(
    hr_reader: ShardReader,
    lr_reader: ShardReader,
    members: list[str],
    sample: int,
    source: str,
    condition: tuple[float, ...] | None,
) -> list[Item]:
    hr, lr = hr_reader.read([sample])[0], lr_reader.read([sample])[0]
    return [Item(source, sample, member, pixels, hr, condition) for member, pixels in zip(members, lr, strict=True)]


def of_store(store: Store) -> ImageSet:
    """Every member of every sample of a store but those that no reader gives."""
    rows = store.manifest(columns=["source", "condition"]).to_pylist()
    members = [str(name) for name in store.attributes["members"]]
    group = partial(_group, ShardReader(store, "hr"), ShardReader(store, "lr"), members)
    items = [
        ItemSource(partial(group, i, row["source"], row["condition"] and tuple(row["condition"])), len(members), True)
        for i in in_use(store).tolist()
        for row in [rows[i]]
    ]
    return ImageSet(str(store.path.name), digest(store), int(store.attributes["scale"]), items)


def _names(folder: Place) -> list[str]:
    """The names of the images below a folder.

    Raises:
        UserError: there is no folder, or no image in it.
    """
    if isinstance(folder, Path) and not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name a folder of images")
    names = location.names_below(folder)
    passed_over = unread(names)
    if passed_over is not None:
        _log.warning("note: %s: %s", folder, passed_over)
    found = [name for name in names if is_image(name)]
    if not found:
        known = ", ".join(sorted(known_extensions()))
        raise UserError(f"no image below {folder} (looked for {known}); name another folder")
    return found


def _hashes(folder: Place, names: Iterable[str]) -> dict[str, str]:
    """The hash of each image that can be read, by its name; the others are named and left out."""
    found: dict[str, str] = {}
    for name in names:
        file = folder / name
        try:
            name.encode()
            if isinstance(file, Path) and not file.is_file():
                raise OSError(errno.EINVAL, "is not a regular file (a dangling link, a pipe or a device)")
            found[name] = location.sha256(file)
        except UnicodeEncodeError:
            _log.warning("left out: unreadable: %s: its name is not UTF-8; rename it", file)
        except ConnectionError:
            raise
        except OSError as error:
            _log.warning("left out: unreadable: %s %s", file, error.strerror)
    return found


def _name_of(folder: Place) -> str:
    """What a report calls the images of a folder."""
    return name_of(str(folder.resolve()) if isinstance(folder, Path) else str(folder))


def _with_scale(name: str, scale: int) -> str:
    """The name of pairs, whose figures depend on their scale."""
    return name if f"x{scale}" in words_of(name) else f"{name} x{scale}"


def _pixels(file: Place) -> U8:
    try:
        return decode(read_bytes(file)).pixels
    except ImageError as error:
        raise ImageError(error.status, f"{file} {error.reason}") from None


def _fitting(hr: U8, lr: U8, scale: int, where: str) -> tuple[U8, U8]:
    """HR and LR without the rest that has no whole partner: HR that does not fill an LR pixel, as the LR of test sets
    are made; and LR that has no HR under all of it, as MATLAB's imresize makes them of uncropped HR.

    Raises:
        ImageError: `unfit`, the sizes do not belong together.
    """
    sides = [(big, small, big - small * scale) for big, small in zip(hr.shape[:2], lr.shape[:2], strict=True)]
    if not all(-scale < rest < scale for _, _, rest in sides):
        upscaled = hr.shape == lr.shape
        mend = (
            "LR as large as HR (RealSR's versions 1 and 2 have such) is measured at --scale 1"
            if upscaled
            else "name the right folders or scale"
        )
        raise ImageError(
            UNFIT,
            f"{where}: HR is {hr.shape[1]}x{hr.shape[0]} and LR {lr.shape[1]}x{lr.shape[0]}, not {scale} times less; "
            f"{mend}",
        )
    height, width = (min(small, big // scale) for big, small, _ in sides)
    if not height or not width:
        raise ImageError("too-small", f"{where} is smaller than one LR pixel of --scale {scale}")
    return hr[: height * scale, : width * scale], lr[:height, :width]


def _pair(source: str, sample: int, hr_file: Place, lr_file: Place, scale: int) -> list[Item]:
    hr, lr = _fitting(_pixels(hr_file), _pixels(lr_file), scale, str(hr_file))
    return [Item(source, sample, "lr", np.ascontiguousarray(lr), hr)]


def _made_smaller(source: str, sample: int, hr_file: Place, scale: int) -> list[Item]:
    hr = _pixels(hr_file)
    height, width = (side // scale for side in hr.shape[:2])
    if not height or not width:
        raise ImageError("too-small", f"{hr_file} is smaller than one LR pixel of --scale {scale}")
    hr = hr[: height * scale, : width * scale]
    return [Item(source, sample, "bicubic", reduced(hr, scale), hr)]


def _single(source: str, sample: int, file: Place) -> list[Item]:
    return [Item(source, sample, "lr", _pixels(file), None)]


def _identity(kind: str, scale: int, hashes: Mapping[str, str]) -> str:
    return sha256_of([kind, str(scale), *(f"{name} {sha256}" for name, sha256 in hashes.items())])


def _same(a: Place, b: Place) -> bool:
    """Whether two names are of one folder."""
    if isinstance(a, Path) and isinstance(b, Path):
        return a.resolve() == b.resolve()
    return str(a).rstrip("/") == str(b).rstrip("/")


def of_folders(hr: Place | None, lr: Place | None, scale: int, selection: Selection = ALL) -> ImageSet:
    """The pairs of an HR and an LR folder, which may be one; of an HR folder alone with LR made by MATLAB's bicubic, HR
    cropped to whole LR pixels first; or the LR images of a folder without any HR.

    Of a folder whose names say that it holds pairs, only the images of the role that it is named for are taken.

    Raises:
        UserError: a folder has no image that is wanted, or an HR has no LR or the other way.
    """
    if hr is not None and lr is not None:
        return _of_pairs(hr, lr, scale, selection)
    folder = hr or lr
    assert folder is not None
    role, kind = (Role.HR, "bicubic") if hr is not None else (Role.LR, "lr")
    names = [name for name in _names(folder) if selection.wants(name)]
    _check_any(names, selection, folder)
    names = of_role(names, role, scale, folder, pairs=False)
    hashes = _hashes(folder, names)
    _check_any(hashes, selection, folder)
    if role is Role.LR:
        items = [ItemSource(partial(_single, name, i, folder / name), 1, False) for i, name in enumerate(hashes)]
    else:
        made = [partial(_made_smaller, name, i, folder / name, scale) for i, name in enumerate(hashes)]
        items = [ItemSource(each, 1, True) for each in made]
    said = f"bicubic x{scale}" if role is Role.HR else "no HR"
    name = f"{selection.name or _name_of(folder)} ({said})"
    return ImageSet(name, _identity(kind, scale, hashes), scale, items, len(names) - len(hashes))


def _of_pairs(hr: Place, lr: Place, scale: int, selection: Selection) -> ImageSet:
    together = _same(hr, lr)
    hr_names = of_role(_names(hr), Role.HR, scale, hr, pairs=together)
    lr_names = of_role(_names(lr), Role.LR, scale, lr, pairs=together)
    wanted = [pair for pair in paired(hr_names, lr_names, hr, lr, scale, selection) if selection.wants(*pair)]
    _check_any(wanted, selection, hr)
    hr_hashes = _hashes(hr, dict.fromkeys(name for name, _ in wanted))
    lr_hashes = _hashes(lr, [other for name, other in wanted if name in hr_hashes])
    pairs = [(name, other) for name, other in wanted if other in lr_hashes]
    _check_any(pairs, selection, hr)
    items = [ItemSource(partial(_pair, a, i, hr / a, lr / b, scale), 1, True) for i, (a, b) in enumerate(pairs)]
    hashes = {other: f"{name} {hr_hashes[name]} {lr_hashes[other]}" for name, other in pairs}
    name = _with_scale(selection.name or _name_of(hr), scale)
    return ImageSet(name, _identity("pairs", scale, hashes), scale, items, len(wanted) - len(pairs))


def _check_any(found: Collection[object], selection: Selection, folder: Place) -> None:
    if not found:
        mend = "name other patterns" if selection.include or selection.exclude else "see the lines above"
        raise UserError(f"no image below {folder} is left to measure; {mend}")

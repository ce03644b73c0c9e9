"""Sets of images to measure on: stores of groups or pairs, and folders of HR with LR beside them or made of them."""

import logging
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from ..degrade import places
from ..degrade.errors import ImageError, UserError
from ..degrade.image import EXTENSIONS, U8, decode, read_bytes
from ..degrade.places import Place
from ..degrade.provenance import sha256_of
from ..degrade.reader import ShardReader
from ..degrade.shards import Store
from ..degrade.verify import digest

# What a name says beside which image it is: BasicSR's 0001x4, RealSR's Canon_001_HR and _LR4, NTIRE's 0001_lq.
_ROLES = r"_(?:hr|lr|gt|lq)\d*"
_PLAIN = ("hr", "lr", "gt", "lq", "images")  # folders whose own name says nothing

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
    """Images by name. sha256 is the hash of all that is in it; items are read when they are asked for."""

    name: str
    sha256: str
    scale: int
    items: "Sequence[ItemSource]"

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
    """Read every image once, before long work; raises UserError where two do not belong together."""
    deque(opened(images), maxlen=0)


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
    """Every member of every sample of a store."""
    rows = store.manifest(columns=["source", "condition"]).to_pylist()
    members = [str(name) for name in store.attributes["members"]]
    group = partial(_group, ShardReader(store, "hr"), ShardReader(store, "lr"), members)
    items = [
        ItemSource(partial(group, i, row["source"], row["condition"] and tuple(row["condition"])), len(members), True)
        for i, row in enumerate(rows)
    ]
    return ImageSet(str(store.path.name), digest(store), int(store.attributes["scale"]), items)


def _files(folder: Place) -> dict[str, str]:
    """The hash of each image below a folder that can be read, by its name; the others are named and left out.

    Raises:
        UserError: there is no folder, or no image in it.
    """
    if isinstance(folder, Path) and not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name a folder of images")
    found: dict[str, str] = {}
    for name in places.names_below(folder):
        if PurePosixPath(name).suffix.lower() not in EXTENSIONS:
            continue
        try:
            name.encode()
            found[name] = places.sha256(folder / name)
        except UnicodeEncodeError:
            _log.warning("left out: unreadable: %r: its name is not UTF-8; rename it", name)
        except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
            _log.warning("left out: unreadable: %s: %s", folder / name, error.strerror)
    if not found:
        raise UserError(f"no image below {folder} (looked for {', '.join(sorted(EXTENSIONS))}); name another folder")
    return found


def _stem(name: str, scale: int) -> str:
    """What is left of a name once what says HR, LR or the scale is gone."""
    path = PurePosixPath(name)
    return str(path.with_name(re.sub(rf"(?:_?x{scale}|{_ROLES})$", "", path.stem, flags=re.IGNORECASE)))


def _exact(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _by_stem(names: Iterable[str], folder: Place, stem: Callable[[str], str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        if stem(name) in found:
            raise UserError(f"{folder / name} and {folder / found[stem(name)]} are called alike; rename one of them")
        found[stem(name)] = name
    return found


def _paired(
    hr_names: Collection[str], lr_names: Collection[str], hr: Place, lr: Place, scale: int
) -> list[tuple[str, str]]:
    """Which HR goes with which LR: by equal names, else by what is left of them without role and scale.

    Raises:
        UserError: an image has no partner, or two could be its partner.
    """
    exact = {_exact(name): name for name in lr_names}
    if len(exact) == len(lr_names) and {_exact(name) for name in hr_names} == exact.keys():
        return [(name, exact[_exact(name)]) for name in hr_names]
    stem = partial(_stem, scale=scale)
    a, b = _by_stem(hr_names, hr, stem), _by_stem(lr_names, lr, stem)
    if a.keys() == b.keys():
        return [(name, b[key]) for key, name in a.items()]
    lonely = sorted(a.keys() ^ b.keys())
    raise UserError(
        f"{len(lonely)} images have no partner in {hr} and {lr} (the first is {lonely[0]}); names must be equal "
        f"but for x{scale}, _HR, _LR{scale}, _gt or _lq at their ends"
    )


def _name_of(folder: Place) -> str:
    return f"{folder.parent.name}/{folder.name}" if folder.name.lower() in _PLAIN else folder.name


def _pixels(file: Place) -> U8:
    try:
        return decode(read_bytes(file)).pixels
    except ImageError as error:
        raise ImageError(error.status, f"{file} {error.reason}") from None


def _fitting(hr: U8, lr: U8, scale: int, where: str) -> U8:
    """HR without the rest that does not fill an LR pixel, as the LR of test sets are made.

    Raises:
        UserError: the sizes do not belong together.
    """
    height, width = (side * scale for side in lr.shape[:2])
    if not (0 <= hr.shape[0] - height < scale and 0 <= hr.shape[1] - width < scale):
        raise UserError(
            f"{where}: HR is {hr.shape[1]}x{hr.shape[0]} and LR {lr.shape[1]}x{lr.shape[0]}, not {scale} times "
            "less; name the right folders or scale"
        )
    return hr[:height, :width]


def _pair(source: str, sample: int, hr_file: Place, lr_file: Place, scale: int) -> list[Item]:
    hr, lr = _pixels(hr_file), _pixels(lr_file)
    return [Item(source, sample, "lr", lr, _fitting(hr, lr, scale, str(hr_file)))]


def _reduced(image: npt.NDArray[np.float64], scale: int) -> npt.NDArray[np.float64]:
    """The first axis by a whole factor: MATLAB's widened cubic over mirrored borders, rounded to levels, halves up."""
    length, centre = image.shape[0], (scale - 1) / 2
    taps = np.arange(int(centre) - 2 * scale, int(centre) + 2 * scale + 2)
    x = np.abs(taps - centre) / scale
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x <= 1, near, np.where(x < 2, far, 0))
    weights /= weights.sum()
    found = np.zeros((length // scale, *image.shape[1:]))
    for tap, weight in zip(taps.tolist(), weights.tolist(), strict=True):
        at = (np.arange(length // scale) * scale + tap) % (2 * length)
        found += weight * image[np.minimum(at, 2 * length - 1 - at)]
    return np.floor(found.clip(0, 255) + 0.5)


def _made_smaller(source: str, sample: int, hr_file: Place, scale: int) -> list[Item]:
    """LR as MATLAB's imresize makes it of 8-bit images: rows first, rounded to levels, then columns."""
    hr = _pixels(hr_file)
    height, width = (side // scale for side in hr.shape[:2])
    if not height or not width:
        raise ImageError("too-small", f"{hr_file} is smaller than one LR pixel of --scale {scale}")
    hr = hr[: height * scale, : width * scale]
    lower = _reduced(hr.astype(np.float64), scale)
    lr = _reduced(lower.swapaxes(0, 1), scale).swapaxes(0, 1)
    return [Item(source, sample, "bicubic", np.ascontiguousarray(lr, dtype=np.uint8), hr)]


def _single(source: str, sample: int, file: Place) -> list[Item]:
    return [Item(source, sample, "lr", _pixels(file), None)]


def _identity(kind: str, scale: int, hashes: Mapping[str, str]) -> str:
    return sha256_of([kind, str(scale), *(f"{name} {sha256}" for name, sha256 in hashes.items())])


def of_folders(hr: Place | None, lr: Place | None, scale: int) -> ImageSet:
    """The pairs of an HR and an LR folder; of an HR folder alone with LR made by MATLAB's bicubic, HR cropped to
    whole LR pixels first; or the LR images of a folder without any HR.

    Raises:
        UserError: a folder has no image, or an HR has no LR or the other way.
    """
    if hr is None:
        assert lr is not None
        hashes = _files(lr)
        items = [ItemSource(partial(_single, name, i, lr / name), 1, False) for i, name in enumerate(hashes)]
        return ImageSet(_name_of(lr), _identity("lr", scale, hashes), scale, items)
    hr_hashes = _files(hr)
    if lr is None:
        items = [
            ItemSource(partial(_made_smaller, name, i, hr / name, scale), 1, True) for i, name in enumerate(hr_hashes)
        ]
        return ImageSet(f"{_name_of(hr)} (bicubic x{scale})", _identity("bicubic", scale, hr_hashes), scale, items)
    lr_hashes = _files(lr)
    pairs = _paired(hr_hashes, lr_hashes, hr, lr, scale)
    items = [ItemSource(partial(_pair, a, i, hr / a, lr / b, scale), 1, True) for i, (a, b) in enumerate(pairs)]
    hashes = {name: f"{hr_hashes[name]} {other} {lr_hashes[other]}" for name, other in pairs}
    return ImageSet(_name_of(hr), _identity("pairs", scale, hashes), scale, items)

"""Sets of images to measure on: stores of groups or pairs, and folders of HR with LR beside them or made of them."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from ..degrade import places
from ..degrade.errors import ImageError, UserError
from ..degrade.image import EXTENSIONS, U8, decode, read_bytes, to_float, to_uint8
from ..degrade.places import Place
from ..degrade.provenance import sha256_of
from ..degrade.reader import ShardReader
from ..degrade.resample import resize
from ..degrade.shards import Store
from ..degrade.verify import digest

# What a name says beside which image it is: BasicSR's 0001x4, RealSR's Canon_001_HR and _LR4, NTIRE's 0001_lq.
_ROLES = re.compile(r"(?:x\d+|_x\d+|_(?:hr|lr|gt|lq)\d*)$", re.IGNORECASE)


_log = logging.getLogger("rwsr")


@dataclass(frozen=True)
class Item:
    """An image to restore, [h, w, 3] uint8, and the HR that it should become, [scale*h, scale*w, 3], or None.

    source, sample, member: as in a report's rows.
    """

    source: str
    sample: int
    member: str
    lr: U8
    hr: U8 | None


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


def _group(store: Store, sample: int, source: str) -> list[Item]:
    hr = ShardReader(store, "hr").read([sample])[0]
    lr = ShardReader(store, "lr").read([sample])[0]
    members = [str(name) for name in store.attributes["members"]]
    return [Item(source, sample, member, pixels, hr) for member, pixels in zip(members, lr, strict=True)]


def of_store(store: Store) -> ImageSet:
    """Every member of every sample of a store."""
    sources = store.manifest(columns=["source"])["source"].to_pylist()
    members = len(store.attributes["members"])
    items = [ItemSource(partial(_group, store, i, name), members, True) for i, name in enumerate(sources)]
    return ImageSet(str(store.path.name), digest(store), int(store.attributes["scale"]), items)


def _files(folder: Place) -> list[str]:
    names = [name for name in places.names_below(folder) if PurePosixPath(name).suffix.lower() in EXTENSIONS]
    if not names:
        raise UserError(f"no image below {folder} (looked for {', '.join(sorted(EXTENSIONS))}); name another folder")
    return names


def _stem(name: str) -> str:
    """What is left of a name once what says HR, LR or the scale is gone."""
    path = PurePosixPath(name)
    return str(path.with_name(_ROLES.sub("", path.stem)))


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
            "less; name the right folders or --scale"
        )
    return hr[:height, :width]


def _pair(source: str, sample: int, hr_file: Place, lr_file: Place, scale: int) -> list[Item]:
    hr, lr = _pixels(hr_file), _pixels(lr_file)
    return [Item(source, sample, "lr", lr, _fitting(hr, lr, scale, str(hr_file)))]


def _made_smaller(source: str, sample: int, hr_file: Place, scale: int) -> list[Item]:
    hr = _pixels(hr_file)
    height, width = (side // scale for side in hr.shape[:2])
    if not height or not width:
        raise UserError(f"{hr_file} is smaller than --scale {scale}")
    hr = hr[: height * scale, : width * scale]
    lr = to_uint8(resize(to_float(hr), height, width, "matlab-bicubic"))
    return [Item(source, sample, "bicubic", lr, hr)]


def _single(source: str, sample: int, file: Place) -> list[Item]:
    return [Item(source, sample, "lr", _pixels(file), None)]


def _identity(kind: str, scale: int, files: Sequence[tuple[str, Place]]) -> str:
    return sha256_of([kind, str(scale), *(f"{name} {places.sha256(file)}" for name, file in files)])


def of_folders(hr: Place | None, lr: Place | None, scale: int) -> ImageSet:
    """The pairs of an HR and an LR folder; of an HR folder alone with LR made by MATLAB's bicubic, HR cropped to
    whole LR pixels first; or the LR images of a folder without any HR.

    Raises:
        UserError: a folder has no image, or an HR has no LR or the other way.
    """
    if hr is None:
        assert lr is not None
        names = _files(lr)
        items = [ItemSource(partial(_single, name, i, lr / name), 1, False) for i, name in enumerate(names)]
        return ImageSet(lr.name, _identity("lr", scale, [(name, lr / name) for name in names]), scale, items)
    hr_names = _files(hr)
    if lr is None:
        items = [
            ItemSource(partial(_made_smaller, name, i, hr / name, scale), 1, True) for i, name in enumerate(hr_names)
        ]
        sha256 = _identity("bicubic", scale, [(name, hr / name) for name in hr_names])
        return ImageSet(f"{hr.name} (bicubic x{scale})", sha256, scale, items)
    by_stem = {_stem(name): name for name in _files(lr)}
    lonely = sorted({_stem(name) for name in hr_names} ^ by_stem.keys())
    if lonely:
        raise UserError(
            f"{len(lonely)} images have no partner in {hr} and {lr} (the first is {lonely[0]}); names must be equal "
            "but for x4, _HR, _LR4, _gt or _lq at their ends"
        )
    pairs = [(name, by_stem[_stem(name)]) for name in hr_names]
    items = [ItemSource(partial(_pair, a, i, hr / a, lr / b, scale), 1, True) for i, (a, b) in enumerate(pairs)]
    files = [(name, folder / name) for pair in pairs for name, folder in zip(pair, (hr, lr), strict=True)]
    return ImageSet(hr.name, _identity("pairs", scale, files), scale, items)

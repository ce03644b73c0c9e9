"""Where the pairs of well-known data sets lie: which folder has the HR, and which the LR of the same names."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import product
from pathlib import PurePosixPath
from typing import Literal

Split = Literal["train", "test"]
_SPLITS: tuple[Split, ...] = ("train", "test")


@dataclass(frozen=True)
class PairFolders:
    """A folder of HR and the one of its LR, by their last parts, whose case does not count; one where the names of the
    files tell them apart. split: what the authors use them for; scale: of which they are; None is not said.
    """

    layout: str
    hr: str
    lr: str
    split: Split | None = None
    scale: int | None = None


def _realsr() -> list[PairFolders]:
    """Canon/Train/4 with Canon_001_HR.png and Canon_001_LR4.png: versions 1, 2 (LR as large as HR) and 3 alike."""
    return [
        PairFolders("realsr", folder, folder, split, scale)
        for camera, split, scale in product(("Canon", "Nikon"), _SPLITS, (2, 3, 4))
        for folder in [f"{camera}/{split}/{scale}"]
    ]


def _drealsr() -> list[PairFolders]:
    return [
        PairFolders("drealsr", f"{split}_x{scale}/{split}_HR", f"{split}_x{scale}/{split}_LR", split, scale)
        for split, scale in product(_SPLITS, (2, 3, 4))
    ]


def _dped() -> list[PairFolders]:
    folders: dict[Split, str] = {"train": "training_data", "test": "test_data/patches"}
    return [
        PairFolders("dped", f"{phone}/{folder}/canon", f"{phone}/{folder}/{phone}", split)
        for phone, (split, folder) in product(("iphone", "sony", "blackberry"), folders.items())
    ]


def _bicubic(name: str, *splits: tuple[str, Split]) -> list[PairFolders]:
    """DIV2K's and Flickr2K's own LR."""
    found = [
        PairFolders(name.lower(), f"{name}{part}_HR", f"{name}{part}_LR_{kind}/X{scale}", split, scale)
        for (part, split), kind, scale in product(splits, ("bicubic", "unknown"), (2, 3, 4))
    ]
    found += [
        PairFolders(name.lower(), f"{name}{part}_HR", f"{name}{part}_LR_{kind}", split)
        for (part, split), kind in product(splits, ("x8", "mild", "difficult", "wild"))
        if part
    ]
    return found


KNOWN = (
    *_realsr(),
    *_drealsr(),
    *_dped(),
    PairFolders("camerasr", "City100_NikonD5500", "City100_NikonD5500"),
    PairFolders("camerasr", "City100_iPhoneX", "City100_iPhoneX"),
    PairFolders("ntire2020", "track1-valid-gt", "track1-valid-input", "test"),
    PairFolders("ntire2020", "track1-valid-gt", "Corrupted-va-x", "test"),
    PairFolders("aim2019", "valid-gt-clean", "valid-input-noisy", "test"),
    *_bicubic("DIV2K", ("_train", "train"), ("_valid", "test")),
    *_bicubic("Flickr2K", ("", "train")),
    *(  # what `rwsr store export`, BasicSR's users, wtp_dataset_destroyer and pix2pix's call the two
        PairFolders("folders", hr, lr)
        for hr, lr in (("hr", "lr"), ("gt", "lq"), ("gt", "lr"), ("hq", "lq"), ("hr", "lq"), ("target", "input"))
    ),
)


@dataclass(frozen=True)
class FoundFolders:
    """The HR folder and the LR folder of a known layout, as they are written on the disk."""

    known: PairFolders
    hr: str
    lr: str


def find(folders: Collection[str], split: Split | None, scale: int | None) -> list[FoundFolders]:
    """The pairs of known folders among some, by their whole paths; of a split and a scale (2 and more) where one is
    wanted.
    """
    by_name = {folder.lower(): folder for folder in folders}
    found: list[FoundFolders] = []
    for folder in sorted(folders):
        parts = PurePosixPath(folder.lower()).parts
        for known in KNOWN:
            tail = PurePosixPath(known.hr.lower()).parts
            other = (split and known.split not in (split, None)) or (
                (scale or 1) > 1 and known.scale not in (scale, None)
            )
            if other or parts[-len(tail) :] != tail:
                continue
            lr = by_name.get(str(PurePosixPath(*parts[: -len(tail)], known.lr.lower())))
            if lr is not None:
                found.append(FoundFolders(known, folder, lr))
    return found

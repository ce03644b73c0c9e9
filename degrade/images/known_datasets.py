"""The folders of well-known data sets, told by their names, and how many images each must hold."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from itertools import product
from pathlib import PurePosixPath

from ..errors import UserError
from ..storage.location import Place, place
from .rows import SourceRow


@dataclass(frozen=True)
class KnownFolder:
    """A folder of a data set. path: its last parts. count: images of that pattern; None is not known.

    The case of letters does not count."""

    layout: str
    path: str
    role: str
    pattern: str
    count: int | None


def _div2k() -> list[KnownFolder]:
    found = [
        KnownFolder("div2k", "DIV2K_train_HR", "HR, training", "*.png", 800),
        KnownFolder("div2k", "DIV2K_valid_HR", "HR, validation", "*.png", 100),
    ]
    for (split, role, count), kind, scale in product(
        (("train", "training", 800), ("valid", "validation", 100)), ("bicubic", "unknown"), (2, 3, 4)
    ):
        path = f"DIV2K_{split}_LR_{kind}/X{scale}"
        found.append(KnownFolder("div2k", path, f"LR x{scale} {kind}, {role}", "*.png", count))
    for (split, role, count), kind in product(
        (("train", "training", 800), ("valid", "validation", 100)), ("x8", "mild", "difficult")
    ):
        found.append(KnownFolder("div2k", f"DIV2K_{split}_LR_{kind}", f"LR {kind}, {role}", "*.png", count))
    found.append(KnownFolder("div2k", "DIV2K_train_LR_wild", "LR wild, training: four of each", "*.png", 3200))
    found.append(KnownFolder("div2k", "DIV2K_valid_LR_wild", "LR wild, validation", "*.png", None))
    return found


def _flickr2k() -> list[KnownFolder]:
    found = [KnownFolder("flickr2k", "Flickr2K_HR", "HR", "*.png", 2650)]
    for kind, scale in product(("bicubic", "unknown"), (2, 3, 4)):
        path = f"Flickr2K_LR_{kind}/X{scale}"
        found.append(KnownFolder("flickr2k", path, f"LR x{scale} {kind}", "*.png", 2650))
    return found


def _realsr() -> list[KnownFolder]:
    """Version 3. How many training pairs there are for each camera and scale is not published; 50 test pairs are."""
    return [
        KnownFolder("realsr", f"{camera}/{split}/{scale}", f"{camera}, {split} pairs x{scale}", "*_HR.png", count)
        for camera, (split, count), scale in product(("Canon", "Nikon"), (("Train", None), ("Test", 50)), (2, 3, 4))
    ]


def _dped() -> list[KnownFolder]:
    """Patches of 100 px, and whole test photographs. Only the numbers of the iPhone are certain."""
    found: list[KnownFolder] = []
    for phone, train, test in (("iphone", 160_471, 4_353), ("sony", None, None), ("blackberry", None, None)):
        for side in (phone, "canon"):
            found.append(
                KnownFolder("dped", f"{phone}/training_data/{side}", f"{phone}, training, {side}", "*.jpg", train)
            )
            found.append(
                KnownFolder("dped", f"{phone}/test_data/patches/{side}", f"{phone}, test, {side}", "*.jpg", test)
            )
        whole, count = f"{phone}/test_data/full_size_test_images", 29 if phone == "iphone" else None
        found.append(KnownFolder("dped", whole, f"{phone}, whole test photographs", "*.jpg", count))
    return found


KNOWN = (
    *_div2k(),
    *_flickr2k(),
    KnownFolder("ntire2020", "Corrupted-tr-x", "track 1 source (corrupted Flickr2K)", "*.png", 2650),
    KnownFolder("ntire2020", "Corrupted-tr-y", "track 1 target (clean DIV2K)", "*.png", 800),
    KnownFolder("ntire2020", "Corrupted-va-x", "track 1 validation input", "*.png", 100),
    KnownFolder("ntire2020", "Corrupted-te-x", "track 1 test input", "*.png", None),
    KnownFolder("ntire2020", "track1-train-source", "track 1 source (corrupted Flickr2K)", "*.png", 2650),
    KnownFolder("ntire2020", "train-target", "target (clean DIV2K)", "*.png", 800),
    KnownFolder("ntire2020", "track1-valid-input", "track 1 validation input", "*.png", 100),
    KnownFolder("ntire2020", "track1-valid-gt", "track 1 validation HR", "*.png", 100),
    KnownFolder("ntire2020", "DPEDiphone-tr-x", "track 2 source (iPhone)", "*.png", None),
    KnownFolder("ntire2020", "DPEDiphone-tr-y", "track 2 target (clean DIV2K)", "*.png", None),
    KnownFolder("ntire2020", "DPEDiphone-va", "track 2 validation input", "*.png", 113),
    KnownFolder("ntire2020", "DPEDiphone-crop-te-x", "track 2 test input", "*.png", None),
    KnownFolder("aim2019", "train-noisy-images", "source (corrupted Flickr2K)", "*.png", 2650),
    KnownFolder("aim2019", "train-clean-images", "target (clean DIV2K)", "*.png", 800),
    KnownFolder("aim2019", "TrainingSource", "source (corrupted Flickr2K)", "*.png", 2650),
    KnownFolder("aim2019", "ValidationSource", "validation input", "*.png", 100),
    KnownFolder("aim2019", "valid-input-noisy", "validation input", "*.png", 100),
    KnownFolder("aim2019", "valid-gt-clean", "validation HR", "*.png", 100),
    *_realsr(),
    *_dped(),
    KnownFolder("camerasr", "City100_NikonD5500", "City100, Nikon D5500: pairs", "*H.PNG", 100),
    KnownFolder("camerasr", "City100_iPhoneX", "City100, iPhone X: pairs", "*H.PNG", 100),
)


@dataclass(frozen=True)
class Recognised:
    """A folder that was told by its name, and how many files of its pattern it holds."""

    folder: Place
    known: KnownFolder
    num_files: int

    @property
    def complete(self) -> bool:
        return self.known.count in (None, self.num_files)

    @property
    def line(self) -> str:
        """What a person is told."""
        name = f"{self.folder}: {self.known.layout}, {self.known.role}"
        if self.known.count is None:
            return f"{name}; {self.num_files} files {self.known.pattern}, whose right number is not known"
        if self.complete:
            return f"{name}; all {self.num_files} files {self.known.pattern} are there"
        return f"{name}; {self.num_files} files {self.known.pattern}, where the data set has {self.known.count}"

    def as_dict(self) -> dict[str, object]:
        """Plain values."""
        known = {name: value for name, value in asdict(self.known).items() if name != "path"}
        return {"folder": str(self.folder), **known, "num_files": self.num_files, "complete": self.complete}


def _known(folder: Place) -> KnownFolder | None:
    parts = PurePosixPath(str(folder).lower()).parts
    for known in KNOWN:
        tail = PurePosixPath(known.path.lower()).parts
        if parts[-len(tail) :] == tail:
            return known
    return None


def recognise(rows: Sequence[SourceRow]) -> list[Recognised]:
    """The folders of known data sets among those that hold the files, by path."""
    known: dict[tuple[str, str], KnownFolder | None] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        below, _, name = row.path.rpartition("/")
        at = row.root, below
        if at not in known:
            known[at] = _known(_folder(at))
        of = known[at]
        counts[at] += of is not None and fnmatch(name.lower(), of.pattern.lower())
    found = [Recognised(_folder(at), of, counts[at]) for at, of in known.items() if of is not None]
    return sorted(found, key=lambda each: str(each.folder))


def _folder(at: tuple[str, str]) -> Place:
    root, below = at
    return place(root) / below if below else place(root)


def check(layout: str, rows: Sequence[SourceRow]) -> None:
    """Insist that the files are those of a data set.

    Raises:
        UserError: none of its folders is among theirs, or one lacks images.
    """
    found = [each for each in recognise(rows) if each.known.layout == layout]
    if not found:
        roots = ", ".join(dict.fromkeys(row.root for row in rows))
        expected = ", ".join(
            f"{known.path} ({known.count or 'any number of'} {known.pattern})"
            for known in KNOWN
            if known.layout == layout
        )
        raise UserError(f"{roots} holds no folder of {layout}; expected one of: {expected}")
    for each in found:
        if not each.complete:
            raise UserError(f"{each.line}; download it again, or leave --layout out to use what there is")

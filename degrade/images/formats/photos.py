"""What phones and the web have beside PNG and JPEG: HEIC, AVIF and JPEG XL, read where their decoders are installed."""

import io
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import PurePosixPath

from PIL import ImageFile as PillowFile
from PIL import features

Opener = Callable[[io.BytesIO], PillowFile.ImageFile]

_NAMES = {".heic": "HEIC", ".heif": "HEIC", ".avif": "AVIF", ".jxl": "JPEG XL", ".gif": "GIF"}
_MAGIC = {  # (where, bytes) of what a file is, by its first bytes
    "HEIC": [
        (4, b"ftypheic"),
        (4, b"ftypheix"),
        (4, b"ftypmif1"),
        (4, b"ftypmsf1"),
        (4, b"ftyphevc"),
        (4, b"ftypheim"),
    ],
    "AVIF": [(4, b"ftypavif"), (4, b"ftypavis")],
    "JPEG XL": [(0, b"\xff\x0a"), (4, b"JXL \x0d\x0a\x87\x0a")],
    "GIF": [(0, b"GIF87a"), (0, b"GIF89a")],
}


@cache
def openers() -> dict[str, Opener]:
    """What opens each of these formats here."""
    found: dict[str, Opener] = {}
    try:
        from pillow_heif import HeifImageFile  # pyright: ignore

        found["HEIC"] = HeifImageFile
    except ImportError:
        pass
    if features.check("avif"):
        from PIL.AvifImagePlugin import AvifImageFile

        found["AVIF"] = AvifImageFile
    try:
        from pillow_jxl.JpegXLImagePlugin import JXLImageFile  # pyright: ignore

        found["JPEG XL"] = JXLImageFile
    except ImportError:
        pass
    return found


def extensions() -> frozenset[str]:
    """Of the formats that are read here."""
    return frozenset(suffix for suffix, name in _NAMES.items() if name in openers())


def format_of(data: bytes) -> str | None:
    """Which of these formats a file has, by its first bytes; None is none of them."""
    for name, magic in _MAGIC.items():
        if any(data[at : at + len(known)] == known for at, known in magic):
            return name
    return None


def unread(names: Iterable[str]) -> str | None:
    """One line for all files among some that are photographs or pictures which are not read here; None is none."""
    strange = _NAMES.keys() - extensions()
    counts = Counter(_NAMES[suffix] for name in names if (suffix := PurePosixPath(name).suffix.lower()) in strange)
    if not counts:
        return None
    said = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    mends = []
    if counts.keys() - {"GIF"}:
        mends.append("pip install 'rwsr[photos]' reads HEIC, AVIF and JPEG XL")
    if "GIF" in counts:
        mends.append("GIF, of 256 colours, is not read at all")
    return f"passed over: {said}; {'; '.join(mends)}"

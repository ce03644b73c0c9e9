"""BasicSR's LMDB as a folder of images: each value is a whole file, named with its suffix in meta_info.txt.

HR_sub.lmdb/data.mdb        key 0001_s001 -> the bytes of a PNG
HR_sub.lmdb/meta_info.txt   0001_s001.png (480,480,3) 1
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ImageError, UserError
from .location import Place

_LINE = re.compile(r"(?P<name>\S.*?)(?: \(\d+,\d+(?:,\d+)?\).*)?$")
_DATA, _NAMES = "data.mdb", "meta_info.txt"
# LMDB reads through mapped memory and trusts what stands there: damage ends the process that meets it, so another one
# goes first, to the first and the last byte of every value.
_WALK = """
import sys, lmdb
with lmdb.open(sys.argv[1], readonly=True, lock=False, readahead=False).begin(buffers=True) as values:
    for _, value in values.cursor():
        bytes(value[:1]), bytes(value[-1:])
"""


def is_lmdb(folder: Place) -> bool:
    """Whether a folder is an LMDB."""
    return isinstance(folder, Path) and (folder / _DATA).is_file()


def names_in(text: str) -> list[str]:
    """The names in a meta_info.txt, one a line, without the shape and the level behind them."""
    return [found["name"] for line in text.splitlines() if (found := _LINE.match(line.strip()))]


@cache
def _opened(folder: Path, changed: int) -> Any:
    """Once in a process, which LMDB asks for."""
    try:
        import lmdb  # pyright: ignore
    except ImportError:
        raise UserError(f"{folder} is an LMDB, which needs a package: pip install 'rwsr[lmdb]'") from None
    try:
        found = lmdb.open(str(folder), readonly=True, lock=False, readahead=False, max_readers=1024)
        wanted = (found.info()["last_pgno"] + 1) * found.stat()["psize"]
    except lmdb.Error as error:
        raise UserError(f"{folder} cannot be opened as an LMDB ({error}); make it again") from None
    there = (folder / _DATA).stat().st_size
    if there < wanted:
        raise UserError(f"{folder / _DATA} is cut off: {there:,} bytes of {wanted:,}; copy it again")
    return found


@cache
def _check_whole(folder: Path, changed: int) -> None:
    """Raises UserError where a process that reads all of it does not get to the end."""
    _opened(folder, changed)
    walk = subprocess.run([sys.executable, "-c", _WALK, str(folder)], capture_output=True, text=True)  # noqa: S603
    if walk.returncode:
        said = walk.stderr.strip().splitlines()
        why = said[-1] if said else f"signal {-walk.returncode}"
        raise UserError(f"{folder / _DATA} is damaged ({why}); copy it again")


def _environment(folder: Path) -> Any:
    return _opened(folder, (folder / _DATA).stat().st_mtime_ns)


def _key(name: str) -> bytes:
    return str(PurePosixPath(name).with_suffix("")).encode()


def of_lmdb(folder: Path) -> Iterator[tuple[str, int, int]]:
    """(name, bytes, time of change) of each image that meta_info.txt names; -1 bytes of one that is not there.

    Raises:
        UserError: it is damaged, its names cannot be read, or the package is missing.
    """
    try:
        names = names_in((folder / _NAMES).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise UserError(
            f"{folder / _NAMES} cannot be read; BasicSR writes it beside {_DATA}, one name a line"
        ) from None
    strange = [name for name in names if name.startswith("/") or ".." in PurePosixPath(name).parts]
    if strange:
        raise UserError(f"{folder / _NAMES} names {strange[0]!r}, outside of it; do not use this LMDB")
    if not names:
        raise UserError(f"{folder / _NAMES} names no image; BasicSR writes one name a line")
    changed = (folder / _DATA).stat().st_mtime_ns
    _check_whole(folder, changed)
    with _environment(folder).begin(buffers=True) as values:
        for name in names:
            value = values.get(_key(name))
            yield name, -1 if value is None else len(value), changed


def read_lmdb(path: Path) -> bytes | None:
    """The bytes of an image below an LMDB; None where the path leads through none.

    Raises:
        ImageError: `unreadable`, it is not in it.
    """
    folder = next((each for each in path.parents if is_lmdb(each)), None)
    if folder is None:
        return None
    with _environment(folder).begin() as values:
        data = values.get(_key(path.relative_to(folder).as_posix()))
    if data is None:
        raise ImageError("unreadable", f"is not in the LMDB {folder}, though its meta_info.txt has it")
    return bytes(data)

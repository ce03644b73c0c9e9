"""Which files of a folder are wanted, by patterns of their names."""

from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import PurePosixPath


def fits(path: str, patterns: Sequence[str]) -> bool:
    """Whether some pattern, as `*_HR.png`, fits a path below a folder, or the name alone."""
    return any(fnmatch(each, pattern) for each in (path, PurePosixPath(path).name) for pattern in patterns)


def wanted(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether some pattern of `include` fits, or there is none, and no pattern of `exclude` does."""
    return (not include or fits(path, include)) and not fits(path, exclude)

"""What systems leave in folders of images, which is nothing of a person's."""

from pathlib import PurePosixPath

_FOLDERS = frozenset({"__MACOSX", "@eaDir", ".thumbnails", ".Trashes", ".Spotlight-V100", "$RECYCLE.BIN"})


def is_debris(path: str) -> bool:
    """Whether a file is macOS's `._` twin of another, or lies in a folder that some system keeps for itself."""
    parts = PurePosixPath(path).parts
    return bool(parts) and (parts[-1].startswith("._") or any(is_debris_folder(part) for part in parts[:-1]))


def is_debris_folder(name: str) -> bool:
    """Whether a folder is such a one, by its name."""
    return name in _FOLDERS or name.startswith(".Trash-")

"""The installed package is what the repository holds, and its rooms are small enough to look into."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("degrade", "noisebank", "eval", "train", "pipelines")


def test_every_folder_of_ours_is_installed() -> None:
    """A new one that nobody lists would be missing from the wheel alone."""
    wanted = {"rwsr"} | {
        ".".join(("rwsr", *path.parent.relative_to(ROOT).parts))
        for room in ROOMS
        for path in (ROOT / room).rglob("__init__.py")
    }
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert set(tools["setuptools"]["packages"]) == wanted
    assert all((path.parent / "__init__.py").is_file() for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def test_no_folder_holds_more_than_twelve_files() -> None:
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert {folder.name: n for folder in folders if (n := len(list(folder.glob("*.py")))) > 12} == {}

"""Well-known data sets are told by their folders' names; missing images and wrong folders are named."""

from pathlib import Path

import pytest

from rwsr.degrade.errors import UserError
from rwsr.pipelines import layouts
from rwsr.pipelines.cli_sources import LAYOUTS
from rwsr.pipelines.sources import IndexConfig, SourceRow, listed


def _rows(root: Path, folder: str, names: list[str]) -> list[SourceRow]:
    (root / folder).mkdir(parents=True)
    for name in names:
        (root / folder / name).touch()
    return listed([root], IndexConfig())


@pytest.mark.parametrize(
    ("folder", "names", "layout", "complete"),
    [
        ("DIV2K_valid_HR", [f"{i:04d}.png" for i in range(801, 901)], "div2k", True),
        ("DF2K/div2k_valid_hr", [f"{i:04d}.png" for i in range(801, 900)], "div2k", False),
        ("DIV2K_train_LR_bicubic/X4", ["0001x4.png"], "div2k", False),
        ("Flickr2K/Flickr2K_HR", ["000001.png"], "flickr2k", False),
        ("Corrupted-va-x", [f"{i}.png" for i in range(100)], "ntire2020", True),
        ("AIM-RWSR/valid-gt-clean", [f"{i}.png" for i in range(100)], "aim2019", True),
        ("RealSR(V3)/Canon/Test/4", [f"{i}_{k}.png" for i in range(50) for k in ("HR", "LR4")], "realsr", True),
        ("RealSR(V3)/Nikon/Train/2", ["1_HR.png"], "realsr", True),
        ("dped/iphone/training_data/iphone", ["0.jpg"], "dped", False),
        ("City100/City100_iPhoneX", [f"{i:03d}{k}.PNG" for i in range(1, 101) for k in "HL"], "camerasr", True),
    ],
)
def test_a_known_folder_is_recognised_and_counted(
    tmp_path: Path, folder: str, names: list[str], layout: str, complete: bool
) -> None:
    """Whatever the case of its letters and wherever it lies; `check` accepts it only when it is whole."""
    rows = _rows(tmp_path, folder, names)
    (found,) = layouts.recognise(rows)
    assert (found.known.layout, found.complete) == (layout, complete)
    assert str(tmp_path / folder) in found.line
    if complete:
        layouts.check(layout, rows)
    else:
        with pytest.raises(UserError, match="download it again"):
            layouts.check(layout, rows)


def test_an_unknown_folder_is_nothing_special(tmp_path: Path) -> None:
    """No line for it; named as DIV2K, it is refused with what was expected."""
    rows = _rows(tmp_path, "holiday", ["a.png"])
    assert layouts.recognise(rows) == []
    with pytest.raises(UserError, match=r"holds no folder of div2k; expected one of: DIV2K_train_HR \(800 \*.png\)"):
        layouts.check("div2k", rows)


def test_the_command_knows_every_layout() -> None:
    """--layout offers what the table has."""
    assert set(LAYOUTS) == {known.layout for known in layouts.KNOWN}

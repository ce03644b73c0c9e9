"""Well-known data sets are told by their folders' names; missing images and wrong folders are named."""

from pathlib import Path

import pytest
from PIL import Image

from rwsr.degrade.errors import UserError
from rwsr.degrade.images import known_datasets, sources
from rwsr.degrade.images.listing import IndexConfig, listed
from rwsr.degrade.images.rows import SourceRow
from rwsr.pipelines.cli.store import LAYOUTS

from ...commands import rwsr
from ...conftest import scene


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
    (found,) = known_datasets.recognise(rows)
    assert (found.known.layout, found.complete) == (layout, complete)
    assert str(tmp_path / folder) in found.line
    if complete:
        known_datasets.check(layout, rows)
    else:
        with pytest.raises(UserError, match="download it again"):
            known_datasets.check(layout, rows)


def test_an_unknown_folder_is_nothing_special(tmp_path: Path) -> None:
    """No line for it; named as DIV2K, it is refused with what was expected."""
    rows = _rows(tmp_path, "holiday", ["a.png"])
    assert known_datasets.recognise(rows) == []
    with pytest.raises(UserError, match=r"holds no folder of div2k; expected one of: DIV2K_train_HR \(800 \*.png\)"):
        known_datasets.check("div2k", rows)


def test_the_command_knows_every_layout() -> None:
    """--layout offers what the table has."""
    assert set(LAYOUTS) == {known.layout for known in known_datasets.KNOWN}


@pytest.mark.slow
@pytest.mark.parametrize("names", [("001H.PNG", "001L.PNG"), ("Canon_001_HR.png", "Canon_001_LR4.png")])
def test_of_a_folder_of_pairs_each_command_takes_its_role(tmp_path: Path, names: tuple[str, str]) -> None:
    """Noise is of LR, crops are of HR; both are chosen by --role, and patterns by --include and --exclude."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    for seed, name in enumerate((*names, *(each.replace("001", "002") for each in names))):
        Image.fromarray(scene(seed, 160, 160)).save(folder / name)
    hr, lr = ({name, name.replace("001", "002")} for name in names)

    def of_bank(*told: str) -> set[str]:
        out = tmp_path / f"bank{len(list(tmp_path.iterdir()))}.zarr"
        rwsr("noisebank", "build", "--target", folder, "--out", out, "--size", 32, *told)
        return {row.path for row in sources.read(out.with_name(f"{out.name}.scan") / "target/index.parquet")}

    def of_store(*told: str) -> set[str]:
        out = tmp_path / f"store{len(list(tmp_path.iterdir()))}.zarr"
        rwsr(
            "degrade",
            "build",
            "--preset",
            "bicubic",
            "--source",
            folder,
            "--out",
            out,
            "--hr-size",
            64,
            "--samples",
            8,
            *told,
        )
        return {row.path for row in sources.read(out.with_name(f"{out.name}.index.parquet"))}

    assert of_bank() == lr and of_bank("--role", "hr") == hr
    assert of_store() == hr and of_store("--role", "lr") == lr and of_store("--role", "both") == hr | lr
    assert of_store("--include", "*001*") == {names[0]} and of_store("--exclude", "*002*") == {names[0]}
    index = ("sources", "index", folder, "--out", tmp_path / "i.parquet")
    assert "no image below" in rwsr(*index, "--include", "x*", code=1)

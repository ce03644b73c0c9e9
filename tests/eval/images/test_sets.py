"""Sets of images: HR and LR find each other by their names, and what does not fit is told."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rwsr.degrade.errors import ImageError, UserError
from rwsr.degrade.images.pixels import to_float
from rwsr.degrade.ops.resize import resize
from rwsr.degrade.pairs.pairing import Selection
from rwsr.eval.images.sets import Item, of_folders

from ...conftest import scene


def _folder(path: Path, sizes: Mapping[str, tuple[int, int]]) -> Path:
    path.mkdir(parents=True)
    for seed, (name, (height, width)) in enumerate(sizes.items()):
        Image.fromarray(scene(seed, height, width)).save(path / name)
    return path


def _items(hr: Path | None, lr: Path | None, scale: int = 4) -> list[Item]:
    return [item for source in of_folders(hr, lr, scale).items for item in source.read()]


@pytest.mark.parametrize(
    ("hr", "lr"),
    [
        ("0001.png", "0001x4.png"),
        ("Canon_001_HR.png", "Canon_001_LR4.png"),
        ("a_GT.bmp", "a.png"),
        ("x.png", "x.png"),
        ("0801.png", "0801x4m.png"),
        ("0801.png", "0801x4d.png"),
        ("0801.png", "0801x4w3.png"),
        ("DSC_1454_x1.png", "DSC_1454_x4.png"),
        ("001H.png", "001L.png"),
        ("matrix4.png", "matrix4x4.png"),
    ],
)
def test_names_of_the_field_belong_together(tmp_path: Path, hr: str, lr: str) -> None:
    """BasicSR's, RealSR's and the classic sets'; the rest of HR that fills no LR pixel is left out."""
    found = _items(_folder(tmp_path / "hr", {hr: (66, 83)}), _folder(tmp_path / "lr", {lr: (16, 20)}))
    assert [(item.source, item.lr.shape, item.hr is not None and item.hr.shape) for item in found] == [
        (hr, (16, 20, 3), (64, 80, 3))
    ]


def test_without_lr_it_is_matlabs_bicubic(tmp_path: Path) -> None:
    """Of HR cropped to whole LR pixels, rounded to levels."""
    folder = _folder(tmp_path / "hr", {"a.png": (70, 90)})
    [item] = _items(folder, None)
    assert item.hr is not None and item.hr.shape == (68, 88, 3) and item.member == "bicubic"
    expected = resize(to_float(item.hr), 17, 22, "matlab-bicubic") * 255
    assert np.abs(item.lr - expected.clip(0, 255)).max() <= 1.5  # rounded twice, as MATLAB does


def test_the_hash_is_of_what_is_in_the_set(tmp_path: Path) -> None:
    """The same in another folder; another with another image, name or scale."""
    first = _folder(tmp_path / "a", {"a.png": (64, 64), "b.png": (64, 64)})
    second = _folder(tmp_path / "b", {"a.png": (64, 64), "b.png": (64, 64)})
    known = of_folders(first, None, 4).sha256
    assert of_folders(second, None, 4).sha256 == known
    assert known not in (of_folders(first, None, 2).sha256, of_folders(None, first, 4).sha256)
    (second / "b.png").rename(second / "c.png")
    assert of_folders(second, None, 4).sha256 != known


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    """Images without a partner, sizes that are not the scale apart, folders without images, damaged files."""
    hr = _folder(tmp_path / "hr", {"a.png": (64, 64), "b.png": (64, 64)})
    with pytest.raises(UserError, match=r"1 images have no partner .*the first is b"):
        of_folders(hr, _folder(tmp_path / "one", {"a.png": (16, 16)}), 4)
    wrong = _folder(tmp_path / "wrong", {"a.png": (16, 16), "b.png": (32, 32)})
    with pytest.raises(ImageError, match=r"b.png: HR is 64x64 and LR 32x32, not 4 times less"):
        _items(hr, wrong)
    as_large = _folder(tmp_path / "v1", {"a.png": (64, 64), "b.png": (64, 64)})
    with pytest.raises(ImageError, match=r"RealSR's versions 1 and 2 have such\) is measured at --scale 1"):
        _items(hr, as_large)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no image below .*empty"):
        of_folders(tmp_path / "empty", None, 4)
    (hr / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match=r"a.png cannot be decoded"):
        _items(hr, None)
    tiny = _folder(tmp_path / "tiny", {"t.png": (3, 3)})
    with pytest.raises(ImageError, match="t.png is smaller than one LR pixel"):
        _items(tiny, None)
    with pytest.raises(UserError, match="nowhere is not a folder"):
        of_folders(tmp_path / "nowhere", None, 4)
    alike = _folder(tmp_path / "alike", {"a.png": (16, 16), "ax4.png": (16, 16)})
    with pytest.raises(UserError, match=r"ax4.png and .*a.png are called alike"):
        of_folders(_folder(tmp_path / "twins", {"a_HR.png": (64, 64)}), alike, 4)


def test_equal_names_belong_together_whatever_is_in_them(tmp_path: Path) -> None:
    """`max2` is not `ma` at scale 2."""
    sizes = {"max2.png": (32, 32), "max3.png": (48, 32)}
    hr = _folder(tmp_path / "HR", sizes)
    lr = _folder(tmp_path / "LR", {name: (h // 2, w // 2) for name, (h, w) in sizes.items()})
    found = of_folders(hr, lr, 2)
    assert [(i.source, i.lr.shape[0]) for each in found.items for i in each.read()] == [
        ("max2.png", 16),
        ("max3.png", 24),
    ]
    assert found.name == f"{tmp_path.name}/HR x2"


def test_links_that_lead_nowhere_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hr = _folder(tmp_path / "set", {"a.png": (64, 64)})
    (hr / "dangling.png").symlink_to(tmp_path / "gone")
    assert len(of_folders(hr, None, 4).items) == 1 and "dangling.png" in caplog.text


def test_set5s_lr_is_the_published_one(data: Path) -> None:
    """To the last level: MATLAB rounds 8-bit images between its two passes."""
    published = of_folders(data / "test/Set5", data / "test/Set5_LR_bicubic_x4", 4)
    made = of_folders(data / "test/Set5", None, 4)
    for a, b in zip(published.items, made.items, strict=True):
        assert np.array_equal(a.read()[0].lr, b.read()[0].lr)


def test_several_lr_of_one_hr_are_each_measured(tmp_path: Path) -> None:
    """DIV2K's wild ones: four of each."""
    hr = _folder(tmp_path / "HR", {"0801.png": (64, 64), "0802.png": (64, 64)})
    lr = _folder(tmp_path / "wild", {f"080{i}x4w{j}.png": (16, 16) for i in (1, 2) for j in (1, 2, 3, 4)})
    found = _items(hr, lr)
    assert [item.source for item in found] == ["0801.png"] * 4 + ["0802.png"] * 4
    assert len({item.sample for item in found}) == 8


PAIRS = {
    "CameraSR": ({"001H.PNG": (60, 64), "001L.PNG": (60, 64), "002H.PNG": (60, 64), "002L.PNG": (60, 64)}, 1),
    "RealSR": ({f"Canon_00{i}_{n}.png": (s, s) for i in (1, 2) for n, s in (("HR", 64), ("LR4", 16))}, 4),
    "DRealSR": ({f"DSC_{i}_x{s}.png": (64 // s, 64 // s) for i in (14, 15) for s in (1, 4)}, 4),
}


@pytest.mark.parametrize("layout", PAIRS)
def test_one_folder_of_pairs_is_paired_by_role(tmp_path: Path, layout: str, caplog: pytest.LogCaptureFixture) -> None:
    """No image is its own partner, whichever way the folder is named; alone it is HR, or LR, not both."""
    sizes, scale = PAIRS[layout]
    folder = _folder(tmp_path / "pairs", sizes)
    (tmp_path / "link").symlink_to(folder)
    for other in (folder, tmp_path / "link", folder / ".." / "pairs"):
        found = _items(folder, other, scale)
        assert len(found) == 2 and all(item.hr is not None for item in found)
        assert not any(np.array_equal(item.lr, item.hr) for item in found)
    assert {item.source for item in _items(folder, None, 1)} == {item.source for item in found}
    lr = {item.source for item in _items(None, folder, scale)}
    assert len(lr) == 2 and not lr & {item.source for item in found}
    assert "holds pairs: their 2 HR images are taken" in caplog.text


def test_one_folder_without_roles_is_no_set_of_pairs(tmp_path: Path) -> None:
    """Each file with itself would be a perfect score."""
    folder = _folder(tmp_path / "x", {"box1.png": (64, 64), "box2.png": (64, 64)})
    with pytest.raises(UserError, match="do not say which is which"):
        of_folders(folder, folder, 1)
    assert len(_items(folder, None, 1)) == 2


def test_patterns_choose_among_images_and_pairs(tmp_path: Path) -> None:
    """Of a pair, either name may be wanted, and neither unwanted; debris without a partner is passed over if named."""
    hr = _folder(tmp_path / "hr", {f"{n}.png": (32, 32) for n in ("0001", "0002", "0003", "mask")})
    lr = _folder(tmp_path / "lr", {f"{n}x4.png": (8, 8) for n in ("0001", "0002", "0003", "junk")})

    def sources(selection: Selection, lr: Path | None = lr) -> list[str]:
        return [each.read()[0].source for each in of_folders(hr, lr, 4, selection).items]

    with pytest.raises(UserError, match="2 images have no partner"):
        sources(Selection())
    assert sources(Selection(exclude=("mask*", "junk*"))) == ["0001.png", "0002.png", "0003.png"]
    assert sources(Selection(include=("000*",), exclude=("*2x4.png",))) == ["0001.png", "0003.png"]
    assert sources(Selection(include=("0003x4.png",))) == ["0003.png"]
    assert sources(Selection(include=("*1.png", "mask.png")), None) == ["0001.png", "mask.png"]
    with pytest.raises(UserError, match="no image below .* is left to measure; name other patterns"):
        sources(Selection(include=("1*",)))
    with pytest.raises(UserError, match="no image below .* is left to measure; name other patterns"):
        sources(Selection(include=("1*",)), None)


def test_a_set_goes_by_the_name_that_it_is_given(tmp_path: Path) -> None:
    """With what its figures depend on; the images and so their hash are the same."""
    hr, lr = _folder(tmp_path / "x", {"a.png": (32, 32)}), _folder(tmp_path / "y", {"a.png": (8, 8)})
    named = Selection(name="RealSR-Canon")
    assert of_folders(hr, lr, 4, named).name == "RealSR-Canon x4"
    assert of_folders(hr, None, 4, named).name == "RealSR-Canon (bicubic x4)"
    assert of_folders(None, lr, 4, named).name == "RealSR-Canon (no HR)"
    assert of_folders(hr, lr, 4, named).sha256 == of_folders(hr, lr, 4).sha256


def test_lr_of_an_uncropped_hr_is_cut_to_whole_pixels(tmp_path: Path) -> None:
    """MATLAB's imresize gives 128 pixels of 510; what has no HR under all of it is left out."""
    hr, lr = _folder(tmp_path / "hr", {"a.png": (510, 402)}), _folder(tmp_path / "lr", {"a.png": (128, 101)})
    [item] = _items(hr, lr)
    assert item.lr.shape == (127, 100, 3) and item.hr is not None and item.hr.shape == (508, 400, 3)

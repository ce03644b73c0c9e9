"""Which files are pairs: the folders of data sets by their official names, and whatever else people have."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rwsr.degrade.errors import UserError
from rwsr.degrade.pairs.listing import Listed, PairFiles, list_pairs
from rwsr.degrade.pairs.pairing import Selection, matched

from .trees import TREES, photograph, save, smaller


def _listed(tmp_path: Path, files: PairFiles, scale: int | None = None) -> Listed:
    return list_pairs(files, tmp_path / "index.parquet", scale=scale)


@pytest.mark.parametrize("name", TREES)
def test_the_folders_of_a_data_set_are_known_by_their_names(name: str, tmp_path: Path) -> None:
    """The split that is asked for, HR beside its own LR, and the scale that the files have."""
    make, scale, count, options = TREES[name]
    make(tmp_path / "set")
    name_scale = int(options[1]) if "--scale" in options else None
    files = PairFiles([tmp_path / "set"], split="test" if "test" in options else "train", name_scale=name_scale)
    found = _listed(tmp_path, files)
    assert (len(found.pairs), found.scale) == (count, scale)
    for hr, lr in found.pairs:
        assert hr.width == 128 and lr.width == 128 // scale and hr.path != lr.path
    if name == "realsr-v3":
        files = replace(files, split="test")
        assert {pair.hr.path.split("/")[-3] for pair in _listed(tmp_path, files).pairs} == {"Test"}


def test_a_folder_below_a_data_set_is_known_too(tmp_path: Path) -> None:
    TREES["realsr-v3"][0](tmp_path)
    found = _listed(tmp_path, PairFiles([tmp_path / "RealSR(V3)/Nikon/Train/2"]))
    assert [pair.lr.path for pair in found.pairs] == ["Nikon_004_LR2.png"] and found.scale == 2


def test_several_scales_are_asked_about(tmp_path: Path) -> None:
    TREES["realsr-v3"][0](tmp_path / "set")
    with pytest.raises(UserError, match=r"2 of scale 2, 2 of scale 3, 2 of scale 4; name one with --scale"):
        _listed(tmp_path, PairFiles([tmp_path / "set"], split="train"))
    for scale in (2, 4):
        save(tmp_path / "one" / f"a_LR{scale}.png", smaller(photograph(1), scale))
    save(tmp_path / "one/a_HR.png", photograph(1))
    with pytest.raises(UserError, match=r"has LR of scales 2, 4 by their names; name one with --scale"):
        _listed(tmp_path, PairFiles([tmp_path / "one"]))
    found = _listed(tmp_path, PairFiles([tmp_path / "one"], name_scale=4))
    assert [pair.lr.path for pair in found.pairs] == ["a_LR4.png"]


def test_two_folders_are_paired_by_names(tmp_path: Path) -> None:
    """What has no partner, does not fit or is there twice is a row with its reason, and the rest is taken."""
    for i, name in enumerate(("a", "b", "c")):
        save(tmp_path / f"hr/{name}.png", photograph(i))
        save(tmp_path / f"lr/{name}x2.png", smaller(photograph(i), 2))
    save(tmp_path / "hr/d.png", photograph(0))
    save(tmp_path / "lr/dx2.png", smaller(photograph(0), 2))
    save(tmp_path / "hr/alone.png", photograph(5))
    save(tmp_path / "hr/e.png", photograph(6))
    save(tmp_path / "lr/ex2.png", photograph(6)[:40, :60])
    save(tmp_path / "hr/f.png", photograph(7))
    (tmp_path / "lr/fx2.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    found = _listed(tmp_path, PairFiles(hr=tmp_path / "hr", lr=tmp_path / "lr"), scale=2)
    assert sorted(pair.hr.path for pair in found.pairs) == ["a.png", "b.png", "c.png"]
    bad = {row.path: (row.status, row.reason) for row in found.rows if row.status != "ok"}
    assert {name: status for name, (status, _) in bad.items()} == {
        "alone.png": "no-partner",
        "dx2.png": "duplicate",
        "ex2.png": "unfit",
        "fx2.png": "damaged",
    }
    assert bad["ex2.png"][1] == "is 60x40, its HR e.png 128x96, not 2 times as large"
    again = _listed(tmp_path, PairFiles(hr=tmp_path / "hr", lr=tmp_path / "lr"), scale=2)
    assert again.rows == found.rows


def test_patterns_choose_pairs(tmp_path: Path) -> None:
    TREES["folders"][0](tmp_path / "set")
    files = PairFiles([tmp_path / "set"], selection=Selection(exclude=("*1.png",)))
    assert [pair.hr.path for pair in _listed(tmp_path, files).pairs] == ["hr/000002.png"]


@pytest.mark.parametrize("line", ["hr/{0}.png, lr/{0}.png", "hr/{0}.png (96,128,3) 1"])
def test_a_meta_info_lists_the_pairs(line: str, tmp_path: Path) -> None:
    """Real-ESRGAN's with both names; BasicSR's with HR alone, whose LR has the same name in its own folder."""
    TREES["folders"][0](tmp_path / "set")
    both = "lr/" in line
    text = (line if both else line.removeprefix("hr/")).format("000002")
    (tmp_path / "meta_info.txt").write_text(f"{text}\n")
    folders = PairFiles([tmp_path / "set"]) if both else PairFiles(hr=tmp_path / "set/hr", lr=tmp_path / "set/lr")
    found = _listed(tmp_path, replace(folders, meta_info=tmp_path / "meta_info.txt"))
    assert [pair.hr.path for pair in found.pairs] == ["hr/000002.png" if both else "000002.png"]
    (tmp_path / "meta_info.txt").write_text(text.replace("000002", "000009"))
    with pytest.raises(UserError, match=r"names \d .*that are not there \(the first is .*000009.png"):
        _listed(tmp_path, replace(folders, meta_info=tmp_path / "meta_info.txt"))


def _lmdb(folder: Path, images: dict[str, bytes], names: list[str]) -> None:
    """As BasicSR's make_lmdb_from_imgs writes it."""
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open(str(folder), map_size=2**24) as opened, opened.begin(write=True) as values:
        for name, data in images.items():
            values.put(name.encode(), data)
    (folder / "meta_info.txt").write_text("".join(f"{name} (96,128,3) 1\n" for name in names))


def test_an_lmdb_is_a_folder_of_images(tmp_path: Path) -> None:
    """Pixels are those of the files; what is named and not there is a row; a name that leads out is refused."""
    TREES["folders"][0](tmp_path / "set")
    for role in ("hr", "lr"):
        files = {path.stem: path.read_bytes() for path in (tmp_path / "set" / role).iterdir()}
        _lmdb(tmp_path / f"{role}.lmdb", files, [*(f"{name}.png" for name in sorted(files)), "gone.png"])
    found = _listed(tmp_path, PairFiles(hr=tmp_path / "hr.lmdb", lr=tmp_path / "lr.lmdb"))
    assert [pair.hr.path for pair in found.pairs] and len(found.pairs) == 2 and found.scale == 2
    assert {(row.path, row.status) for row in found.rows if row.status != "ok"} == {("gone.png", "unreadable")}
    (tmp_path / "hr.lmdb/meta_info.txt").write_text("../../secret.png (1,1,3) 1\n")
    with pytest.raises(UserError, match=r"names '\.\./\.\./secret\.png', outside of it"):
        _listed(tmp_path, PairFiles(hr=tmp_path / "hr.lmdb", lr=tmp_path / "lr.lmdb"))


def test_a_damaged_lmdb_is_told(tmp_path: Path) -> None:
    """LMDB reads mapped memory, and whoever reads what is damaged is killed: that is another process."""
    rng = np.random.default_rng(0)
    _lmdb(tmp_path / "hr.lmdb", {f"{i}": rng.bytes(30_000) for i in range(20)}, ["0.png"])
    whole = (tmp_path / "hr.lmdb/data.mdb").read_bytes()
    files = PairFiles(hr=tmp_path / "hr.lmdb", lr=tmp_path / "hr.lmdb")
    (tmp_path / "hr.lmdb/data.mdb").write_bytes(whole[:100_000])
    with pytest.raises(UserError, match=r"data.mdb is cut off: 100,000 bytes of"):
        _listed(tmp_path, files)
    pages = bytearray(whole)
    leaf = max(range(2, len(whole) // 4096), key=lambda page: whole[page * 4096 + 10] == 2)  # flags of a page
    for at in range(leaf * 4096 + 16, leaf * 4096 + 4096):
        pages[at] ^= 0xFF
    (tmp_path / "hr.lmdb/data.mdb").write_bytes(pages)
    with pytest.raises(UserError, match=r"data.mdb is damaged \(.*copy it again"):
        _listed(tmp_path, files)
    (tmp_path / "hr.lmdb/meta_info.txt").write_text("")
    with pytest.raises(UserError, match=r"meta_info.txt names no image"):
        _listed(tmp_path, files)


def test_a_meta_info_of_an_editor_is_read_and_an_empty_one_told(tmp_path: Path) -> None:
    """With a byte order mark, and a pair that is listed twice."""
    TREES["folders"][0](tmp_path / "set")
    files = PairFiles(hr=tmp_path / "set/hr", lr=tmp_path / "set/lr", meta_info=tmp_path / "meta_info.txt")
    (tmp_path / "meta_info.txt").write_text("000001.png, 000001.png\n" * 2, encoding="utf-8-sig")
    found = _listed(tmp_path, files)
    assert len(found.pairs) == 1 and all(row.status == "ok" for row in found.rows)
    (tmp_path / "meta_info.txt").write_text("\n")
    with pytest.raises(UserError, match=r"meta_info.txt is empty; a line is"):
        _listed(tmp_path, files)


def test_two_that_are_called_alike_are_left_out_and_the_others_taken(tmp_path: Path) -> None:
    TREES["folders"][0](tmp_path / "set")
    save(tmp_path / "set/hr/000002.jpg", photograph(2))
    found = _listed(tmp_path, PairFiles([tmp_path / "set"]))
    assert [pair.hr.path for pair in found.pairs] == ["hr/000001.png"]
    reasons = {Path(row.path).name: row.reason for row in found.rows if row.status == "no-partner"}
    assert "000002.png and" in reasons["000002.jpg"] and "000002.jpg are called alike; re" in reasons["000002.jpg"]
    assert len([row for row in found.rows if row.status == "no-partner"]) == 3


def test_one_that_is_called_as_another_without_its_role_is_alike_too(tmp_path: Path) -> None:
    """LR a.png could be of a.png or of a_HR.png: neither is taken."""
    hr, lr = ["a.png", "a_HR.png", "b.png"], ["a.png", "b_LR2.png"]
    found = matched(hr, lr, tmp_path / "hr", tmp_path / "lr", 2)
    assert found.pairs == [("b.png", "b_LR2.png")] and found.alike.keys() == {"a.png", "a_HR.png"}
    assert all("a_HR.png and" in why and "hr/a.png are called alike" in why for why in found.alike.values())


def test_what_is_no_pair_is_told(tmp_path: Path) -> None:
    save(tmp_path / "photos/a.png", np.zeros((64, 64, 3), dtype=np.uint8))
    with pytest.raises(UserError, match="is no layout of pairs that is known here"):
        _listed(tmp_path, PairFiles([tmp_path / "photos"]))
    with pytest.raises(UserError, match="name either folders of pairs"):
        _listed(tmp_path, PairFiles(hr=tmp_path / "photos"))
    save(tmp_path / "others/b.png", np.zeros((64, 64, 3), dtype=np.uint8))
    with pytest.raises(UserError, match="no pair in .*photos, .*others; names must be equal but for"):
        _listed(tmp_path, PairFiles(hr=tmp_path / "photos", lr=tmp_path / "others"))

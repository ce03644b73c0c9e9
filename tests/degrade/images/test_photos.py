"""Photographs as phones and the web have them, and what systems leave beside them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rwsr.degrade.errors import ImageError
from rwsr.degrade.images import listing
from rwsr.degrade.images.debris import is_debris
from rwsr.degrade.images.decode import decode, is_image
from rwsr.degrade.images.formats import photos
from rwsr.degrade.images.listing import IndexConfig, listed

from ...commands import rwsr
from ...conftest import scene

FORMATS = {"HEIC": "heic", "AVIF": "avif", "JPEG XL": "jxl"}


def _save(path: Path, name: str) -> np.ndarray:
    """A photograph in a format, as well as it can be kept."""
    image = scene(1, 96, 128)
    path.parent.mkdir(parents=True, exist_ok=True)
    if name == "HEIC":
        pillow_heif = pytest.importorskip("pillow_heif")
        pillow_heif.from_pillow(Image.fromarray(image)).save(path, quality=95)
    elif name == "JPEG XL":
        pytest.importorskip("pillow_jxl")
        Image.fromarray(image).save(path, lossless=True)
    else:
        Image.fromarray(image).save(path, quality=95)
    return image


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_read_where_its_decoder_is(name: str, tmp_path: Path) -> None:
    """By its bytes, whatever it is called; the pixels are those that were saved, as far as it keeps them."""
    image = _save(tmp_path / f"a.{FORMATS[name]}", name)
    data = (tmp_path / f"a.{FORMATS[name]}").read_bytes()
    assert photos.format_of(data) == name and is_image(f"a.{FORMATS[name].upper()}")
    found = decode(data).pixels
    apart = np.abs(found.astype(int) - image)
    assert found.shape == image.shape and (apart.max() == 0 if name == "JPEG XL" else apart.mean() < 6)
    with pytest.raises(ImageError):
        decode(data[: len(data) // 2])


@pytest.mark.parametrize("name", FORMATS)
def test_without_its_decoder_it_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line for all of them; what is called otherwise says what it is."""
    _save(tmp_path / f"a.{FORMATS[name]}", name)
    data = (tmp_path / f"a.{FORMATS[name]}").read_bytes()
    monkeypatch.setattr(photos, "openers", dict)
    monkeypatch.setattr("rwsr.degrade.images.decode.openers", dict)
    with pytest.raises(ImageError, match=f"is {name}, which is not read here; pip install 'rwsr\\[photos\\]'"):
        decode(data)
    (tmp_path / "b.gif").write_bytes(b"GIF89a")
    Image.fromarray(scene(2, 80, 80)).save(tmp_path / "c.png")
    said: list[str] = []
    monkeypatch.setattr(listing, "say", said.append)
    assert [row.path for row in listed([tmp_path], IndexConfig())] == ["c.png"]
    assert said == [f"note: {tmp_path}: passed over: {photos.unread([f'a.{FORMATS[name]}', 'b.gif']).split(': ')[1]}"]  # type: ignore[union-attr]
    assert f"1 {name}" in said[0] and "1 GIF" in said[0] and "rwsr[photos]" in said[0]


def test_debris_is_passed_over_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS's twins of files, what its archives and a NAS keep beside them."""
    Image.fromarray(scene(2, 80, 80)).save(tmp_path / "c.png")
    for name in (
        "._c.png",
        "__MACOSX/c.png",
        "@eaDir/c.png/thumb.jpg",
        ".Trash-1000/files/d.png",
        ".DS_Store",
        "Thumbs.db",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no image")
    said: list[str] = []
    monkeypatch.setattr(listing, "say", said.append)
    assert [row.path for row in listed([tmp_path], IndexConfig())] == ["c.png"] and not said
    assert not is_debris("c.png") and not is_debris("_c.png") and not is_debris("a/.hidden.png")
    rwsr("sources", "index", tmp_path, "--out", tmp_path / "index.parquet")


def test_a_heic_is_restored(foreign: Path, tmp_path: Path) -> None:
    _save(tmp_path / "photos/a.heic", "HEIC")
    assert "a.png" in rwsr("restore", tmp_path / "photos", "--model", foreign, "--out", tmp_path / "out")

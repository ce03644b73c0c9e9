"""What every kind of place must do, run on each by the fixture `somewhere`; a new kind is one more parameter of it."""

import os

import pytest

from rwsr.degrade.errors import StoreError
from rwsr.degrade.storage import location
from rwsr.degrade.storage.location import Place


def test_files_are_written_read_listed_and_removed(somewhere: Place) -> None:
    """The same on a disk and on object storage, whatever signs their names have."""
    names = ["a b.png", "ä#%41.png", "below/x~!'().png", "below/deeper/1.bin"]
    for name in names:
        location.write(somewhere / name, name.encode())
    assert location.names_below(somewhere) == sorted(names)
    assert location.sizes(somewhere, [*names, "no"]) == {name: len(name.encode()) for name in names}
    assert list(location.read_all([somewhere / name for name in names])) == [name.encode() for name in names]
    assert (somewhere / names[0]).is_file() and not (somewhere / "below").is_file() and (somewhere / "below").exists()
    assert location.size(somewhere / "below/no") is None and not (somewhere / "no").exists()
    location.remove_below(somewhere / "below")
    assert location.names_below(somewhere) == sorted(names[:2])
    (somewhere / names[0]).unlink()
    (somewhere / names[0]).unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        (somewhere / names[0]).unlink()


def test_a_name_that_must_be_free_is_taken_once(somewhere: Place) -> None:
    """The same bytes again are fine, others are refused, and the first stay."""
    assert location.write_new(somewhere / "mark", b"1") and not location.write_new(somewhere / "mark", b"2")
    location.write_once(somewhere / "mark", b"1")
    with pytest.raises(StoreError, match="not deterministic"):
        location.write_once(somewhere / "mark", b"2")
    assert (somewhere / "mark").read_bytes() == b"1" and location.names_below(somewhere) == ["mark"]


def test_a_file_written_in_pieces_is_whole_or_not_there(somewhere: Place) -> None:
    """And read in pieces it is the same; an error on the way leaves nothing."""
    data = os.urandom(3 * 2**20)
    with location.written(somewhere / "big") as file:
        file.write_bytes(data)
    with pytest.raises(ZeroDivisionError), location.written(somewhere / "never") as file:
        file.write_bytes(data)
        1 / 0  # noqa: B018
    assert location.names_below(somewhere) == ["big"]
    with location.open_file(somewhere / "big") as opened:
        opened.seek(-10, os.SEEK_END)
        assert opened.read() == data[-10:]
        opened.seek(1000)
        assert opened.read(2 * 2**20) == data[1000 : 1000 + 2 * 2**20]
        assert opened.tell() == 1000 + 2 * 2**20


def test_one_builder_holds_a_folder(somewhere: Place) -> None:
    """A second one is refused by name; the folder is free again afterwards, and nothing is left in it."""
    with location.only_builder(somewhere / "store", lambda _: None) as still_ours:
        still_ours()
        held = location.names_below(somewhere)
        assert len(held) == 1
    assert location.names_below(somewhere) == [] and location.is_empty(somewhere / "store")

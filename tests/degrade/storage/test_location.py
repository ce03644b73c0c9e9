"""Paths and URLs name places; files there are whole or not there; trouble is an OSError that names the URL."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from rwsr.degrade.errors import StoreError, UserError
from rwsr.degrade.storage import location
from rwsr.degrade.storage.location import Place, place
from rwsr.degrade.storage.object_store import ObjectPath

Bucket = Callable[[], ObjectPath]


def test_a_place_is_what_its_text_says() -> None:
    """Paths, file:// URLs with what they escape, and URLs of object storage; names are built alike."""
    assert place("some/folder") == Path("some/folder")
    assert place("file:///a%20b/c") == place("file://localhost/a b/c") == Path("/a b/c")
    assert place("c:odd") == Path("c:odd") and place("gs") == Path("gs")
    assert place("S3://Bucket/A") == place("s3://Bucket/A")
    for scheme in ("s3", "gs", "az"):
        found = place(f"{scheme}://bucket/a/b.zarr/")
        assert str(found) == f"{scheme}://bucket/a/b.zarr" and pickle.loads(pickle.dumps(found)) == found
        assert (found.name, found.suffix, found.stem, str(found.parent)) == (
            "b.zarr",
            ".zarr",
            "b",
            f"{scheme}://bucket/a",
        )
        assert str(found.with_name("c") / "d") == f"{scheme}://bucket/a/c/d"
    assert place("s3://bucket").name == "bucket"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("http://host/x", "http:// URLs are not known"),
        ("file://host/x", "names another machine"),
        ("s3:///x", "is not a URL like"),
        ("s3:/bucket/x", "write s3://bucket/x"),
        ("S3:bucket/x", "write s3://bucket/x"),
        ("s3://bucket/../x", "is not a URL like"),
        ("s3://bucket//x", "is not a URL like"),
        ("s3://key:hidden@bucket/x", "in the environment only"),
        ("s3://bucket/x?X-Amz-Signature=hidden", "in the environment only"),
    ],
)
def test_what_is_no_place_is_named(text: str, says: str) -> None:
    """With the mend; and never with the credentials that somebody wrote into it."""
    with pytest.raises(UserError, match=says) as caught:
        place(text)
    assert "hidden" not in str(caught.value)


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


def test_a_bucket_or_object_that_is_not_there_is_named(s3: Bucket) -> None:
    """Each by its URL, as a missing file is by its path."""
    bucket = s3()
    with pytest.raises(FileNotFoundError, match=f"no such object: '{bucket}/x'"):
        (bucket / "x").read_bytes()
    with pytest.raises(ConnectionError, match="no such bucket: 's3://nobody-has-this/x'"):
        ObjectPath("s3://nobody-has-this", "x").write_bytes(b"1")
    with pytest.raises(ConnectionError, match="no such bucket: 's3://nobody-has-this/x'"):
        ObjectPath("s3://nobody-has-this", "x").read_bytes()


def _read(path: ObjectPath) -> str:
    try:
        return path.read_text()
    except StoreError as error:
        return str(error)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_is_told_instead_of_waiting_for_ever(s3: Bucket) -> None:
    """The client's threads stay behind at a fork."""
    path = s3() / "x"
    path.write_bytes(b"1")
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(sending, _read(path).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert b"multiprocessing_context='spawn'" in os.read(receiving, 1000)

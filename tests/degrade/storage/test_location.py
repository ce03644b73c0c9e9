"""Paths and URLs name places; files there are whole or not there; trouble is an OSError that names the URL."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from rwsr.degrade.errors import StoreError, UserError
from rwsr.degrade.storage.location import place
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

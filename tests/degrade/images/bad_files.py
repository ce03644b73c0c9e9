"""A folder of files that no build can use as they are, with the statuses that each may get."""

import io
import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from rwsr.degrade.seeds import stream

_SIDE = 96


def _photo(seed: int) -> Image.Image:
    return Image.fromarray(stream(seed, "bad-files").integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8))


def _bytes(image: Image.Image, form: str, **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, form, **options)
    return sink.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, depth: int, colour: int, rows: bytes, *more: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = _chunk(b"IDAT", zlib.compress(rows, 1))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + b"".join(more) + data + _chunk(b"IEND", b"")


def _truncated(folder: Path) -> dict[str, set[str]]:
    """Each format cut at random offsets, from its first bytes on."""
    rng = stream(0, "truncate")
    expected: dict[str, set[str]] = {}
    for form, suffix in (("PNG", "png"), ("JPEG", "jpg"), ("TIFF", "tif"), ("WEBP", "webp"), ("BMP", "bmp")):
        data = _bytes(_photo(1), form)
        for at in (1, 7, *(int(at) for at in rng.integers(8, len(data) - 40, 5))):
            name = f"cut-{at:05d}.{suffix}"
            (folder / name).write_bytes(data[:at])
            expected[name] = {"damaged", "not-an-image"}
    return expected


def _damaged(folder: Path) -> dict[str, set[str]]:
    """Whole files with wrong bytes inside."""
    png, jpeg = _bytes(_photo(2), "PNG"), _bytes(_photo(2), "JPEG", quality=90)
    rows = b"\0" * (_SIDE * (3 * _SIDE + 1))
    files = {
        "flipped.png": png[:3000] + bytes([png[3000] ^ 16]) + png[3001:],
        "zeroes.jpg": jpeg[:4000] + bytes(2000) + jpeg[6000:],
        "noise.jpg": jpeg[:20] + stream(0, "noise").bytes(5000),
        "no-end.png": png[:-12],
        "too-few-rows.png": _png(_SIDE, _SIDE, 8, 2, rows[:1000]),
        "bad-filter.png": _png(_SIDE, _SIDE, 8, 2, b"\x09" + rows[1:]),
        "no-data.png": b"\x89PNG\r\n\x1a\n" + png[8:33] + _chunk(b"IEND", b""),
        "no-palette.png": _png(_SIDE, _SIDE, 8, 3, b"\0" * (_SIDE * (_SIDE + 1))),
        "wrong-depth.png": _png(_SIDE, _SIDE, 7, 2, rows),
        "zero-width.png": _png(0, _SIDE, 8, 2, rows),
        "magic-only.jpg": b"\xff\xd8\xff\xe0",
        "magic-only.tif": b"II*\0",
        "far-away.tif": b"II*\0" + struct.pack("<I", 2**31),
        "endless.tif": b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 256, 4, 1, 5) + struct.pack("<I", 8),
        "riff.webp": b"RIFF\x10\0\0\0WEBPVP8 ",
        "header.bmp": b"BM" + bytes(52),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return {name: {"damaged", "not-an-image", "unsupported-mode"} for name in files}


def _no_images(folder: Path) -> dict[str, set[str]]:
    """Other things under an image's name."""
    files = {
        "zero.png": b"",
        "zero.tiff": b"",
        "text.png": b"I am no image",
        "page.jpg": b"<html><body>404</body></html>",
        "script.bmp": b"#!/bin/sh\nrm -rf /\n",
        "archive.tif": b"PK\x03\x04" + bytes(200),
        "nulls.png": bytes(4096),
        "gif.png": _bytes(_photo(3), "GIF"),
        "icon.jpg": _bytes(_photo(3), "ICO"),
        "vector.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "pdf.jpg": b"%PDF-1.4\n",
        "utf-16.png": "ÿþ text".encode("utf-16"),
        "UPPER.PNG": b"no",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return {name: {"empty" if not data else "not-an-image"} for name, data in files.items()}


def _bombs(folder: Path) -> dict[str, set[str]]:
    """Small files, huge images; and images under the least side."""
    files = {
        "bomb.png": _bytes(Image.new("1", (20_000, 20_000)), "PNG"),
        "claimed.png": _png(2**31 - 1, 2**31 - 1, 8, 2, b""),
        "claimed.bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**30, 2**30, 1, 24, 0, 0, 0, 0, 0, 0),
        "text-bomb.png": _png(8, 8, 8, 0, b"\0" * 72, _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**27)))),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    for name, size in (("dot.png", (1, 1)), ("line.png", (5000, 1)), ("low.jpg", (500, 63))):
        Image.new("RGB", size).save(folder / name)
        files[name] = b""
    return {name: {"too-large", "damaged", "too-small"} for name in files}


def _odd_modes(folder: Path) -> dict[str, set[str]]:
    """Modes without a policy."""
    Image.new("F", (_SIDE, _SIDE)).save(folder / "float.tif")
    Image.new("I", (_SIDE, _SIDE)).save(folder / "int32.tif")
    return {"float.tif": {"unsupported-mode"}, "int32.tif": {"unsupported-mode"}}


def _no_files(folder: Path) -> dict[str, set[str]]:
    """What is no regular file, or cannot be reached; those in a folder of its own are found by their path."""
    os.mkfifo(folder / "pipe.png")
    with socket.socket(socket.AF_UNIX) as made:
        here = os.getcwd()
        os.chdir(folder)  # a socket's path may have 107 bytes only
        made.bind("socket.png")
        os.chdir(here)
    (folder / "device.png").symlink_to("/dev/zero")
    (folder / "dangling.png").symlink_to("gone.png")
    (folder / "circle.png").symlink_to("circle.png")
    (folder / "secret.jpg").symlink_to("/etc/hostname")
    (folder / "up.png").symlink_to("../../outside.png")
    (folder / "parent").symlink_to("../..")
    (folder / "again").symlink_to(".")
    (folder / "root").symlink_to("/")
    unreadable = dict.fromkeys(("pipe.png", "socket.png", "dangling.png", "circle.png"), {"unreadable"})
    return unreadable | dict.fromkeys(("device.png", "secret.jpg", "up.png", "parent", "root"), {"outside"})


def _names(folder: Path) -> dict[str, set[str]]:
    """Odd names; what they hold is bad too."""
    names = [
        "\U0001f4f7.png",
        "line\nbreak.png",
        "a b  c.jpg",
        "-rf.png",
        "'\"$(x).png",
        "x" * 251 + ".png",
        "é\u0301.png",
    ]
    for name in names:
        (folder / name).write_bytes(b"no")
    (folder / os.fsdecode(b"latin-\xe9.png")).write_bytes(b"no")
    return dict.fromkeys(names, {"not-an-image"}) | {"latin-\\xe9.png": {"unreadable"}}


def spoil(folder: Path) -> dict[str, set[str]]:
    """Put them all into a folder; gives back, by the name that the index gives, the statuses that are right."""
    makers: tuple[Callable[[Path], dict[str, set[str]]], ...] = (
        _truncated,
        _damaged,
        _no_images,
        _bombs,
        _odd_modes,
        _no_files,
        _names,
    )
    folder.mkdir(parents=True, exist_ok=True)
    return {name: statuses for make in makers for name, statuses in make(folder).items()}

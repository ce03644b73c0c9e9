"""Parquet tables that carry their provenance in the file's own metadata, under the key `rwsr`.

Pages have checksums of Parquet's own; two SHA-256 bind what those leave open, the footer and all bytes before it. They
stand in the metadata too (`rwsr-footer`, `rwsr-body`), the first as that of a footer with # in its place.
"""

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from ..errors import StoreError
from . import location
from .location import Place
from .provenance import Provenance, parse, sha256

compute: Any = pyarrow.compute  # which has no types
_KEY, _BODY, _FOOTER = b"rwsr", b"rwsr-body", b"rwsr-footer"
_BLANKS = {_BODY: b"+" * 64, _FOOTER: b"#" * 64}
_TAIL = 8  # bytes: the length of the footer, and PAR1
_WHOLE_BYTES = 2**26  # up to so many a table is read and checked whole


def _metadata(provenance: Provenance) -> dict[bytes, bytes]:
    return {_KEY: provenance.model_dump_json().encode(), **_BLANKS}


def _sums(body_sha256: str, footer: bytes) -> bytes:
    """The footer of a file just written, with its two hashes."""
    filled = footer.replace(_BLANKS[_BODY], body_sha256.encode())
    return filled.replace(_BLANKS[_FOOTER], sha256(filled).encode())


def _footer_start(size: int, tail: bytes) -> int:
    return size - _TAIL - int.from_bytes(tail[:4], "little")


def to_bytes(table: pa.Table, provenance: Provenance) -> bytes:
    """The Parquet file of a table and its provenance."""
    sink = pa.BufferOutputStream()
    table = table.replace_schema_metadata(_metadata(provenance))
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    data = sink.getvalue().to_pybytes()
    start = _footer_start(len(data), data[-_TAIL:])
    return data[:start] + _sums(sha256(data[:start]), data[start:-_TAIL]) + data[-_TAIL:]


def _bind(file: Path) -> None:
    """Put the hashes into a file just written."""
    with open(file, "r+b") as opened:
        start = _footer_start(file.stat().st_size, _tail_of(opened))
        opened.seek(0)
        digest, left = hashlib.sha256(), start
        while left:
            piece = opened.read(min(left, 2**20))
            digest.update(piece)
            left -= len(piece)
        footer = opened.read()
        opened.seek(start)
        opened.write(_sums(digest.hexdigest(), footer[:-_TAIL]) + footer[-_TAIL:])


def _tail_of(file: BinaryIO) -> bytes:
    file.seek(-_TAIL, 2)
    return file.read(_TAIL)


@contextmanager
def writer(
    path: Place, schema: pa.Schema, provenance: Provenance, *, dictionary: Sequence[str] | None = None
) -> Generator[pq.ParquetWriter]:
    """A Parquet file to be written in pieces; it is there, whole, when the block ends without an error.

    dictionary: the columns whose values repeat; None is all of them.
    """
    with location.written(path) as file, writer_of(file, schema, provenance, dictionary=dictionary) as opened:
        yield opened


@contextmanager
def writer_of(
    file: Path, schema: pa.Schema, provenance: Provenance, *, dictionary: Sequence[str] | None = None
) -> Generator[pq.ParquetWriter]:
    """The same into a local file, under its own name from the first."""
    schema = schema.with_metadata(_metadata(provenance))
    repeating: Any = True if dictionary is None else list(dictionary)
    with pq.ParquetWriter(
        file, schema, compression="zstd", use_dictionary=repeating, write_page_checksum=True
    ) as opened:
        yield opened
    _bind(file)


def write(path: Place, table: pa.Table, provenance: Provenance) -> None:
    """Put a table in its place, whole."""
    location.write(path, to_bytes(table, provenance))


@contextmanager
def _readable(
    path: Place, kind: str, *, whole: bool = False
) -> Generator[tuple["pa.NativeFile | BinaryIO", Provenance]]:
    """What pyarrow reads a table from, and its provenance, once its hashes are right; what is damaged there is named.

    On a disk it is Arrow's own: its threads that are not done with a file of Python's abort a process that ends.

    whole: check all bytes of it, unless it is very large; else the footer alone.

    Raises:
        StoreError: the file is missing, not ours, damaged, or of another kind.
    """
    try:
        small = whole and (location.size(path) or 0) <= _WHOLE_BYTES
        if small:
            opened = pa.BufferReader(path.read_bytes())
        else:
            opened = pa.OSFile(str(path)) if isinstance(path, Path) else location.open_file(path)
        with opened as file:
            provenance = _checked(file, path, kind, body=small)
            file.seek(0)
            yield file, provenance
    except StoreError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"{path} does not exist; name the {kind} that another command wrote") from None
    except (ConnectionError, PermissionError):
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, " ".join(str(error).split())) from None


def _damaged(path: Place, reason: str) -> StoreError:
    return StoreError(f"{path} is not a whole Parquet file ({reason}); name another, or remove it and build it again")


def _checked(file: BinaryIO, path: Place, kind: str, *, body: bool) -> Provenance:
    """The provenance in a Parquet file, whose footer, and with `body` all of it, is what was written."""
    metadata = pq.read_metadata(file).metadata or {}
    if _KEY not in metadata:
        raise StoreError(f"{path} was not written by rwsr; name a {kind}")
    made = parse(json.loads(metadata[_KEY]), kind, str(path))
    size = file.seek(0, 2)
    start = _footer_start(size, _tail_of(file))
    file.seek(start)
    footer = file.read(size - _TAIL - start)
    told = metadata.get(_FOOTER, b"")
    if sha256(footer.replace(told, _BLANKS[_FOOTER], 1) if told else footer).encode() != told:
        raise _damaged(path, "the hash of its footer is another")
    if body:
        file.seek(0)
        if sha256(file.read(start)).encode() != metadata.get(_BODY):
            raise _damaged(path, "its hash is another")
    return made


def parsed(source: "pa.NativeFile | BinaryIO | bytes", *, columns: Sequence[str] | None = None) -> pa.Table:
    """The table in a Parquet file, or some columns of it; raises pa.ArrowException, OSError.

    Bytes are read by this thread alone.
    """
    file = pa.BufferReader(source) if isinstance(source, bytes) else source
    with pq.ParquetFile(file, page_checksum_verification=True) as opened:
        return opened.read(columns=None if columns is None else list(columns), use_threads=False)


def read_provenance(path: Place, kind: str) -> Provenance:
    """The provenance in a Parquet file.

    Raises:
        StoreError: the file is missing, not ours, damaged, or of another kind.
    """
    with _readable(path, kind) as (_, provenance):
        return provenance


def check_schema(path: Place, kind: str, expected: pa.Schema) -> None:
    """Raises StoreError unless the columns of a Parquet file are those, in name, type and order."""
    with _readable(path, kind) as (source, _):
        found = pq.read_schema(source).remove_metadata()
    if found != expected.remove_metadata():
        columns = {f"{field.name} ({field.type})" for field in set(found) ^ set(expected)}
        raise StoreError(f"{path} has other columns than it must ({', '.join(sorted(columns))}); build it again")


def read(path: Place, kind: str, *, columns: Sequence[str] | None = None) -> tuple[pa.Table, Provenance]:
    """A table, or some columns of it, and its provenance; raises as `read_provenance`."""
    wanted = None if columns is None else list(columns)
    with _readable(path, kind, whole=True) as (source, provenance):
        return parsed(source, columns=wanted), provenance


def read_where(path: Place, kind: str, equals: tuple[str, object]) -> pa.Table:
    """The rows whose column has a value, a row group at a time; raises as `read_provenance`."""
    name, value = equals
    with _readable(path, kind) as (source, _):
        empty = pq.read_schema(source).empty_table().replace_schema_metadata(None)
    parts = (rows.filter(np.asarray(rows[name]) == value) for rows in row_groups(path, kind))
    return pa.concat_tables([empty, *parts])


def row_groups(path: Place, kind: str) -> Iterator[pa.Table]:
    """The table a row group at a time; raises as `read_provenance`."""
    with (
        _readable(path, kind, whole=True) as (source, _),
        pq.ParquetFile(source, page_checksum_verification=True) as opened,
    ):
        for group in range(opened.num_row_groups):
            yield opened.read_row_group(group, use_threads=False).replace_schema_metadata(None)


def read_rows(path: Place, kind: str, span: range) -> pa.Table:
    """The rows with those numbers, out of the row groups that have them; raises as `read_provenance`."""
    with _readable(path, kind) as (source, _), pq.ParquetFile(source, page_checksum_verification=True) as opened:
        stops = np.cumsum([opened.metadata.row_group(i).num_rows for i in range(opened.num_row_groups)])
        groups = [
            i for i, stop in enumerate(stops.tolist()) if stop > span.start and (not i or stops[i - 1] < span.stop)
        ]
        rows = opened.read_row_groups(groups, use_threads=False)
        first = int(stops[groups[0] - 1]) if groups and groups[0] else 0
    return rows.slice(span.start - first, len(span))


def read_overlapping(path: Place, kind: str, span: range, *, first: str, stop: str) -> pa.Table:
    """The rows whose numbers, from column `first` to before column `stop`, meet a span; raises as `read_provenance`.

    Row groups that hold none are not read.
    """
    with _readable(path, kind) as (source, _), pq.ParquetFile(source, page_checksum_verification=True) as opened:
        firsts, stops = (opened.schema_arrow.get_field_index(name) for name in (first, stop))
        groups = []
        for at in range(opened.num_row_groups):
            group = opened.metadata.row_group(at)
            if (
                group.num_rows
                and group.column(firsts).statistics.min < span.stop
                and group.column(stops).statistics.max > span.start
            ):
                groups.append(at)
        rows = opened.read_row_groups(groups, use_threads=False)
    return rows.filter((np.asarray(rows[first]) < span.stop) & (np.asarray(rows[stop]) > span.start))

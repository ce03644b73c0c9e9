"""Parquet tables that carry their provenance in the file's own metadata, under the key `rwsr`."""

import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from . import places
from .errors import StoreError
from .places import Place
from .provenance import Provenance, parse

_KEY = b"rwsr"


def to_bytes(table: pa.Table, provenance: Provenance) -> bytes:
    """The Parquet file of a table and its provenance."""
    sink = pa.BufferOutputStream()
    table = table.replace_schema_metadata({_KEY: provenance.model_dump_json()})
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue().to_pybytes()


@contextmanager
def writer(
    path: Place, schema: pa.Schema, provenance: Provenance, *, dictionary: Sequence[str] | None = None
) -> Generator[pq.ParquetWriter]:
    """A Parquet file to be written in pieces; it is there, whole, when the block ends without an error.

    dictionary: the columns whose values repeat; None is all of them.
    """
    schema = schema.with_metadata({_KEY: provenance.model_dump_json()})
    repeating: Any = True if dictionary is None else list(dictionary)
    with (
        places.written(path) as file,
        pq.ParquetWriter(
            file, schema, compression="zstd", use_dictionary=repeating, write_page_checksum=True
        ) as opened,
    ):
        yield opened


def write(path: Place, table: pa.Table, provenance: Provenance) -> None:
    """Put a table in its place, whole."""
    places.write(path, to_bytes(table, provenance))


def _source(path: Place) -> "Path | BinaryIO":
    """What pyarrow reads a table from."""
    return path if isinstance(path, Path) else path.open()


@contextmanager
def _readable(path: Place, kind: str) -> Generator["Path | BinaryIO"]:
    """What pyarrow reads a table from; what it finds damaged there is named."""
    try:
        yield _source(path)
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist; name the {kind} that another command wrote") from None
    except (ConnectionError, PermissionError):
        raise
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise StoreError(
            f"{path} is not a whole Parquet file ({reason}); name another, or remove it and build it again"
        ) from None


def read_provenance(path: Place, kind: str) -> Provenance:
    """The provenance in a Parquet file.

    Raises:
        StoreError: the file is missing, not ours, or of another kind.
    """
    with _readable(path, kind) as source:
        metadata = pq.read_schema(source).metadata or {}
    if _KEY not in metadata:
        raise StoreError(f"{path} was not written by rwsr; name a {kind}")
    try:
        value = json.loads(metadata[_KEY])
    except ValueError:
        raise StoreError(f"{path} carries no provenance that can be read; name another, or build it again") from None
    return parse(value, kind, str(path))


def check_schema(path: Place, expected: pa.Schema) -> None:
    """Raises StoreError unless the columns of a Parquet file are those, in name, type and order."""
    found = pq.read_schema(_source(path)).remove_metadata()
    if found != expected.remove_metadata():
        columns = {f"{field.name} ({field.type})" for field in set(found) ^ set(expected)}
        raise StoreError(f"{path} has other columns than it must ({', '.join(sorted(columns))}); build it again")


def read(path: Place, kind: str, *, columns: Sequence[str] | None = None) -> tuple[pa.Table, Provenance]:
    """A table, or some columns of it, and its provenance; raises as `read_provenance`."""
    provenance = read_provenance(path, kind)
    wanted = None if columns is None else list(columns)
    with _readable(path, kind) as source:
        return pq.read_table(source, columns=wanted, page_checksum_verification=True), provenance


def read_where(path: Place, kind: str, equals: tuple[str, object]) -> pa.Table:
    """The rows whose column has a value, a row group at a time; raises as `read_provenance`."""
    read_provenance(path, kind)
    name, value = equals
    empty = pq.read_schema(_source(path)).empty_table().replace_schema_metadata(None)
    parts = (rows.filter(np.asarray(rows[name]) == value) for rows in row_groups(path, kind))
    return pa.concat_tables([empty, *parts])


def row_groups(path: Place, kind: str) -> Iterator[pa.Table]:
    """The table a row group at a time; raises as `read_provenance`."""
    read_provenance(path, kind)
    with _readable(path, kind) as source, pq.ParquetFile(source, page_checksum_verification=True) as opened:
        for group in range(opened.num_row_groups):
            yield opened.read_row_group(group, use_threads=False).replace_schema_metadata(None)


def read_row_group(path: Place, kind: str, group: int) -> pa.Table:
    """One row group of a table; raises as `read_provenance`."""
    read_provenance(path, kind)
    with _readable(path, kind) as source, pq.ParquetFile(source, page_checksum_verification=True) as opened:
        return opened.read_row_group(group)


def read_overlapping(path: Place, kind: str, span: range, *, first: str, stop: str) -> pa.Table:
    """The rows whose numbers, from column `first` to before column `stop`, meet a span; raises as `read_provenance`.

    Row groups that hold none are not read.
    """
    read_provenance(path, kind)
    wanted = [(first, "<", span.stop), (stop, ">", span.start)]
    with _readable(path, kind) as source:
        return pq.read_table(source, filters=wanted, page_checksum_verification=True)

"""Parquet tables that carry their provenance in the file's own metadata, under the key `rwsr`."""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .disk import write_atomic
from .errors import StoreError
from .provenance import Provenance, parse

_KEY = b"rwsr"


def to_bytes(table: pa.Table, provenance: Provenance) -> bytes:
    """The Parquet file of a table and its provenance."""
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({_KEY: provenance.model_dump_json()}), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


@contextmanager
def writer(
    path: Path, schema: pa.Schema, provenance: Provenance, *, dictionary: Sequence[str] | None = None
) -> Generator[pq.ParquetWriter]:
    """A Parquet file to be written in pieces; it is whole when the block ends.

    dictionary: the columns whose values repeat; None is all of them.
    """
    schema = schema.with_metadata({_KEY: provenance.model_dump_json()})
    repeating: Any = True if dictionary is None else list(dictionary)
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=repeating) as opened:
        yield opened


def write(path: Path, table: pa.Table, provenance: Provenance) -> None:
    """Put a table on the disk, whole."""
    write_atomic(path, to_bytes(table, provenance))


def read_provenance(path: Path, kind: str) -> Provenance:
    """The provenance in a Parquet file.

    Raises:
        StoreError: the file is missing, not ours, or of another kind.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist; name the {kind} that another command wrote") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(f"{path} is not a whole Parquet file ({error}); build it again") from None
    if _KEY not in metadata:
        raise StoreError(f"{path} was not written by rwsr; name a {kind}")
    return parse(json.loads(metadata[_KEY]), kind, str(path))


def check_schema(path: Path, expected: pa.Schema) -> None:
    """Raises StoreError unless the columns of a Parquet file are those, in name, type and order."""
    found = pq.read_schema(path).remove_metadata()
    if found != expected.remove_metadata():
        columns = {f"{field.name} ({field.type})" for field in set(found) ^ set(expected)}
        raise StoreError(f"{path} has other columns than it must ({', '.join(sorted(columns))}); build it again")


def read(path: Path, kind: str, *, columns: Sequence[str] | None = None) -> tuple[pa.Table, Provenance]:
    """A table, or some columns of it, and its provenance; raises as `read_provenance`."""
    provenance = read_provenance(path, kind)
    return pq.read_table(path, columns=None if columns is None else list(columns)), provenance


def read_where(path: Path, kind: str, equals: tuple[str, object]) -> pa.Table:
    """The rows whose column has a value, a row group at a time; raises as `read_provenance`."""
    read_provenance(path, kind)
    name, value = equals
    with pq.ParquetFile(path) as opened:
        parts = [opened.schema_arrow.empty_table().replace_schema_metadata(None)]
        for group in range(opened.num_row_groups):
            rows = opened.read_row_group(group, use_threads=False).replace_schema_metadata(None)
            parts.append(rows.filter(np.asarray(rows[name]) == value))
    return pa.concat_tables(parts)


def read_row_groups(path: Path, kind: str, groups: Sequence[int]) -> pa.Table:
    """Some row groups of a table, in that order; raises as `read_provenance`."""
    read_provenance(path, kind)
    with pq.ParquetFile(path) as opened:
        return opened.read_row_groups(list(groups))

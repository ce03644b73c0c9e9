"""A command that has read tables ends with its own status, on a busy machine too."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from rwsr.degrade.images.listing import IndexConfig
from rwsr.degrade.storage import tables
from rwsr.degrade.storage.provenance import provenance

_READ = """
import os, sys
from pathlib import Path
from rwsr.degrade.storage import tables

def threads():
    return len(os.listdir("/proc/self/task"))

path, before = Path(sys.argv[1]), threads()
for _ in range(3):
    tables.read(path, "tile-statistics", columns=["first"])
    list(tables.row_groups(path, "tile-statistics"))
print(threads() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Linux lists the threads of a process there")
def test_no_thread_of_arrows_reads_what_is_pythons(tmp_path: Path) -> None:
    """One that is not done when the process ends waits for Python, and the process aborts with its work done: 40 of 280
    scans did, five at a time on two cores.
    """
    path = tmp_path / "t.parquet"
    columns = pa.table({"first": list(range(50_000)), "name": [str(at) for at in range(50_000)]})
    tables.write(path, columns, provenance("tile-statistics", IndexConfig(), ""))
    done = subprocess.run([sys.executable, "-c", _READ, path], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) == 0


def test_the_rows_that_meet_a_span_are_those_of_a_loop(tmp_path: Path) -> None:
    """Row groups that hold none are left out, and the others filtered."""
    path, schema = tmp_path / "t.parquet", pa.schema([("first", pa.int64()), ("stop", pa.int64())])
    rows = [(at, at + 1 + at % 3) for at in range(0, 40, 2)]
    with tables.writer(path, schema, provenance("tile-statistics", IndexConfig(), "")) as writer:
        for at in range(0, len(rows), 4):
            writer.write_table(pa.Table.from_pylist([{"first": a, "stop": b} for a, b in rows[at : at + 4]], schema))
    for span in (range(0, 1), range(7, 12), range(17, 18), range(39, 60), range(60, 61), range(5, 5)):
        found = tables.read_overlapping(path, "tile-statistics", span, first="first", stop="stop").to_pylist()
        assert [(row["first"], row["stop"]) for row in found] == [
            row for row in rows if row[0] < span.stop and row[1] > span.start
        ]

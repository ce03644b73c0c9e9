"""The format is what degrade/README.md says: its own lines of code read a store, with zarr and pyarrow alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from rwsr.degrade.storage.provenance import FORMATS

from ..builders import tiny_store

README = (Path(__file__).parents[2] / "degrade/README.md").read_text()


def _code(first_line: str) -> str:
    """The indented block of the README that begins with a line."""
    lines = README[README.index(f"    {first_line}") :].splitlines()
    block = lines[: next(i for i, line in enumerate(lines) if not line.startswith("    "))]
    return "\n".join(line[4:] for line in block) + "\n"


@pytest.mark.slow
def test_the_lines_of_the_readme_read_a_store(photos: Path, tmp_path: Path) -> None:
    """Arrays, members and a step of the manifest, in a process that never imports rwsr."""
    tiny_store(photos, tmp_path / "groups.zarr", num_samples=20)
    script = _code("import zarr") + _code("import pyarrow.parquet as pq")
    script += (
        "import sys\n"
        "assert hr.shape == (20, 64, 64, 3) and lr.shape == (20, 5, 16, 16, 3) and hr[3].dtype == 'uint8'\n"
        "assert members == ['base', 'blurrier', 'noisier', 'clean', 'worst']\n"
        "assert row['noisier'][2]['op'] in ('gaussian', 'poisson') and len(row['noisier'][2]['field']) == 32\n"
        "assert row['measured']['worst']['noise'] > 0 and not any(name.startswith('rwsr') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("readme", "title", "kind"),
    [
        ("degrade", "A store", "group-store"),
        ("degrade", "A store", "pair-store"),
        ("noisebank", "The scan", "tile-statistics"),
        ("noisebank", "A bank", "noise-bank"),
    ],
)
def test_the_readmes_say_which_format_is_written(readme: str, title: str, kind: str) -> None:
    text = (Path(__file__).parents[2] / readme / "README.md").read_text()
    assert f"## {title} (format {FORMATS[kind]})" in text

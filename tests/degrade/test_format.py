"""The format is what degrade/README.md says: its own lines of code read a store, with zarr and pyarrow alone."""

import subprocess
import sys
from pathlib import Path

from rwsr.degrade import build_store
from rwsr.degrade.config import compose
from rwsr.degrade.images import sources
from rwsr.degrade.recipes.store_config import store_preset
from rwsr.pipelines.executors import runner

README = (Path(__file__).parents[2] / "degrade/README.md").read_text()


def _code(first_line: str) -> str:
    """The indented block of the README that begins with a line."""
    lines = README[README.index(f"    {first_line}") :].splitlines()
    block = lines[: next(i for i, line in enumerate(lines) if not line.startswith("    "))]
    return "\n".join(line[4:] for line in block) + "\n"


def test_the_lines_of_the_readme_read_a_store(photos: Path, tmp_path: Path) -> None:
    """Arrays, members and a step of the manifest, in a process that never imports rwsr."""
    rows = sources.index([photos], tmp_path / "i.parquet", sources.IndexConfig(), runner(1))
    config = compose(store_preset("mm-realsr"), hr_size_px=64, num_samples=20)
    build_store.build(tmp_path / "groups.zarr", build_store.plan(config, rows), runner(1))
    script = _code("import zarr") + _code("import pyarrow.parquet as pq")
    script += (
        "import sys\n"
        "assert hr.shape == (20, 64, 64, 3) and lr.shape == (20, 5, 16, 16, 3) and hr[3].dtype == 'uint8'\n"
        "assert members == ['base', 'blurrier', 'noisier', 'clean', 'worst']\n"
        "assert row['noisier'][2]['op'] in ('gaussian', 'poisson') and len(row['noisier'][2]['field']) == 32\n"
        "assert row['measured']['worst']['noise'] > 0 and not any(name.startswith('rwsr') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)

"""What other programs may build upon: every name is there, is what it is called, and costs nothing until it is used."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import rwsr

SOURCE = Path(rwsr.__file__)


def test_every_public_name_is_there() -> None:
    """In `__all__`, for type checkers, and where it is said to be."""
    tree = ast.parse(SOURCE.read_text())
    [typed] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname or alias.name: f"{node.module}:{alias.name}"
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == rwsr._AT and sorted(rwsr.__all__) == sorted(seen)
    for name in rwsr.__all__:
        assert getattr(rwsr, name).__doc__, name
    assert rwsr.__version__ and set(dir(rwsr)) == {*rwsr.__all__, "__version__"}


def test_another_name_is_refused_as_of_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'rwsr' has no attribute 'nothing'"):
        _ = rwsr.nothing


@pytest.mark.slow
def test_importing_the_package_imports_nothing_large() -> None:
    """In less time than a person notices."""
    script = "import sys, time; begun = time.perf_counter(); import rwsr\n"
    script += "print(time.perf_counter() - begun); print([m for m in ('torch', 'numpy', 'click') if m in sys.modules])"
    best = 10.0
    for _ in range(3):
        took, large = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        best = min(best, float(took))
        assert large == "[]"
        time.sleep(0.1)
    assert best < 0.1


def test_a_store_is_built_and_read_through_it(photos: Path, tmp_path: Path) -> None:
    """From a folder of images to arrays, by public names alone."""
    rows = rwsr.index_images([photos], tmp_path / "index.parquet", rwsr.IndexConfig())
    config = rwsr.StoreConfig(recipe={"kind": "downscale"}, hr_size_px=64, num_samples=4)
    store, rendered = rwsr.build_store(tmp_path / "pairs.zarr", rwsr.plan_store(config, rows))
    assert rendered == 4
    hr = rwsr.ShardReader(rwsr.open_store(store.path), "hr").read([0, 3])
    assert hr.shape == (2, 64, 64, 3)
    harsh = rwsr.apply(hr[0], [rwsr.Jpeg(quality=10)])
    assert harsh.shape == hr[0].shape and not np.array_equal(harsh, hr[0])


def test_the_module_is_the_command() -> None:
    said = subprocess.run([sys.executable, "-m", "rwsr", "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.strip().endswith(rwsr.__version__)

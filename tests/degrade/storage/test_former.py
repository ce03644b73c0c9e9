"""What the format before holds is read: every kind of artefact of it, as the rwsr of then wrote it.

`format-5.zip` was made by its commands, of two crops of scikit-image's chelsea.png, with `--literal`, and a model of 4
channels that was trained for 3 steps; `restored.png` is what it made of cat.png. Stores and banks are a format ahead:
`format-6.zip` has two groups and two pairs (the presets mm-realsr and bsrgan) and a bank, of cat.png alone. So are
metric reports: `metrics-6.parquet` is of such groups.
"""

import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from rwsr.degrade.errors import StoreError
from rwsr.degrade.images import sources
from rwsr.degrade.recipes.store_config import GROUPS, PAIRS, StoreConfig, store_preset
from rwsr.degrade.storage.former import sharpened_as_then, training_now
from rwsr.degrade.storage.provenance import FORMATS, check_format
from rwsr.degrade.storage.shards.store import open_store
from rwsr.eval.report import examples, table
from rwsr.noisebank.bank import NoiseBank
from rwsr.noisebank.cati import CatiRule
from rwsr.noisebank.set_scan import open_scan
from rwsr.train.methods import METHODS
from rwsr.train.networks.mm_realsr import MMRealSRConfig
from rwsr.train.runs.model_file import read_model
from rwsr.train.runs.moments import model_file

from ...commands import rwsr


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("former")
    for name in ("format-5.zip", "format-6.zip"):
        with zipfile.ZipFile(Path(__file__).parent / name) as file:
            file.extractall(folder)
    return folder


@pytest.mark.parametrize(("name", "kind", "recipe"), [("groups", GROUPS, "groups"), ("pairs", PAIRS, "bsrgan")])
def test_a_store_is_read_verified_and_rendered_again(
    former: Path, name: str, kind: str, recipe: str, tmp_path: Path
) -> None:
    path = former / f"{name}.zarr"
    store = open_store(path, kind)
    config = StoreConfig.model_validate(store.provenance.values)
    assert (store.provenance.format, config.recipe.kind, config.hr_size_px) == (6, recipe, 64)
    assert "is whole" in rwsr("store", "verify", path) and "0 missing" in rwsr("store", "info", path)
    photo = tmp_path / "sources"
    photo.mkdir()
    (photo / "cat.png").write_bytes((former / "cat.png").read_bytes())
    for sample in range(2):
        assert "equal" in rwsr("store", "render", path, sample, "--source", photo, "--out", tmp_path / "again")
    assert "op" in pq.read_table(path / "manifest.parquet")["hr"].type.value_type.names


def test_an_index_a_scan_and_a_bank_are_read(former: Path) -> None:
    assert [row.path for row in sources.read(former / "index.parquet")] == ["cat.png", "ear.png"]
    (scan,) = open_scan(former / "scan")
    assert [len(scan.read_tiles(grid)) for grid in scan.grids()] == [128]
    bank = NoiseBank.open(former / "bank.zarr")
    assert isinstance(bank.rule, CatiRule) and not bank.rule.paper_exact and bank.num_patches == 7
    assert bank.draw(np.random.default_rng(0), 16).source == "cat.png"
    assert "128 of target" in rwsr("noisebank", "yield", former / "scan", "--size", 16)


@pytest.mark.slow
def test_a_model_restores_as_it_did(former: Path, tmp_path: Path) -> None:
    """From the run, from its .pth, and as the start of a training."""
    for number, model in enumerate((former / "run", former / "run.pth")):
        rwsr("restore", former / "cat.png", "--model", model, "--out", tmp_path / str(number))
        assert (tmp_path / str(number) / "cat.png").read_bytes() == (former / "restored.png").read_bytes()
    small = {**read_model(model_file(former / "run")).config["network"]}
    rwsr("train", "mm-realsr", "--store", former / "groups.zarr", "--out", tmp_path / "next", "--steps", 2,
         "--preset", "mm-realsr-small", "--start-from", former / "run", "--set", f"network={json.dumps(small)}",
         "--set", "loop.batch_size=2", "--set", "loop.lr_patch_px=8")  # fmt: skip
    since = MMRealSRConfig.model_validate(small).model_dump(mode="json")  # with the keys that came later
    assert read_model(model_file(tmp_path / "next")).config["network"] == since and small.items() <= since.items()


@pytest.mark.slow
def test_a_report_is_read_and_added_to(former: Path, tmp_path: Path) -> None:
    path = tmp_path / "metrics.parquet"
    path.write_bytes((Path(__file__).parent / "metrics-6.parquet").read_bytes())
    (tmp_path / "metrics.examples.parquet").write_bytes((former / "metrics.examples.parquet").read_bytes())
    before = table.read(path)
    assert {row.model for row in before} == {"bicubic", "lanczos", "run"} and examples.read(path)
    assert {row.device for row in before} == {""}
    rwsr("eval", "restoration", "--store", former / "groups.zarr", "--out", path)
    added = set(table.read(path)) - set(before)
    assert {(row.model, row.device) for row in added} == {("bicubic", "cpu"), ("lanczos", "cpu")}
    assert set(before) < set(table.read(path))
    rwsr("report", "--metrics", path, "--out", tmp_path / "page.html")


def test_nothing_is_built_on_the_format_before(former: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photos"
    photo.mkdir()
    (photo / "cat.png").write_bytes((former / "cat.png").read_bytes())
    groups = ("degrade", "build", "--preset", "mm-realsr", "--source", photo, "--samples", 2, "--hr-size", 64)
    for samples in (2, 3):  # nor is one made larger
        told = rwsr(*groups, "--out", former / "groups.zarr", "--samples", samples, code=1)
        assert "is of format 6, which is read and no longer written" in told
    train = ("train", "mm-realsr", "--store", former / "groups.zarr", "--preset", "mm-realsr-small", "--steps", 2)
    assert "this rwsr does not go on with" in rwsr(*train, "--out", former / "run", code=1)


def test_a_format_before_the_one_before_is_named() -> None:
    for kind, number in FORMATS.items():
        check_format(number - 1, kind, "there")
        for other in (number - 2, number + 1, None, "6"):
            with pytest.raises(StoreError, match=f"there is a {kind} of format {other!r},"):
                check_format(other, kind, "there")


def test_a_config_of_now_stays_as_it_is() -> None:
    """Models of format 5 do not say so, and one of now that does not either is read like them."""
    for method in METHODS:
        for preset in method.presets.values():
            config = preset.config.model_dump(mode="json")
            assert training_now(config) == config


def test_stores_of_before_the_pyramid_were_sharpened_by_all_taps() -> None:
    """A store that is under way does not go on by another way than it began."""
    now = store_preset("real-esrgan").model_dump(mode="json")
    assert now["recipe"]["usm"]["gaussian"] == "pyramid" and sharpened_as_then(now) == now
    usm = {name: value for name, value in now["recipe"]["usm"].items() if name != "gaussian"}
    then = StoreConfig.model_validate(sharpened_as_then(now | {"recipe": now["recipe"] | {"usm": usm}}))
    assert then != store_preset("real-esrgan") and then.recipe.usm.gaussian == "truncated"  # type: ignore[attr-defined]
    for other in ("cugan", "real-esrgan-nousm", "mm-realsr"):
        plain = store_preset(other).model_dump(mode="json")
        assert sharpened_as_then(plain) == plain

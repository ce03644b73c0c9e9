"""Reports take more rows without losing any, and say exactly what they hold."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from rwsr.degrade.errors import StoreError, UserError
from rwsr.degrade.storage.location import Place
from rwsr.eval.report import table
from rwsr.eval.report.table import MetricRow

ROW = MetricRow(
    protocol="restoration",
    data="Set5",
    data_sha256="aa",
    model="bicubic",
    checkpoint="",
    setting="{}",
    source="a.png",
    sample=0,
    member="lr",
    metric="psnr-y",
    value=30.0,
    better="higher",
    space="Y",
    border=4,
    version="v",
)


def test_rows_come_back(somewhere: Place) -> None:
    """On a disk and on object storage; what is measured anew takes the place of what was, whatever has changed."""
    path = somewhere / "metrics.parquet"
    table.add(path, [ROW, replace(ROW, metric="ssim-y", value=0.9)])
    table.add(path, [replace(ROW, border=0, value=29.0), replace(ROW, model="x", checkpoint="old")])
    table.add(path, [replace(ROW, model="x", checkpoint="new", value=31.0)])
    found = table.read(path)
    assert [(row.model, row.checkpoint, row.metric, row.border, row.value) for row in found] == [
        ("bicubic", "", "ssim-y", 4, 0.9),
        ("bicubic", "", "psnr-y", 0, 29.0),
        ("x", "new", "psnr-y", 4, 31.0),
    ]
    assert table.config_of(found).data == {"Set5": "aa"}


def _add(number: int, path: Path) -> None:
    table.add(path, [replace(ROW, model=str(number))])


@pytest.mark.slow
def test_reports_that_are_written_at_once_lose_nothing(tmp_path: Path) -> None:
    """Eight processes, one file."""
    with ProcessPoolExecutor(8, mp_context=get_context("spawn")) as pool:
        list(pool.map(_add, range(24), [tmp_path / "m.parquet"] * 24))
    assert sorted(row.model for row in table.read(tmp_path / "m.parquet")) == sorted(map(str, range(24)))


def test_means_are_of_the_rows_that_are_named() -> None:
    rows = [ROW, replace(ROW, value=20.0, member="other"), replace(ROW, model="x", value=1.0)]
    assert table.mean(rows, model="bicubic") == 25 and table.mean(rows, model="bicubic", member="lr") == 30
    with pytest.raises(UserError, match='no row with {"model": "y"}'):
        table.mean(rows, model="y")


def test_what_is_no_report_is_told(tmp_path: Path) -> None:
    """And is left as it is."""
    (tmp_path / "m.parquet").write_bytes(b"mine")
    with pytest.raises(StoreError, match="is not a whole Parquet file"):
        table.add(tmp_path / "m.parquet", [ROW])
    with pytest.raises(StoreError, match="is not a whole Parquet file"):
        table.check(tmp_path / "m.parquet")
    assert (tmp_path / "m.parquet").read_bytes() == b"mine"


def test_means_of_several_models_are_over_the_same_images() -> None:
    """An image that one of them restores to the bit, or that has no value, counts for none; where all are, it stays."""
    inf, nan = float("inf"), float("nan")
    values = {"degraded": (inf, nan, 30.0), "ours": (60.0, 20.0, 40.0)}
    rows = [replace(ROW, model=m, sample=i, value=v) for m, each in values.items() for i, v in enumerate(each)]
    clean = [replace(row, member="clean", value=inf) for row in rows[:3]]
    assert [(row.model, row.value) for row in table.shared(rows)] == [("degraded", 30.0), ("ours", 40.0)]
    assert table.shared([*rows, *clean])[-3:] == clean
    assert table.not_finite([*rows, replace(rows[0], metric="niqe", value=nan)]) == {"psnr-y": (1, 1), "niqe": (1, 0)}
    assert table.mean_of([inf, 1.0, nan]) == 1 and table.mean_of([inf, inf]) == inf


def test_a_place_that_cannot_be_written_to_is_named_before_anything_is_measured(tmp_path: Path) -> None:
    """And another report in the same folder is nobody's business."""
    (tmp_path / ".m.parquet.rwsr.lock").mkdir()
    with pytest.raises(StoreError, match="is no lock but a link or a folder; remove it"):
        table.check(tmp_path / "m.parquet")
    with table.held(tmp_path / "n.parquet"):
        table.check(tmp_path / "o.parquet")
    table.check(tmp_path / "new/m.parquet")
    assert not (tmp_path / "new").exists()

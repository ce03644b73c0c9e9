"""One config from folders to reports: what is there is left as it is, what changed is built, what is wrong is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from rwsr.degrade.errors import UserError
from rwsr.degrade.objects import ObjectPath
from rwsr.degrade.places import Place
from rwsr.pipelines import pipeline
from rwsr.pipelines.cli import root
from rwsr.pipelines.pipeline import PipelineConfig

from ..conftest import scene

Tree = Callable[[Place], dict[str, bytes]]


def _values(photos: Place, out: Place) -> dict[str, Any]:
    return {
        "out": str(out),
        "sources": [str(photos)],
        "bank": {"grid": {"size": 32, "stride": 32}},
        "store": {"preset": "mm-realsr", "config": {"num_samples": 12, "hr_size_px": 96}},
    }


def _run(photos: Place, out: Place, **changes: Any) -> pipeline.Outputs:
    return pipeline.run(PipelineConfig.model_validate(_values(photos, out) | changes))


def test_a_second_run_does_nothing(photos: Path, tmp_path: Path, tree: Tree) -> None:
    """Not a byte of the banks, stores and reports is written again."""
    assert _run(photos, tmp_path / "out").changed
    before = tree(tmp_path / "out")
    again = _run(photos, tmp_path / "out")
    assert not again.changed and tree(tmp_path / "out") == before
    assert all("there already" in built.made.lines[-1] for _, built in again.items())


def test_what_is_built_is_named_by_what_it_is_made_of(photos: Path, tmp_path: Path) -> None:
    """A renamed image changes nothing; another content, and another config, are another store beside the first."""
    first = _run(photos, tmp_path / "out")
    (photos / "a.png").rename(photos / "renamed.png")
    assert not _run(photos, tmp_path / "out").changed
    Image.fromarray(scene(9, 200, 200)).save(photos / "b.png")
    other = _run(photos, tmp_path / "out")
    assert first.store is not None and other.store is not None and other.store.at != first.store.at
    seed = {"preset": "mm-realsr", "config": {"num_samples": 12, "hr_size_px": 96, "seed": 5}}
    third = _run(photos, tmp_path / "out", store=seed)
    assert third.store is not None and third.bank is not None and other.bank is not None
    assert third.store.at not in (first.store.at, other.store.at) and third.bank.at == other.bank.at
    assert len(list((tmp_path / "out/stores").glob("*.zarr"))) == 3


def test_pairs_take_their_noise_from_the_bank(photos: Path, tmp_path: Path) -> None:
    """rwsr-edl with the bank of the same run; without one it is refused before anything is done."""
    pairs = {"preset": "rwsr-edl", "config": {"num_samples": 6, "hr_size_px": 64}}
    done = _run(photos, tmp_path / "out", store=pairs)
    assert done.store is not None and "rendered 6 pairs" in done.store.made.lines[-1]
    with pytest.raises(UserError, match="takes noise from a bank"):
        _run(photos, tmp_path / "none", store=pairs, bank=None)
    assert not (tmp_path / "none").exists()


def test_all_of_it_on_object_storage_but_the_training(
    photos: Path, tmp_path: Path, s3: Callable[[], ObjectPath], tree: Tree
) -> None:
    """The same names and bytes as on a disk."""
    bucket = s3()
    test_store = {"preset": "mm-realsr", "config": {"num_samples": 2, "hr_size_px": 96, "seed": 1}}
    tiny = {"loop": {"steps": 2, "groups": 2, "lr_patch_px": 16}}
    more = {"test_store": test_store, "held_out": [str(photos)]}
    more["train"] = {"preset": "mm-realsr-net-tiny", "config": tiny}
    with pytest.raises(UserError, match="set `runs` to a folder"):
        _run(photos, bucket, **more)
    there = _run(photos, bucket, runs=str(tmp_path / "runs"), **more)
    here = _run(photos, tmp_path / "out", runs=str(tmp_path / "runs"), **more)
    assert here.train is not None and there.train is not None and not here.train.made.changed
    assert there.train.at == here.train.at
    stores = tree(tmp_path / "out/stores")
    assert tree(bucket / "stores") == stores and len(stores) > 10


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"stores": {}}, "stores is not a config key; did you mean store?"),
        ({"store": {"preset": "mm-realsr", "config": {"num_sample": 3}}}, "in store: num_sample .* num_samples?"),
        ({"store": {"preset": "mmrealsr"}}, "in store: preset mmrealsr is unknown; known here: real-esrgan"),
        ({"sources": []}, "sources: tuple should have at least 1 item"),
        ({"sources": ["ftp://host/x"]}, "sources.0: ftp:// URLs are not known here"),
        ({"held_out": ["."]}, "held_out and test_store go together"),
        ({"train": {"preset": "mm-realsr-net-tiny", "config": {"loop": {"step": 1}}}}, "in train: loop.step .*steps"),
        ({"train": {"preset": "tiny"}}, "in train: preset tiny is unknown"),
    ],
)
def test_a_wrong_config_is_told_before_work_begins(
    photos: Path, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    """By the command, with the key and the mend."""
    config = tmp_path / "pipeline.yaml"
    config.write_text(yaml.safe_dump(_values(photos, tmp_path / "out") | change))
    result = CliRunner().invoke(root, ["flow", "run", str(config)])
    assert isinstance(result.exception, UserError) and not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=says):
        raise result.exception

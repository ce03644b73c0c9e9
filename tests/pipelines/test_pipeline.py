"""One config from folders to reports: what is there is left as it is, what changed is built, what is wrong is told."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from rwsr.degrade.errors import UserError
from rwsr.degrade.storage.location import Place
from rwsr.degrade.storage.object_store import ObjectPath
from rwsr.pipelines import pipeline
from rwsr.pipelines.cli.main import root
from rwsr.pipelines.pipeline import PipelineConfig

from ..conftest import scene

Tree = Callable[[Place], dict[str, bytes]]


def made_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder


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
    assert all("there already" in built.made.lines[-1] for name, built in again.items() if name != "sources")
    latest = json.loads((tmp_path / "out/latest.json").read_text())
    assert set(latest) == {"sources", "bank", "store", "report", "quality"}
    assert all(Path(at).exists() for at in latest.values())


def test_what_is_built_is_named_by_what_it_is_made_of(photos: Path, tmp_path: Path, tree: Tree) -> None:
    """Another content, another name of an image (manifests name it) and another config are another store beside the
    first; each has the bytes that it has where nothing was built before."""
    first = _run(photos, tmp_path / "out")
    (photos / "a.png").rename(photos / "renamed.png")
    renamed, fresh = _run(photos, tmp_path / "out"), _run(photos, tmp_path / "fresh")
    assert first.store is not None and renamed.store is not None and fresh.store is not None
    assert renamed.store.at != first.store.at and renamed.store.at.name == fresh.store.at.name
    assert tree(renamed.store.at) == tree(fresh.store.at)
    shutil.rmtree(renamed.store.at)
    Image.fromarray(scene(9, 200, 200)).save(photos / "b.png")
    other = _run(photos, tmp_path / "out")
    assert other.store is not None and other.store.at != first.store.at
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
    tiny = {"loop": {"steps": 2, "batch": 2, "lr_patch_px": 16}}
    Image.fromarray(scene(20, 150, 150)).save(made_folder(tmp_path / "held-out") / "e.png")
    more: dict[str, Any] = {"test_store": test_store, "held_out": [str(tmp_path / "held-out")]}
    more["train"] = {"preset": "mm-realsr-small", "config": tiny}
    with pytest.raises(UserError, match="set `runs` to a folder"):
        _run(photos, bucket, **more)
    there = _run(photos, bucket, runs=str(tmp_path / "runs"), **more)
    here = _run(photos, tmp_path / "out", runs=str(tmp_path / "runs"), **more)
    assert here.train is not None and there.train is not None and not here.train.made.changed
    assert there.train.at == here.train.at
    stores = tree(tmp_path / "out/stores")
    assert tree(bucket / "stores") == stores and len(stores) > 10


def test_cugan_is_trained_and_measured(photos: Path, tmp_path: Path) -> None:
    """Pairs with z, a network that is told it, and a report beside the degraded images as they are."""
    Image.fromarray(scene(20, 80, 80)).save(made_folder(tmp_path / "held-out") / "e.png")
    tiny = {"loop": {"steps": 2, "batch": 2, "lr_patch_px": 16}, "network": {"feats": [4, 6, 8], "blocks": 1}}
    done = _run(
        photos,
        tmp_path / "out",
        store={"preset": "cugan", "config": {"num_samples": 4, "hr_size_px": 48}},
        held_out=[str(tmp_path / "held-out")],
        test_store={"preset": "cugan", "config": {"num_samples": 3, "hr_size_px": 48}},
        train={"preset": "cunet-small", "config": tiny},
    )
    assert done.metrics is not None
    means = done.metrics.made.values["means"]
    assert means.keys() == {"degraded", "trained"} and means["trained"]["psnr-y"] > 5


def test_rwsr_edl_gets_new_noise_of_the_bank(photos: Path, tmp_path: Path) -> None:
    """Pairs without noise and a bank are one training, pairs with noise another."""
    tiny: dict[str, Any] = {
        "loop": {"steps": 1, "batch": 2, "lr_patch_px": 12},
        "losses": {"perceptual": {"weight": 0}},
    }
    tiny["network"] = {"feats": 4, "blocks": 1, "growth": 4, "branch_feats": 4}
    bank = {"grid": {"size": 32, "stride": 32}, "rule": {"kind": "threshold", "max_var": 30, "min_mean": 0}}
    store = {"preset": "rwsr-edl", "config": {"num_samples": 4, "hr_size_px": 64}}
    told: dict[str, Any] = {"bank": bank, "train": {"preset": "rwsr-edl-small", "config": tiny}}
    noisy = _run(photos, tmp_path / "out", store=store, **told)
    store["config"] = {"num_samples": 4, "hr_size_px": 64, "recipe": {"strength": 0}}
    anew = _run(photos, tmp_path / "out", store=store, **told)
    assert noisy.train is not None and anew.train is not None and noisy.train.at != anew.train.at
    assert not _run(photos, tmp_path / "out", store=store, **told).changed
    without = _run(photos, tmp_path / "out", store=store, **told | {"bank": None})
    assert without.train is not None and without.train.at not in (noisy.train.at, anew.train.at)


def test_held_out_images_are_not_among_the_sources(photos: Path, tmp_path: Path) -> None:
    """By their content, under whatever name; nothing is built."""
    shutil.copy(photos / "b.png", made_folder(tmp_path / "held-out") / "other-name.png")
    test_store = {"preset": "mm-realsr", "config": {"num_samples": 2, "hr_size_px": 96}}
    with pytest.raises(UserError, match=r"1 of the held-out images .*other-name.png, is .*b.png"):
        _run(photos, tmp_path / "out", held_out=[str(tmp_path / "held-out")], test_store=test_store)
    assert not (tmp_path / "out/stores").exists()


def test_the_output_is_no_source(photos: Path, tmp_path: Path) -> None:
    """A folder that is searched for images cannot hold what is made of them, nor can a file."""
    with pytest.raises(UserError, match=r"out = .*photos/out lies in .*photos, which is searched"):
        _run(photos, photos / "out")
    with pytest.raises(UserError, match=r"a.png is a file; name a folder"):
        _run(tmp_path, photos / "a.png")


def test_left_out_images_are_named_once(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "bad.png").write_bytes(b"")
    assert [row.status for row in _run(photos, tmp_path / "out").items()[0][1].made.rows if row.reason] == ["empty"]
    assert capsys.readouterr().err.count("bad.png") == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"stores": {}}, "stores is not a config key; did you mean store?"),
        ({"store": {"preset": "mm-realsr", "config": {"num_sample": 3}}}, "in store: num_sample .* num_samples?"),
        ({"store": {"preset": "mmrealsr"}}, "in store: preset mmrealsr is unknown; known here: real-esrgan"),
        ({"sources": []}, "sources is empty; name at least one"),
        ({"sources": "photos"}, r"sources is not a list; write \[one, two\]"),
        ({"sources": [""]}, "sources.0: is empty; write a path or a URL"),
        ({"store": "mm-realsr"}, "store is not a table; write {key: value}"),
        ({"bank": {"rule": {"kind": "cati", "quantil": 0.1}}}, "bank.rule.quantil is not .* did you mean quantile?"),
        ({"sorces": [], "bank": 3}, "bank is not a table.* Also: sorces is not a config key; did you mean sources?"),
        ({"sources": ["ftp://host/x"]}, "sources.0: ftp:// URLs are not known here"),
        ({"held_out": ["."]}, "held_out and test_store go together"),
        ({"train": {"preset": "mm-realsr-small", "config": {"loop": {"step": 1}}}}, "in train: loop.step .*steps"),
        ({"train": {"preset": "tiny"}}, "in train: preset tiny is unknown"),
        ({"train": {"preset": "cunet-small"}}, "mm-realsr, but train.preset = cunet-small is for scale 1, not 4"),
        (
            {"train": {"preset": "mm-realsr-small"}, "store": {"preset": "bsrgan"}},
            r"store.preset = bsrgan, but train.preset = mm-realsr-small learns from groups \(mm-realsr\); change one",
        ),
        (
            {
                "train": {"preset": "hr-aware-pretrain-small"},
                "store": {"preset": "real-esrgan-nousm"},
                "held_out": ["x"],
                "test_store": {"preset": "real-esrgan-nousm"},
            },
            "train.preset = hr-aware-pretrain-small makes no model that restores, so there is nothing to measure",
        ),
        (
            {"train": {"preset": "cunet-small"}, "store": {"preset": "bicubic", "config": {"recipe": {"scale": 1}}}},
            r"store.preset = bicubic, but train.preset = cunet-small is told blur and noise \(cugan\)",
        ),
        (
            {
                "train": {"preset": "cunet-small"},
                "store": {"preset": "cugan"},
                "held_out": ["x"],
                "test_store": {"preset": "mm-realsr"},
            },
            "test_store.preset = mm-realsr, but train.preset = cunet-small is for scale 1, not 4",
        ),
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
    assert str(result.exception).startswith(f"{config}: ")
    with pytest.raises(UserError, match=says):
        raise result.exception

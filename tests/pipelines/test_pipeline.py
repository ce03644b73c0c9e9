"""One config from folders to reports: what is there is left as it is, what changed is built, what is wrong is told."""

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from pydantic import TypeAdapter

from rwsr.degrade.errors import UserError
from rwsr.degrade.progress import watched_by
from rwsr.degrade.recipes import PRESETS
from rwsr.degrade.recipes.store_config import store_preset
from rwsr.degrade.storage.location import Place
from rwsr.degrade.storage.object_store import ObjectPath
from rwsr.pipelines import pipeline
from rwsr.pipelines.cli.main import root
from rwsr.pipelines.pipeline import PipelineConfig
from rwsr.pipelines.stages import STAGES
from rwsr.pipelines.stages.base import Artifact
from rwsr.train.methods import METHODS
from rwsr.train.methods.hr_aware import FINE_TUNING

from ..conftest import scene

Tree = Callable[[Place], dict[str, bytes]]


def made_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder


GROUPS: dict[str, Any] = {"preset": "mm-realsr", "config": {"num_samples": 12, "hr_size_px": 96}}
GRID = {"grid": {"size": 32, "stride": 32}}


def _values(source: Place, out: Place, **more: Any) -> dict[str, Any]:
    """Scan, bank, store and its quality; and stages more, or others, by name. None leaves a stage out."""
    stages: dict[str, Any] = {
        "photos": {"scan": {"target": str(source), "grids": {"grids": [{"size": 32, "stride": 32}]}}},
        "bank": {"bank": {"scan": "photos", "config": GRID}},
        "groups": {"store": {"source": "photos", **GROUPS}},
        "quality": {"report": {"store": "groups", "samples": 3}},
    }
    kept = {name: entry for name, entry in (stages | more).items() if entry is not None}
    return {"out": str(out), "stages": kept}


def _run(source: Place, out: Place, *, runs: Path | None = None, **more: Any) -> dict[str, Artifact]:
    values = _values(source, out, **more) | ({"runs": str(runs)} if runs else {})
    return dict(pipeline.run(PipelineConfig.model_validate(values)).made)


def _changed(made: dict[str, Artifact]) -> set[str]:
    return {name for name, each in made.items() if each.changed}


def _held_out(folder: Path, px: int) -> dict[str, Any]:
    """One image, indexed apart from those to train on."""
    Image.fromarray(scene(20, px, px)).save(made_folder(folder) / "e.png")
    return {"index": {"folders": str(folder), "apart_from": "photos"}}


@pytest.mark.slow
def test_a_second_run_does_nothing(photos: Path, tmp_path: Path, tree: Tree) -> None:
    """Not a byte of the banks, stores and reports is written again."""
    assert {"bank", "groups", "quality"} <= _changed(_run(photos, tmp_path / "out"))
    before = tree(tmp_path / "out")
    again = _run(photos, tmp_path / "out")
    assert not _changed(again) and tree(tmp_path / "out") == before
    assert all("there already" in each.lines[-1] for name, each in again.items() if name != "photos")
    latest = json.loads((tmp_path / "out/latest.json").read_text())
    assert list(latest) == ["photos", "bank", "groups", "quality"]
    assert all(Path(at).exists() for at in latest.values())


@pytest.mark.slow
def test_what_is_built_is_named_by_what_it_is_made_of(photos: Path, tmp_path: Path, tree: Tree) -> None:
    """Another content, another name of an image (manifests name it) and another config are another store beside the
    first; each has the bytes that it has where nothing was built before."""
    first = _run(photos, tmp_path / "out")
    (photos / "a.png").rename(photos / "renamed.png")
    renamed, fresh = _run(photos, tmp_path / "out"), _run(photos, tmp_path / "fresh")
    assert renamed["groups"].at != first["groups"].at and renamed["groups"].at.name == fresh["groups"].at.name
    assert tree(renamed["groups"].at) == tree(fresh["groups"].at)
    shutil.rmtree(renamed["groups"].at)
    Image.fromarray(scene(9, 200, 200)).save(photos / "b.png")
    other = _run(photos, tmp_path / "out")
    assert other["groups"].at != first["groups"].at
    seeded = {"num_samples": 12, "hr_size_px": 96, "seed": 5}
    third = _run(photos, tmp_path / "out", groups={"store": {"source": "photos", **GROUPS, "config": seeded}})
    assert third["groups"].at not in (first["groups"].at, other["groups"].at)
    assert third["bank"].at == other["bank"].at
    assert len(list((tmp_path / "out/stores").glob("*.zarr"))) == 3


def _edl(strength: float, bank: str | None) -> dict[str, Any]:
    config = {"num_samples": 6, "hr_size_px": 64, "recipe": {"strength": strength}}
    return {"store": {"source": "photos", "preset": "rwsr-edl", "config": config, "bank": bank}}


def test_pairs_take_their_noise_from_the_bank(photos: Path, tmp_path: Path) -> None:
    """rwsr-edl with the bank of the same run; without one it is refused before anything is done."""
    done = _run(photos, tmp_path / "out", groups=_edl(1, "bank"), quality=None)
    assert "rendered 6 pairs" in done["groups"].lines[-1]
    with pytest.raises(
        UserError, match="in stages.groups: recipe noise-injection takes its noise from a bank; name one"
    ):
        _run(photos, tmp_path / "none", groups=_edl(1, None))
    assert not (tmp_path / "none").exists()


TINY: dict[str, Any] = {"loop": {"steps": 2, "batch_size": 2, "lr_patch_px": 16}}


@pytest.mark.slow
def test_all_of_it_on_object_storage_but_the_training(
    photos: Path, tmp_path: Path, s3: Callable[[], ObjectPath], tree: Tree
) -> None:
    """The same names and bytes as on a disk."""
    bucket = s3()
    config = {"num_samples": 2, "hr_size_px": 96, "seed": 1}
    more: dict[str, Any] = {
        "apart": _held_out(tmp_path / "held-out", 150),
        "test": {"store": {"source": "apart", "preset": "mm-realsr", "config": config}},
        "net": {"train": {"preset": "mm-realsr-small", "data": "groups", "config": TINY}},
        "metrics": {"evaluate": {"models": "net", "store": "test"}},
        "page": {"report": {"metrics": "metrics", "training": "net"}},
    }
    with pytest.raises(UserError, match="set `runs` to a folder"):
        _run(photos, bucket, **more)
    there = _run(photos, bucket, runs=tmp_path / "runs", **more)
    here = _run(photos, tmp_path / "out", runs=tmp_path / "runs", **more)
    assert not here["net"].changed and there["net"].at == here["net"].at
    stores = tree(tmp_path / "out/stores")
    assert tree(bucket / "stores") == stores and len(stores) > 10
    assert here["metrics"].at.name == there["metrics"].at.name and (bucket / "reports" / here["page"].at.name).is_file()


@pytest.mark.slow
def test_cugan_is_trained_and_measured(photos: Path, tmp_path: Path) -> None:
    """Pairs with z, a network that is told it, stage 2 out of stage 1, and a report beside the degraded images."""
    pairs = {"preset": "cugan", "config": {"num_samples": 4, "hr_size_px": 48}}
    tiny = TINY | {"network": {"num_feat": [4, 6, 8], "num_block": 1}}
    gan = tiny | {"losses": {"perceptual": {"weight": 0}}, "discriminator_feats": 4}
    gan["loop"] = TINY["loop"] | {"lr_patch_px": 32}
    done = _run(
        photos,
        tmp_path / "out",
        groups={"store": {"source": "photos", **pairs}},
        apart=_held_out(tmp_path / "held-out", 80),
        test={"store": {"source": "apart", **pairs}},
        mse={"train": {"preset": "cunet-small", "data": "groups", "config": tiny}},
        gan={"train": {"preset": "cugan-small", "data": "groups", "start_from": "mse", "config": gan}},
        metrics={"evaluate": {"models": ["mse", "gan"], "store": "test"}},
    )
    means = done["metrics"].values["means"]
    assert means.keys() == {"degraded", "mse", "gan"} and means["gan"]["psnr-y"] > 5
    with pytest.raises(UserError, match="in stages.gan: this training goes on from a run of the stage before"):
        gan_alone = {"train": {"preset": "cugan-small", "data": "groups", "config": gan}}
        _run(photos, tmp_path / "no", groups={"store": {"source": "photos", **pairs}}, gan=gan_alone)


@pytest.mark.slow
def test_rwsr_edl_gets_new_noise_of_the_bank(photos: Path, tmp_path: Path) -> None:
    """Pairs without noise and a bank are one training, pairs with noise another."""
    tiny: dict[str, Any] = {
        "loop": {"steps": 1, "batch_size": 2, "lr_patch_px": 12},
        "losses": {"perceptual": {"weight": 0}},
    }
    tiny["network"] = {"num_feat": 4, "num_block": 1, "num_grow_ch": 4, "branch_feats": 4}
    rule = GRID | {"rule": {"kind": "threshold", "max_var": 30, "min_mean": 0}}
    told: dict[str, Any] = {"bank": {"bank": {"scan": "photos", "config": rule}}, "quality": None}
    net = {"preset": "rwsr-edl-small", "data": "groups", "config": tiny}
    noisy = _run(photos, tmp_path / "out", groups=_edl(1, "bank"), net={"train": net}, **told)
    drawn_anew = {"train": net | {"noise": "bank"}}
    anew = _run(photos, tmp_path / "out", groups=_edl(0, None), net=drawn_anew, **told)
    assert noisy["net"].at != anew["net"].at
    assert not _changed(_run(photos, tmp_path / "out", groups=_edl(0, None), net=drawn_anew, **told))
    without = _run(photos, tmp_path / "out", groups=_edl(0, None), net={"train": net}, **told)
    assert without["net"].at not in (noisy["net"].at, anew["net"].at)


@pytest.mark.slow
def test_a_model_is_fine_tuned_and_measured_by_two_protocols(photos: Path, tmp_path: Path) -> None:
    """On LR alone, from a run of the same pipeline; scores of the one, PSNR of both, on one page; PNG exported."""
    config = {"losses": {"lpips": 0, "l1": 1}, "loop": TINY["loop"] | {"lr_patch_px": 32}}
    done = _run(
        photos,
        tmp_path / "out",
        quality=None,
        net={"train": {"preset": "mm-realsr-small", "data": "groups", "config": TINY}},
        lr={"index": {"folders": str(photos), "images": {"min_side_px": 1}}},
        adapted={"fine_tune": {"preset": "self-training-small", "model": "net", "lr_images": "lr", "config": config}},
        curves={"evaluate": {"models": "net", "lr": "lr", "protocols": {"udem-curves": {"levels": 3}}}},
        metrics={"evaluate": {"models": {"before": "net", "after": "adapted"}, "store": "groups"}},
        page={"report": {"metrics": ["metrics", "curves"], "training": "adapted"}},
        png={"export": {"store": "groups"}},
    )
    assert done["metrics"].values["means"].keys() == {"bicubic", "lanczos", "before", "after"}
    assert done["curves"].values["curves"]["net"].keys() == {"blur", "noise", "jpeg"}
    text = Path(str(done["page"].at)).read_text()
    assert "UDEM: photos" in text and "Restoration:" in text
    assert len(list(Path(str(done["png"].at)).glob("hr/*.png"))) == 12


@pytest.mark.slow
def test_lr_of_a_learned_downscaling_becomes_pairs(photos: Path, tmp_path: Path, published: Path) -> None:
    """From a training to a store of its pairs; a second run does nothing; without an image the pairs are others."""
    small = {"network": {"num_feat": 4, "num_block": 1}}
    loop = {"steps": 1, "batch_size": 2, "lr_patch_px": 24}
    stages = {
        "bank": None,
        "quality": None,
        "groups": {"store": {"preset": "bicubic", "source": "photos", "config": {"num_samples": 2, "hr_size_px": 96}}},
        "camera": {"train": {"preset": "fssr-downscaling-small", "data": "groups", "config": small | {"loop": loop}}},
        "made": {"make_pairs": {"source": "photos", "by": "camera", "clean_up": 2}},
        "pairs": {"pairs": {"source": "made", "scale": 4, "config": {"num_samples": 2, "hr_size_px": 64}}},
    }
    done = _run(photos, tmp_path / "out", **stages)
    assert done["made"].values["pairs"] == 4 and done["pairs"].values["num_pairs"] == 4
    assert not _changed(_run(photos, tmp_path / "out", **stages))
    (photos / "b.png").unlink()
    again = _run(photos, tmp_path / "out", **stages)
    assert again["made"].at != done["made"].at and again["pairs"].values["num_pairs"] == 3


def test_held_out_images_are_not_among_the_sources(photos: Path, tmp_path: Path) -> None:
    """By their content, under whatever name; nothing is built."""
    shutil.copy(photos / "b.png", made_folder(tmp_path / "held-out") / "other-name.png")
    apart = {"index": {"folders": str(tmp_path / "held-out"), "apart_from": "photos"}}
    stages = {"photos": None, "bank": None, "groups": None, "quality": None}
    scan = _values(photos, tmp_path)["stages"]["photos"]
    with pytest.raises(UserError, match=r"1 of the held-out images .*other-name.png, is .*b.png"):
        _run(photos, tmp_path / "out", **stages | {"photos": scan, "apart": apart})
    assert not (tmp_path / "out/stores").exists()


def test_the_output_is_no_source(photos: Path, tmp_path: Path) -> None:
    """A folder that is searched for images cannot hold what is made of them, nor can a file."""
    with pytest.raises(UserError, match=r"out = .*photos/out lies in .*photos, which is searched"):
        _run(photos, photos / "out")
    with pytest.raises(UserError, match=r"a.png is a file; name a folder"):
        _run(tmp_path, photos / "a.png")


class _Heard:
    """Whoever follows: keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    def shown(self, title: str, total: int) -> AbstractContextManager[Callable[[int, str], None]]:
        return nullcontext(lambda count, note: None)


@pytest.mark.slow
def test_left_out_images_are_named_once(photos: Path, tmp_path: Path) -> None:
    (photos / "bad.png").write_bytes(b"")
    heard = _Heard()
    with watched_by(heard):
        made = _run(photos, tmp_path / "out")
    assert [row.status for row in made["photos"].rows if row.reason] == ["empty"]
    assert "".join(heard.lines).count("bad.png") == 1


@pytest.mark.slow
def test_the_printed_schema_takes_every_preset_whole() -> None:
    """Each preset's own config, in a stage; and names the key and the protocol that are wrong."""
    schema = json.loads(CliRunner().invoke(root, ["flow", "schema"]).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    known = jsonschema.Draft202012Validator(schema)
    stages: list[dict[str, Any]] = []
    for method in METHODS:
        for name, preset in method.presets.items():
            config = preset.config.model_dump(mode="json")
            stages.append({"train": {"preset": name, "data": "d", "config": config}})
    for name, preset in FINE_TUNING.items():
        config = preset.config.model_dump(mode="json")
        stages.append({"fine_tune": {"preset": name, "model": "m", "lr_images": "d", "config": config}})
    for name in PRESETS:
        config = store_preset(name).model_dump(mode="json")
        stages.append({"store": {"preset": name, "source": ["a", "b"], "config": config}})
    known.validate({"out": "x", "stages": {f"s{number}": stage for number, stage in enumerate(stages)}})
    for wrong in (
        {"train": {"preset": "rwsr-edl", "data": "d", "config": {"loop": {"stepz": 1}}}},
        {"train": {"preset": "none", "data": "d"}},
        {"store": {"preset": "cugan", "source": "d", "config": {"recipe": {"kind": "nothing"}}}},
        {"evaluate": {"store": "d", "protocols": ["nothing"]}},
        {"evaluate": {"store": "d", "protocols": {"restoration": {"metricz": []}}}},
        {"nothing": {}},
    ):
        assert not known.is_valid({"out": "x", "stages": {"s": wrong}}), wrong


@pytest.mark.slow
def test_a_stage_may_have_the_name_of_its_folder(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`photos: {scan: {target: photos}}` is of the folder; another stage's `photos` is the scan."""
    assert photos.name == "photos"
    monkeypatch.chdir(photos.parent)
    done = _run(Path("photos"), tmp_path / "out", quality=None)
    assert done["photos"].at == tmp_path / "out/photos.scan" and done["groups"].changed


@pytest.mark.slow
def test_a_stage_lies_where_it_is_told(photos: Path, tmp_path: Path) -> None:
    """`out` is its name below the pipeline's folder; then folders of images may be named at once."""
    store = {"store": {"source": str(photos), **GROUPS}, "out": "groups.zarr"}
    made = _run(photos, tmp_path / "out", photos=None, bank=None, groups=store, quality=None)
    assert made["groups"].at == tmp_path / "out/groups.zarr" and made["groups"].changed
    assert not _changed(_run(photos, tmp_path / "out", photos=None, bank=None, groups=store, quality=None))
    with pytest.raises(UserError, match="photos is no stage: name an index or a scan of it, or give the stage"):
        _run(photos, tmp_path / "b", photos=None, bank=None, groups={"store": store["store"]}, quality=None)


def _train(preset: str, **config: Any) -> dict[str, Any]:
    return {"net": {"train": {"preset": preset, "data": "groups", "config": config}}}


def _store(preset: str, **config: Any) -> dict[str, Any]:
    return {"groups": {"store": {"source": "photos", "preset": preset, "config": config}}}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"groups": {"stores": {}}},
            "in stages.groups: stores is no one kind of stage; write one of index, scan, bank",
        ),
        ({"groups": {"store": {}, "bank": {}}}, "in stages.groups: bank, store is no one kind of stage"),
        (_store("mm-realsr", num_sample=3), "in stages.groups: num_sample .* num_samples?"),
        (_store("mmrealsr"), "in stages.groups: preset mmrealsr is unknown; did you mean mm-realsr?"),
        ({"photos": {"scan": {"target": []}}}, "in stages.photos: scan: target is empty; name at least one"),
        ({"photos": {"scan": {"target": [""]}}}, "target.0: is empty; write a path, a URL or the name of a stage"),
        ({"photos": {"scan": {"target": ["ftp://host/x"]}}}, "target.0: ftp:// URLs are not known here"),
        ({"bank": {"bank": {"scan": "photos", "config": 3}}}, "in stages.bank: bank: config is not a table"),
        (
            {"bank": {"bank": {"scan": "photos", "config": {"rule": {"kind": "cati", "quantil": 0.1}}}}},
            "config.rule.quantil is not .* did you mean quantile?",
        ),
        ({"bank": {"bank": {}}}, "in stages.bank: name either a scan, or target folders"),
        (_train("mm-realsr-small", loop={"step": 1}), "in stages.net: loop.step .*steps"),
        (_train("tiny"), "in stages.net: preset tiny is unknown"),
        (_train("cunet-small"), "groups is of preset mm-realsr, but preset cunet-small is for scale 1, not 4"),
        (
            _train("mm-realsr-small") | _store("bsrgan"),
            r"groups is of preset bsrgan, but preset mm-realsr-small learns from groups \(mm-realsr\)",
        ),
        (
            _train("cunet-small") | _store("bicubic", recipe={"scale": 1}),
            r"groups is of preset bicubic, but preset cunet-small is conditioned on blur and noise \(cugan\)",
        ),
        (
            {"m": {"evaluate": {"store": "groups", "protocols": ["restoratoin"]}}},
            "in stages.m: protocol restoratoin is unknown; did you mean restoration?",
        ),
        (
            {"m": {"evaluate": {"store": "groups", "protocols": {"modulation": {"gird": 3}}}}},
            "in stages.m: protocol modulation: gird is not a config key; did you mean grid",
        ),
        ({"m": {"evaluate": {}}}, "in stages.m: name either a store, or folders"),
        ({"page": {"report": {"metrics": "page"}}}, "stages page are made of each other"),
        ({"x": {"index": {"folders": "y", "apart_from": "z"}}}, "z is no index or scan among the stages; name one"),
        ({"x": {"index": {"folders": "y", "apart_from": "groups"}}}, "groups is no index or scan among the stages"),
        ({"page": {"report": {}}}, "in stages.page: name either metrics or a training, or a store"),
    ],
)
def test_a_wrong_config_is_told_before_work_begins(
    photos: Path, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    """By the command, with the stage, the key and the mend."""
    config = tmp_path / "pipeline.yaml"
    config.write_text(yaml.safe_dump(_values(photos, tmp_path / "out", **change)))
    result = CliRunner().invoke(root, ["flow", "run", str(config)])
    assert isinstance(result.exception, UserError) and not (tmp_path / "out").exists()
    assert str(result.exception).startswith(f"{config}: ")
    with pytest.raises(UserError, match=says):
        raise result.exception


def test_every_input_of_every_stage_takes_a_place() -> None:
    """As the command line hands them on; but for `apart_from`, which names stages."""
    for kind, stage in STAGES.items():
        for name in (each for each in stage.refs if each != "apart_from"):
            adapter = TypeAdapter(Annotated[stage.model_fields[name].rebuild_annotation(), None])
            for place in (Path("a/b"), ObjectPath("s3://bucket", "a/b"), "a/b"):
                kept = adapter.validate_python({"model": place} if name == "models" else place)
                found = kept["model"] if name == "models" else kept[0] if isinstance(kept, tuple) else kept
                assert found is place, (kind, name)

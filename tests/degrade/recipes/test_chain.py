"""Chains of anybody's: what is drawn of them, that a store of them is like any other, and what is told of mistakes."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from rwsr.degrade import build_store
from rwsr.degrade.config import compose, validated
from rwsr.degrade.errors import UserError
from rwsr.degrade.images import sources
from rwsr.degrade.ops.resize import Resize
from rwsr.degrade.quality.render_again import render_again
from rwsr.degrade.recipes.base import Chance
from rwsr.degrade.recipes.chain import PRESETS, Chain, Link
from rwsr.degrade.recipes.store_config import StoreConfig, store_preset
from rwsr.degrade.storage.shards.verify import digest
from rwsr.degrade.tasks import threads
from rwsr.noisebank.bank import NoiseBank

from ...commands import rwsr


def _chain(*steps: dict[str, object], at_lr: tuple[dict[str, object], ...] = (), **more: object) -> Chain:
    return Chain.model_validate({"steps": list(steps), "at_lr": list(at_lr), **more})


def _drawn(chain: Chain, count: int = 400) -> list[tuple[object, ...]]:
    return [chain.draw(64, Chance(0, (i,)), None).members["lr"] for i in range(count)]


def test_numbers_are_drawn_from_their_ranges_and_words_from_their_lists() -> None:
    chain = _chain(
        {"op": "motion-blur", "length_px": [2, 10], "angle": 0.5},
        at_lr=({"op": "video", "codec": ["h264", "hevc"], "crf": [20, 23]}, {"op": "dither", "colours": [4, 8, 16]}),
    )
    found = _drawn(chain)
    lengths = np.array([steps[0].length_px for steps in found])
    assert lengths.min() >= 2 and lengths.max() <= 10 and abs(lengths.mean() - 6) < 0.4
    assert {steps[2].codec for steps in found} == {"h264", "hevc"} and {steps[2].crf for steps in found} == {
        20,
        21,
        22,
        23,
    }
    assert {steps[3].colours for steps in found} == {4, 8, 16}
    assert all(isinstance(steps[1], Resize) and (steps[1].height, steps[1].width) == (16, 16) for steps in found)
    assert _drawn(chain) == found


def test_steps_come_as_often_as_they_say() -> None:
    """By probabilities, and of alternatives by weights, which may be alternatives themselves."""
    chain = _chain(
        {"op": "halo", "halo_px": 1, "amount": 1, "prob": 0.25},
        {"one_of": [{"op": "jpeg", "quality": 50, "weight": 3}, {"one_of": [{"op": "webp", "quality": 50}]}]},
    )
    names = [[step.op for step in steps] for steps in _drawn(chain, 1000)]
    assert abs(sum("halo" in each for each in names) / 1000 - 0.25) < 0.05
    assert abs(sum("jpeg" in each for each in names) / 1000 - 0.75) < 0.05
    assert all(("jpeg" in each) != ("webp" in each) for each in names)


def test_another_step_changes_no_others_numbers() -> None:
    """Each has a stream of its own, by its place: one at the end leaves those before it as they are."""
    one = {"op": "gaussian", "sigma_255": [1, 20], "gray": [True, False]}
    first, second = _drawn(_chain(one), 20), _drawn(_chain(one, {"op": "levels", "gamma": [0.5, 2]}), 20)
    assert [steps[0] for steps in first] == [steps[0] for steps in second]


def test_a_resize_on_the_way_is_of_the_size_there() -> None:
    chain = _chain({"op": "resize", "factor": 0.5, "mode": "area"}, {"op": "resize", "factor": [1.5, 1.5]})
    [steps] = _drawn(chain, 1)
    assert [(step.height, step.mode) for step in steps] == [(32, "area"), (48, "bicubic"), (16, "bicubic")]


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_a_store_of_a_chain_is_like_any_other(name: str, photos: Path, tmp_path: Path) -> None:
    """The same on several threads, each sample made again from its row."""
    config = compose(store_preset(name), hr_size_px=64, num_samples=10, shard_mib=0.05)
    rows = sources.index([photos], tmp_path / "index.parquet", sources.IndexConfig())
    store, _ = build_store.build(tmp_path / "a.zarr", build_store.plan(config, rows))
    other, _ = build_store.build(tmp_path / "b.zarr", build_store.plan(config, rows), threads(4))
    assert digest(store) == digest(other)
    assert all(render_again(store, i, [], open_bank=NoiseBank.open)[1] for i in range(10))
    assert ("av" in store.provenance.versions) == (name == "old-video")
    assert StoreConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.slow
def test_a_chain_in_a_file_is_built_shown_and_reported(photos: Path, tmp_path: Path) -> None:
    chain = {
        "recipe": {
            "kind": "chain",
            "scale": 2,
            "steps": [{"op": "lens-blur", "disk_px": [0.8, 2]}],
            "at_lr": [{"op": "jpeg", "quality": [40, 90], "prob": 0.5}],
        },
        "hr_size_px": 64,
        "num_samples": 6,
    }
    (tmp_path / "chain.yaml").write_text(yaml.safe_dump(chain))
    rwsr("degrade", "build", "--config", tmp_path / "chain.yaml", "--source", photos, "--out", tmp_path / "c.zarr")
    assert "recipe chain" in rwsr("store", "info", tmp_path / "c.zarr")
    rwsr("store", "report", tmp_path / "c.zarr", "--out", tmp_path / "page.html", "--samples", 3)
    assert "lens-blur" in (tmp_path / "page.html").read_text()
    rwsr("degrade", "preview", "--config", tmp_path / "chain.yaml", "--source", photos, "--out", tmp_path / "p.png")
    assert "op: motion" not in rwsr("degrade", "show", "old-video") and "op: halo" in rwsr(
        "degrade", "show", "old-video"
    )


@pytest.mark.slow
def test_the_gallery_shows_every_step(tmp_path: Path, photos: Path) -> None:
    told = rwsr("degrade", "gallery", "--out", tmp_path / "g.png", "--image", photos / "a.png")
    assert told == f"wrote {tmp_path / 'g.png'}\n"


def test_a_picture_that_no_gallery_can_be_drawn_of_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    told = rwsr("degrade", "gallery", "--out", tmp_path / "g.png", "--image", tmp_path / "a.png", code=1)
    assert f"--image {tmp_path / 'a.png'} cannot be decoded" in told and "name another" in told


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([{"op": "motion"}], "did you mean motion-blur?"),
        ([{"op": "halo", "halo_px": 1, "amont": 2}], "halo takes no amont; it takes halo_px, amount"),
        ([{"op": "halo", "halo_px": [1, 99], "amount": 1}], "halo: halo_px: input should be less than or equal to 32"),
        ([{"op": "video", "codec": "mpeg", "crf": 3}], "video: codec: input should be 'h264', 'hevc', 'vp9' or 'av1'"),
        ([{"op": "levels", "black": 0.9, "white": 0.1}], "black is not below white"),
        ([{"prob": 0.5}], "has either op or one_of"),
        ([{"one_of": [{"op": "halo", "halo_px": 1, "amount": 1}], "amount": 3}], "amount belongs to a step"),
        ([], "steps is empty; name at least one"),
    ],
)
def test_a_mistake_in_a_chain_is_told(steps: list[dict[str, object]], said: str) -> None:
    values = {"recipe": {"kind": "chain", "steps": steps}, "hr_size_px": 64}
    with pytest.raises(UserError) as caught:
        validated(StoreConfig, values, "chain.yaml")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([{"op": "blur", "sigma": [3, 1]}], "sigma = [3, 1] falls; write [1, 3]"),
        ([{"op": "video", "codec": "h264", "crf": [40, 20]}], "crf = [40, 20] falls"),
        ([{"op": "blur", "size": [7, 8, 21]}], "8 is even"),
        ([{"op": "blur", "sigma": [1, -3, 2]}], "greater than 0"),
        ([{"op": "jpeg", "quality": [30, 500, 90]}], "quality: input should be less than or equal to 100"),
        ([{"op": "jpeg", "quality": []}], "quality is empty"),
        ([{"op": "resize", "mode": ["area", "x", "bicubic"]}], "mode: input should be"),
        ([{"op": "resize", "factor": [0.5, "x", 1]}], "factor = x is no number above 0"),
        ([{"op": "resize", "factor": 0}], "factor = 0 is no number above 0"),
        ([{"op": "resize", "factor": True}], "factor = True is no number"),
        ([{"op": "resize", "factor": 400}], "up to 16"),
        ([{"op": "resize", "factor": 8}, {"op": "resize", "factor": [0.5, 4]}], "the image can grow 32 times"),
        ([{"op": "levels", "black": [0, 0.9], "white": [0.1, 1]}], "black is not below white"),
        ([{"op": "blur", "sigma": 10_000}], "wider than the kernel, 21 px"),
        ([{"op": "video", "codec": ["vp9", "h264"], "crf": 60}], "crf = 60 is more than h264 has; use 51"),
        ([{"op": "chroma", "shift_x": 1e9}], "less than or equal to 64"),
        ([{"one_of": [{"op": "halo", "halo_px": 1, "amount": 1, "weight": 1e308}]}], "less than or equal to 1000000"),
    ],
)
def test_whatever_can_be_drawn_is_tried_before_anything_is_built(steps: list[dict[str, object]], said: str) -> None:
    """Both ends of each range with those of all others, and each of several choices."""
    with pytest.raises(UserError) as error:
        compose(store_preset("old-video"), sets=[f"recipe.steps={yaml.safe_dump(steps, default_flow_style=True)}"])
    assert said in str(error.value) and "Also" not in str(error.value)


def test_a_resize_at_lr_is_refused() -> None:
    with pytest.raises(ValueError, match="at_lr: a resize would change LR's size"):
        _chain({"op": "halo", "halo_px": 1, "amount": 1}, at_lr=({"op": "resize", "factor": 0.5},))
    assert Link.model_validate({"op": "blur", "sigma": [0.2, 3], "size": [7, 11, 21]}).values["size"] == [7, 11, 21]

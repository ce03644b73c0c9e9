"""Samples that a device renders are those of the CPU: the same draws, crops and turns, and nearly the same levels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from rwsr.degrade.config import compose, to_yaml
from rwsr.degrade.errors import UserError
from rwsr.degrade.images.pixels import U8, to_float
from rwsr.degrade.quality.group_order import disorders
from rwsr.degrade.recipes import PRESETS
from rwsr.degrade.recipes.store_config import store_preset
from rwsr.degrade.samples import Draw, Source, cut, draw_sample, render
from rwsr.pipelines.stages.train import Train
from rwsr.train.compose import compose_training, method_of
from rwsr.train.data.batches import GroupBatch, GroupBatches
from rwsr.train.data.decoded import DecodedImages
from rwsr.train.data.of_training import Data, live
from rwsr.train.engine import loop
from rwsr.train.engine.distributed import Ranks
from rwsr.train.notes import notes_on
from rwsr.train.on_device import batches as planned
from rwsr.train.on_device.batches import PlannedBatches, on_device
from rwsr.train.on_device.samples import Made, made_of, steps_of_host
from rwsr.train.train import train_run

from ...commands import rwsr
from ..device.pretended import Watch, pretended

CPU = torch.device("cpu")
TINY = (
    "network.num_feat=4",
    "network.num_block=1",
    "network.num_grow_ch=4",
    "loop.batch_size=4",
    "loop.lr_patch_px=16",
)


def _crops(draws: Sequence[Draw], pixels: U8) -> list[torch.Tensor]:
    cuts = [to_float(cut(pixels, each.y, each.x, each.size)) for each in draws]
    return [torch.from_numpy(each).movedim(-1, 0) for each in cuts]


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if not preset.recipe.wants_bank])
def test_every_preset_is_as_the_cpu_renders_it(name: str, astronaut: U8) -> None:
    """HR to the level, and of LR nearly all values; the orders of groups are found alike."""
    config = compose(store_preset(name), hr_size_px=128)
    draws = [draw_sample(config, Source("any", 512, 512), sample, 0, None) for sample in range(6)]
    wanted, found = [render(each, astronaut) for each in draws], made_of(draws, _crops(draws, astronaut))
    hr, lr = (
        np.concatenate([
            np.abs(getattr(made, part).movedim(-3, -1).numpy() - getattr(each, part).astype(np.float32)).ravel()
            for made, each in zip(found, wanted, strict=True)
        ])
        for part in ("hr", "lr")
    )  # fmt: skip
    assert hr.max() <= 1 and (hr > 0).mean() < 1e-3
    assert lr.mean() < 0.05 and (lr >= 1).mean() < 0.03
    for made, each in zip(found, wanted, strict=True):
        assert made.in_order == (each.measured is None or not disorders(each.measured))


def _live(photos: Path, tmp_path: Path, preset: str, *, sets: Sequence[str] = (), device: bool = True) -> Data:
    recipe = tmp_path / f"{preset}.yaml"
    recipe.write_text(to_yaml(compose(store_preset(preset), hr_size_px=64, sets=list(sets))))
    return live([photos], recipe, tmp_path, preset=preset, on_device=device)


def _both(data: Data, **changes: Any) -> tuple[GroupBatches, PlannedBatches]:
    told = {"batch_size": 6, "lr_patch_px": 12, "seed": 3, "use_rot90": True} | changes
    batches = GroupBatches(data.groups, **told)
    found = on_device(batches, data.groups)
    assert isinstance(found, PlannedBatches)
    return batches, found


@pytest.mark.parametrize("preset", ["mm-realsr", "real-esrgan", "cugan"])
def test_batches_are_those_of_the_cpu(photos: Path, tmp_path: Path, preset: str) -> None:
    """Samples, crops, turns, conditions and keys; groups that are drawn again too."""
    by_cpu, by_device = _both(_live(photos, tmp_path, preset))
    for step in range(3):
        wanted: GroupBatch = by_cpu[step].to(CPU)
        found = by_device.put(by_device[step], CPU)
        assert torch.equal(found.keys, wanted.keys) and torch.equal(found.condition, wanted.condition)
        assert found.hr.shape == wanted.hr.shape and found.lr.shape == wanted.lr.shape
        assert (255 * (found.hr - wanted.hr).abs()).max() <= 1.01
        differs = 255 * (found.lr - wanted.lr).abs()
        assert differs.mean() < 0.05 and (differs > 0.5).float().mean() < 0.02


def test_what_no_try_puts_in_order_the_cpu_goes_on_with(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same samples as before, by its own bytes."""
    by_cpu, by_device = _both(_live(photos, tmp_path, "mm-realsr"))
    tried: list[int] = []

    def none(draws: Sequence[Draw], crops: Sequence[torch.Tensor]) -> list[Made]:
        tried.append(len(draws))
        return [Made(each.hr, each.lr, in_order=False) for each in made_of(draws, crops)]

    monkeypatch.setattr(planned, "made_of", none)
    found, wanted = by_device.put(by_device[1], CPU), by_cpu[1].to(CPU)
    assert tried == [6, 6, 6, 6]
    assert torch.equal(found.hr, wanted.hr) and torch.equal(found.lr, wanted.lr)


def test_noise_of_a_bank_is_added_there(photos: Path, tmp_path: Path) -> None:
    class Bank:
        size_px = 64

        def draw(self, rng: np.random.Generator, size_px: int) -> Any:
            class Drawn:
                noise = rng.normal(0, 0.1, (size_px, size_px, 3)).astype(np.float32)

            return Drawn()

    by_cpu, by_device = _both(_live(photos, tmp_path, "bicubic"), noise=Bank())
    found, wanted = by_device.put(by_device[0], CPU), by_cpu[0].to(CPU)
    assert wanted.lr.unique().numel() > 1000
    assert torch.allclose(found.lr, wanted.lr, atol=1.01 / 255)


@pytest.mark.parametrize("preset", ["mm-realsr", "real-esrgan", "bsrgan"])
def test_of_several_processes_each_renders_its_part_to_the_bit(photos: Path, tmp_path: Path, preset: str) -> None:
    """What a sample is does not hang on what is rendered with it."""
    data = _live(photos, tmp_path, preset)
    whole = _both(data, batch_size=12)[1]
    parts = [_both(data, batch_size=12, ranks=Ranks(rank, 4))[1] for rank in range(4)]
    for step in range(2):
        found = torch.cat([part.put(part[step], CPU).lr for part in parts])
        assert torch.equal(found, whole.put(whole[step], CPU).lr)


@pytest.mark.parametrize("preset", ["real-esrgan", "cugan"])
def test_nothing_waits_for_the_device(photos: Path, tmp_path: Path, preset: str) -> None:
    """On a pretended one: after the first batch, which brings tables there, no copy is waited for; none mixes
    devices.
    """
    by_device = _both(_live(photos, tmp_path, preset))[1]
    batch = by_device[0]
    with pretended() as on:
        samples = [
            replace(each, tries=[(source, draw, torch.zeros_like(crop)) for source, draw, crop in each.tries])
            for each in batch.samples
        ]
        batch = replace(batch, samples=samples)
        by_device.put(batch, on)
        with Watch(on) as watch:
            made = by_device.put(batch, on)
        assert made.lr.device == made.hr.device == made.condition.device == on
        assert watch.copies == {} and watch.ops["aten::_fft_c2r"] > 0


# ------------------------------------------------------------------------------------------------- trainings


@pytest.mark.slow
def test_a_training_on_it_is_reproducible(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the loaders, and stopped and resumed: the same bytes. It is another run than the CPU's."""
    data = _live(photos, tmp_path, "mm-realsr")
    method = method_of("mm-realsr-small")
    config = compose(compose_training("mm-realsr-small", steps=4), sets=[*TINY, "loop.checkpoint_every=2"])
    assert train_run(tmp_path / "whole", data, method, config)
    loaders = compose(config, sets=["loop.num_workers=1"])
    assert train_run(tmp_path / "loaders", data, method, loaders)
    steps: list[int] = []
    plain = loop._is_saved  # noqa: SLF001

    def stops(*told: Any) -> bool:
        steps.append(told[1])
        if len(steps) == 3:
            raise KeyboardInterrupt
        return plain(*told)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "_is_saved", stops)
        train_run(tmp_path / "broken", data, method, config)
    assert train_run(tmp_path / "broken", data, method, config)
    files = [(tmp_path / run / "model.safetensors").read_bytes() for run in ("whole", "loaders", "broken")]
    assert files[0] == files[2]
    logs = [pq.read_table(tmp_path / run / "train.parquet") for run in ("whole", "loaders", "broken")]
    assert logs[0].equals(logs[1]) and logs[0].equals(logs[2])
    other = _live(photos, tmp_path, "mm-realsr", device=False)
    with pytest.raises(UserError, match='inputs.rendered_by was "device", now null'):
        train_run(tmp_path / "whole", other, method, compose(config, sets=["loop.steps=5"]))


@pytest.mark.slow
def test_the_command_says_where_it_does_not_pay(photos: Path, tmp_path: Path) -> None:
    sets = [part for key in TINY for part in ("--set", key)]
    common = ("train", "mm-realsr", "--preset", "real-esrnet-fp32", "--steps", 1, *sets, "--out", tmp_path / "run")
    said = rwsr(*common, "--source", photos, "--recipe", _recipe(tmp_path), "--on-device")
    assert "note: the device that trains is the CPU, which renders faster without --on-device" in said
    assert "trained 1 steps" in said
    said = rwsr(*common, "--store", tmp_path, "--on-device", code=2)
    assert "--on-device is of --source; a --store is rendered already" in said
    with pytest.raises(UserError, match="on_device is of `source`"):
        Train(preset="real-esrnet", data=("s",), on_device=True).check({})


@pytest.mark.slow
def test_images_that_cannot_be_rendered_are_named(photos: Path, tmp_path: Path) -> None:
    """And the exit code says so; rendered by either."""
    (photos / "broken.png").write_bytes((photos / sorted(path.name for path in photos.iterdir())[0]).read_bytes()[:200])
    Image.fromarray(np.zeros((40, 50, 3), dtype=np.uint8)).save(photos / "small.png")
    sets = [part for key in TINY for part in ("--set", key)]
    common = ("train", "mm-realsr", "--preset", "real-esrnet-fp32", "--steps", 1, *sets, "--source", photos)
    for name, flags in (("cpu", ()), ("device", ("--on-device",))):
        said = rwsr(*common, "--recipe", _recipe(tmp_path), *flags, "--out", tmp_path / name, code=3)
        assert "left out: damaged: " in said and "broken.png" in said
        assert "small.png" in said and "trained 1 steps" in said


def _recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(to_yaml(compose(store_preset("real-esrgan"), hr_size_px=64)))
    return path


def test_steps_that_only_the_cpu_can_do_are_named(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert steps_of_host(store_preset("real-esrgan")) == steps_of_host(store_preset("mm-realsr")) == []
    data = _live(photos, tmp_path, "bsrgan", sets=["recipe.poisson_prob=0.5"])
    assert steps_of_host(data.groups.config) == ["poisson"]  # type: ignore[attr-defined]
    monkeypatch.setattr("rwsr.train.notes.local_device", lambda: torch.device("cuda", 0))
    notes = notes_on(method_of("real-esrnet"), compose_training("real-esrnet"), data)
    assert notes[0] == (
        "note: poisson are rendered by the CPU, an image at a time, while the GPU waits; without --on-device "
        "loop.num_workers share it"
    )


def test_an_image_that_is_a_crop_and_may_not_be_written_to(
    tmp_path: Path, astronaut: U8, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some decoders give them."""
    (tmp_path / "p").mkdir()
    Image.fromarray(astronaut[:64, :64]).save(tmp_path / "p/a.png")
    data = _live(tmp_path / "p", tmp_path, "bicubic")

    def read(_: object, __: int) -> U8:
        pixels = np.ascontiguousarray(astronaut[:64, :64])
        pixels.flags.writeable = False
        return pixels

    monkeypatch.setattr(DecodedImages, "read", read)
    by_cpu, by_device = _both(data)
    assert torch.allclose(by_device.put(by_device[0], CPU).lr, by_cpu[0].to(CPU).lr, atol=1.01 / 255)


def test_images_smaller_than_a_crop_are_continued(tmp_path: Path, astronaut: U8) -> None:
    """As the CPU does it, and crops of several sizes in the source go together."""
    (tmp_path / "p").mkdir()
    Image.fromarray(astronaut[:50, :90]).save(tmp_path / "p/a.png")
    Image.fromarray(astronaut[:200, :220]).save(tmp_path / "p/b.png")
    sets = ["pad_small=true", "source_scales=[1,0.5]"]
    by_cpu, by_device = _both(_live(tmp_path / "p", tmp_path, "bicubic", sets=sets))
    for step in range(2):
        found, wanted = by_device.put(by_device[step], CPU), by_cpu[step].to(CPU)
        assert (255 * (found.hr - wanted.hr).abs()).max() <= 1.01 and (255 * (found.lr - wanted.lr).abs()).max() <= 1.01

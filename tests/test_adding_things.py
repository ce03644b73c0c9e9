"""Anybody adds a step, a recipe, a metric, a protocol, a network or a method: a few lines of their own, by public
names.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn
from torch.nn import functional

import rwsr


class Halftone(rwsr.Step):
    """Levels rounded to so many."""

    is_noise: ClassVar[bool] = True
    op: Literal["halftone"] = "halftone"
    levels: int

    def apply(self, at: rwsr.Site) -> np.ndarray:
        return np.rint(at.image * (self.levels - 1)) / np.float32(self.levels - 1)

    @property
    def text(self) -> str:
        return f"halftone of {self.levels}"


class Print(rwsr.Recipe):
    """Scans of prints: made smaller, and few levels."""

    ops: ClassVar = (*rwsr.Recipe.ops, Halftone)
    kind: Literal["print"] = "print"
    scale: int = 2
    most_levels: int = 6

    def draw(self, hr_px: int, chance: rwsr.Chance, bank: object) -> rwsr.Drawn:
        side = hr_px // self.scale
        levels = int(chance.stream("levels").integers(2, self.most_levels + 1))
        return rwsr.Drawn({"lr": (rwsr.Resize(height=side, width=side, mode="area"), Halftone(levels=levels))})


class Enlarger(rwsr.NetworkConfig):
    """One conv and a shuffle."""

    arch: Literal["enlarger"] = "enlarger"
    scale: int = 2

    def build(self) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 3 * self.scale**2, 3, padding=1), nn.PixelShuffle(self.scale))


class CharbonnierConfig(rwsr.TrainingConfig):
    method: Literal["charbonnier"] = "charbonnier"
    network: Enlarger = Enlarger()


def _build(config: CharbonnierConfig, given: rwsr.Given) -> rwsr.Training:
    net = config.network.build()

    def losses(_: str, batch: rwsr.GroupBatch, shared: object) -> dict[str, torch.Tensor]:
        return {"charbonnier": ((net(batch.lr[:, 0]) - batch.hr).square() + 1e-6).sqrt().mean()}

    return rwsr.Training({"generator": net}, losses)


CHARBONNIER = rwsr.TrainingMethod(
    "charbonnier", CharbonnierConfig, {"small": rwsr.Preset(CharbonnierConfig(), "")}, _build, lambda *_: None
)
MEAN_ERROR = rwsr.Metric(
    "mean-error", lambda _: lambda sr, hr: (sr - hr).abs().mean(dim=(1, 2, 3)), "lower", "RGB, 0..255", "its own mean"
)


class FlipOptions(rwsr.ProtocolOptions):
    axis: int = -1


def _flips(setup: rwsr.Setup, options: FlipOptions) -> Iterator[tuple[int, list[rwsr.MetricRow]]]:
    """How far a model is from giving the mirrored SR of a mirrored LR."""
    figure = rwsr.Figure("asymmetry", "lower", "RGB, 0..1", "its own")
    for source in setup.images.items:
        for item in source.read():
            lr = torch.from_numpy(item.lr).movedim(-1, 0)[None] / 255
            for each in setup.subjects:
                apart = each.model(lr.flip(options.axis)).flip(options.axis) - each.model(lr)
                yield 1, [setup.row("flips", each, item, figure, apart.abs().mean().item())]


FLIPS = rwsr.Protocol(
    "flips",
    "Symmetry",
    "How symmetric a model is.",
    FlipOptions,
    _flips,
    lambda rows, _: rwsr.Section("Symmetry", (f"{rows[0].model}: {rows[0].value:.4f}",), ()),
)


@pytest.fixture
def store(photos: Path, tmp_path: Path) -> Path:
    """Pairs of the recipe above."""
    rows = rwsr.index_images([photos], tmp_path / "index.parquet", rwsr.IndexConfig())
    config = rwsr.StoreConfig(recipe=Print(), hr_size_px=64, num_samples=6)
    rwsr.build_store(tmp_path / "prints.zarr", rwsr.plan_store(config, rows), rwsr.threads(2))
    return tmp_path / "prints.zarr"


@pytest.mark.slow
def test_a_step_and_a_recipe_of_ones_own_make_a_store(store: Path, tmp_path: Path) -> None:
    """Stored with every parameter, rendered again from the manifest, drawn on a sheet and a page, read by its kind."""
    table = pq.read_table(store / "manifest.parquet")
    drawn = [row["lr"][1]["levels"] for row in table.to_pylist()]
    assert len(set(drawn)) > 1 and all(2 <= levels <= 6 for levels in drawn)
    opened = rwsr.open_store(store)
    lr = rwsr.ShardReader(opened, "lr").read(list(range(6)))
    assert all(len(np.unique(lr[i])) <= levels for i, levels in enumerate(drawn))
    assert all(rwsr.render_again(opened, i, [], open_bank=rwsr.NoiseBank.open)[1] for i in range(6))
    page = tmp_path / "quality.html"
    rwsr.write_quality(opened, page, 4, rwsr.serial)
    assert "halftone" in page.read_text()
    config = opened.provenance.config
    assert rwsr.StoreConfig.model_validate(config).recipe == Print()
    assert rwsr.compose(rwsr.StoreConfig.model_validate(config), sets=["recipe.most_levels=3"]).recipe.most_levels == 3
    with pytest.raises(rwsr.UserError, match=r"recipe.most_level is not a config key; did you mean most_levels\?"):
        rwsr.compose(rwsr.StoreConfig.model_validate(config), sets=["recipe.most_level=3"])
    with pytest.raises(rwsr.UserError, match="recipe: prints is an unknown kind; known here: .*print"):
        rwsr.compose(rwsr.store_preset("bicubic"), sets=["recipe.kind=prints"])


@pytest.mark.slow
def test_a_method_and_a_network_of_ones_own_train_and_are_measured(store: Path, photos: Path, tmp_path: Path) -> None:
    """By the engine, into a run that is opened like any other, by a metric and a protocol of one's own, onto a page."""
    config = rwsr.compose(
        CharbonnierConfig(),
        sets=["loop.steps=3", "loop.batch_size=2", "loop.lr_patch_px=16", "loop.checkpoint_every=2"],
    )
    assert rwsr.train_run(tmp_path / "run", rwsr.stored(store), CHARBONNIER, config)
    assert not rwsr.train_run(tmp_path / "run", rwsr.stored(store), CHARBONNIER, config)
    model = rwsr.open_model(tmp_path / "run", torch.device("cpu"))
    assert model.scale == 2 and model.config is not None and model.config["network"] == {"arch": "enlarger", "scale": 2}
    subject = rwsr.subject_of(model)
    images = rwsr.image_set(photos, None, 2)
    [ready], missing = rwsr.ready_metrics([MEAN_ERROR], scale=2, border=0, device=torch.device("cpu"))
    setup = rwsr.Setup(images, [subject], torch.device("cpu"))
    rows = [row for _, part in rwsr.evaluate(setup, [ready]) for row in part]
    assert not missing and {row.metric for row in rows} == {"mean-error"} and all(row.value > 1 for row in rows)
    found = rwsr.measure(FLIPS, images, [subject], FlipOptions(), tmp_path / "m.parquet")
    assert found.rows and {row.protocol for row in found.rows} == {"flips"}
    rwsr.write_report([tmp_path / "m.parquet"], tmp_path / "own.html", protocols=[FLIPS])
    assert f"run: {found.rows[0].value:.4f}" in (tmp_path / "own.html").read_text()
    rwsr.write_report([tmp_path / "m.parquet"], tmp_path / "plain.html")
    assert "asymmetry" in (tmp_path / "plain.html").read_text()  # means and conditions of a protocol that is not known


@pytest.mark.slow
def test_any_network_is_trained_by_a_method_of_ours(store: Path, tmp_path: Path) -> None:
    """MM-RealSR's method without modulation is ESRGAN's; the network is whose it may be, by the name of its arch."""
    method = rwsr.training_method("esrgan-psnr")
    tiny = ["loop.steps=2", "loop.batch_size=2", "loop.lr_patch_px=16", "network={arch: enlarger, scale: 2}"]
    config = rwsr.compose(method.presets["esrgan-psnr"].config, sets=tiny)
    assert rwsr.train_run(tmp_path / "run", rwsr.stored(store), method, config)
    sr = rwsr.open_model(tmp_path / "run", torch.device("cpu")).net(torch.rand(1, 3, 8, 9))
    assert sr.shape == (1, 3, 16, 18) and functional.mse_loss(sr, torch.zeros_like(sr)) >= 0

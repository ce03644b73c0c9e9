"""Scores of an image in tiles are those of the whole, so that restoring and measuring agree whatever the tiles."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from rwsr.degrade.images.pixels import U8
from rwsr.eval.images.sets import of_folders
from rwsr.eval.images.tensors import to_tensor
from rwsr.eval.measure import measure
from rwsr.eval.metrics import metric as metric_of
from rwsr.eval.protocols import restoration
from rwsr.eval.protocols.base import Setup
from rwsr.eval.protocols.restoration import evaluate
from rwsr.pipelines.restore import restore_files
from rwsr.train.compose import compose_training
from rwsr.train.engine.loop import built
from rwsr.train.files.open import open_restorer, open_run
from rwsr.train.networks.mm_realsr import MMRealSR, MMRealSRConfig, whole_scores
from rwsr.train.networks.udem import Udem, UdemConfig
from rwsr.train.runs.model_file import write_model
from rwsr.train.subjects import subject_of

from ...conftest import scene

CPU = torch.device("cpu")


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        UdemConfig(),
        compose_training("mm-realsr-small").network.udem,
        UdemConfig(num_feat=(4, 6), num_block=(2, 1), downscales=(3, 2)),
    ],
)
@pytest.mark.parametrize("size", [(150, 203), (64, 64), (41, 300)])
@pytest.mark.parametrize("tile", [32, 50, 128])
def test_features_are_pooled_over_all_tiles(config: UdemConfig, size: tuple[int, int], tile: int) -> None:
    """The published UDEM and others, on sizes that no tile divides."""
    net = built(lambda: Udem(config.model_copy(update={"init_scale": 1.0})), 0).eval()
    lr = to_tensor(scene(1, *size))[None]
    with torch.inference_mode():
        assert torch.allclose(net.in_tiles(lr, tile), net(lr), atol=1e-5)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny modulated network whose scores depend on the image."""
    config = compose_training("mm-realsr-small").model_dump(mode="json") | {"network": _TINY.model_dump(mode="json")}
    net = built(lambda: MMRealSR(_TINY), 3)
    for fc in net.de_net.fc_degree:
        fc[2].weight.data *= 4  # type: ignore[index, union-attr, operator]
    out = tmp_path_factory.mktemp("run")
    write_model(out / "model.safetensors", net.state_dict(), config, 0)
    return out


_TINY = MMRealSRConfig(
    num_feat=4, num_block=1, num_grow_ch=4, embed_feats=8, modulator_feats=8, init_as_nearest=True,
    udem=UdemConfig(num_feat=(4,), num_block=(1,), downscales=(2,), init_scale=1.0),
)  # fmt: skip


@pytest.mark.slow
def test_restore_gives_the_same_whatever_the_tile(run: Path, tmp_path: Path) -> None:
    """The scores, and so the image; they are those that `eval` restores under."""
    Image.fromarray(scene(0, 150, 180)).save(tmp_path / "a.png")
    found = {
        tile: restore_files([tmp_path / "a.png"], open_restorer(run, CPU), tmp_path / f"{tile}", tile_px=tile)[0][0]
        for tile in (0, 64, 128)
    }
    whole = open_run(run, CPU).net
    assert isinstance(whole, MMRealSR)
    wanted = whole_scores(whole, scene(0, 150, 180), 0)
    assert 0.02 < min(wanted) and max(wanted) < 0.98
    for each in found.values():
        assert np.allclose((each.blur, each.noise), wanted, atol=1e-6)
    images = [cv2.imread(str(each.path)).astype(int) for each in found.values()]
    assert all(np.abs(images[0] - each).max() <= 1 for each in images[1:])


@pytest.mark.slow
def test_a_large_image_is_measured_in_tiles_as_it_is_whole(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 4 megapixels and more; here the limit is lowered. Restored under the scores of the whole image."""
    (tmp_path / "hr").mkdir()
    Image.fromarray(scene(0, 1200, 1400)).save(tmp_path / "hr/a.png")
    images = of_folders(tmp_path / "hr", None, 4)
    metric = metric_of("psnr-y").ready(scale=4, border=None, device=CPU)
    setup = Setup(images, [subject_of(open_run(run, CPU))], CPU)
    values = []
    for most in (2**22, 2**16):
        monkeypatch.setattr("rwsr.eval.images.tiling._MOST_SR_PIXELS", most)
        values.append([row.value for _, rows in evaluate(setup, [metric]) for row in rows])
    assert values[0] == pytest.approx(values[1], abs=1e-3)


def test_one_odd_image_does_not_end_a_measurement(tmp_path: Path, published: Path) -> None:
    """16 px are too small for SSIM and LPIPS, and an LR that does not fit is left out: the others have their rows."""
    hr, lr = tmp_path / "hr", tmp_path / "lr"
    sizes = {"a": ((128, 128), (32, 32)), "small": ((16, 16), (4, 4)), "wrong": ((128, 128), (20, 20))}
    for folder, which in ((hr, 0), (lr, 1)):
        folder.mkdir()
        for seed, (name, both) in enumerate(sizes.items()):
            Image.fromarray(scene(seed, *both[which])).save(folder / f"{name}.png")
    names = ("psnr-y", "ssim-y", "lpips-squeeze")
    options = restoration.RestorationOptions(metrics=names)
    found = measure(restoration.PROTOCOL, of_folders(hr, lr, 4), [], options, tmp_path / "m.parquet", CPU)
    assert found.left_out == 1
    values = {(row.source, row.metric): row.value for row in found.rows if row.model == "bicubic"}
    assert {name for name, _ in values} == {"a.png", "small.png"}
    assert all(np.isfinite(values["a.png", name]) for name in names)
    assert [bool(np.isfinite(values["small.png", name])) for name in names] == [True, False, False]


@pytest.mark.slow
def test_the_published_network_scores_a_photograph_the_same(astronaut: U8) -> None:
    """Of its own size, on a real photograph."""
    net = built(lambda: Udem(compose_training("mm-realsr-code").network.udem), 0).eval()
    lr = to_tensor(astronaut[:260, :300])[None]
    with torch.inference_mode():
        assert torch.allclose(net.in_tiles(lr, 128), net(lr), atol=1e-6)

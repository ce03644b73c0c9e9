"""A trained network goes to other programs and comes back: spandrel, ONNX, the published layouts."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rwsr.degrade.errors import StoreError, UserError
from rwsr.train.compose import compose_training
from rwsr.train.export import to_onnx, to_pth
from rwsr.train.files.open import open_restorer
from rwsr.train.methods.mm_realsr import TrainConfig
from rwsr.train.networks.mm_realsr import MMRealSR, MMRealSRConfig
from rwsr.train.networks.spandrel_arch import classes
from rwsr.train.networks.udem import UdemConfig
from rwsr.train.runs.model_file import write_model

from ..commands import make_spandrel_importable

CPU = torch.device("cpu")


def _run(folder: Path, config: MMRealSRConfig) -> MMRealSR:
    """A finished run of a seeded network whose last conv is small, so that SR is not clipped."""
    torch.manual_seed(0)
    net = MMRealSR(config).eval()
    folder.mkdir()
    write_model(folder / "model.safetensors", net.state_dict(), TrainConfig(network=config).model_dump(mode="json"), 1)
    return net


# spandrel knows these networks at a growth of 32, and the UDEM at its released size; few blocks keep them small.
MODULATED = MMRealSRConfig(num_feat=64, num_block=1, num_grow_ch=32)
PLAIN = MMRealSRConfig(num_feat=16, num_block=2, num_grow_ch=32, modulated=False)
TWICE = MMRealSRConfig(scale=2, num_feat=16, num_block=2, num_grow_ch=32, modulated=False)  # Real-ESRGAN x2's layout
ONCE = MMRealSRConfig(scale=1, num_feat=16, num_block=2, num_grow_ch=32, modulated=False)


@pytest.mark.slow
@pytest.mark.parametrize("config", [MODULATED, PLAIN, TWICE, ONCE])
def test_spandrel_opens_what_was_exported(config: MMRealSRConfig, tmp_path: Path) -> None:
    """And gives the same SR; chaiNNer loads models this way."""
    make_spandrel_importable()
    from spandrel import ModelLoader

    net = _run(tmp_path / "run", config)
    to_pth(tmp_path / "run", tmp_path / "model.pth")
    found = ModelLoader(device="cpu").load_from_file(tmp_path / "model.pth")
    assert found.architecture.id == ("MMRealSR" if config.modulated else "ESRGAN") and found.scale == config.scale
    lr = torch.rand(1, 3, 24, 20)
    with torch.inference_mode():
        assert torch.allclose(found(lr), net(lr).clamp(0, 1), atol=1e-5)


@pytest.mark.parametrize("config", [MODULATED, PLAIN, TWICE, ONCE])
def test_published_layouts_come_back(config: MMRealSRConfig, tmp_path: Path) -> None:
    """The .pth of MM-RealSR and of Real-ESRGAN, by their tensors alone, for `rwsr restore` and `rwsr eval`."""
    net = _run(tmp_path / "run", config)
    torch.save({"params_ema": net.state_dict()}, tmp_path / "published.pth")
    found = open_restorer(tmp_path / "published.pth", CPU)
    assert (found.modulated is not None) == config.modulated and found.scale == config.scale
    lr = torch.rand(1, 3, 24, 20)
    with torch.inference_mode():
        assert torch.equal(found.net(lr), net(lr))


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        MMRealSRConfig(
            num_feat=8, num_block=1, num_grow_ch=4, udem=UdemConfig(num_feat=(8,), num_block=(1,), downscales=(2,))
        ),
        MMRealSRConfig(num_feat=8, num_block=1, num_grow_ch=4, modulated=False),
        MMRealSRConfig(scale=2, num_feat=8, num_block=1, num_grow_ch=4, modulated=False),
    ],
)
def test_onnx_gives_the_same_at_any_size(config: MMRealSRConfig, tmp_path: Path) -> None:
    """By onnxruntime, with the scores as an input where there are any."""
    import onnxruntime

    net = _run(tmp_path / "run", config)
    to_onnx(tmp_path / "run", tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    for size in ((1, 3, 24, 20), (3, 3, 17, 41)):
        lr, scores = torch.rand(size), torch.rand(size[0], 2)
        told = {"lr": lr.numpy()} | ({"scores": scores.numpy()} if config.modulated else {})
        with torch.inference_mode():
            expected = net(lr, scores).numpy()
        assert np.abs(session.run(["sr"], told)[0] - expected).max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arch", "options"),
    [
        ("span", {"feature_channels": 8}),  # folds its convs whenever it restores
        ("omnisr", {"num_feat": 8}),  # windows that it pads by itself
        ("swinir", {"embed_dim": 12, "depths": [1], "num_heads": [2], "window_size": 8}),
    ],
)
def test_onnx_of_spandrels_networks_takes_any_size(arch: str, options: dict[str, object], tmp_path: Path) -> None:
    import onnxruntime

    net = _of_spandrel(tmp_path / "run", arch, options)
    to_onnx(tmp_path / "run", tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    for size in ((1, 3, 64, 64), (2, 3, 37, 53), (1, 3, 41, 30)):
        lr = torch.rand(size)
        with torch.no_grad():
            expected = net(lr).numpy()
        assert np.abs(session.run(["sr"], {"lr": lr.numpy()})[0] - expected).max() < 1e-3


@pytest.mark.slow
def test_onnx_that_is_another_network_is_not_written(tmp_path: Path) -> None:
    """torch's exporter keeps a table of CRAFT's for one size."""
    _of_spandrel(tmp_path / "run", "craft", {"depths": [1], "num_heads": [2], "embed_dim": 48})
    with pytest.raises(UserError, match=r"makes another network of CRAFT \(an image of .* nothing is written"):
        to_onnx(tmp_path / "run", tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def _of_spandrel(run: Path, arch: str, options: dict[str, object]) -> torch.nn.Module:
    """A run of such a network, at scale 2."""
    make_spandrel_importable()
    config = compose_training("psnr", sets=[f"network={{arch: {arch}, scale: 2, options: {json.dumps(options)}}}"])
    torch.manual_seed(0)
    net = config.network.build().eval()
    run.mkdir()
    weights = {name: value.contiguous() for name, value in net.state_dict().items()}
    write_model(run / "model.safetensors", weights, config.model_dump(mode="json"), 1)
    return net


def test_a_published_file_is_written_for_others(data: Path, tmp_path: Path) -> None:
    """ncnn's x4plus as a .pth with the names of BasicSR, which spandrel opens too."""
    make_spandrel_importable()
    assert to_pth(data / "weights/sr/realesrgan-x4plus.param", tmp_path / "x4plus.pth") == []
    found = torch.load(tmp_path / "x4plus.pth", weights_only=True)
    assert found.keys() == {"params", "params_ema"} and "body.22.rdb3.conv5.weight" in found["params"]


def test_a_run_of_spandrels_network_says_what_it_wants_where_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _of_spandrel(tmp_path / "run", "span", {"feature_channels": 8})
    classes.cache_clear()
    monkeypatch.setitem(sys.modules, "spandrel.architectures", None)
    with pytest.raises(StoreError, match=r"pip install 'rwsr\[models\]'"):
        to_pth(tmp_path / "run", tmp_path / "model.pth")
    classes.cache_clear()


def test_a_run_that_is_not_finished_is_told(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(StoreError, match="does not exist; name the folder that was --out of rwsr train"):
        to_pth(tmp_path / "run", tmp_path / "model.pth")

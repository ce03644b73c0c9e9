"""A trained network goes to other programs and comes back: spandrel, ONNX, the published layouts."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rwsr.degrade.errors import StoreError
from rwsr.train.export import to_onnx, to_pth
from rwsr.train.files.open import open_restorer
from rwsr.train.methods.mm_realsr import TrainConfig
from rwsr.train.networks.mm_realsr import MMRealSR, MMRealSRConfig
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


def test_a_run_that_is_not_finished_is_told(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(StoreError, match="does not exist; name the folder that was --out of rwsr train"):
        to_pth(tmp_path / "run", tmp_path / "model.pth")

"""Checkpoints of others: recognised by their tensors, with the published counts and figures."""

import struct
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rwsr.degrade.errors import StoreError, UserError
from rwsr.eval.images.sets import of_folders
from rwsr.eval.metrics import metric as metric_of
from rwsr.eval.protocols.base import Setup
from rwsr.eval.protocols.restoration import evaluate
from rwsr.eval.report.table import mean
from rwsr.train.files import ncnn
from rwsr.train.files.open import open_restorer
from rwsr.train.networks.published.compact import Compact, CompactConfig
from rwsr.train.networks.published.imdn import ImdnConfig
from rwsr.train.networks.published.rlfn import RlfnConfig
from rwsr.train.subjects import subject_of

from ...commands import make_spandrel_importable

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("net", "count"),
    [
        (ImdnConfig(scale=2).build(), 694_404),
        (ImdnConfig(scale=4).build(), 715_176),
        (RlfnConfig(num_feat=52, inner=16, scale=2).build(), 526_856),
        (RlfnConfig(num_feat=52, inner=16, scale=4).build(), 543_740),
        (CompactConfig(num_feat=64, num_conv=32, scale=4).build(), 1_213_296),
    ],
)
def test_the_counts_are_the_published_ones(net: nn.Module, count: int) -> None:
    assert sum(value.numel() for value in net.parameters()) == count


@pytest.mark.parametrize("inside", ["", "params", "params_ema", "state_dict"])
@pytest.mark.parametrize(
    "net",
    [
        ImdnConfig(scale=3).build(),
        RlfnConfig(num_feat=20, inner=8, scale=2).build(),
        CompactConfig(num_feat=8, num_conv=4, scale=4).build(),
    ],
)
def test_a_file_says_which_network_it_is(net: nn.Module, inside: str, tmp_path: Path) -> None:
    """By its tensors' names and shapes; also one level down, and with `module.` before each name."""
    torch.manual_seed(0)
    state = OrderedDict((f"module.{name}", value) for name, value in net.state_dict().items())
    torch.save({inside: state} if inside else state, tmp_path / "net.pth")
    found = open_restorer(tmp_path / "net.pth", CPU)
    lr = torch.rand(1, 3, 24, 20)
    with torch.inference_mode():
        assert type(found.net) is type(net) and torch.equal(found.net(lr), net(lr))
        assert found.net(lr).shape == (1, 3, 24 * found.scale, 20 * found.scale)
    assert len(found.checkpoint) == 64 and found.modulated is None


def _ncnn(folder: Path, net: Compact, *, halves: bool) -> Path:
    """The network as the files that ncnn's converters write."""
    lines, data = ["7767517", "0 0", "Input input 0 1 data"], b""
    for number, layer in enumerate(net.body):
        if isinstance(layer, nn.Conv2d):
            count = layer.weight.numel()
            lines.append(f"Convolution Conv_{number} 1 1 a b 0={layer.out_channels} 1=3 4=1 5=1 6={count}")
            packed = layer.weight.detach().numpy().astype("<f2" if halves else "<f4").tobytes()
            data += struct.pack("<I", 0x01306B47 if halves else 0) + packed + b"\0" * (-len(packed) % 4)
            assert layer.bias is not None
            data += layer.bias.detach().numpy().astype("<f4").tobytes()
        elif isinstance(layer, nn.PReLU):
            lines.append(f"PReLU PRelu_{number} 1 1 a b 0={layer.weight.numel()}")
            data += layer.weight.detach().numpy().astype("<f4").tobytes()
    lines += ["PixelShuffle p 1 1 a b 0=4", "Interp i 1 1 a b 0=1 1=4.0e+00 2=4.0e+00", "BinaryOp add 2 1 a b c"]
    (folder / "net.param").write_text("\n".join(lines))
    (folder / "net.bin").write_bytes(data)
    return folder / "net.param"


@pytest.mark.parametrize("halves", [False, True])
def test_ncnns_files_hold_the_same_network(halves: bool, tmp_path: Path) -> None:
    """Named by either file; halves are rounded, floats are the same."""
    net = CompactConfig(num_feat=7, num_conv=3, scale=4).build()
    param = _ncnn(tmp_path, net, halves=halves)
    found = open_restorer(param.with_suffix(".bin"), CPU).net.state_dict()
    for name, value in net.state_dict().items():
        assert np.allclose(found[name], value.detach(), atol=1e-3 if halves else 0)


def test_ncnns_files_that_do_not_fit_are_told(tmp_path: Path) -> None:
    """Too short, too long, quantised, of another network, no .param at all, no .bin."""
    param = _ncnn(tmp_path, CompactConfig(num_feat=7, num_conv=3, scale=4).build(), halves=False)
    binary, text, data = param.with_suffix(".bin"), param.read_text(), param.with_suffix(".bin").read_bytes()
    for broken, says in ((data[:-4], "ends before its .param says"), (data + b"1234", "is longer than its .param")):
        binary.write_bytes(broken)
        with pytest.raises(StoreError, match=says):
            ncnn.read(param)
    binary.write_bytes(struct.pack("<I", 0x000D4B38) + data[4:])
    with pytest.raises(StoreError, match="quantised weights"):
        ncnn.read(param)
    binary.write_bytes(data)
    param.write_text(text + "\nLSTM l 1 1 a b 0=1")
    with pytest.raises(StoreError, match="has a layer LSTM; compact models"):
        ncnn.read(param)
    param.write_text("hello")
    with pytest.raises(StoreError, match=r"is not an ncnn .param file"):
        ncnn.read(param)
    binary.unlink()
    param.write_text(text)
    with pytest.raises(StoreError, match=r"net.bin cannot be read: No such file"):
        ncnn.read(param)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    """A changed byte, which torch does not notice; a weight that is no number; ncnn's files with bytes missing."""
    torch.save(ImdnConfig(scale=2).build().state_dict(), tmp_path / "net.pth")
    data = bytearray((tmp_path / "net.pth").read_bytes())
    data[len(data) // 2] ^= 255
    (tmp_path / "flip.pth").write_bytes(data)
    with pytest.raises(StoreError, match=r"flip.pth (is damaged|cannot be read)"):
        open_restorer(tmp_path / "flip.pth", CPU)
    state = CompactConfig(num_feat=4, num_conv=2, scale=2).build().state_dict()
    state["body.2.weight"][0] = float("nan")
    torch.save(state, tmp_path / "nan.pth")
    with pytest.raises(StoreError, match=r"nan.pth holds values that are not numbers \(body.2.weight\)"):
        open_restorer(tmp_path / "nan.pth", CPU)
    (tmp_path / "empty.pth").write_bytes(b"")
    with pytest.raises(StoreError, match="empty.pth is no checkpoint of tensors alone"):
        open_restorer(tmp_path / "empty.pth", CPU)
    param = _ncnn(tmp_path, CompactConfig(num_feat=4, num_conv=2, scale=4).build(), halves=False)
    text = param.read_text()
    for broken in (text.replace(" 6=", " 7="), text.replace("0=4 ", "0=x "), text.replace("0=4 ", "0=1e400 ")):
        param.write_text(broken)
        with pytest.raises(StoreError, match=r"net.param or its .bin is damaged"):
            open_restorer(param, CPU)
    param.write_bytes(b"\xff\xfe")
    with pytest.raises(StoreError, match="is damaged"):
        open_restorer(param, CPU)
    param.write_text(text)
    param.with_suffix(".bin").write_bytes(b"123")
    with pytest.raises(StoreError, match="is damaged"):
        open_restorer(param, CPU)


def test_small_images_are_no_trouble_for_attention() -> None:
    """RLFN's looks at 17 px at least."""
    assert RlfnConfig(num_feat=8, inner=4, scale=2).build()(torch.rand(1, 3, 5, 40)).shape == (1, 3, 10, 80)


def test_what_is_no_checkpoint_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, without running what a pickle says."""
    with pytest.raises(StoreError, match="nowhere.pth does not exist"):
        open_restorer(tmp_path / "nowhere.pth", CPU)
    (tmp_path / "text.pth").write_text("no")
    with pytest.raises(StoreError, match=r"text.pth is no checkpoint of tensors alone"):
        open_restorer(tmp_path / "text.pth", CPU)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(StoreError, match="holds no table of tensors"):
        open_restorer(tmp_path / "list.pth", CPU)
    (tmp_path / "cut.safetensors").write_bytes(b"1234567890")
    with pytest.raises(StoreError, match="cut.safetensors cannot be read"):
        open_restorer(tmp_path / "cut.safetensors", CPU)
    state = ImdnConfig(scale=2).build().state_dict()
    state["fea_conv.weight"] = torch.zeros(3, 3, 3, 3)
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(StoreError, match="odd.pth does not hold a network that fits .*size mismatch"):
        open_restorer(tmp_path / "odd.pth", CPU)
    torch.save({"w": torch.zeros(1)}, tmp_path / "other.pth")
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(UserError, match=r"pip install 'rwsr\[models\]'"):
        open_restorer(tmp_path / "other.pth", CPU)


def test_what_spandrel_knows_is_opened(tmp_path: Path) -> None:
    """ESRGAN's network, by the real package; what it does not know either is named."""
    make_spandrel_importable()
    from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet

    torch.manual_seed(0)
    net = RRDBNet(num_filters=8, num_blocks=1, scale=2).eval()
    torch.save({"params_ema": net.state_dict()}, tmp_path / "esrgan.pth")
    found = open_restorer(tmp_path / "esrgan.pth", CPU)
    lr = torch.rand(1, 3, 20, 24)
    with torch.inference_mode():
        assert found.scale == 2 and torch.equal(found.net(lr), net(lr))
    torch.save({"w": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(StoreError, match="neither rwsr nor spandrel knows"):
        open_restorer(tmp_path / "other.pth", CPU)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "scale", "psnr", "within"),
    [
        ("IMDN_x2.pth", 2, 38.00, 0.01),
        ("IMDN_x4.pth", 4, 32.21, 0.01),
        ("rlfn_x2.pth", 2, 38.07, 0.02),
        ("rlfn_x4.pth", 4, 32.24, 0.01),
        ("RealESRGAN_General_x4_v3.param", 4, 26.64, 0.01),  # measured here; nothing is published
    ],
)
def test_published_models_reproduce_their_set5(data: Path, file: str, scale: int, psnr: float, within: float) -> None:
    """PSNR-Y, the scale cropped, LR by MATLAB's bicubic."""
    restorer = open_restorer(data / "weights/sr" / file, CPU)
    metric = metric_of("psnr-y").ready(scale=scale, border=None, device=CPU)
    parts = evaluate(Setup(of_folders(data / "test/Set5", None, scale), [subject_of(restorer)], CPU), [metric])
    assert mean([row for _, rows in parts for row in rows]) == pytest.approx(psnr, abs=within)

"""Published weights by their own names and files: opened, started from, and written back as they came."""

import struct
from pathlib import Path

import pytest
import torch
from torch import nn

from rwsr.degrade.errors import StoreError, UserError
from rwsr.degrade.images.decode import decode
from rwsr.eval.images.tensors import to_tensor
from rwsr.train.export import to_pth
from rwsr.train.files.open import judge_weights, open_restorer, weights_in
from rwsr.train.methods.cugan import METHOD as CUGAN
from rwsr.train.networks.cunet import CUnet, CUnetConfig
from rwsr.train.networks.discriminators import UnetDiscriminator, renamed
from rwsr.train.networks.mm_realsr import MMRealSR, MMRealSRConfig
from rwsr.train.runs.model_file import start_with, write_model

from ...builders import tiny_store
from ...commands import TINY, flags, make_spandrel_importable, rwsr

CPU = torch.device("cpu")
PLAIN = MMRealSRConfig(num_feat=8, num_block=2, num_grow_ch=4, modulated=False)


def _same(a: nn.Module, b: nn.Module) -> bool:
    lr = torch.rand(1, 3, 12, 16)
    with torch.inference_mode():
        return torch.allclose(a(lr), b(lr), atol=1e-6)


def _rrdb_for_ncnn(folder: Path, net: MMRealSR) -> Path:
    """As ncnn's converters write ESRGAN's generator: convs in the order in which they run, LeakyReLU inside them."""
    order = [net.conv_first]
    for block in net.body:
        for dense in (block.rdb1, block.rdb2, block.rdb3):  # type: ignore[union-attr]
            order += [dense.conv1, dense.conv2, dense.conv3, dense.conv4, dense.conv5]  # type: ignore[union-attr]
    order += [net.conv_body, net.conv_up1, net.conv_up2, net.conv_hr, net.conv_last]
    lines, data = ["7767517", "0 0", "Input input 0 1 data", "Split s 1 2 a b c", "Concat c 2 1 a b c"], b""
    for number, conv in enumerate(order):
        count = conv.weight.numel()  # type: ignore[union-attr, operator]
        fused = "9=2 -23310=1,2.000000e-01"
        lines.append(f"Convolution Conv_{number} 1 1 a b 0={conv.out_channels} 1=3 4=1 5=1 6={count} {fused}")
        data += struct.pack("<I", 0) + conv.weight.detach().numpy().astype("<f4").tobytes()  # type: ignore[union-attr, operator]
        data += conv.bias.detach().numpy().astype("<f4").tobytes()  # type: ignore[union-attr, operator]
    lines += ["Eltwise e 2 1 a b c 0=1 -23301=2,2.000000e-01,1.000000e+00", "Interp i 1 1 a b 0=1 1=2.0 2=2.0"]
    (folder / "rrdb.param").write_text("\n".join(lines))
    (folder / "rrdb.bin").write_bytes(data)
    return folder / "rrdb.param"


def test_ncnns_rrdb_is_read(tmp_path: Path) -> None:
    """Real-ESRGAN's x4plus as it is to be had: arrays among a layer's values, activations inside convs."""
    net = PLAIN.build().eval()
    param = _rrdb_for_ncnn(tmp_path, net)
    found = open_restorer(param, CPU)
    state = net.state_dict()
    assert found.scale == 4 and all(value.equal(state[name]) for name, value in found.net.state_dict().items())
    lines = param.read_text().splitlines()
    last = next(line for line in reversed(lines) if line.startswith("Convolution"))
    param.write_text("\n".join(line for line in lines if line != last))
    tail = 4 + 4 * (net.conv_last.weight.numel() + 3)
    param.with_suffix(".bin").write_bytes(param.with_suffix(".bin").read_bytes()[:-tail])
    with pytest.raises(StoreError, match="has 35 convs, which make no RRDB network"):
        open_restorer(param, CPU)


@pytest.mark.slow
def test_the_real_x4plus_and_df2k_are_read(data: Path) -> None:
    """16,697,987 parameters each, and an SR that is like its LR."""
    for name in ("realesrgan-x4plus", "RealSR_DF2K_x4"):
        net = open_restorer(data / f"weights/sr/{name}.param", CPU).net
        assert sum(value.numel() for value in net.parameters()) == 16_697_987
        lr = to_tensor(decode((data / "test/Set5_LR_bicubic_x4/butterflyx4.bmp").read_bytes()).pixels[:32, :32])[None]
        with torch.inference_mode():
            back = nn.functional.avg_pool2d(net(lr), 4)
        assert (back - lr).abs().mean() < 0.07


@pytest.mark.parametrize("old", ["trunk", "sequence"])
def test_older_names_of_esrgan_are_known(old: str, tmp_path: Path) -> None:
    """RRDB_PSNR_x4.pth's, and those of the first release: as spandrel reads them."""
    make_spandrel_importable()
    from spandrel import ModelLoader

    net = MMRealSRConfig(num_feat=16, num_block=2, num_grow_ch=32, modulated=False).build().eval()
    torch.save({_older(name, old): value for name, value in net.state_dict().items()}, tmp_path / "old.pth")
    found = open_restorer(tmp_path / "old.pth", CPU)
    assert isinstance(found.net, MMRealSR) and _same(found.net, net)
    assert _same(ModelLoader(device="cpu").load_from_file(tmp_path / "old.pth").model.eval(), net)


def _older(name: str, old: str) -> str:
    parts = name.split(".")
    trunk = {"conv_body": "trunk_conv", "conv_up1": "upconv1", "conv_up2": "upconv2", "conv_hr": "HRconv"}
    sequence = {"conv_first": "model.0", "conv_body": "model.1.sub.2", "conv_up1": "model.3", "conv_up2": "model.6",
                "conv_hr": "model.8", "conv_last": "model.10"}  # fmt: skip
    if parts[0] == "body":
        block, dense, conv, what = parts[1:]
        dense = dense.replace("rdb", "RDB")
        return f"RRDB_trunk.{block}.{dense}.{conv}.{what}" if old == "trunk" else (
            f"model.1.sub.{block}.{dense}.{conv}.0.{what}"
        )  # fmt: skip
    return f"{(trunk if old == 'trunk' else sequence).get(parts[0], parts[0])}.{parts[1]}"


OFFICIAL = {  # names in the code of CUGAN's authors
    "conv_stage1_left.weight", "CResBlocks_stage1_left.0.conv1.weight", "CResBlocks_stage1_left.0.local_scale.bias",
    "conv_stage2_left.bias", "CResBlocks_stage3_right.1.conv2.bias", "conv_stage3_right.weight", "stage3_scale.weight",
    "conv_stage2_right.weight", "stage2_scale.bias", "conv_stage1_right.weight", "stage1_scale.weight",
}  # fmt: skip


def test_cugans_own_layout_goes_both_ways(tmp_path: Path) -> None:
    """A run is exported as its authors' scripts read it, and that is opened by its tensors alone."""
    config = CUGAN.presets["cunet-small"].config
    torch.manual_seed(0)
    net = CUnet(config.network.model_copy(update={"identity_at_zero": False})).eval()
    told = config.model_dump(mode="json")
    told["network"]["identity_at_zero"] = False
    (tmp_path / "run").mkdir()
    write_model(tmp_path / "run/model.safetensors", net.state_dict(), told, 1)
    [note] = to_pth(tmp_path / "run", tmp_path / "CUGAN.pth")
    assert "layout of CUGAN's published code" in note
    state = torch.load(tmp_path / "CUGAN.pth", weights_only=True)
    assert set(state) >= OFFICIAL and len(state) == len(net.state_dict())
    found = open_restorer(tmp_path / "CUGAN.pth", CPU)
    image, z = torch.rand(1, 3, 16, 12), torch.tensor([[0.3, 0.6]])
    assert found.conditioned is not None and found.net(image, z).equal(net(image, z))


def test_the_published_size_is_told_by_its_tensors() -> None:
    shapes = {name: tuple(value.shape) for name, value in CUnetConfig().build().state_dict().items()}
    assert CUnetConfig.detect(shapes) == CUnetConfig()


def test_an_old_spectral_norm_is_read() -> None:
    """Real-ESRGAN's netD has the first one's names; on a photograph both say the same."""
    net = UnetDiscriminator(4).eval()
    old = {
        name.replace("parametrizations.weight.original", "weight_orig")
        .replace("parametrizations.weight.0._u", "weight_u")
        .replace("parametrizations.weight.0._v", "weight_v"): value
        for name, value in net.state_dict().items()
    }
    assert "conv1.weight_orig" in old
    other = UnetDiscriminator(4).eval()
    start_with(other, renamed(old))
    image = torch.rand(1, 3, 32, 32)
    assert other(image).equal(net(image))


def test_what_fits_is_enough_where_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain generator for a modulated one: the rest keeps its own start, and is named."""
    plain = PLAIN.build()
    modulated = PLAIN.model_copy(update={"modulated": True}).build()
    fresh = {name: value.clone() for name, value in modulated.state_dict().items()}
    with pytest.raises(UserError, match="take what fits with --start-partly"):
        start_with(modulated, plain.state_dict())
    said: list[str] = []
    monkeypatch.setattr("rwsr.train.runs.model_file.say", said.append)
    start_with(modulated, plain.state_dict(), partly=True)
    count = len(plain.state_dict())
    missing = len(fresh) - count
    assert f"of --start-from {count} tensors are taken; {missing} missing there, as am_list.0." in said[0]
    for name, value in modulated.state_dict().items():
        assert value.equal(plain.state_dict().get(name, fresh[name]))
    with pytest.raises(UserError, match="nothing in --start-from fits"):
        start_with(modulated, {"other": torch.zeros(3)}, partly=True)


@pytest.mark.slow
def test_a_training_starts_from_published_files(photos: Path, tmp_path: Path) -> None:
    """From ncnn's, from a .pth, and its discriminator from a run: by the command; the start is part of what it is."""
    param = _rrdb_for_ncnn(tmp_path, PLAIN.build())
    store = tiny_store(photos, tmp_path / "pairs.zarr", "bicubic")
    net = "network={num_feat: 8, num_block: 2, num_grow_ch: 4}"
    small = (net, "loop.batch_size=2", "loop.lr_patch_px=16", "losses.perceptual.weight=0", "loop.checkpoint_every=2",
             "losses.sharpen_target=false", "losses.gan.num_feat=4")  # fmt: skip
    command = ["train", "mm-realsr", "--preset", "real-esrgan", "--store", store.path, "--steps", 2,
               *flags("--set", small)]  # fmt: skip
    rwsr(*command, "--out", tmp_path / "a", "--start-from", param)
    assert "starts from another model" in rwsr(
        *command, "--out", tmp_path / "a", "--start-from", tmp_path / "a", code=1
    )
    rwsr(*command, "--out", tmp_path / "b", "--start-from", tmp_path / "a", "--start-discriminator", tmp_path / "a")
    assert judge_weights(tmp_path / "a")[1].parent.name == "step-00000002"
    other = rwsr(*command, "--out", tmp_path / "c", "--start-from", param, "--start-discriminator", photos, code=1)
    assert "has no checkpoint" in other
    told = rwsr(
        *("train", "mm-realsr", "--preset", "mm-realsr-small", "--store", tiny_store(photos, tmp_path / "g.zarr").path),
        *("--out", tmp_path / "d", "--steps", 1, "--start-from", param, "--start-partly"),
        *flags("--set", [*TINY, "network.num_feat=8", "network.num_block=2", "network.num_grow_ch=4"]),
    )
    assert "tensors are taken" in told
    assert weights_in(tmp_path / "a")[0].keys() == PLAIN.build().state_dict().keys()


def test_a_pth_has_both_names_that_programs_ask_for(tmp_path: Path) -> None:
    """BasicSR's `params`, Real-ESRGAN's `params_ema`; spandrel reads it, and what it does not know is told."""
    make_spandrel_importable()
    from rwsr.train.methods.mm_realsr import TrainConfig
    from rwsr.train.methods.rwsr_edl import METHOD as EDL

    (tmp_path / "run").mkdir()
    config = MMRealSRConfig(num_feat=16, num_block=1, num_grow_ch=32, modulated=False)
    about = TrainConfig(network=config).model_dump(mode="json")
    write_model(tmp_path / "run/model.safetensors", config.build().state_dict(), about, 1)
    assert to_pth(tmp_path / "run", tmp_path / "m.pth") == []
    state = torch.load(tmp_path / "m.pth", weights_only=True)
    assert state["params"].keys() == state["params_ema"].keys() == config.build().state_dict().keys()
    edl = EDL.presets["rwsr-edl-small"].config
    write_model(tmp_path / "run/model.safetensors", edl.network.build().state_dict(), edl.model_dump(mode="json"), 1)
    [note] = to_pth(tmp_path / "run", tmp_path / "e.pth")
    assert "spandrel (chaiNNer) does not know this network" in note

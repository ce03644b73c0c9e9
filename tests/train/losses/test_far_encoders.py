"""FAR's established encoders: which map is taken, that nothing in them is trained, and an SR model's own features."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rwsr.degrade.config import compose
from rwsr.degrade.errors import UserError
from rwsr.eval.metrics.backbones import CLIP_MEAN, CLIP_STD, ClipRn50, normalised, squeezenet
from rwsr.eval.metrics.weights import MissingWeights
from rwsr.train.losses.far_encoders import Encoder, FarConfig, established
from rwsr.train.networks.mm_realsr import MMRealSR, MMRealSRConfig
from rwsr.train.networks.published.compact import Compact, CompactConfig


def _on_disk(monkeypatch: pytest.MonkeyPatch, tensors: dict[str, Tensor]) -> None:
    """Seeded weights where published ones are looked for: their files are not to be had everywhere."""
    monkeypatch.setattr("rwsr.eval.metrics.weights.load", lambda file: tensors)


@pytest.mark.slow
@pytest.mark.parametrize(("stride", "channels"), [(4, 256), (8, 512), (16, 1024), (32, 2048)])
def test_clips_maps(stride: int, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stage by its stride, of an image as CLIP was trained on it."""
    torch.manual_seed(0)
    clip = ClipRn50().eval()
    _on_disk(monkeypatch, {f"visual.{name}": value for name, value in clip.state_dict().items()})
    encoder, image = established(FarConfig(stride=stride)), torch.rand(1, 3, 64, 64)
    found = encoder(image)
    assert found.shape == (1, channels, 64 // stride, 64 // stride) and encoder.channels == channels
    with torch.inference_mode():
        wanted = clip(normalised(image, CLIP_MEAN, CLIP_STD))[(4, 8, 16, 32).index(stride)]
    assert torch.allclose(found, wanted, atol=1e-5)


def test_an_encoder_is_frozen_and_gradients_pass_through(published: Path) -> None:
    """SqueezeNet's true weights: never trained, never in training mode; the image gets a gradient."""
    encoder, image = established(FarConfig(net="squeezenet")).train(), torch.rand(1, 3, 64, 64, requires_grad=True)
    assert not any(value.requires_grad for value in encoder.parameters())
    assert not any(module.training for module in encoder.modules())
    encoder(image).sum().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0
    assert isinstance(encoder.features, type(squeezenet((7,)))) and encoder.channels == 256


@pytest.mark.parametrize(("net", "needs"), [("clip-rn50", "RN50.pt"), ("vgg19", "vgg19-dcbb9e9d.pth")])
def test_a_missing_file_is_named(net: Encoder, needs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With where to get it; nothing stands in for it."""
    monkeypatch.setenv("RWSR_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(MissingWeights, match=f"{needs} is missing; put http"):
        established(FarConfig(net=net))


def test_a_map_that_is_not_there_is_told() -> None:
    """As the strides that there are."""
    with pytest.raises(UserError, match="stride = 32 is not a feature map of squeezenet; choose of 4, 8, 16"):
        compose(FarConfig(), sets=["net=squeezenet", "stride=32"])


@pytest.mark.parametrize(
    "net",
    [
        CompactConfig(num_feat=5, num_conv=3, scale=4).build(),
        MMRealSR(MMRealSRConfig(num_feat=5, num_block=1, num_grow_ch=4)),
    ],
)
def test_an_sr_models_own_features(net: nn.Module) -> None:
    """What goes into its last conv at its input's size: of a compact model the one before the shuffle, of ESRGAN's
    the one at the end of the body."""
    torch.manual_seed(0)
    encoder, image = established(FarConfig(net="sr", stride=1), net), torch.rand(2, 3, 20, 24)
    found = encoder(image)
    assert found.shape == (2, 5, 20, 24) and encoder.channels == 5
    with torch.inference_mode():
        x = image
        if isinstance(net, Compact):
            for layer in list(net.body)[:-1]:
                x = layer(x)
        else:
            assert isinstance(net, MMRealSR)
            x = net.conv_first(image)
            embedding = net.dd_embed(net.score(image))
            for block, modulate in zip(net.body, net.am_list, strict=True):
                x = modulate(block(x), embedding)
    assert torch.allclose(found, x, atol=1e-6)


def test_a_model_is_named_where_one_is_meant() -> None:
    """sr without a model, and a model without sr."""
    with pytest.raises(UserError, match="far.net = sr takes its features from an SR model; name it with --far-model"):
        established(FarConfig(net="sr", stride=1))
    with pytest.raises(UserError, match="--far-model is for far.net = sr, not vgg19"):
        established(FarConfig(net="vgg19"), CompactConfig(num_feat=4, num_conv=2, scale=2).build())

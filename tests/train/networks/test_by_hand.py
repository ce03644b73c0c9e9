"""Networks against their published forward passes, written out once more from names alone: a count of parameters does
not see an activation.
"""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from rwsr.train.engine.loop import built
from rwsr.train.networks.mm_realsr import MMRealSR, MMRealSRConfig
from rwsr.train.networks.reconstructor import DegradationEncoder, ImageEncoder
from rwsr.train.networks.rwsr_edl import Edl, EdlNetworkConfig
from rwsr.train.networks.udem import Udem, UdemConfig

W = Mapping[str, Tensor]


def _lrelu(x: Tensor, slope: float) -> Tensor:
    return torch.where(x > 0, x, slope * x)


def _conv(w: W, name: str, x: Tensor, *, stride: int = 1, padding: int = 1) -> Tensor:
    return functional.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride, padding)


def _residual(w: W, name: str, x: Tensor) -> Tensor:
    """BasicSR's ResidualBlockNoBN."""
    return x + _conv(w, f"{name}.conv2", _lrelu(_conv(w, f"{name}.conv1", x), 0))


def _large(net: nn.Module) -> W:
    """Weights far from zero, so that no term is lost in rounding."""
    with torch.no_grad():
        for name, value in net.named_parameters():
            value.normal_(0, 0.5 / max(1, value[0].numel()) ** 0.5 if "weight" in name else 0.2)
    return net.state_dict()


def _image(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


def test_the_degradation_encoder_is_degaes() -> None:
    """DDG_arch.py: MSRResNet_wGR_i_fea's activated first conv and body, then the strided convs and the layers."""
    net = built(lambda: DegradationEncoder(8, 2, 12), 0)
    w, image = _large(net), _image(2, 3, 30, 34)
    x = _lrelu(_conv(w, "body.0", image), 0.1)
    for number in (1, 2):
        x = _residual(w, f"body.{number}", x)
    for number in range(3):
        x = _lrelu(_conv(w, f"down.{number}", x, stride=2, padding=0), 0.1)
    x = x.mean(dim=(2, 3))
    for number in range(3):
        x = _lrelu(x, 0.1) if number else x
        x = x @ w[f"fc.{number}.weight"].T + w[f"fc.{number}.bias"]
    assert torch.allclose(net(image), x, atol=1e-5)


def test_the_image_encoder_is_a_conv_and_residual_blocks() -> None:
    """HR-aware, section 8.1 as far as it is known: no activation between them."""
    net = built(lambda: ImageEncoder(8, 2), 0)
    w, image = _large(net), _image(1, 3, 20, 24)
    x = _conv(w, "0", image)
    for number in (1, 2):
        x = _residual(w, str(number), x)
    assert torch.allclose(net(image), x, atol=1e-5)


def test_the_udem_is_the_released_one() -> None:
    """Two branches of residual blocks and strided convs, pooled, then two layers and a sigmoid."""
    net = built(lambda: Udem(UdemConfig(num_feat=(6, 8), num_block=(1, 2), downscales=(2, 1))), 0)
    w, image = _large(net), _image(2, 3, 20, 24)
    scores = []
    for branch in range(2):
        x = _conv(w, f"conv_first.{branch}", image)
        x = _residual(w, f"body.{branch}.0", x)
        x = _conv(w, f"body.{branch}.1", x, stride=2)
        x = _residual(w, f"body.{branch}.3", _residual(w, f"body.{branch}.2", x)).mean(dim=(2, 3))
        x = _lrelu(x @ w[f"fc_degree.{branch}.0.weight"].T + w[f"fc_degree.{branch}.0.bias"], 0)
        scores.append(torch.sigmoid(x @ w[f"fc_degree.{branch}.2.weight"].T + w[f"fc_degree.{branch}.2.bias"]))
    assert torch.allclose(net(image), torch.cat(scores, dim=1), atol=1e-6)


def _rrdb(w: W, name: str, x: Tensor) -> Tensor:
    out = x
    for number in (1, 2, 3):
        found = [out]
        for conv in range(1, 5):
            found.append(_lrelu(_conv(w, f"{name}.rdb{number}.conv{conv}", torch.cat(found, dim=1)), 0.2))
        out = out + 0.2 * _conv(w, f"{name}.rdb{number}.conv5", torch.cat(found, dim=1))
    return x + 0.2 * out


def _rrdbnet(w: W, lr: Tensor, blocks: int) -> Tensor:
    first = x = _conv(w, "conv_first", lr)
    for number in range(blocks):
        x = _rrdb(w, f"body.{number}", x)
    x = first + _conv(w, "conv_body", x)
    for name in ("conv_up1", "conv_up2"):
        x = _lrelu(_conv(w, name, x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)), 0.2)
    return _conv(w, "conv_last", _lrelu(_conv(w, "conv_hr", x), 0.2))


def test_the_generator_is_esrgans() -> None:
    """BasicSR's RRDBNet."""
    net = built(lambda: MMRealSR(MMRealSRConfig(modulated=False, num_feat=6, num_block=2, num_grow_ch=4)), 0)
    w, lr = _large(net), _image(1, 3, 9, 11)
    assert torch.allclose(net(lr), _rrdbnet(w, lr, 2), atol=1e-5)


def test_rwsr_edls_branches_are_the_papers() -> None:
    """Equations 3 and 4: I + conv(ReLU(conv(I))), three times, parted by a softmax over channels."""
    net = built(partial(Edl, EdlNetworkConfig(num_feat=6, num_block=1, num_grow_ch=4, branch_feats=5)), 0)
    w, lr = _large(net), _image(1, 3, 9, 11)
    image = _rrdbnet({name.removeprefix("generator."): value for name, value in w.items()}, lr, 1)

    def branch(name: str) -> Tensor:
        x = image
        for number in range(3):
            x = _residual(w, f"{name}.{number}", x)
        return x

    alpha = torch.softmax(branch("mask"), dim=1)
    assert torch.allclose(net(lr), alpha * branch("adversarial") + (1 - alpha) * branch("pixel"), atol=1e-5)

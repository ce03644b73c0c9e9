"""HR-aware fine-tuning's parts by hand: sizes, the modulated conv, Gram descriptors, the controller."""

import numpy as np
import pytest
import torch
from torch import nn

from rwsr.degrade.errors import UserError
from rwsr.train.far import Far, controller, descriptors, gram, quality
from rwsr.train.reconstructor import DegradationEncoder, ImageEncoder, Modulation, Reconstructor


def _count(net: nn.Module) -> int:
    return sum(value.numel() for value in net.parameters())


def test_sizes_are_those_of_the_modules_that_the_paper_follows() -> None:
    """444,928; 1,183,488 and 3,541,376; 106,625; 797,511."""
    encoder = DegradationEncoder()
    assert _count(ImageEncoder()) == 444_928
    assert _count(encoder.body) == 1_183_488 and _count(encoder) - _count(encoder.body) == 3_541_376
    assert _count(Modulation(64, 512, demodulate=True)) == 106_625 and _count(Reconstructor()) == 797_511


def test_shapes_and_the_least_size() -> None:
    """HR features keep their size, R gives an image of it; E_deg says how small an image may be."""
    hr, encoder = torch.rand(2, 3, 24, 30), DegradationEncoder(8, 1, 12)
    code = encoder(hr)
    assert code.shape == (2, 12) and ImageEncoder()(hr).shape == (2, 64, 24, 30)
    assert Reconstructor(8, 12)(torch.rand(2, 8, 24, 30), code).shape == (2, 3, 24, 30)
    assert encoder(torch.rand(1, 3, 22, 22)).shape == (1, 12)
    with pytest.raises(UserError, match="takes 22 px or more on each side, not 40x21; use larger patches"):
        encoder(torch.rand(1, 3, 21, 40))


@pytest.mark.parametrize("demodulate", [True, False])
def test_the_modulated_conv_by_a_loop(demodulate: bool) -> None:
    """Weights times the style of their input channel, each output channel of unit strength; one image at a time."""
    torch.manual_seed(0)
    net, x, code = Modulation(4, 6, demodulate=demodulate), torch.rand(3, 4, 9, 8), torch.randn(3, 6)
    expected = []
    for image, told in zip(x, code, strict=True):
        weight = net.weight * net.style(told)[None, :, None, None] / 36**0.5
        if demodulate:
            weight = torch.stack([each / (each.square().sum() + 1e-8).sqrt() for each in weight])
        inner = torch.nn.functional.conv2d(image[None], weight, padding=1)
        expected.append(torch.nn.functional.leaky_relu(net.conv(inner), 0.1)[0])
    assert torch.allclose(net(x, code), torch.stack(expected), atol=1e-6)


def test_demodulation_hides_how_strong_a_code_is() -> None:
    """A factor on the whole code all but vanishes in the published form, and counts without demodulation."""
    torch.manual_seed(0)
    x, code = torch.rand(1, 64, 12, 12), torch.randn(1, 512)
    changes = []
    for demodulate in (True, False):
        net = Modulation(64, 512, demodulate=demodulate)
        whole, less = net(x, code), net(x, 0.6 * code)
        changes.append(((whole - less).norm() / whole.norm()).item())
    assert changes[0] < 0.12 and changes[1] > 0.2


def test_gram_descriptors_by_hand() -> None:
    """Eq. 10 by numpy, with the diagonal and without; of the same features over more places they are the same."""
    features = torch.randn(2, 5, 4, 6)
    flat = features.flatten(2).double().numpy()
    expected = np.stack([each @ each.T for each in flat]) / (5 * 24)
    assert np.allclose(gram(features), expected, atol=1e-6)
    mean, greatest = descriptors(features)
    assert np.allclose(mean, expected.mean(2), atol=1e-6) and np.allclose(greatest, expected.max(2), atol=1e-6)
    others = np.stack([each[~np.eye(5, dtype=bool)].reshape(5, 4) for each in expected])
    mean, greatest = descriptors(features, diagonal=False)
    assert np.allclose(mean, others.mean(2), atol=1e-6) and np.allclose(greatest, others.max(2), atol=1e-6)
    assert torch.allclose(gram(features.repeat(1, 1, 2, 1)), gram(features), atol=1e-6)


def test_far_by_hand() -> None:
    """Eq. 11: two plain norms; 0 where the encoders agree."""
    ours, theirs, far = torch.randn(3, 4, 6, 6), torch.randn(3, 7, 5, 5), Far(4, 7)
    (a, m), (b, n) = descriptors(ours), descriptors(theirs)
    expected = [
        (far.mean.weight @ a[i] - b[i]).square().sum().sqrt()
        + (far.greatest.weight @ m[i] - n[i]).square().sum().sqrt()
        for i in range(3)
    ]
    assert torch.allclose(far(ours, theirs), torch.stack(expected), atol=1e-6)
    same = Far(4, 4)
    with torch.no_grad():
        same.mean.weight.copy_(torch.eye(4))
        same.greatest.weight.copy_(torch.eye(4))
    assert same(ours, ours).abs().max() < 1e-6


def test_the_controller_is_noise_around_the_quality() -> None:
    """Eq. 7 and 8: one strength for all channels, normal noise; HQI stays in 0..1 and has no gradient."""
    hr = torch.rand(3, 3, 8, 8, requires_grad=True)
    found = quality(torch.rand(3, 3, 8, 8), hr, lambda a, b: torch.tensor([0.3, 1.4, 0.0]) + 0 * b.mean())
    assert found.tolist() == pytest.approx([0.7, 0, 1]) and not found.requires_grad
    s = controller(torch.tensor([0.2, 0.6]), 200_000, 1.0, torch.Generator().manual_seed(1))
    assert s.mean(dim=1).tolist() == pytest.approx([0.2, 0.6], abs=0.01) and s.std().item() == pytest.approx(
        1, abs=0.03
    )
    assert [float((row < 0).float().mean()) for row in s] == pytest.approx([0.42, 0.27], abs=0.01)
    assert torch.equal(controller(torch.tensor([0.5]), 3, 0.0), torch.full((1, 3), 0.5))

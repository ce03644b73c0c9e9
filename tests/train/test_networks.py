"""The networks are the published ones, to the parameter, and a short training starts from a useful place."""

import pytest
import torch

from rwsr.train.losses import anchor, pixel, ranking
from rwsr.train.mmrealsr import (
    MMRealSR,
    NetworkConfig,
    chosen_scores,
    conditions,
    published,
    tiny,
)
from rwsr.train.udem import UdemConfig


def _count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def full() -> MMRealSR:
    """The network of the published sizes."""
    return MMRealSR(published().network)


def test_the_published_sizes_have_the_published_parameters(full: MMRealSR) -> None:
    """26,134,149 in all: the generator's 16,697,987, 23 modulators, the embedding, and the UDEM's 2,351,362."""
    udem, modulators, embedding = _count(full.de_net), _count(full.am_list), _count(full.dd_embed)
    assert (udem, modulators, embedding) == (2_351_362, 23 * 307_968, 1_536)
    assert _count(full) - udem - modulators - embedding == 16_697_987
    assert _count(full) == 26_134_149


def test_parameters_have_the_published_names(full: MMRealSR) -> None:
    """What other tools recognise this architecture by."""
    names = set(full.state_dict())
    assert {
        "conv_first.weight",
        "body.22.rdb3.conv5.bias",
        "am_list.0.fc.4.weight",
        "conv_up2.weight",
        "conv_hr.weight",
        "conv_last.weight",
        "de_net.conv_first.1.weight",
        "de_net.body.0.0.conv1.weight",
        "de_net.body.1.6.weight",
        "de_net.fc_degree.1.2.bias",
        "dd_embed.0.weight",
    } <= names


def test_shapes_and_score_range() -> None:
    """SR is four times LR, also where the sides are odd; scores lie strictly between 0 and 1."""
    net = MMRealSR(tiny().network)
    lr = torch.rand(2, 3, 13, 17)
    scores = net.score(lr)
    assert net(lr).shape == (2, 3, 52, 68) and scores.shape == (2, 2)
    assert (scores > 0).all() and (scores < 1).all()


def test_it_starts_as_an_enlarger() -> None:
    """With that option the untrained network is nearly nearest-neighbour enlargement; without it is far away."""
    lr = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    nearest = torch.nn.functional.interpolate(lr, scale_factor=4, mode="nearest")
    start, noise = (
        MMRealSR(NetworkConfig(feats=16, blocks=2, growth=8, start_as_enlarger=flag))(lr) for flag in (True, False)
    )
    assert (start - nearest).abs().mean() < 0.1 < (noise - nearest).abs().mean()


def test_the_branches_of_the_udem_share_nothing() -> None:
    """The gradient of the blur score reaches no weight of the noise branch."""
    net = MMRealSR(tiny().network)
    net.score(torch.rand(1, 3, 16, 16))[:, 0].sum().backward()
    for name, weight in net.de_net.named_parameters():
        branch = name.split(".")[1]
        assert weight.grad is not None and bool(weight.grad.any()) == (branch == "0"), name


def test_stages_of_a_udem_must_agree() -> None:
    """Three widths and two depths are no network."""
    with pytest.raises(ValueError):
        MMRealSR(NetworkConfig(udem=UdemConfig(feats=(8, 8, 8), blocks=(1, 1), downscales=(1, 1))))


def test_anchors_are_conditioned_by_constants() -> None:
    """CLEAN is restored under score 0 and WORST under 1; the others under what the UDEM predicts."""
    scores = torch.full((2, 5, 2), 0.3)
    steered = conditions(scores)
    assert steered[:, 3].eq(0).all() and steered[:, 4].eq(1).all()
    assert steered[:, :3].eq(0.3).all() and scores.eq(0.3).all()


def test_a_chosen_score_replaces_the_predicted_one_only() -> None:
    """Blur given, noise left to the UDEM."""
    net = MMRealSR(tiny().network)
    lr = torch.rand(1, 3, 16, 16)
    found = chosen_scores(net, lr, blur=0.25, noise=None)
    assert found[0, 0] == 0.25 and found[0, 1] == net.score(lr)[0, 1]


def test_losses_by_hand() -> None:
    """Each loss on numbers that one can check in the head."""
    mild, strong = torch.tensor([0.2, 0.5]), torch.tensor([0.4, 0.5])
    assert ranking(mild, strong, 0.05).item() == pytest.approx((0 + 0.05) / 2)
    assert anchor(torch.tensor([0.1]), torch.tensor([0.8])).item() == pytest.approx(0.01 + 0.04)
    assert pixel(torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.25)).item() == 0.25

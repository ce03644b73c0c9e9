"""An HR that several SR are restored to is looked at once: the same losses and gradients as with a copy for each."""

import pytest
import torch
from torch import Tensor

from rwsr.train.losses.adversarial import discriminator_terms
from rwsr.train.losses.perceptual import PerceptualLoss
from rwsr.train.networks.discriminators import UnetDiscriminator

GROUPS, MEMBERS = 2, 5


def _images() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    hr = torch.rand(GROUPS, 3, 32, 32)
    return torch.rand(GROUPS * MEMBERS, 3, 32, 32), hr, hr.repeat_interleave(MEMBERS, dim=0)


def test_features_of_each_hr_stand_for_its_members() -> None:
    loss = PerceptualLoss("squeeze")
    sr, hr, copies = _images()
    found = []
    for target in (hr, copies):
        image = sr.clone().requires_grad_()
        value = loss(image, target)
        value.backward()
        assert image.grad is not None
        found.append((value.detach(), image.grad))
    torch.testing.assert_close(*(each[0] for each in found))
    torch.testing.assert_close(*(each[1] for each in found))


@pytest.mark.parametrize("relativistic", [False, True])
def test_a_discriminator_judges_each_hr_once(relativistic: bool) -> None:
    sr, hr, copies = _images()
    found = []
    for real in (hr, copies):
        torch.manual_seed(1)
        net = UnetDiscriminator(4)
        terms = discriminator_terms(net, {"sr": sr, "real": real}, relativistic=relativistic)
        (terms["real"] + terms["fake"]).backward()
        found.append((terms, net.conv0.weight.grad))
    for name in ("real", "fake"):
        torch.testing.assert_close(found[0][0][name], found[1][0][name])
    torch.testing.assert_close(found[0][1], found[1][1])

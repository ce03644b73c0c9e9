"""What both trainings of HR-aware share: how much FAR counts, and the frozen networks that losses look through."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ...degrade.errors import UserError
from ...degrade.family import Frozen
from ...eval.metrics.lpips_dists import Lpips, lpips
from ..losses.far import parted
from ..losses.far_encoders import Established
from ..losses.reconstruction import ReconstructionLossConfig
from ..networks.lr_reconstruction import ReconstructionConfig


class FarWeight(Frozen):
    """How much FAR counts: lambda of Eq. 5 and 6, which is not published."""

    weight: Annotated[float, Field(gt=0)] | None = None
    """Lambda. Where there is none, FAR's gradient is held to `share` of the reconstruction's where the two meet, in the
    image's features while pretraining, in SR while fine-tuning; so no figure need be found for each encoder. The share
    is 1 while pretraining, where FAR has all to learn, and 1 to 10 while fine-tuning. It is of the gradients where they
    meet: FAR's is alike all over the image, so that in the parameters of E_img it is many times the longer one early in
    a pretraining (14 and 52 times were measured), and with Adam E_img then follows FAR. While fine-tuning the share
    holds in the parameters too (0.06 for 0.1, 1.1 for 2).
    """
    share: Annotated[float, Field(gt=0)] = 0.1
    """Of the gradients where they meet: FAR's over the reconstruction's."""
    measured_in: Literal["features", "parameters"] = "features"
    """Where the share holds: in what both look at; or, while pretraining, in the parameters of the image encoder, which
    takes two more backward passes a step.
    """

    def of(self, x: Tensor) -> tuple[Tensor, Tensor, float]:
        """What the reconstruction and FAR see of x, and the factor on FAR."""
        if self.weight is not None:
            return x, x, self.weight
        if self.measured_in == "parameters":
            return x, x, 1.0
        return *parted(x, self.share), 1.0


def balance(share: float, reconstruction: Tensor, far: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
    """What FAR's gradient is multiplied by so that its length in the parameters is that share of the reconstruction's;
    0 where it has none.
    """

    def length(loss: Tensor) -> Tensor:
        found = torch.autograd.grad(loss, parameters, retain_graph=True)
        return torch.stack([each.float().square().sum() for each in found]).sum().sqrt()

    wanted, found = share * length(reconstruction), length(far)
    return torch.where(found > 0, wanted / found.clamp_min(1e-30), 0)


def check_losses(losses: ReconstructionLossConfig) -> None:
    if not losses.l1 and not losses.lpips:
        raise ValueError("losses.l1 and losses.lpips are both 0; give one a weight")


@dataclass(frozen=True)
class Looks:
    """The frozen networks that losses look through, as far as they are wanted.

    rec: LPIPS of the reconstruction. hqi: LPIPS of the controller. encoder: FAR's established one.
    """

    rec: Lpips | None
    hqi: Lpips | None
    encoder: Established | None

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        return tuple(each for each in (self.rec, self.hqi, self.encoder) if each is not None)


def rec_of(losses: ReconstructionLossConfig, px: int) -> Lpips | None:
    """The reconstruction's LPIPS, for images of that side. Raises MissingWeights, UserError."""
    if not losses.lpips:
        return None
    rec = lpips(losses.net)
    _check_sees(f"LPIPS ({losses.net})", rec, lambda image: rec.maps(image, image), px)
    return rec


def looks_of(
    losses: ReconstructionLossConfig, network: ReconstructionConfig, encoder: Established | None, lr_px: int
) -> Looks:
    """For a reconstruction network and LR patches of that side. Raises MissingWeights, UserError."""
    hr_px = lr_px * network.scale
    rec = rec_of(losses, hr_px if network.resolution == "hr" else lr_px)
    hqi = None if network.controller is None else lpips(network.controller.hqi)
    if hqi is not None:
        _check_sees("HQI's LPIPS", hqi, lambda image: hqi.maps(image, image), hr_px)
    if encoder is not None:
        _check_sees("FAR's encoder", encoder, encoder, hr_px)
    return Looks(rec, hqi, encoder)


def _check_sees(what: str, net: nn.Module, look: Callable[[Tensor], object], px: int) -> None:
    """Raises UserError where a network has no features of patches of that size."""
    reason = why_too_small(net, look, px)
    if reason is not None:
        raise UserError(f"{what} cannot look at {px}x{px} px ({reason}); raise loop.lr_patch_px")


def why_too_small(net: nn.Module, look: Callable[[Tensor], object], px: int) -> str | None:
    """What a network says of patches of that side where it cannot look at them; none where it can.

    Whatever else goes wrong, a device without memory say, is no matter of their size, and is raised.
    """
    device = next(net.parameters()).device
    try:
        with torch.no_grad():
            look(torch.zeros(1, 3, px, px, device=device))
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, AssertionError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        if "same device" in said:
            raise
        return said
    return None

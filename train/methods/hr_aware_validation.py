"""What is measured while HR-aware is trained: how well LR is reconstructed, and figures of SR that need no HR."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ...degrade.images.pixels import middle
from ...eval.images.sets import ImageSet, opened
from ...eval.images.tensors import to_tensor
from ...eval.metrics import ready
from ...eval.metrics.lpips_dists import Lpips
from ...eval.metrics.psnr_ssim import psnr
from ..data.batches import LrSource
from ..engine.distributed import Ranks
from ..engine.run import Validate
from ..losses.far import Strength, hqi_of, strength_of
from ..losses.far_encoders import Established
from ..networks.keyed_noise import of_name
from ..networks.lr_reconstruction import LrReconstruction, far_of

FAR = "far"
WITHOUT_HR = (FAR, "niqe")
_MOST, _MOST_SR_PX = 16, 512  # images, and pixels of each side of their SR, that are looked at


def reconstructed(images: ImageSet, net: LrReconstruction, device: torch.device) -> dict[str, list[float]]:
    """The PSNR of X of pairs against what is reconstructed of it from true HR, under the code as it is."""
    values: list[float] = []
    for _, items in opened(images):
        for item in items:
            assert item.hr is not None
            lr, hr = (to_tensor(each)[None].to(device) for each in (item.lr, item.hr))
            with torch.no_grad():
                found = net(lr, hr, of_name(item.source)).clamp(0, 1)
                values.append(psnr(found, net.wanted(lr), border=0, luma=False).item())
    return {"reconstruction-psnr": values}


def without_hr(
    images: LrSource, scale: int, net: LrReconstruction | None, encoder: Established | None, device: torch.device
) -> Validate:
    """NIQE, where its file is, and FAR, where there is FAR, of SR of the middle of at most 16 of the images
    that a model is fine-tuned on.
    """
    count = len(images.sizes_px)
    looked_at: Sequence[int] = range(0, count, max(1, count // _MOST))[:_MOST]
    metrics, _ = ready(("niqe",), scale=1, border=None, device=device)

    def validate(restorer: nn.Module, ranks: Ranks) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        with torch.no_grad():
            for number in looked_at[ranks.rank :: ranks.count]:
                sr = (
                    restorer(to_tensor(middle(images.read(number), _MOST_SR_PX // scale))[None].to(device))
                    .float()
                    .clamp(0, 1)
                )
                for metric in metrics:
                    found.setdefault(metric.name, []).append(metric.measure(sr, sr).item())
                if net is not None and net.far is not None and encoder is not None:
                    found.setdefault(FAR, []).append(far_of(net, encoder, sr).item())
        return found

    return validate


def reconstructing(
    net: LrReconstruction, hqi: Lpips | None
) -> Callable[[Tensor, Tensor, str, Strength], tuple[Tensor, Tensor]]:
    """For figure 7: LR, an HR, the image's name, and what s is noise around -> X again, and X. hqi: of the controller,
    where there is one.

    The paper does not say which it drew; HQI is what fine-tuned models meet, so it is the one that can discourage them
    from degraded SR. All noise is a function of the image's name, the same for every Y of it.
    """

    def reconstruct(lr: Tensor, hr: Tensor, name: str, strength: Strength) -> tuple[Tensor, Tensor]:
        wanted, told = net.wanted(lr), None
        if hqi is not None:
            told = strength_of(hqi_of(hqi, net.enlarged(lr), hr), strength)
        return net.reconstruct(wanted, net.features(hr), told, of_name(name)).clamp(0, 1), wanted

    return reconstruct

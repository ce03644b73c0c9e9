"""What is measured of a network while it is trained: PSNR, SSIM and LPIPS on held-out images."""

from collections.abc import Sequence

from ..degrade.build_store import open_samples
from ..degrade.errors import UserError
from ..degrade.storage.location import Place
from ..eval.images.sets import ImageSet, of_store
from ..eval.images.tiling import Device, Model
from ..eval.metrics import DEFAULT, lpips_here, ready
from ..eval.protocols.base import Setup, Subject
from ..eval.protocols.restoration import evaluate
from ..eval.report.table import mean_of
from .engine.run import Validate
from .methods.hr_aware_validation import reconstructed
from .networks.cunet import wants_condition
from .networks.lr_reconstruction import LrReconstruction


def held_out(store_folder: Place) -> ImageSet:
    """The groups or pairs of a store, to measure on meanwhile; raises StoreError."""
    return of_store(open_samples(store_folder))


def validation(images: ImageSet, scale: int, device: Device, wanted: Sequence[str] = ()) -> Validate:
    """The means of PSNR, SSIM and, where published weights are, LPIPS on images, as a training asks for them.

    Raises UserError.

    wanted: metrics that must be among them.
    """
    if images.scale != scale:
        raise UserError(f"the held-out images, {images.name}, are for scale {images.scale}, the network for {scale}")
    metrics, missing = ready((*DEFAULT, lpips_here(), *wanted), scale=images.scale, border=None, device=device)
    for name in wanted:
        if name in missing:
            raise UserError(f"{name} cannot be measured here ({missing[name]}); choose another")

    def validate(net: Model) -> dict[str, float]:
        if isinstance(net, LrReconstruction):
            return reconstructed(images, net, device)
        setup = Setup(images, [Subject("net", net, conditioned=wants_condition(net))], device)
        rows = [row for _, part in evaluate(setup, metrics) for row in part]
        return {each.name: mean_of([row.value for row in rows if row.metric == each.name]) for each in metrics}

    return validate

"""What is measured of a network while it is trained: PSNR, SSIM and LPIPS on held-out images."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..degrade.build_store import open_samples
from ..degrade.errors import UserError
from ..degrade.images.pixels import U8
from ..degrade.storage.location import Place
from ..eval.images.restoring import Device, Model, restore
from ..eval.images.sets import ImageSet, Item, first_of, of_store, opened
from ..eval.images.tensors import to_pixels, to_tensor
from ..eval.metrics import DEFAULT, lpips_here, ready
from ..eval.protocols.base import Setup, Subject
from ..eval.protocols.restoration import evaluate
from .engine.distributed import Ranks
from .engine.run import Show, Validate
from .methods.hr_aware_validation import reconstructed
from .methods.mm_realsr_validation import of_scores
from .networks.base import wants_condition
from .networks.lr_reconstruction import LrReconstruction
from .networks.mm_realsr import MMRealSR
from .runs.pictures import plain_name


def held_out(store_folder: Place) -> ImageSet:
    """The groups or pairs of a store, to measure on meanwhile; raises StoreError."""
    return of_store(open_samples(store_folder))


def validation(images: ImageSet, scale: int, device: Device, wanted: Sequence[str] = ()) -> Validate:
    """PSNR, SSIM and, where published weights are, LPIPS on images, as a training asks for them; of MM-RealSR also how
    well its scores tell and steer.

    Raises UserError.

    wanted: metrics that must be among them.
    """
    if images.scale != scale:
        raise UserError(f"the held-out images, {images.name}, are for scale {images.scale}, the network for {scale}")
    metrics, missing = ready((*DEFAULT, lpips_here(), *wanted), scale=images.scale, border=None, device=device)
    for name in wanted:
        if name in missing:
            raise UserError(f"{name} cannot be measured here ({missing[name]}); choose another")

    def validate(net: Model, ranks: Ranks) -> dict[str, list[float]]:
        part = replace(images, items=images.items[ranks.rank :: ranks.count])
        if isinstance(net, LrReconstruction):
            return reconstructed(part, net, device)
        setup = Setup(part, [Subject("net", net, conditioned=wants_condition(net))], device)
        rows = [row for _, found in evaluate(setup, metrics) for row in found]
        figures = {each.name: [row.value for row in rows if row.metric == each.name] for each in metrics}
        if isinstance(net, MMRealSR) and net.modulated:
            figures |= of_scores(part, net, device)
        return figures

    return validate


_PIECE_PX = 64  # side of what is shown of an LR image


def shown(images: ImageSet, device: Device) -> Show:
    """Pieces of some of the images, spread over the set, as a training keeps them.

    What a network makes of each; without a network LR and, where there is one, HR.
    """

    def show(net: Model | None, count: int) -> dict[str, U8]:
        found: dict[str, U8] = {}
        pieces = [_piece(item, images.scale) for _, items in opened(first_of(images, count)) for item in items[:1]]
        for number, item in enumerate(pieces, 1):
            name = plain_name(number, item.source)
            if net is None:
                found[f"{name}.lr"] = item.lr
                found |= {} if item.hr is None else {f"{name}.hr": item.hr}
            elif not isinstance(net, LrReconstruction):
                model = Subject("net", net, conditioned=wants_condition(net)).at([item], device)
                found[name] = to_pixels(restore(model, to_tensor(item.lr)[None], device)[0])
        return found

    return show


def _piece(item: Item, scale: int) -> Item:
    """The middle of an image."""
    sides = [min(_PIECE_PX, side) for side in item.lr.shape[:2]]
    y, x = ((side - wanted) // 2 for side, wanted in zip(item.lr.shape[:2], sides, strict=True))
    lr = np.ascontiguousarray(item.lr[y : y + sides[0], x : x + sides[1]])
    if item.hr is None:
        return replace(item, lr=lr)
    hr = item.hr[y * scale : (y + sides[0]) * scale, x * scale : (x + sides[1]) * scale]
    return replace(item, lr=lr, hr=np.ascontiguousarray(hr))

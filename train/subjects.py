"""Trained networks as what `eval` measures: each with all that its network can be given and asked."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import Tensor

from ..degrade.errors import UserError
from ..degrade.storage import location
from ..eval.images.restoring import Device, Model
from ..eval.metrics.lpips_dists import lpips
from ..eval.protocols.base import Far, Reconstruction, Subject
from ..eval.report.table import setting_of
from .files.open import Restorer, open_restorer
from .methods.hr_aware_validation import reconstructing
from .networks.base import Conditioned
from .networks.lr_reconstruction import encoder_for, far_of, open_reconstruction
from .networks.mm_realsr import MMRealSR, scores_of, under_whole_scores
from .runs.moments import model_file


def subject_of(restorer: Restorer) -> Subject:
    """A model as it is; MM-RealSR's goes by its own scores, CUGAN's is given how each image was degraded."""
    modulated, steered = restorer.modulated, restorer.steered
    return Subject(
        restorer.name,
        restorer.net,
        restorer.checkpoint,
        setting_of({"scores": "udem"}) if modulated else "{}",
        restorer.conditioned,
        _of_whole_images(restorer),
        scale=restorer.scale,
        steered=None if steered is None else steered.restore_at,
        scores=None if steered is None else _own_scores(steered),
        scores_images=modulated is not None,
        weights=restorer.net,
    )


def _of_whole_images(restorer: Restorer) -> Callable[[Tensor], Model] | None:
    """The model for the tiles of an image, once it has seen all of it; None of one that need not."""
    if restorer.learning is not None:
        return restorer.learning.learned
    return None if restorer.modulated is None else partial(under_whole_scores, restorer.modulated)


def _own_scores(net: MMRealSR | Conditioned) -> Model:
    """What a network is given for the dimension that is not swept: the UDEM's score, or nothing where none is."""
    return partial(scores_of, net) if isinstance(net, MMRealSR) else (lambda lr: lr.new_zeros(lr.shape[0], 2))


def open_subject(path: Path, device: Device, *, name: str | None = None) -> Subject:
    """The model in a file or in the folder of a run; raises UserError."""
    return subject_of(open_restorer(path, device, name=name))


def open_reconstruction_subject(path: Path, device: Device, *, name: str, far_model: Path | None = None) -> Subject:
    """A reconstruction network of HR-aware. far_model: the SR model that its FAR was trained to look through.

    Raises:
        UserError: it is none, or its FAR looked through another model.
    """
    net, model = open_reconstruction(path, device)
    far = None
    if net.far is not None and net.config.far is not None:
        trained_with = model.config.get("inputs", {}).get("far_model")
        encoder = encoder_for(path, net.config.far, trained_with, far_model, device)
        far = Far(partial(far_of, net, encoder), net.config.far.text)
    controller = net.config.controller
    hqi = None if controller is None else lpips(controller.hqi).to(device)

    def restores_nothing(_: object) -> object:
        raise UserError(f"{path} reconstructs LR and restores nothing; name a model that does")

    return Subject(
        name,
        restores_nothing,  # pyright: ignore[reportArgumentType]
        location.sha256(model_file(path)),
        scale=net.config.scale,
        far=far,
        reconstruction=Reconstruction(reconstructing(net, hqi), hqi is not None),
    )

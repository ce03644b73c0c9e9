"""Images and models that a command or a job names, opened for `eval`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..degrade.build_store import open_samples
from ..degrade.errors import UserError
from ..degrade.pairs.pairing import ALL, Selection
from ..degrade.storage.location import Place
from ..eval.images.restoring import Device
from ..eval.images.sets import ImageSet, of_folders, of_store
from ..eval.protocols.base import BICUBIC, LANCZOS, Subject
from ..train.files.open import Restorer, open_restorer
from ..train.subjects import open_reconstruction_subject, open_subject
from .cli.common.params import named_paths


def image_set(
    store: Place | None, hr: Place | None, lr: Place | None, scale: int, selection: Selection = ALL
) -> ImageSet:
    """The images of a store, or of folders.

    Raises:
        UserError: neither or both are named, or what is named cannot be used.
    """
    if (store is None) == (hr is None and lr is None):
        raise UserError("name either a store, or folders: hr, lr, or both")
    if store is None:
        return of_folders(hr, lr, scale, selection)
    if selection != ALL:
        raise UserError("--include, --exclude and --name are of folders; leave them out beside --store")
    return of_store(open_samples(store))


def named_models(texts: Sequence[str]) -> dict[str, Path]:
    """NAME=PATH or PATH as models by name.

    Raises:
        UserError: two have one name.
    """
    return named_paths(texts, taken=(BICUBIC, LANCZOS))


def open_subjects(
    models: Mapping[str, Path], device: Device, *, reconstructions: bool = False, far_model: Path | None = None
) -> list[Subject]:
    """The models by name, ready to be measured; raises UserError.

    reconstructions: they are networks of HR-aware that reconstruct LR.
    """
    if reconstructions:
        return [
            open_reconstruction_subject(path, device, name=name, far_model=far_model) for name, path in models.items()
        ]
    return [open_subject(path, device, name=name) for name, path in models.items()]


def open_alike(models: Mapping[str, Path], device: Device) -> list[Restorer]:
    """The models, all of one scale; raises UserError where one cannot be opened, or they differ."""
    found = [open_restorer(path, device, name=name) for name, path in models.items()]
    if len({each.scale for each in found}) > 1:
        said = ", ".join(f"{each.name} {each.scale} times" for each in found)
        raise UserError(f"the models enlarge differently ({said}); name models of one scale")
    return found

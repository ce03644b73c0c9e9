"""The published parameter files that perceptual metrics need: which they are, where they lie, how to get them.

A file is looked for in a folder of one's own (RWSR_WEIGHTS, or what is named), and in torch's hub cache, by its name
and its hash. Nothing is downloaded unasked, and nothing stands in for a file that is missing.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from torch import Tensor

from ...degrade.errors import UserError
from ...degrade.storage import location

_TORCHVISION = "https://download.pytorch.org/models"
_LPIPS = "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1"
_RN50 = "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"


class MissingWeights(UserError):
    """A published file is not there; the message says where it is to be had and where to put it."""


@dataclass(frozen=True)
class WeightFile:
    """A published file.

    name: what it is kept as. url: where it is published. sha256: the hash, or its beginning where only that is
    published. also: other files that hold the same numbers, by name and hash.
    """

    name: str
    url: str
    sha256: str
    also: tuple[tuple[str, str], ...] = ()


VGG16 = WeightFile("vgg16-397923af.pth", f"{_TORCHVISION}/vgg16-397923af.pth", "397923af")
VGG19 = WeightFile("vgg19-dcbb9e9d.pth", f"{_TORCHVISION}/vgg19-dcbb9e9d.pth", "dcbb9e9d")
ALEXNET = WeightFile("alexnet-owt-7be5be79.pth", f"{_TORCHVISION}/alexnet-owt-7be5be79.pth", "7be5be79")
SQUEEZENET = WeightFile(
    "squeezenet1_1-b8a52dc0.pth",
    f"{_TORCHVISION}/squeezenet1_1-b8a52dc0.pth",
    "b8a52dc0",
    also=(
        (
            "squeezenet1_1_features.pth",
            "435cedb387e95bc8291893f61a3a64f0345b8c23a05139aceef43947efb3d52d",
        ),  # no classifier
    ),
)
CLIP_RN50 = WeightFile("RN50.pt", f"https://openaipublic.azureedge.net/clip/models/{_RN50}/RN50.pt", _RN50)
LPIPS_ALEX = WeightFile(
    "lin_v0.1_alex.pth",
    f"{_LPIPS}/alex.pth",
    "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
)
LPIPS_VGG = WeightFile(
    "lin_v0.1_vgg.pth",
    f"{_LPIPS}/vgg.pth",
    "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
)
LPIPS_SQUEEZE = WeightFile(
    "lin_v0.1_squeeze.pth",
    f"{_LPIPS}/squeeze.pth",
    "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
)
DISTS = WeightFile(
    "alpha_beta.pt",
    "https://raw.githubusercontent.com/dingkeyan93/DISTS/master/DISTS_pytorch/weights.pt",
    "f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
)
NIQE = WeightFile(
    "niqe_pris_params.npz",
    "https://raw.githubusercontent.com/XPixelGroup/BasicSR/master/basicsr/metrics/niqe_pris_params.npz",
    "2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296",
)


def own_folder() -> Path | None:
    """The folder of one's own that RWSR_WEIGHTS names."""
    named = os.environ.get("RWSR_WEIGHTS")
    return Path(named) if named else None


def hub_folder() -> Path:
    """Where torch keeps what it downloads; downloads go there."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def _candidates(file: WeightFile) -> Iterator[tuple[Path, str]]:
    """Every file of a right name, and the hash that it must have."""
    for name, sha256 in ((file.name, file.sha256), *file.also):
        own = own_folder()
        if own is not None:
            yield from ((path, sha256) for path in sorted(own.rglob(name)))
        if (hub_folder() / name).is_file():
            yield hub_folder() / name, sha256


def find(file: WeightFile) -> Path:
    """Where a published file lies.

    Raises:
        MissingWeights: nowhere that is looked.
        UserError: a file of that name holds something else.
    """
    for path, sha256 in _candidates(file):
        found = location.sha256(path)
        if not found.startswith(sha256):
            raise UserError(
                f"{path} is not the published file (its SHA-256 is {found[:12]}, not {sha256[:12]}); remove it"
            )
        return path
    own = own_folder()
    folder = own or hub_folder()
    if own is not None and not folder.is_dir():
        raise MissingWeights(f"{file.name} is missing: RWSR_WEIGHTS={folder} is not a folder; name the one it lies in")
    raise MissingWeights(
        f"{file.name} is missing; put {file.url} into {folder} under that name"
        f"{'' if own else ', or name the folder where it lies in RWSR_WEIGHTS'}, or run `rwsr weights --download "
        f"{file.name}`"
    )


def download(file: WeightFile) -> Path:
    """Fetch a published file into torch's hub cache, and check it.

    Raises:
        UserError: it cannot be had, or is not what was published.
    """
    target = hub_folder() / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(file.url, str(target), hash_prefix=file.sha256, progress=False)
    except (URLError, OSError) as error:
        raise UserError(
            f"{file.url} cannot be had ({error}); fetch it elsewhere, and put it into {target.parent}"
        ) from None
    except RuntimeError as error:
        raise UserError(f"{file.url} is not what was published ({error}); try again") from None
    return target


def load(file: WeightFile) -> dict[str, Tensor]:
    """The tensors in a published file, by name; raises as `find`."""
    path = find(file)
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays.files}
    if file is CLIP_RN50:  # a TorchScript archive
        return dict(torch.jit.load(str(path), map_location="cpu").state_dict())
    state: Any = torch.load(path, map_location="cpu", weights_only=True)
    return dict(state)

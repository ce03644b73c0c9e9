"""Opens whatever holds a restorer: a run of ours, the published files of some networks, and all that spandrel reads."""

import json
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ...degrade.errors import StoreError, UserError
from ...degrade.family import family
from ...degrade.storage import location
from ...degrade.storage.provenance import Json
from ..networks import cunet, mm_realsr, rwsr_edl, spandrel_arch
from ..networks.base import RESTORE_NOTHING, Conditioned, NetworkConfig, wants_condition
from ..networks.baselines import adafm, cfsnet, cincgan, cresmd, dynamic_net, enlarged
from ..networks.published import compact, edsr, imdn, rlfn, srresnet
from ..runs.model_file import Weights, check_numbers, checked_weights, config_now, config_of, read_model
from ..runs.moments import checkpoint_at, model_file, moment_of
from ..zero_shot import srtta, zssr
from ..zero_shot.base import ZeroShot
from . import ncnn

_OTHERS = (
    adafm,
    cfsnet,
    cincgan,
    compact,
    cresmd,
    cunet,
    dynamic_net,
    edsr,
    enlarged,
    imdn,
    mm_realsr,
    rlfn,
    rwsr_edl,
    spandrel_arch,
    srresnet,
    srtta,
    zssr,
)  # whose configs are known by being imported
FINE_TUNED: Literal["hr-aware"] = "hr-aware"  # the method whose config has the config of a model of another
JUDGE = "discriminator.safetensors"  # in a checkpoint
IN_PTH = "rwsr"  # where the config lies in a .pth of ours
_NCNN = (".param", ".bin")
_INSIDE = ("params_ema", "params", "state_dict", "model")  # where a file's tensors may lie one level down


@dataclass(frozen=True)
class Restorer:
    """A network that is ready to restore.

    net: LR [B, 3, h, w] -> SR [B, 3, s*h, s*w], RGB in 0..1. checkpoint: the SHA-256 of its file. config: of the
    training that made the network, `method` and `network`, where it is one of ours. sizes: the network's own config,
    of published files too; None of what spandrel makes.
    """

    name: str
    net: nn.Module
    scale: int
    checkpoint: str
    config: Json | None = None
    sizes: NetworkConfig | None = None

    @property
    def pools_whole(self) -> bool:
        """Whether the network looks at statistics of all that it sees, so that tiles are not the whole image's.

        Of MM-RealSR's UDEM the scores of the whole image are taken, whatever the tiles.
        """
        kinds = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.InstanceNorm2d)
        return isinstance(self.net, imdn.Imdn) or any(isinstance(part, kinds) for part in self.net.modules())

    @property
    def modulated(self) -> mm_realsr.MMRealSR | None:
        """The network, where it scores images by itself and takes other scores."""
        return self.net if isinstance(self.net, mm_realsr.MMRealSR) and self.net.modulated else None

    @property
    def conditioned(self) -> Conditioned | None:
        """The network, where it needs a condition: how an image is degraded."""
        return wants_condition(self.net)

    @property
    def learning(self) -> ZeroShot | None:
        """The network, where it is trained on each image anew."""
        return self.net if isinstance(self.net, ZeroShot) else None

    @property
    def steered(self) -> mm_realsr.MMRealSR | Conditioned | None:
        """The network, where it has two numbers, for blur and noise, to be steered by."""
        return self.modulated or self.conditioned


def _tensors(path: Path) -> tuple[Weights, Json | None]:
    """The tensors of a .pth, .pt or .safetensors file, by name, and the config in a .pth of ours; never runs what a
    pickle says."""
    try:
        if path.suffix == ".safetensors":
            return check_numbers(load_file(path), path), None
        _check_zip(path)
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except StoreError:
        raise
    except (SafetensorError, OSError, zipfile.BadZipFile) as error:
        raise StoreError(f"{path} cannot be read ({error}); name a checkpoint") from None
    except Exception as error:  # pickles fail in as many ways as there are bytes
        raise StoreError(
            f"{path} is no checkpoint of tensors alone, as .pth, .safetensors and ncnn's .param are (torch says "
            f"{type(error).__name__}); name another file"
        ) from None
    config = found.get(IN_PTH) if isinstance(found, dict) else None
    for name in _INSIDE:
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
            break
    if not isinstance(found, dict):
        raise StoreError(f"{path} holds no table of tensors; name another checkpoint")
    named = {str(name).removeprefix("module."): value for name, value in found.items() if isinstance(value, Tensor)}
    return check_numbers(named, path), _config_in(config, path) if isinstance(config, str) else None


def _config_in(text: str, path: Path) -> Json:
    """The config in a .pth of ours, by the names of now."""
    about: Json = json.loads(text)
    return config_now(about if "format" in about else {"config": about}, path)  # format 5 had nothing but the config


def _check_zip(path: Path) -> None:
    """torch does not look at the checksums in its own files; this does."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as file:
        damaged = file.testzip()
    if damaged is not None:
        raise StoreError(f"{path} is damaged ({damaged} has another checksum); copy it again")


def made_by(config: Json | None) -> Json | None:
    """The config of the training that made a network: of a fine-tuned one, of the training before."""
    if config is None or config.get("method") != FINE_TUNED:
        return config
    return config.get("inputs", {}).get("restorer")


def _network(weights: Weights, config: Json | None = None) -> tuple[nn.Module, NetworkConfig] | None:
    """The network that the tensors are of, filled, and its config: the one beside them, or by their shapes."""
    found = _config_of(weights, config)
    if found is None:
        return None
    sizes, named = found
    net = sizes.build()
    net.load_state_dict(named)
    return net, sizes


def _config_of(weights: Weights, config: Json | None) -> tuple[NetworkConfig, Weights] | None:
    """The config of the network that tensors are of, and the tensors by the names of ours."""
    known = family(NetworkConfig, "arch")
    if config is not None:
        sizes = config["network"]
        return known.get(sizes["arch"], spandrel_arch.SpandrelConfig).model_validate(sizes), weights
    for kind in known.values():
        named = kind.renamed(weights)
        found = kind.detect({name: tuple(value.shape) for name, value in named.items()})
        if found is not None:
            return found, named
    return None


def by_spandrel(path: Path, weights: Weights | None = None) -> tuple[nn.Module, int]:
    """What spandrel makes of a file, or of the weights in it where those are named as it has them."""
    try:
        from spandrel import ModelLoader, UnsupportedModelError  # pyright: ignore
    except ImportError:
        raise UserError(
            f"{path} is of a network that is not known here; `pip install 'rwsr[models]'` adds all that spandrel knows"
        ) from None
    except RuntimeError as error:
        raise UserError(
            f"{path} is of a network that is not known here, and spandrel cannot be imported ({error}): torchvision "
            "and torch are not of one kind; install both from one place"
        ) from None
    try:
        loader = ModelLoader(device="cpu")
        found: Any = loader.load_from_file(path) if weights is None else loader.load_from_state_dict(weights)
    except UnsupportedModelError:
        raise StoreError(f"{path} is of a network that neither rwsr nor spandrel knows; name another file") from None
    spandrel_arch.take_any_size(found.model, found.size_requirements, int(found.scale))
    return found.model, int(found.scale)


# What the content of a file can make of our own code: other keys, types, sizes.
_NO_NETWORK = (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError)


@contextmanager
def _fitting(path: Path) -> Generator[None]:
    """Name a file whose content is of no network."""
    try:
        yield
    except UserError:
        raise
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise StoreError(f"{path} does not hold a network that is known here: {said}") from None
    except _NO_NETWORK as error:
        said = " ".join(str(error).split())[-200:] or type(error).__name__
        raise StoreError(f"{path} does not hold a network that fits its config or its names ({said})") from None


def _published(path: Path) -> tuple[Weights, Json | None, Path]:
    """The tensors of a file that is not a model file of ours, the config in it, and the file that they are in."""
    if path.suffix in _NCNN:
        return check_numbers(ncnn.read(path.with_suffix(".param")), path), None, path.with_suffix(".bin")
    return *_tensors(path), path


def _by_others(path: Path) -> tuple[nn.Module, int]:
    if path.suffix in _NCNN:
        raise StoreError(f"{path} is neither a compact model nor RRDB; name another checkpoint")
    return by_spandrel(path)


def is_ours(path: Path) -> bool:
    """Whether a run, a checkpoint of one or a model file is named; raises StoreError where nothing is there."""
    if not path.exists() and moment_of(path)[1] is None:
        raise StoreError(f"{path} does not exist; name the folder of a run, or a checkpoint")
    return (
        path.is_dir()
        or moment_of(path)[1] is not None
        or (path.suffix == ".safetensors" and config_of(path) is not None)
    )


def open_run(path: Path, device: torch.device, *, name: str | None = None) -> Restorer:
    """The restorer that a run of ours trained, by its folder, its model file or a checkpoint (RUN@20000, RUN@last).

    Raises:
        StoreError: there is none, or it is damaged.
    """
    file = model_file(path)
    model = read_model(file)
    method = model.config.get("method")
    if method in RESTORE_NOTHING:
        raise StoreError(f"{path} {RESTORE_NOTHING[method]} ({method}) and restores nothing; name a model that does")
    with _fitting(file):
        config = made_by(model.config)
        found = _network(model.weights, config)
    other = by_spandrel(file, model.weights) if found is None else None
    return _restorer(name or (path.name if moment_of(path)[1] else path.stem), found, other, file, config, device)


def _restorer(
    name: str,
    found: tuple[nn.Module, NetworkConfig] | None,
    other: tuple[nn.Module, int] | None,
    file: Path,
    config: Json | None,
    device: torch.device,
) -> Restorer:
    """found: a network of ours; other: one of spandrel's."""
    if found is not None:
        net, sizes = found
        scale = sizes.scale
    else:
        assert other is not None
        (net, scale), sizes = other, None
    net = net.to(device).eval().requires_grad_(False)
    return Restorer(name, net, scale, location.sha256(file), config, sizes)


def weights_in(path: Path) -> tuple[Weights, Path]:
    """The tensors that a network starts from, by the names of ours where it is one of ours, and the file that they are
    in: of a run or a checkpoint of it, a published file, or what spandrel makes of one.

    Raises:
        UserError: there is none, it is damaged, or of no network that is known here.
    """
    if is_ours(path):
        file = model_file(path)
        return read_model(file).weights, file
    with _fitting(path):
        weights, told, file = _published(path)
        found = (None, weights) if told is not None else _config_of(weights, None)
    if found is not None:
        return found[1], file
    net, _ = _by_others(path)
    return {name: value.cpu() for name, value in net.state_dict().items()}, file


def judge_weights(path: Path) -> tuple[Weights, Path]:
    """The weights of a discriminator, and the file that they are in: of the last checkpoint of a run, or of another
    (RUN@20000), or of a published file.

    Raises:
        UserError: there is none.
    """
    run, moment = moment_of(path)
    if moment is None and not run.is_dir():
        with _fitting(path):
            return _tensors(path)[0], path
    file = checkpoint_at(path) / JUDGE
    if not file.exists():
        raise StoreError(f"{run} has no discriminator; name the run of a GAN's training")
    return checked_weights(file), file


def open_restorer(path: Path, device: torch.device, *, name: str | None = None) -> Restorer:
    """The restorer in a file or in the folder of a run.

    Raises:
        UserError: there is none, it is damaged, or its network is not known here.
    """
    if is_ours(path):
        return open_run(path, device, name=name)
    with _fitting(path):
        weights, told, file = _published(path)
        config = made_by(told)
        found = _network(weights, config)
    other = _by_others(path) if found is None else None
    return _restorer(name or path.stem, found, other, file, config, device)

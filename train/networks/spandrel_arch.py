"""spandrel's architectures, to be trained: `network: {arch: span, scale: 4, options: {...}}`.

Those that make an image of an image; not those that want a mask or parameters beside it, or make more than one.
"""

import inspect
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Protocol, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ...degrade.errors import UserError, did_you_mean
from .base import NetworkConfig

OTHERS = "spandrel"  # the name under which all of them stand in the family
# what they call the scale
_SCALES = ("upscale", "scale", "up_scale", "upscale_factor", "upscaling_factor", "upsampling", "sf")
_IMAGE = {"in_chans": 3, "num_in_ch": 3, "in_ch": 3, "in_nc": 3, "out_nc": 3, "num_out_ch": 3}
_SWIN = {"embed_dim": 180, "depths": [6] * 6, "num_heads": [6] * 6, "mlp_ratio": 2.0}
_PUBLISHED: dict[str, dict[str, Any]] = {  # the papers' sizes, where those of the class make no network of images
    "swinir": {**_SWIN, "window_size": 8},  # Liang et al. 2021, classical SR
    "swin2sr": {**_SWIN, "window_size": 8},  # Conde et al. 2022
    "hat": {**_SWIN, "window_size": 16},  # Chen et al. 2023
    "safmn": {"dim": 36},  # Sun et al. 2023
}
_ENLARGING = "pixelshuffle"  # the upsampler of the papers' SR networks, where the class has none
_TRIED_PX = 64


class SpandrelConfig(NetworkConfig):
    """An architecture of spandrel by its name there, in small letters: span, swinir, hat, dat, realplksr, ...

    Its sizes are the keyword arguments of its class, by their own names. Where the class's own defaults make no network
    that takes images, those of the paper stand in their place.
    """

    arch: str = OTHERS
    """Its name."""
    scale: Annotated[int, Field(ge=1, le=8)] = 4
    """How many times it enlarges."""
    options: dict[str, Any] = {}
    """Keyword arguments of its class, but for the scale; all others have its defaults, or what its paper has."""

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        known = classes()
        if self.arch not in known:
            mend = did_you_mean(self.arch, [*known], "spandrel has ")
            raise ValueError(f"arch {self.arch:.80} is unknown; {mend}")
        taken = _arguments(known[self.arch])
        for name in self.options:
            if name not in taken:
                mend = did_you_mean(name, [*taken], "it takes ")
                raise ValueError(f"options.{name} is nothing that {self.arch} takes; {mend}")
        return self

    def build(self) -> nn.Module:
        """Raises UserError where the options make no network, or one of another scale."""
        kind = classes()[self.arch]
        taken = _arguments(kind)
        told: dict[str, Any] = {name: value for name, value in _IMAGE.items() if name in taken}
        told |= {name: self.scale for name in _SCALES if name in taken}
        told |= _PUBLISHED.get(self.arch, {})
        if self.scale > 1 and taken.get("upsampler") == "":
            told["upsampler"] = _ENLARGING
        try:
            with _quietly():
                net = kind(**(told | self.options))
        except Exception as error:  # whatever their constructors make of other sizes
            raise UserError(f"{self.arch} cannot be built of these options ({type(error).__name__}: {error})") from None
        needs = _sides_of(net)
        self._check_scale(net, _TRIED_PX if needs is None else _TRIED_PX + needs.get_padding(_TRIED_PX, _TRIED_PX)[0])
        if needs is not None:
            take_any_size(net, needs, self.scale)
        return net

    def _check_scale(self, net: nn.Module, side_px: int) -> None:
        try:
            with torch.no_grad(), _quietly():
                made = net.eval()(torch.zeros(1, 3, side_px, side_px))
        except Exception as error:
            raise UserError(
                f"{self.arch} takes no image of {side_px} px under these options ({type(error).__name__}: {error})"
            ) from None
        finally:
            net.train()
        size = tuple(made.shape) if isinstance(made, Tensor) else f"a {type(made).__name__}"
        if size != (1, 3, side_px * self.scale, side_px * self.scale):
            raise UserError(
                f"{self.arch} makes {size} of 3 channels of {side_px} px, which is not scale {self.scale}; set "
                "network.scale, or another of its options"
            )


@contextmanager
def _quietly() -> Generator[None]:
    """Their code asks torch for things that it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def classes() -> Mapping[str, type[nn.Module]]:
    """The classes of spandrel's architectures, by their names in small letters.

    Raises:
        ValueError: spandrel is not there.
    """
    try:
        import spandrel.architectures as folder  # pyright: ignore
    except (ImportError, RuntimeError) as error:
        raise ValueError(
            f"architectures that are none of ours are spandrel's: pip install 'rwsr[models]' ({error})"
        ) from None
    found: dict[str, type[nn.Module]] = {}
    assert folder.__file__ is not None
    for path in sorted(Path(folder.__file__).parent.iterdir()):
        if path.name.startswith("_"):
            continue
        module = import_module(f"spandrel.architectures.{path.name}")
        kinds = [getattr(module, name) for name in module.__all__]
        nets = [kind for kind in kinds if inspect.isclass(kind) and issubclass(kind, nn.Module)]
        found |= {kind.__name__.lower(): kind for kind in nets}
        if len(nets) == 1:
            found[path.name.lower()] = nets[0]
    return found


def _arguments(kind: type[nn.Module]) -> dict[str, Any]:
    """The keyword arguments of a class, behind what spandrel wraps around it, and their defaults."""
    told: Any = kind.__init__
    taken = inspect.signature(inspect.unwrap(told)).parameters
    return {name: each.default for name, each in taken.items() if name != "self"}


class Sides(Protocol):
    """spandrel's `SizeRequirements`: what the sides of an image have to be."""

    @property
    def none(self) -> bool: ...

    def get_padding(self, width: int, height: int) -> tuple[int, int]:
        """How many pixels they lack."""
        ...


def _sides_of(net: nn.Module) -> Sides | None:
    """What the sides of an image have to be, by spandrel's own reading of the network."""
    from spandrel import ModelLoader  # pyright: ignore

    try:
        with _quietly():
            found: Any = ModelLoader(device="cpu").load_from_state_dict(net.state_dict())
    except Exception:  # it does not know its own class by these sizes: then nothing is known of sides either
        return None
    return found.size_requirements


def take_any_size(net: nn.Module, needs: Sides, scale: int) -> None:
    """Let a network of a scale take images of any sides, padded as spandrel does; its tensors keep their names."""
    if not needs.none:
        net.register_forward_pre_hook(_Padding(needs))
        net.register_forward_hook(_Cutting(scale))


def fold(net: nn.Module) -> nn.Module:
    """The network with the convs that it folds into one whenever it restores (SPAN) folded for good."""
    for part in net.eval().modules():
        update: Any = getattr(part, "update_params", None)
        if update is not None and hasattr(part, "eval_conv"):
            update()
            part.update_params = _nothing  # type: ignore[assignment]
    return net


def _nothing() -> None:
    """Convs that are folded for good are not folded again."""


class _Padding:
    """Before a network: its image continued, mirrored as far as that goes, then by its last pixels."""

    def __init__(self, needs: Sides) -> None:
        self._needs = needs

    def __call__(self, net: nn.Module, told: tuple[Any, ...]) -> tuple[Any, ...]:
        image = told[0]
        net._sides = height, width = image.shape[2:]  # type: ignore[assignment]  # noqa: SLF001
        right, below = self._needs.get_padding(width, height)
        if right or below:
            mirrored = min(right, width - 1), min(below, height - 1)
            image = functional.pad(image, (0, mirrored[0], 0, mirrored[1]), mode="reflect")
            image = functional.pad(image, (0, right - mirrored[0], 0, below - mirrored[1]), mode="replicate")
        return (image, *told[1:])


class _Cutting:
    """After it: what was added cut away."""

    def __init__(self, scale: int) -> None:
        self._scale = scale

    def __call__(self, net: nn.Module, _: tuple[Any, ...], made: Any) -> Any:
        sides: Any = net._sides  # noqa: SLF001
        if isinstance(made, tuple):  # of an image and what was seen in it
            return (self(net, _, made[0]), *made[1:])
        return made[..., : sides[0] * self._scale, : sides[1] * self._scale]

"""Every architecture that spandrel builds, to be trained: `network: {arch: span, scale: 4, options: {...}}`."""

import difflib
import inspect
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ...degrade.errors import UserError
from .base import NetworkConfig

OTHERS = "spandrel"  # the name under which all of them stand in the family
_SCALES = ("upscale", "scale", "upscaling_factor", "upsampling", "sf")  # what they call the scale
_IMAGE = {"in_chans": 3, "num_in_ch": 3, "in_ch": 3, "in_nc": 3, "out_nc": 3, "num_out_ch": 3}
_TRIED_PX = 64


class SpandrelConfig(NetworkConfig):
    """An architecture of spandrel by its name there, in small letters: span, swinir, hat, dat, realplksr, ...

    Its sizes are the keyword arguments of its class, by their own names.
    """

    arch: str = OTHERS
    """Its name."""
    scale: Annotated[int, Field(ge=1, le=8)] = 4
    """How many times it enlarges."""
    options: dict[str, Any] = {}
    """Keyword arguments of its class, but for the scale; all others have its defaults."""

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        known = classes()
        if self.arch not in known:
            near = difflib.get_close_matches(self.arch, known, n=1)
            mend = f"did you mean {near[0]}?" if near else f"spandrel has {', '.join(known)}"
            raise ValueError(f"arch {self.arch:.80} is unknown; {mend}")
        taken = _arguments(known[self.arch])
        for name in self.options:
            if name not in taken:
                near = difflib.get_close_matches(name, taken, n=1)
                mend = f"did you mean {near[0]}?" if near else f"it takes {', '.join(taken)}"
                raise ValueError(f"options.{name} is nothing that {self.arch} takes; {mend}")
        return self

    def build(self) -> nn.Module:
        """Raises UserError where the options make no network, or one of another scale."""
        kind = classes()[self.arch]
        taken = _arguments(kind)
        told = {name: value for name, value in _IMAGE.items() if name in taken}
        told |= {name: self.scale for name in _SCALES if name in taken}
        try:
            with _quietly():
                net = kind(**(told | self.options))
        except Exception as error:  # whatever their constructors make of other sizes
            raise UserError(f"{self.arch} cannot be built of these options ({type(error).__name__}: {error})") from None
        take_any_size(net, _multiple_of(net), self.scale)
        self._check_scale(net)
        return net

    def _check_scale(self, net: nn.Module) -> None:
        try:
            with torch.no_grad(), _quietly():
                made = net.eval()(torch.zeros(1, 3, _TRIED_PX, _TRIED_PX))
        except Exception as error:
            raise UserError(
                f"{self.arch} takes no image of {_TRIED_PX} px under these options ({type(error).__name__}: {error})"
            ) from None
        finally:
            net.train()
        size = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
        if size != (1, 3, _TRIED_PX * self.scale, _TRIED_PX * self.scale):
            raise UserError(
                f"{self.arch} makes {size} of 3 channels of {_TRIED_PX} px, which is not scale {self.scale}; set "
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


def _arguments(kind: type[nn.Module]) -> list[str]:
    """The keyword arguments of a class, behind what spandrel wraps around it."""
    told: Any = kind.__init__
    return [name for name in inspect.signature(inspect.unwrap(told)).parameters if name != "self"]


def _multiple_of(net: nn.Module) -> int:
    """What the sides of an image have to be multiples of, by spandrel's own reading of the network."""
    from spandrel import ModelLoader  # pyright: ignore

    try:
        found: Any = ModelLoader(device="cpu").load_from_state_dict(net.state_dict())
    except Exception:  # it does not know its own class by these sizes: then nothing is known of sides either
        return 1
    return int(found.size_requirements.multiple_of or 1)


def take_any_size(net: nn.Module, multiple: int, scale: int) -> None:
    """Let a network of a scale, whose sides are multiples, take images of any sides; its tensors keep their names."""
    if multiple > 1:
        net.register_forward_pre_hook(_Padding(multiple))
        net.register_forward_hook(_Cutting(scale))


class _Padding:
    """Before a network: its image continued by its last pixels until its sides are whole multiples."""

    def __init__(self, multiple: int) -> None:
        self._multiple = multiple

    def __call__(self, net: nn.Module, told: tuple[Any, ...]) -> tuple[Any, ...]:
        image = told[0]
        net._sides = image.shape[2:]  # type: ignore[assignment]  # noqa: SLF001
        below, right = (-side % self._multiple for side in image.shape[2:])
        if below or right:
            image = functional.pad(image, (0, right, 0, below), mode="replicate")
        return (image, *told[1:])


class _Cutting:
    """After it: what was added cut away."""

    def __init__(self, scale: int) -> None:
        self._scale = scale

    def __call__(self, net: nn.Module, _: tuple[Any, ...], made: Tensor) -> Tensor:
        sides: Any = net._sides  # noqa: SLF001
        return made[..., : sides[0] * self._scale, : sides[1] * self._scale]

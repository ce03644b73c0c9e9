"""What a network is to the rest: a config of its sizes that builds one, and that knows its own in a file.

A network is one file: its config, its modules, its names. `open.py` imports ours; one of yours is known once its module
is imported.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from torch import Tensor, nn

from ...degrade.family import Frozen

Shapes = Mapping[str, tuple[int, ...]]
PRETRAINED: Literal["hr-aware-pretrain"] = "hr-aware-pretrain"  # methods whose networks restore nothing
DOWNSCALING: Literal["downscaling"] = "downscaling"
CLASSIFIER: Literal["corruption-classifier"] = "corruption-classifier"
RESTORE_NOTHING = {
    PRETRAINED: "reconstructs LR",
    DOWNSCALING: "makes LR of HR",
    CLASSIFIER: "says what befell LR",
}  # what they do instead


class NetworkConfig(Frozen, ABC):
    """Sizes of a network that restores: LR [B, 3, h, w] -> SR [B, 3, scale*h, scale*w], RGB in [0, 1]."""

    arch: str
    """Its name in configs."""
    scale: int
    """How many times it enlarges."""
    of_pairs: ClassVar[bool] = True
    """Whether its weights come of a training on pairs, and not of each image anew, or of another network."""

    @property
    def num_conditions(self) -> int:
        """How many numbers it is told of every image: blur and noise, or none."""
        return 0

    @abstractmethod
    def build(self) -> nn.Module:
        """The network, with fresh weights."""

    @classmethod
    def renamed(cls, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a file by the names that the network has here, where another code has others."""
        return dict(weights)

    @classmethod
    def detect(cls, shapes: Shapes) -> Self | None:
        """The config of the network that a file's tensors are of, by their names and shapes; None: of another one."""
        return None


class Conditioned(nn.Module):
    """A network that is told how each image is degraded: LR [B, 3, h, w] and z [B, 2], blur and noise in 0..1 -> SR.

    conditioned: False of a variant that is told nothing, and trained on one degradation.
    """

    conditioned: bool

    def restore_at(self, image: Tensor, blur: float, noise: float) -> Tensor:
        """Every image restored under the same z = (blur, noise)."""
        return self(image, image.new_tensor([[blur, noise]]).expand(image.shape[0], -1))


def wants_condition(net: object) -> Conditioned | None:
    """The network, where it is one that needs a condition: how an image is degraded."""
    return net if isinstance(net, Conditioned) and net.conditioned else None


def compile_parts(net: nn.Module) -> None:
    """Compile a network, or the parts of it that its class names, "" for itself: whatever is called as a module, since
    a method that is called by its name runs as it is written.
    """
    for name in getattr(net, "compiled_parts", ("",)):
        part = net.get_submodule(name) if name else net
        if not isinstance(part, nn.Identity):
            part.compile()

"""Which published parameter files are there, for which metric, and how to get the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..degrade.errors import UserError
from ..eval import weights
from ..eval.weights import MissingWeights, WeightFile
from .console import say

NEEDED: dict[str, tuple[WeightFile, ...]] = {
    "lpips-alex": (weights.ALEXNET, weights.LPIPS_ALEX),
    "lpips-alex-cugan": (weights.ALEXNET, weights.LPIPS_ALEX),
    "lpips-vgg": (weights.VGG16, weights.LPIPS_VGG),
    "lpips-squeeze": (weights.SQUEEZENET, weights.LPIPS_SQUEEZE),
    "dists": (weights.VGG16, weights.DISTS),
    "dists-mm-realsr": (weights.VGG16, weights.DISTS),
    "niqe": (weights.NIQE,),
    "vgg19": (weights.VGG19,),
    "clip-rn50": (weights.CLIP_RN50,),
}


@dataclass(frozen=True)
class State:
    """A published file: where it lies, or None; where it is to be had; what needs it."""

    name: str
    path: Path | None
    url: str
    used_by: tuple[str, ...]

    @property
    def state(self) -> str:
        where = f"at {self.path}" if self.path else f"missing; {self.url}"
        return f"{where} (for {', '.join(self.used_by)})"


def states(names: Sequence[str], *, download: bool) -> list[State]:
    """The files of those metrics and networks, of all where none is named; fetched first when that is wanted.

    Raises:
        UserError: a name is unknown, or a file cannot be had or is not what was published.
    """
    unknown = [name for name in names if name not in NEEDED]
    if unknown:
        raise UserError(f"{unknown[0]} needs no published file; those that do: {', '.join(NEEDED)}")
    wanted = {file: None for name in names or NEEDED for file in NEEDED[name]}
    found: list[State] = []
    for file in wanted:
        try:
            path: Path | None = weights.find(file)
        except MissingWeights:
            path = None
            if download:
                say(f"fetching {file.url}")
                path = weights.download(file)
        used_by = tuple(name for name, files in NEEDED.items() if file in files)
        found.append(State(file.name, path, file.url, used_by))
    return found

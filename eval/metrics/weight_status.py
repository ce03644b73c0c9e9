"""Which published parameter files are there, for which metric, and how to get the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...degrade.errors import UserError
from ...degrade.progress import say
from . import METRICS, weights
from .weights import MissingWeights, WeightFile

NEEDED: dict[str, tuple[WeightFile, ...]] = {each.name: tuple(each.files) for each in METRICS if each.files} | {
    "vgg19": (weights.VGG19,),  # of losses
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
    """The files of those metrics and networks, or of those names; all where none is named. Fetched first when that is
    wanted.

    Raises:
        UserError: a name is unknown, or a file cannot be had or is not what was published.
    """
    known = {file.name: (file,) for files in NEEDED.values() for file in files} | NEEDED
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"{unknown[0]} is no published file, nor what needs one; known here: {', '.join(known)}")
    wanted = {file: None for name in names or NEEDED for file in known[name]}
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

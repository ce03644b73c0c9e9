"""What the tab Trainings does, without a page: runs found below folders, how far each is, its curves so far, what it
made of held-out images on its way, and the pages beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ....degrade.errors import StoreError, UserError
from ....train.runs.checkpoint import is_finished, read_log, steps_of
from ....train.runs.identity import config_of_run
from ....train.runs.moments import steps_saved
from ....train.runs.pictures import REFERENCE, read_pictures

_DEPTH = ("", "*/", "*/*/")  # below a named folder
_MOST_RUNS = 60
_MOST_POINTS = 600  # of a curve


@dataclass(frozen=True)
class Run:
    """A training: how far it is of how many steps, and whether it has ended."""

    path: Path
    name: str
    method: str
    done: int
    steps: int
    finished: bool

    @property
    def line(self) -> str:
        state = "ended" if self.finished else "under way"
        return f"{self.name}: {self.method}, step {self.done:,} of {self.steps:,}, {state}"


Curves = Mapping[str, Sequence[tuple[int, float]]]  # by term, (step, value)


def found(folders: Sequence[Path]) -> list[Path]:
    """The runs that folders are, or hold."""
    runs: dict[Path, None] = {}
    for folder in folders:
        for below in _DEPTH:
            for path in sorted(folder.glob(f"{below}run.json")):
                runs[path.parent] = None
    return list(runs)[:_MOST_RUNS]


def looked_at(path: Path) -> tuple[Run, Curves]:
    """How far a run is, and its curves up to its last checkpoint; raises UserError where it has none."""
    config = config_of_run(path)
    curves: dict[str, list[tuple[int, float]]] = {}
    try:
        log = read_log(path)
        for step, name, value in zip(*(log[name].to_pylist() for name in ("step", "name", "value")), strict=True):
            curves.setdefault(name, []).append((step, value))
    except StoreError:
        if steps_saved(path):
            raise
    done = max([step for of in curves.values() for step, _ in of] + list(steps_saved(path)), default=0)
    run = Run(path, path.name, str(config.get("method", "")), done, steps_of(config) or done, is_finished(path))
    return run, {name: _thinned(of) for name, of in curves.items()}


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Few enough to draw: every so many, and the last."""
    every = -(-len(points) // _MOST_POINTS)
    return points if every <= 1 else [*points[::every], points[-1]]


def terms_of(curves: Sequence[Curves]) -> list[str]:
    """What there are curves of: measurements first, then losses, then how the training goes."""
    names = list(dict.fromkeys(name for each in curves for name in each))
    late = ("grad_norm/", "steps/s", "waiting", "GiB", "learning_rate")
    return sorted(names, key=lambda name: (2 if name.startswith(late) else 0 if name.startswith("val/") else 1, name))


def pictures(path: Path) -> dict[str, dict[str, bytes]]:
    """What it made of each held-out image, by what it is: LR, HR, then each step."""
    files = read_pictures(path)
    found: dict[str, dict[str, bytes]] = {}
    for name, by_folder in files.items():
        steps = {folder: data for folder, data in by_folder.items() if folder != REFERENCE}
        if not steps:
            continue
        found[name] = {}
        for role in ("lr", "hr"):
            data = files.get(f"{name}.{role}", {}).get(REFERENCE)
            if data is not None:
                found[name][role.upper()] = data
        found[name] |= {f"step {int(folder.rpartition('-')[2]):,}": data for folder, data in steps.items()}
    return found


def pages(path: Path) -> list[Path]:
    """The reports that lie in a run's folder, and beside it."""
    return sorted({*path.glob("*.html"), *path.parent.glob("*.html")})


def checked(path: Path) -> Path:
    """A folder that is or holds a run; raises UserError."""
    if not path.is_dir() or not found([path]):
        raise UserError(f"{path} is no run, and holds none; name the folder of `rwsr train --out`")
    return path

"""The whole way as one config: stages by name, each of which may have others as inputs.

Everything that is built is named by what it is made of, the config and the content of the images, so that a later run
finds what is there and builds only what is new:

    OUT/NAME.index.parquet, OUT/NAME.scan/                          kept up to date
    OUT/banks/<id>.zarr, OUT/stores/<id>.zarr, OUT/exports/<id>/    a noise bank, a store, its PNG files
    RUNS/<id>/                                                      a training, on a disk of this machine
    OUT/metrics/<id>.parquet, OUT/reports/<id>.html                 what was measured, and drawn
    OUT/latest.json                                                 where the last run's artefacts are

A stage with `out: NAME` lies at OUT/NAME instead.
"""

import json
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, Field

from ..degrade.config import validated
from ..degrade.errors import UserError
from ..degrade.family import Frozen
from ..degrade.progress import say
from ..degrade.storage.location import Place, absolute, place, write
from ..degrade.storage.provenance import Json
from .stages import STAGES
from .stages.base import Artifact, Given, Stage, Work

NOTHING_DONE = "all is there already: nothing was done (`rwsr store verify` says whether it is still whole)"


def _anchored(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; write a path or a URL")
    return str(absolute(place(text)))


class PipelineConfig(Frozen):
    """Stages by name, and where they lie."""

    out: Annotated[str, AfterValidator(_anchored)]
    """The folder of everything: a path, from the working folder, or a URL."""
    runs: Annotated[str, AfterValidator(_anchored)] | None = None
    """The folder of trainings, on a disk of this machine.  [default: OUT/runs]"""
    work: Work = Field(default_factory=Work)
    """How tasks are run."""
    stages: dict[str, dict[str, Any]] = Field(min_length=1)
    """NAME: {KIND: {key: value}}; a key that takes an input takes the name of another stage, or a place."""


@dataclass(frozen=True)
class Named:
    """A stage of a pipeline. out: where it lies below the pipeline's folder; none is by what it is made of."""

    name: str
    stage: Stage
    out: str | None = None


def stages_of(config: PipelineConfig) -> list[Named]:
    """The stages of a config, each after its inputs; every key is checked, and whether inputs fit.

    Raises:
        UserError: a kind, a key or an input is wrong; the stage is named.
    """
    parsed: dict[str, Named] = {}
    for name, entry in config.stages.items():
        with _within(name):
            parsed[name] = _parsed(name, entry, config.stages.keys())
    known = {name: each.stage for name, each in parsed.items()}
    for name, each in parsed.items():
        with _within(name):
            each.stage.check(known)
            _check_named(each, known)
    try:
        order = list(TopologicalSorter({name: _needs(each, parsed) for name, each in parsed.items()}).static_order())
    except CycleError as error:
        raise UserError(
            f"stages {' and '.join(sorted(set(error.args[1])))} are made of each other; change one"
        ) from None
    found = [parsed[name] for name in order]
    _check_places(config, found)
    return found


@contextmanager
def _within(name: str) -> Generator[None]:
    """Name the stage whose config holds what is wrong."""
    try:
        yield
    except UserError as error:
        raise UserError(f"in stages.{name}: {error}") from None


def _needs(named: Named, among: Collection[str]) -> list[str]:
    return [ref for ref in named.stage.inputs() if isinstance(ref, str) and ref in among]


def _parsed(name: str, entry: Mapping[str, Any], names: Collection[str]) -> Named:
    kinds = [kind for kind in entry if kind != "out"]
    if len(kinds) != 1 or kinds[0] not in STAGES:
        raise UserError(f"{', '.join(kinds) or 'it'} is no one kind of stage; write one of {', '.join(STAGES)}")
    [kind] = kinds
    stage = validated(STAGES[kind], entry[kind] or {}, kind)
    others = [each for each in names if each != name or not stage.of_folders]
    anchored: dict[str, Any] = {}
    for field in stage.refs:
        value = getattr(stage, field)
        if isinstance(value, str):
            anchored[field] = _ref(value, others)
        elif isinstance(value, dict):
            anchored[field] = {key: _ref(ref, others) for key, ref in value.items()}  # pyright: ignore
        elif value:
            anchored[field] = tuple(_ref(ref, others) for ref in value)
    return Named(name, stage.model_copy(update=anchored), entry.get("out"))


def _ref(text: str, names: Collection[str]) -> str:
    return text if text in names else str(absolute(place(text)))


def _check_named(named: Named, stages: Mapping[str, Stage]) -> None:
    """What is named by what it is made of has to know the content of its images."""
    folders = [ref for ref in named.stage.inputs() if ref not in stages]
    if named.out is None and named.stage.kind in ("bank", "store", "make_pairs") and folders:
        raise UserError(f"{folders[0]} is no stage: name an index or a scan of it, or give the stage an `out`")


def _check_places(config: PipelineConfig, stages: list[Named]) -> None:
    out = place(config.out)
    if isinstance(out, Path) and out.exists() and not out.is_dir():
        raise UserError(f"out = {out} is a file; name a folder")
    for each in stages:
        if each.stage.of_folders:
            for text in each.stage.inputs():
                if f"{out}/".startswith(f"{text}/"):
                    raise UserError(f"out = {out} lies in {text}, which is searched for images; name a folder outside")
    if any(each.stage.folder == "runs" for each in stages) and not isinstance(_runs(config), Path):
        raise UserError(f"runs = {_runs(config)}: a training needs a disk of this machine; set `runs` to a folder")


def _runs(config: PipelineConfig) -> Place:
    return place(config.runs) if config.runs is not None else place(config.out) / "runs"


class Do(Protocol):
    """How a stage is done: called at once, or as a task of a flow."""

    def __call__(self, named: Named, at: Place, given: Given, make: Callable[[], Artifact]) -> Artifact: ...


def at_once(named: Named, at: Place, given: Given, make: Callable[[], Artifact]) -> Artifact:
    """Do a stage by calling it."""
    say(f"{named.name}:")
    return make()


@dataclass(frozen=True)
class Outputs:
    """What a run of a pipeline left, by stage."""

    made: Mapping[str, Artifact]

    @property
    def changed(self) -> bool:
        return any(each.changed for each in self.made.values())


def run(config: PipelineConfig, do: Do = at_once) -> Outputs:
    """Do every stage that is configured; what is there already is left as it is.

    Raises:
        UserError: the config is wrong, or a stage failed; what was finished stays, and the next run goes on from there.
    """
    out = place(config.out)
    made = make_all(stages_of(config), out, _runs(config), config.work, do)
    latest: Json = {name: str(each.at) for name, each in made.items()}
    write(out / "latest.json", f"{json.dumps(latest, indent=1)}\n".encode())
    return Outputs(made)


def make_all(stages: Sequence[Named], out: Place, runs: Place, work: Work, do: Do = at_once) -> dict[str, Artifact]:
    """Make stages in order below the folder `out`, trainings below `runs`; what each made, by its name."""
    made: dict[str, Artifact] = {}
    for named in stages:
        given = Given(dict(made))
        at = place_of(named, out, runs, given)
        made[named.name] = do(named, at, given, partial(_make, named, at, given, work))
    return made


def place_of(named: Named, out: Place, runs: Place, given: Given) -> Place:
    """Where a stage lies: where it is said, or by what it is made of."""
    if named.out is not None:
        return out / named.out
    if named.stage.folder == "runs":
        return runs / named.stage.identity(given)[:12]
    return named.stage.place(out, named.name, given)


def _make(named: Named, at: Place, given: Given, work: Work) -> Artifact:
    """Make it, unless it is named by what it is made of and is a file that is there."""
    if named.out is None and at.is_file() and (found := named.stage.there(at)) is not None:
        return found
    return named.stage.run(at, given, work)

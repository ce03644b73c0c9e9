"""A stage: a config whose inputs are other stages by name, or places; what it makes is named by what it is made of.

The command line runs one stage at a place of its own, a pipeline (`pipeline.py`) a graph of them, a flow the same graph
as Prefect tasks.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, InstanceOf

from ...degrade.errors import UserError
from ...degrade.family import Frozen
from ...degrade.images.rows import SourceRow
from ...degrade.storage.location import Place, place, sha256
from ...degrade.storage.object_store import ObjectPath
from ...degrade.storage.provenance import canonical, sha256_of
from ...degrade.tasks import Run, cores
from ..executors import runner

Ref = str | Path | ObjectPath  # the name of a stage, a path or a URL; or a place


def _as_list(value: object) -> object:
    return (value,) if isinstance(value, Ref) else () if value is None else value


def _place_or_name(value: object) -> object:
    if isinstance(value, str) and not value.strip():
        raise ValueError("is empty; write a path, a URL or the name of a stage")
    if isinstance(value, str) and "://" in value:
        place(value)
    return value


Input = Annotated[
    str | InstanceOf[Path] | InstanceOf[ObjectPath], BeforeValidator(_place_or_name, json_schema_input_type=str)
]
Texts = Annotated[tuple[str, ...], BeforeValidator(_as_list, json_schema_input_type=str | list[str])]
Inputs = Annotated[tuple[Input, ...], BeforeValidator(_as_list, json_schema_input_type=str | list[str])]


class Work(Frozen):
    """How tasks are run; no part of what comes out."""

    workers: Annotated[int, Field(ge=1)] = Field(default_factory=cores)
    """Threads, or processes of dask=local."""
    dask: str | None = None
    """`local`, or the address of a scheduler."""

    @property
    def run(self) -> Run:
        return runner(self.workers, self.dask)


@dataclass(frozen=True)
class Artifact:
    """What a stage made: where, the hash of its content, as plain values, as lines for a person; the rows of images
    that were looked at.

    changed: False when everything was there already. kind: of the stage.
    """

    kind: str
    at: Place
    identity: str
    values: dict[str, Any]
    lines: list[str]
    rows: Sequence[SourceRow] = ()
    changed: bool = True


class Given(Mapping[Ref, Artifact]):
    """What the stages before made, by their names."""

    def __init__(self, made: Mapping[str, Artifact]) -> None:
        self._made: Mapping[Ref, Artifact] = {**made}

    def __getitem__(self, name: Ref) -> Artifact:
        return self._made[name]

    def __iter__(self) -> Iterator[Ref]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)

    def at(self, ref: Ref) -> Place:
        """Where the input is: what a stage made, or a place."""
        return self._made[ref].at if ref in self._made else place(ref)

    def on_disk(self, ref: Ref) -> Path:
        """The same, where it has to be on a disk of this machine; raises UserError."""
        found = self.at(ref)
        if not isinstance(found, Path):
            raise UserError(f"{found} must be on a disk of this machine; set `runs` of the pipeline to a folder")
        return found

    def identity(self, ref: Ref) -> str:
        """The hash of the input's content; of a place that no stage made, of its text, or of its bytes where it is a
        file.
        """
        if ref in self._made:
            return self._made[ref].identity
        at = place(ref)
        return sha256(at) if at.is_file() else str(at)


class Stage(Frozen, ABC):
    """One thing to make.

    kind: its name in a pipeline. folder, suffix: where a pipeline puts it. refs: the fields that name inputs.
    of_folders: whether it looks for images in folders; one of them may have the stage's own name.
    """

    kind: ClassVar[str]
    folder: ClassVar[str]
    suffix: ClassVar[str] = ""
    refs: ClassVar[tuple[str, ...]]
    of_folders: ClassVar[bool] = False

    def inputs(self) -> list[Ref]:
        """The names and places of all inputs, in order."""
        found: list[Ref] = []
        for name in self.refs:
            value = getattr(self, name)
            refs = value.values() if isinstance(value, dict) else [value] if isinstance(value, Ref) else value or ()
            found += list(refs)  # pyright: ignore[reportUnknownArgumentType]
        return found

    def check(self, stages: Mapping[str, "Stage"]) -> None:
        """Check, before any work, that inputs fit; raises UserError."""

    def identity(self, given: Given) -> str:
        """The hash of what it is made of: config and content of the inputs."""
        config = canonical(self.model_dump(mode="json", exclude=set(self.refs)))
        return sha256_of([self.kind, config, *map(given.identity, self.inputs())])

    def place(self, out: Place, name: str, given: Given) -> Place:
        """Where a pipeline puts it. name: of the stage in the pipeline."""
        return out / self.folder / f"{self.identity(given)[:12]}{self.suffix}"

    def there(self, at: Place) -> Artifact | None:
        """What a file holds that an earlier run made of the same; None where `run` has to see for itself."""
        return None

    @abstractmethod
    def run(self, at: Place, given: Given, work: Work) -> Artifact:
        """Make it, or find it made; raises UserError."""


def counts(rows: Sequence[SourceRow]) -> dict[str, int]:
    """How many files have each status."""
    return dict(Counter(row.status for row in rows))


def folders_of(given: Given, refs: Sequence[Ref]) -> list[Place]:
    """The folders that inputs are, or that an index is of."""
    found: list[Place] = []
    for ref in refs:
        if ref in given:
            found += [place(folder) for folder in given[ref].values["folders"]]
        else:
            found.append(place(ref))
    return found

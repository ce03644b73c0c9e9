"""A degradation as data: frozen steps that can be stored in a table and applied again, bit for bit.

A step is one class in one file: its numbers, how it is applied, how it is written on a contact sheet, and what is drawn
of it in a report. `degrade/ops/__init__.py` lists ours; a step of yours is known once its module is imported.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

from .. import seeds
from ..errors import StoreError
from ..family import Frozen, family
from ..images.pixels import F32

V = TypeVar("V")


class NoiseSource(Protocol):
    """Where bank noise comes from: `noisebank.bank.NoiseBank`, which lies above."""

    @property
    def digest(self) -> str: ...

    @property
    def size_px(self) -> int: ...

    @property
    def num_patches(self) -> int: ...

    def crop(self, patch: int, y: int, x: int, height: int, width: int) -> F32: ...


class Memory:
    """Values by what they were made from."""

    def __init__(self) -> None:
        self._values: dict[Hashable, object] = {}

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        if key not in self._values:
            self._values[key] = make()
        return self._values[key]  # pyright: ignore[reportReturnType]


class Site:
    """Where a step is applied: an image [H, W, 3] float32 in [0, 1], and what several next steps of it share.

    own: what is made of this image, its spectrum say. shared: what is the same for every member of a sample, as random
    fields are. bank: where noise of a bank comes from.
    """

    def __init__(self, image: F32, shared: Memory, bank: NoiseSource | None) -> None:
        self.image, self.shared, self.bank = image, shared, bank
        self.own = Memory()


class Step(Frozen, ABC):
    """One step of a degradation, with every number that it needs to be done again."""

    is_noise: ClassVar[bool]
    keeps_tones: ClassVar[bool] = True
    examples: ClassVar[tuple[dict[str, Any], ...]] = ()
    op: str
    """The step's name in a manifest.

    keeps_tones: whether an even slope of one channel comes out as it was, so that places can be read off it. examples:
    numbers of it that a gallery shows, from mild to strong. is_noise: whether it adds noise or compresses;
    what is left of a degradation without such steps is the noise-free reference that groups are measured against.
    """

    @abstractmethod
    def apply(self, at: Site) -> F32:
        """The image after this step, [h, w, 3] float32; pure, and the image of `at` is not written to."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The step with its levels in a few words, as on a contact sheet."""

    @property
    def family(self) -> str:
        """What a report counts it as."""
        return self.op

    def parameters(self, hr_px: int) -> dict[str, float]:
        """The numbers of it that a report draws, by name and unit. hr_px: side of the HR crop."""
        return {}


Degradation = tuple[Step, ...]


def field_key(seed: int, *identity: str | int) -> str:
    """The key of a random field as steps carry it."""
    return f"{seeds.key(seed, *identity):032x}"


def to_rows(degradation: Degradation) -> list[dict[str, object]]:
    """The steps as plain values, for a table of `manifest.step_type`."""
    return [step.model_dump() for step in degradation]


def from_rows(rows: Sequence[dict[str, object]]) -> Degradation:
    """The steps that `to_rows` made, after a journey through Parquet (which fills in nulls).

    Raises:
        StoreError: a step of a kind that no imported module defines.
        ValidationError: a number breaks a rule of its step.
    """
    known = family(Step, "op")
    return tuple(_step(known, row) for row in rows)


def _step(known: dict[str, type[Step]], row: dict[str, object]) -> Step:
    kind = known.get(str(row["op"]))
    if kind is None:
        raise StoreError(f"step {row['op']} is unknown; import the module that defines it. Known: {', '.join(known)}")
    return kind.model_validate({name: value for name, value in row.items() if value is not None})

"""The keys of a config as fields of a form, made from the model itself: what each is, its bounds and what it means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Kind = Literal["switch", "choice", "number", "range", "text"]
_LEAST, _MOST = ("ge", "gt"), ("le", "lt")


@dataclass(frozen=True)
class Field:
    """A key. path: from the top of the config. least, most: of a number, where the model says so; whole: it has no
    digits behind the point. choices: of a choice.
    """

    path: tuple[str, ...]
    kind: Kind
    value: Any
    about: str = ""
    choices: tuple[Any, ...] = ()
    least: float | None = None
    most: float | None = None
    whole: bool = False

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def dotted(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True)
class Group:
    """A table of keys, itself a key of another."""

    path: tuple[str, ...]
    about: str
    parts: "tuple[Field | Group, ...]"

    @property
    def name(self) -> str:
        return self.path[-1]


def fields_of(model: BaseModel, leave_out: Sequence[str] = (), path: tuple[str, ...] = ()) -> tuple[Field | Group, ...]:
    """Every key of a config, in its order. leave_out: dotted keys that the form has elsewhere."""
    found: list[Field | Group] = []
    for name, info in type(model).model_fields.items():
        here, value = (*path, name), getattr(model, name)
        if ".".join(here) in leave_out:
            continue
        about = " ".join((info.description or "").split())
        if isinstance(value, BaseModel):
            found.append(Group(here, about, fields_of(value, leave_out, here)))
        else:
            found.append(_field(here, info, value, about))
    return tuple(found)


def _field(path: tuple[str, ...], info: FieldInfo, value: Any, about: str) -> Field:
    kind, bounds = _plain(info.annotation, info.metadata)
    least, most = (next((bounds[each] for each in names if each in bounds), None) for names in (_LEAST, _MOST))
    if isinstance(value, bool):
        return Field(path, "switch", value, about)
    if get_origin(kind) is Literal:
        return Field(path, "choice", value, about, get_args(kind))
    if isinstance(value, int | float) and kind in (int, float):
        return Field(path, "number", value, about, (), least, most, kind is int)
    pair = _pair(value)
    if pair is not None:
        return Field(path, "range", pair, about, whole=all(isinstance(each, int) for each in pair))
    return Field(path, "text", value, about)


def _plain(annotation: Any, metadata: Sequence[Any]) -> tuple[Any, dict[str, float]]:
    """A type without its None and its rules, and its bounds."""
    bounds = {
        name: float(getattr(each, name))
        for each in metadata
        for name in (*_LEAST, *_MOST)
        if getattr(each, name, None) is not None
    }
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        found, others = _plain(inner, more)
        return found, bounds | others
    if get_origin(annotation) in (Union, UnionType):
        rest = [each for each in get_args(annotation) if each is not NoneType]
        if len(rest) == 1:
            found, others = _plain(rest[0], ())
            return found, bounds | others
    return annotation, bounds


def _pair(value: object) -> list[int | float] | None:
    """Two numbers, if it is such."""
    if not isinstance(value, tuple | list):
        return None
    numbers = [each for each in value if isinstance(each, int | float) and not isinstance(each, bool)]
    return numbers if len(numbers) == len(value) == 2 else None


def nested(path: Sequence[str], value: Any) -> Mapping[str, Any]:
    """A value as the only one of a config."""
    for name in reversed(path):
        value = {name: value}
    return value

"""What the command line takes: places, addresses, names that are read late, and the options of a pydantic model, whose
names, types, bounds, defaults and help are the fields' own.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from urllib.parse import urlsplit

import click
import click.shell_completion

from ....degrade.errors import UserError, did_you_mean
from ....degrade.storage.location import Place, place
from ....degrade.storage.object_store import ObjectPath

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo


class _PlaceType(click.ParamType[Place]):
    """A path or a URL."""

    name = "path or url"

    def convert(self, value: str | Place, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        try:
            return place(value)
        except UserError as error:
            self.fail(str(error), param, ctx)


class _OutType(_PlaceType):
    """Where something is written: a path, or the URL of an object."""

    def convert(self, value: str | Place, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        found = super().convert(value, param, ctx)
        if isinstance(found, ObjectPath) and not found.key:
            self.fail(f"{found} is a whole bucket; name something in it, like {found}/name", param, ctx)
        return found


class FloatRange(click.FloatRange):
    """A number in a range; `nan` and `inf` are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value!r} is no number", param, ctx)
        return found


NUMBER = FloatRange()


class _LocalType(click.ParamType[Path]):
    """A path on a disk; file:// URLs count."""

    name = "path"

    def convert(self, value: str | Place, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        found = PLACE.convert(value, param, ctx)
        if not isinstance(found, Path):
            self.fail(f"{found} must be on a disk of this machine", param, ctx)
        return found


class DaskType(click.ParamType[str]):
    """`local`, or the address of a scheduler."""

    name = "address"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value != "local" and not _is_address(value):
            self.fail(f"{value!r} is neither `local` nor an address like tcp://host:8786", param, ctx)
        return value


class LazyChoice(click.ParamType[str]):
    """One of some names, which are read only when they are asked for: what has them may take seconds to import."""

    name = "name"

    def __init__(self, read: Callable[[], Sequence[str]]) -> None:
        self._read = read

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(self._read())}]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        known = list(self._read())
        if value not in known:
            self.fail(f"{value!r} is unknown; {did_you_mean(value, known)}", param, ctx)
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        return click.Choice(list(self._read())).shell_complete(ctx, param, incomplete)


def named_paths(texts: Sequence[str], taken: Sequence[str] = ()) -> dict[str, Path]:
    """NAME=PATH or PATH as paths by name. taken: names that are others'.

    Raises:
        UserError: two have one name.
    """
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or "/" in name:
            name, path = Path(text).stem, text
        if name in found or name in taken:
            raise UserError(f"two of the models are called {name}; write OTHER={path} for one")
        found[name] = Path(path)
    return found


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("tcp", "tls", "ws", "wss") and bool(parts.hostname) and bool(parts.port)
    except ValueError:  # a port out of range
        return False


PLACE = _PlaceType()
OUT = _OutType()
LOCAL = _LocalType()


F = TypeVar("F", bound=Callable[..., Any])
_BOUNDS = ("ge", "gt", "le", "lt")


def option_name(field: str, *, repeated: bool) -> str:
    """`lr_size_px` is --lr-size-px; what may be repeated is named in the singular."""
    return "--" + (field.removesuffix("s") if repeated else field).replace("_", "-")


def options_of(model: "type[BaseModel]", *, without: tuple[str, ...] = ()) -> Callable[[F], F]:
    """An option for each field of a model, which reach the function as keywords of the fields' names."""

    def add(function: F) -> F:
        for name, field in reversed(model.model_fields.items()):
            if name not in without:
                function = _option(name, field)(function)
        return function

    return add


def _option(name: str, field: "FieldInfo") -> Callable[[F], F]:
    kind, metadata, may_be_none = _unwrapped(field.annotation, list(field.metadata))
    text = field.description or ""
    default = field.get_default(call_default_factory=False)
    if kind is bool:
        flag = f"--{name.replace('_', '-')}"
        return click.option(f"{flag}/--no-{flag[2:]}" if default else flag, name, default=default, help=text)
    repeated = get_origin(kind) is tuple and get_args(kind)[-1:] == (...,)
    item = get_args(kind)[0] if repeated else kind
    return click.option(
        option_name(name, repeated=repeated),
        name,
        type=_type(item, metadata),
        multiple=repeated,
        default=() if repeated else None if may_be_none else default,
        show_default=not repeated and not may_be_none,
        help=text,
    )


def _unwrapped(annotation: Any, metadata: list[Any]) -> tuple[Any, list[Any], bool]:
    """The type itself, its bounds, and whether None is one of its values."""
    may_be_none = False
    while True:
        origin, parts = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            annotation, metadata = parts[0], [*metadata, *parts[1:]]
        elif origin in (Union, UnionType) and NoneType in parts:
            annotation, may_be_none = next(each for each in parts if each is not NoneType), True
        else:
            break
    bounds = [bound for each in metadata for bound in getattr(each, "metadata", [each])]
    return annotation, bounds, may_be_none


def _type(kind: Any, bounds: list[Any]) -> click.ParamType[Any] | None:
    if get_origin(kind) is Literal:
        return click.Choice([str(each) for each in get_args(kind)])
    if kind in (int, float):
        found = {name: getattr(each, name) for each in bounds for name in _BOUNDS if hasattr(each, name)}
        low, high = found.get("ge", found.get("gt")), found.get("le", found.get("lt"))
        range_of: Any = click.IntRange if kind is int else FloatRange
        return range_of(low, high, min_open="gt" in found, max_open="lt" in found)
    return click.STRING

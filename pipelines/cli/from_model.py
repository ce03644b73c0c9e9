"""Options of a command out of a pydantic model: names, types, bounds, defaults and help are the fields' own."""

from collections.abc import Callable
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

F = TypeVar("F", bound=Callable[..., Any])
_BOUNDS = ("ge", "gt", "le", "lt")


def option_name(field: str, *, repeated: bool) -> str:
    """`lr_size_px` is --lr-size-px; what may be repeated is named in the singular."""
    return "--" + (field.removesuffix("s") if repeated else field).replace("_", "-")


def options_of(model: type[BaseModel], *, without: tuple[str, ...] = ()) -> Callable[[F], F]:
    """An option for each field of a model, which reach the function as keywords of the fields' names."""

    def add(function: F) -> F:
        for name, field in reversed(model.model_fields.items()):
            if name not in without:
                function = _option(name, field)(function)
        return function

    return add


def _option(name: str, field: FieldInfo) -> Callable[[F], F]:
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
        range_of: Any = click.IntRange if kind is int else click.FloatRange
        return range_of(low, high, min_open="gt" in found, max_open="lt" in found)
    return click.STRING

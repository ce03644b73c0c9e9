"""Config models from a preset, a YAML or TOML file and `--set key.path=value`, in that order."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ..degrade.errors import UserError
from ..degrade.provenance import Json

M = TypeVar("M", bound=BaseModel)


def _merged(low: Json, high: Mapping[str, Any]) -> Json:
    """`low` with the values of `high` in their places, tables merged and all else replaced.

    A table that names another `kind` is not merged: it starts from that kind's own defaults.
    """
    if high.get("kind", low.get("kind")) != low.get("kind"):
        return dict(high)
    result = dict(low)
    for name, value in high.items():
        below = result.get(name)
        if isinstance(below, dict) and isinstance(value, Mapping):
            result[name] = _merged(below, value)
        else:
            result[name] = value
    return result


def read_file(path: Path) -> Json:
    """The table in a .yaml, .yml or .toml file.

    Raises:
        UserError: it is missing, of another kind, not well-formed, or not a table.
    """
    try:
        text = path.read_text(encoding="utf-8")
        match path.suffix.lower():
            case ".toml":
                value: object = tomllib.loads(text)
            case ".yaml" | ".yml":
                value = yaml.safe_load(text)
            case other:
                raise UserError(f"{path}: {other or 'no'} suffix is unknown; use .yaml or .toml")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not well-formed: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no keys; write `name: value` lines")
    return {str(name): part for name, part in value.items()}


def _set(text: str) -> Json:
    """`a.b=1` as {"a": {"b": 1}}; the value is read as YAML."""
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise UserError(f"--set {text} has no `=`; write --set key.path=value")
    try:
        tree: Any = yaml.safe_load(value)
    except yaml.YAMLError:
        raise UserError(f"--set {text}: {value!r} is not a value; quote it, or write a list as [1,2]") from None
    for name in reversed(path.split(".")):
        tree = {name: tree}
    return tree


def _locate(base: BaseModel, loc: Sequence[int | str]) -> tuple[list[str], list[str]]:
    """The path to a key as a user writes it, without the kinds that pydantic puts in; and the keys known there."""
    path: list[str] = []
    model: Any = base
    for name in loc[:-1]:
        if not hasattr(model, str(name)) and hasattr(model, "kind"):
            model = model if model.kind == name else None
        else:
            path.append(str(name))
            model = getattr(model, str(name), None)
    return [*path, str(loc[-1])], list(type(model).model_fields) if isinstance(model, BaseModel) else []


def _explain(error: ValidationError, base: BaseModel) -> str:
    """The first thing that is wrong, with the nearest valid key where a key is unknown."""
    first = error.errors()[0]
    path, valid = _locate(base, first["loc"]) if first["loc"] else ([], [])
    where = ".".join(path)
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path[-1], valid, n=1)
        mend = f"did you mean {near[0]}?" if near else f"known here: {', '.join(valid) or 'the keys of that kind'}"
        return f"{where} is not a config key; {mend}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return f"{where}: {message}" if where else message
    return f"{where} = {first['input']!r}: {message[0].lower()}{message[1:]}"


def compose_values(base: M, values: Mapping[str, Any]) -> M:
    """`base` with the values in their places.

    Raises:
        UserError: an unknown key (with the nearest valid one), or a value that breaks a rule.
    """
    try:
        return type(base).model_validate(_merged(base.model_dump(), values))
    except ValidationError as error:
        raise UserError(_explain(error, base)) from None


def composed_values(config: Path | None, sets: Sequence[str]) -> Json:
    """The keys of a file, changed by `--set`s; raises UserError."""
    values: Json = {} if config is None else read_file(config)
    for text in sets:
        values = _merged(values, _set(text))
    return values


def validated(model: type[M], values: Mapping[str, Any], where: str) -> M:
    """A config that has no defaults to start from.

    Raises:
        UserError: a key is unknown or missing, or a value breaks a rule.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(first["loc"][-1]), list(model.model_fields), n=1)
            mend = f"did you mean {near[0]}?" if near else f"known here: {', '.join(model.model_fields)}"
            raise UserError(f"{where}: {name} is not a config key; {mend}") from None
        message = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{where}: {name}: {message[0].lower()}{message[1:]}") from None


def compose(base: M, *, config: Path | None = None, sets: Sequence[str] = (), **options: object) -> M:
    """`base` changed by a file, then by `--set`s, then by the options that are not None; raises as `compose_values`."""
    values = composed_values(config, sets)
    return compose_values(base, _merged(values, {name: value for name, value in options.items() if value is not None}))


def to_yaml(model: BaseModel) -> str:
    """A config as a file that --config reads."""
    return yaml.safe_dump(model.model_dump(mode="json"), sort_keys=False, default_flow_style=None)

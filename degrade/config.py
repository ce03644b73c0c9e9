"""Config models from a preset, a YAML or TOML file and `--set key.path=value`, in that order."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .errors import UserError, did_you_mean
from .family import OneOf
from .storage.former import RENAMED
from .storage.provenance import Json

M = TypeVar("M", bound=BaseModel)

_TAGS = ("kind", "arch")
_MOST_SAID, _MOST_NODES, _MOST_BYTES = 3, 10_000, 2**22
_MOST_SHOWN = 80  # letters of a wrong value


def merged(low: Json, high: Mapping[str, Any]) -> Json:
    """`low` with the values of `high` in their places, tables merged and all else replaced.

    A table that names another `kind` (or `arch`) is not merged: it starts from that kind's own defaults.
    """
    if any(high.get(tag, low.get(tag)) != low.get(tag) for tag in _TAGS):
        return dict(high)
    result = dict(low)
    for name, value in high.items():
        below = result.get(name)
        if isinstance(below, dict) and isinstance(value, Mapping):
            result[name] = merged(below, value)
        else:
            result[name] = value
    return result


class _OneOfEach(yaml.SafeLoader):
    """YAML whose keys are each written once (plain YAML lets the last one win, unseen), and which stays small when its
    aliases are written out.
    """

    _read = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._read += 1
        if self._read > _MOST_NODES:
            raise yaml.YAMLError(f"it has more than {_MOST_NODES:,} values")
        return super().compose_node(parent, index)

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None and _written_out(node, {}) > _MOST_NODES:
            raise yaml.YAMLError(f"it has more than {_MOST_NODES:,} values once its aliases are written out")
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for name, _ in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value != "<<":
                if name.value in seen:
                    raise yaml.MarkedYAMLError(problem=f"{name.value} is written twice", problem_mark=name.start_mark)
                seen.add(name.value)
        return super().construct_mapping(node, deep)


def _written_out(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node is, those behind its aliases counted each time."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = _MOST_NODES  # where it holds itself
    below = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    parts = below if isinstance(node, yaml.CollectionNode) else []
    known[id(node)] = min(1 + sum(_written_out(part, known) for part in parts), 2 * _MOST_NODES)
    return known[id(node)]


# What scalars and nests make of PyYAML and tomllib: dates and numbers that are none, tags of another kind, depth.
_NO_VALUE = (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


def _kind_of(value: object) -> str:
    return "nothing" if value is None else "a list" if isinstance(value, list) else "one value"


def read_file(path: Path) -> Json:
    """The table in a .yaml, .yml or .toml file.

    Raises:
        UserError: it is missing, of another kind, not well-formed, or not a table.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{path} has more than {_MOST_BYTES >> 20} MiB; that is no config")
        text = path.read_text(encoding="utf-8")
        match path.suffix.lower():
            case ".toml":
                value: object = tomllib.loads(text)
            case ".yaml" | ".yml":
                value = yaml.load(text, _OneOfEach)
            case other:
                raise UserError(f"{path}: {other or 'no'} suffix is unknown; use .yaml or .toml")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text in UTF-8; name a YAML or TOML file") from None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UserError(f"{path} is not well-formed: {line}{error.problem}") from None
    except UserError:
        raise
    except _NO_VALUE as error:
        said = "it is nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise UserError(f"{path} is not well-formed: {said[:200] or type(error).__name__}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} holds {_kind_of(value)}, not keys; write `name: value` lines")
    return {str(name): part for name, part in value.items()}


def _short(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _set(text: str) -> Json:
    """`a.b=1` as {"a": {"b": 1}}; the value is read as YAML."""
    path, equals, value = text.partition("=")
    if not equals or not all(path.split(".")):
        raise UserError(f"--set {text} names no key; write --set key.path=value")
    try:
        tree: Any = yaml.load(value, _OneOfEach)
    except _NO_VALUE:
        raise UserError(
            f"--set {_short(text)}: {_short(value)!r} is not a value; quote it, or write a list as [1,2]"
        ) from None
    for name in reversed(path.split(".")):
        tree = {name: tree}
    return tree


_Model = BaseModel | type[BaseModel] | dict[str, type[BaseModel]] | None


def _kinds_of(model: _Model, name: str) -> dict[str, type[BaseModel]] | None:
    """The family that a key holds one of, by kind; none where it holds something else."""
    if not isinstance(model, type) or name not in model.model_fields:
        return None
    return next((each.known() for each in model.model_fields[name].metadata if isinstance(each, OneOf)), None)


def _below(model: _Model, name: str) -> _Model:
    """What a key holds: a model, its class where there is no value, the classes by kind where there are several."""
    if isinstance(model, BaseModel):
        return getattr(model, name, None)
    if not isinstance(model, type) or name not in model.model_fields:
        return None
    family = _kinds_of(model, name)
    if family is not None:
        return family
    wanted = model.model_fields[name].annotation
    found = [each for each in (wanted, *get_args(wanted)) if isinstance(each, type) and issubclass(each, BaseModel)]
    return found[0] if len(found) == 1 else {each.model_fields["kind"].default: each for each in found}


def _locate(base: _Model, loc: Sequence[int | str]) -> tuple[list[str], list[str]]:
    """The path to a key as a user writes it, without the kinds that pydantic puts in; and the keys known there."""
    path: list[str] = []
    model, kinds = base, {}
    for part in loc[:-1]:
        name = str(part)
        if isinstance(model, dict):
            model = model.get(name)
        elif isinstance(model, BaseModel) and not hasattr(model, name) and any(hasattr(model, tag) for tag in _TAGS):
            model = model if name in (getattr(model, tag, None) for tag in _TAGS) else kinds.get(name)
        else:
            path.append(name)
            kinds = _kinds_of(type(model) if isinstance(model, BaseModel) else model, name) or {}
            model = _below(model, name)
    known = type(model) if isinstance(model, BaseModel) else model
    return [*path, str(loc[-1])], list(known.model_fields) if isinstance(known, type) else []


_KINDS = {
    "missing": "is missing; write it",
    "too_short": "is empty; name at least one",
    "tuple_type": "is not a list; write [one, two]",
    "model_attributes_type": "is not a table; write {key: value}, or keys on lines of their own, indented",
    "model_type": "is not a table; write {key: value}, or keys on lines of their own, indented",
    "dict_type": "is not a table; write {key: value}, or keys on lines of their own, indented",
}


def _unknown(path: Sequence[str], valid: Sequence[str]) -> str:
    if RENAMED.get(path[-1]) in valid:
        return f"{'.'.join(path)} is now {RENAMED[path[-1]]}"
    mend = did_you_mean(path[-1], valid) if valid else "known here: the keys of that kind"
    return f"{'.'.join(path)} is not a config key; {mend}"


def _wrong(error: ErrorDetails, where: str) -> str:
    """What is wrong with the value of a key."""
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] in _KINDS:
        return f"{where} {_KINDS[error['type']]}"
    if error["type"] == "union_tag_invalid":
        told = error.get("ctx", {})
        known = str(told.get("expected_tags", "")).replace("'", "").split(", ")
        mend = did_you_mean(str(told.get("tag")), known)
        return f"{where}.kind = {_short(str(told.get('tag')))} is unknown; {mend}"
    if error["type"] == "value_error":
        return f"{where}: {message}" if where else message
    return f"{where} = {_short(repr(error['input']))}: {message[0].lower()}{message[1:]}"


def _explain(error: ValidationError, base: BaseModel | type[BaseModel]) -> str:
    """What is wrong, with the nearest valid key where a key is unknown."""
    said: dict[str, None] = {}
    errors = error.errors()
    deeper = {each["loc"][:end] for each in errors for end in range(len(each["loc"]))}  # wrong values are not none
    for each in errors:
        if each["type"] == "too_short" and each["loc"] in deeper:
            continue
        if len(said) == _MOST_SAID:
            break
        path, valid = _locate(base, each["loc"]) if each["loc"] else ([], [])
        said[_unknown(path, valid) if each["type"] == "extra_forbidden" else _wrong(each, ".".join(path))] = None
    return ". Also: ".join(said)


def compose_values(base: M, values: Mapping[str, Any]) -> M:
    """`base` with the values in their places.

    Raises:
        UserError: an unknown key (with the nearest valid one), or a value that breaks a rule.
    """
    try:
        return type(base).model_validate(merged(base.model_dump(), values))
    except ValidationError as error:
        raise UserError(_explain(error, base)) from None


def composed_values(config: Path | None, sets: Sequence[str]) -> Json:
    """The keys of a file, changed by `--set`s; raises UserError."""
    values: Json = {} if config is None else read_file(config)
    for text in sets:
        values = merged(values, _set(text))
    return values


def validated(model: type[M], values: Mapping[str, Any], where: str) -> M:
    """A config that has no defaults to start from.

    Raises:
        UserError: a key is unknown or missing, or a value breaks a rule.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{where}: {_explain(error, model)}") from None


def compose(base: M, *, config: Path | None = None, sets: Sequence[str] = (), **options: object) -> M:
    """`base` changed by a file, then by `--set`s, then by the options that are not None; raises as `compose_values`."""
    values = composed_values(config, sets)
    return compose_values(base, merged(values, {name: value for name, value in options.items() if value is not None}))


def to_yaml(model: BaseModel) -> str:
    """A config as a file that --config reads."""
    return yaml.safe_dump(model.model_dump(mode="json"), sort_keys=False, default_flow_style=None)

"""Families of models: one base class, of which anybody may make more; each is named by the default of one field.

A model of yours belongs to its family once the module that defines it is imported.
"""

import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializationInfo,
    ValidationError,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

M = TypeVar("M", bound=BaseModel)


class Frozen(BaseModel):
    """A model that does not change, knows its keys, and whose fields' docstrings say what they are."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


def family(base: type[M], tag: str) -> dict[str, type[M]]:
    """Every model below `base` that this process has imported, by its name: the default of its field `tag`."""
    found: dict[str, type[M]] = {}
    for each in base.__subclasses__():
        if not inspect.isabstract(each):
            found[each.model_fields[tag].default] = each
        found |= family(each, tag)
    return found


class OneOf:
    """Says that a field of type `base` holds any model of the family: `recipe: Annotated[Recipe, OneOf(Recipe)]`.

    tag: the field that names which. other: the name of the one that takes all names that are not known.
    """

    def __init__(self, base: type[BaseModel], tag: str = "kind", other: str | None = None) -> None:
        self.base, self.tag, self.other = base, tag, other

    def known(self) -> dict[str, type[BaseModel]]:
        return family(self.base, self.tag)

    def _validate(self, value: object) -> BaseModel:
        if isinstance(value, self.base):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError("model_type", "is not a table")
        known, name = self.known(), value.get(self.tag)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        other = known.get(self.other) if self.other is not None else None
        kind = known.get(name, other) if isinstance(name, str) else None
        if kind is None:
            said = "has no" if name is None else f"{name!s:.80} is an unknown"
            raise PydanticCustomError("value_error", f"{said} {self.tag}; known here: {', '.join(known)}")  # pyright: ignore[reportArgumentType]
        try:
            return kind.model_validate(value)
        except ValidationError as error:
            raise _below(error, str(name)) from None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        dump = core_schema.plain_serializer_function_ser_schema(_dumped, info_arg=True)
        return core_schema.no_info_plain_validator_function(self._validate, serialization=dump)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"oneOf": [handler(each.__pydantic_core_schema__) for each in self.known().values()]}


def _dumped(value: BaseModel, info: SerializationInfo) -> dict[str, Any]:
    return value.model_dump(mode=info.mode)


def _below(error: ValidationError, name: str) -> ValidationError:
    """The same errors, each of its place below the name of the kind, as pydantic does it for its own unions."""
    found = [
        InitErrorDetails(type=each["type"], loc=(name, *each["loc"]), input=each["input"], ctx=each.get("ctx", {}))  # pyright: ignore[reportArgumentType]
        for each in error.errors()
    ]
    return ValidationError.from_exception_data(error.title, found)

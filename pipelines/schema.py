"""The JSON Schema of a pipeline's config, for editors: the kinds of stage, their keys, the presets and protocols, and
the keys that each preset lets one change.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ..degrade.recipes import PRESETS
from ..degrade.recipes.store_config import StoreConfig
from ..degrade.storage.provenance import Json
from ..eval.protocols import PROTOCOLS
from ..train.methods import METHODS
from ..train.methods.hr_aware import FINE_TUNING, FineTuneConfig
from .pipeline import PipelineConfig
from .stages import STAGES

_WHOLE = {PipelineConfig.__name__, *(each.__name__ for each in STAGES.values())}


def pipeline_schema() -> Json:
    """A JSON Schema (draft 2020-12) of what `rwsr flow run` reads. What it cannot say, as whether two keys go together,
    the command still checks.
    """
    changed: tuple[type[BaseModel], ...] = (StoreConfig, FineTuneConfig, *(each.config for each in METHODS))
    options = tuple(each.options for each in PROTOCOLS)
    models = dict.fromkeys((PipelineConfig, *STAGES.values(), *changed, *options))
    refs, made = models_json_schema([(model, "validation") for model in models], ref_template="#/$defs/{model}")
    known: Json = {name: each if name in _WHOLE else _partial(each) for name, each in made["$defs"].items()}

    def of(model: type[BaseModel]) -> Json:
        return dict(refs[model, "validation"])

    _let_change(known["Store"], {of(StoreConfig)["$ref"]: PRESETS})
    known["Pairs"]["properties"]["config"] = of(StoreConfig)
    _let_change(known["FineTune"], {of(FineTuneConfig)["$ref"]: FINE_TUNING})
    _let_change(known["Train"], {of(each.config)["$ref"]: each.presets for each in METHODS})
    names = {"enum": [each.name for each in PROTOCOLS]}
    by_name = {each.name: {"anyOf": [of(each.options), {"type": "null"}]} for each in PROTOCOLS}
    known["Evaluate"]["properties"]["protocols"] |= {
        "anyOf": [{"type": "array", "items": names}, _table(by_name)],
    }
    stage = {"anyOf": [_stage(kind, of(model)) for kind, model in STAGES.items()]}
    whole = known.pop(PipelineConfig.__name__)
    whole["properties"]["stages"]["additionalProperties"] = stage
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | whole | {"$defs": known}


def _table(properties: Mapping[str, Any]) -> Json:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _stage(kind: str, model: Json) -> Json:
    return _table({kind: model, "out": {"type": "string"}}) | {"required": [kind]}


def _let_change(stage: Json, presets: Mapping[str, Iterable[str]]) -> None:
    """Say of a stage's `config` what each preset has. presets: their names, by the schema of their config."""
    names = [name for found in presets.values() for name in found]
    stage["properties"]["preset"] = _described(stage["properties"]["preset"]) | {"enum": names}
    stage["allOf"] = [
        {
            "if": {"properties": {"preset": {"enum": list(found)}}, "required": ["preset"]},
            "then": {"properties": {"config": {"$ref": ref}}},
        }
        for ref, found in presets.items()
    ]


def _partial(value: Any) -> Any:
    """A schema of some of the keys, since a preset has the others: a table of a family need not say its kind again."""
    if isinstance(value, list):
        return [_partial(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "oneOf" in value:
        return {"anyOf": _partial(value["oneOf"])} | _described(value)
    found = {name: _partial(each) for name, each in value.items()}
    if isinstance(found.get("required"), list):
        del found["required"]
    return found


def _described(schema: Json) -> Json:
    return {name: schema[name] for name in ("title", "description", "default") if name in schema}

"""Names of format 5, the one before: said to who writes one in a config, and read where an artefact has them."""

from collections.abc import Mapping
from typing import Any

RENAMED: Mapping[str, str] = {
    "accumulate": "accum_steps",
    "at": "milestones",
    "batch": "batch_size",
    "blocks": "num_block",
    "cleanup": "clean_downscale",
    "convs": "num_conv",
    "disorder": "order_check",
    "ema": "ema_decay",
    "feats": "num_feat",
    "grey": "gray",
    "grey_noise_prob": "gray_noise_prob",
    "growth": "num_grow_ch",
    "literal": "paper_exact",
    "loaders": "num_workers",
    "most_draws": "max_draws",
    "only": "fixed_level",
    "routed": "exclusive",
    "start_as_enlarger": "init_as_nearest",
    "turned": "use_rot90",
    "warm_up": "warmup_steps",
    "zero_keeps": "identity_at_zero",
}
_KINDS = {"shuffled": "bsrgan", "steps": "multistep"}
_OF_KIND = {"multistep": {"factor": "gamma"}, "cosine": {"least": "min_factor"}}
_ARCHS = {"mm-realsr": "mm-realsr", "cugan": "cunet", "rwsr-edl": "rwsr-edl"}  # by the method that trained it


def config_now(value: Any) -> Any:
    """A config of format 5, or a part of one, by the names of now."""
    if isinstance(value, list):
        return [config_now(part) for part in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("kind")
    kind = _KINDS.get(kind, kind) if isinstance(kind, str) else kind
    names = {**RENAMED, **_OF_KIND.get(kind if isinstance(kind, str) else "", {})}
    found = {names.get(name, name): config_now(part) for name, part in value.items()}
    return found | {"kind": kind} if "kind" in value else found


def training_now(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a training of format 5 by the names of now."""
    found = config_now(config)
    method = found.get("method")
    inputs = {name: found.pop(name) for name in ("far_model", "restorer") if name in found}
    inputs = {name: each for name, each in inputs.items() if each is not None}
    if "restorer" in inputs:
        inputs["restorer"] = training_now(inputs["restorer"])
    if "stage" in found:
        found["needs_start"] = found.pop("stage") == 2
    if "judge_sees_sum" in found.get("losses", {}):
        found["losses"]["discriminator_input"] = "sum" if found["losses"].pop("judge_sees_sum") else "branch"
    if method in _ARCHS and "network" in found:
        found["network"] = {"arch": _ARCHS[method]} | found["network"]
    return found | ({"inputs": inputs} if inputs else {})


def sharpened_as_then(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a store, of before a pyramid could blur for its sharpening: it did by all taps."""
    recipe = config.get("recipe")
    usm = recipe.get("usm") if isinstance(recipe, dict) else None
    if not isinstance(usm, dict) or "gaussian" in usm:
        return config
    return config | {"recipe": recipe | {"usm": usm | {"gaussian": "truncated"}}}  # type: ignore[operator]

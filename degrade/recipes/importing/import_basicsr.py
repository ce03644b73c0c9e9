"""Recipes from the options files of BasicSR, Real-ESRGAN, MM-RealSR, neosr and traiNNer-redux.

Each key that describes a degradation is taken over by what that trainer's code does with it, which is not always what
its name says; what a file leaves out is that trainer's default. A key that would change LR or HR and has no counterpart
here is named as such; keys of networks, logs and paths need no word.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config import compose_values, read_file
from ...errors import UserError
from ...storage.provenance import Json
from ..store_config import StoreConfig, store_preset
from .basicsr_keys import (
    CHANGES,
    DEAD,
    GAPS,
    ORDER,
    REASONS,
    REDUX_FINAL,
    REDUX_FIRST,
    REDUX_ORDER,
    REDUX_SECOND,
    REDUX_SHARED,
    Trainer,
)

_TARGETS = ("l1_gt_usm", "pixel_gt_usm", "percep_gt_usm")


@dataclass(frozen=True)
class Imported:
    """A store's config.

    without_meaning: keys that change no sample of a store, with the reason. changes: keys that do, and are not taken
    over, or mean something for the training; in words.
    """

    config: StoreConfig
    without_meaning: dict[str, str]
    changes: dict[str, str]

    @property
    def preset(self) -> str:
        """What a build starts from, to change by the config."""
        return "mm-realsr" if self.config.recipe.kind == "groups" else "real-esrgan"


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every leaf by its dotted path."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _kernels(names: object, shares: object, where: str) -> Json:
    if not (isinstance(names, list) and isinstance(shares, list) and len(names) == len(shares)):
        raise UserError(f"{where}: kernel_list and kernel_prob are not two lists of one length; correct them")
    every = dict.fromkeys(("iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso"), 0.0)
    return every | {str(name): share for name, share in zip(names, shares, strict=True)}


class _Options:
    """The keys of a file, looked up by their last name, and which of them were used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values = {name: value for name, value in _flat(read_file(path)).items() if not _is_validation(name)}
        self.used: set[str] = set()
        self.trainer: Trainer = self._trainer()

    def _names(self) -> set[str]:
        return {path.rsplit(".", 1)[-1] for path in self.values}

    def _trainer(self) -> Trainer:
        """Whose file this is, by the keys that only one of them has."""
        names, model = self._names(), str(self.values.get("model_type", ""))
        if names & GAPS.keys() or model.startswith("MMRealSR"):
            return "MM-RealSR"
        if model == "otf" or (self.path.suffix.lower() == ".toml" and "high_order_degradation" not in names):
            return "neosr"
        if "high_order_degradation" in names or names & {"jpeg_prob", "resize_mode_prob", "kernel_range", "lq_usm"}:
            return "traiNNer-redux"
        return "Real-ESRGAN"

    def take(self, name: str) -> Any:
        """The value of a key wherever it stands, or None."""
        for path, value in self.values.items():
            if path.rsplit(".", 1)[-1] == name:
                self.used.add(path)
                return value
        return None


def _is_validation(path: str) -> bool:
    return path.startswith("val") or ".val" in path


def _order(options: _Options, suffix: str) -> Json:
    known = ORDER | (REDUX_ORDER if options.trainer == "traiNNer-redux" else {})
    found: Json = {}
    for theirs, ours in known.items():
        value = options.take(theirs + suffix)
        if value is not None:
            found[ours] = value
    names, shares = options.take(f"kernel_list{suffix}"), options.take(f"kernel_prob{suffix}")
    if names is not None or shares is not None:
        found["kernels"] = _kernels(names, shares, str(options.path))
    resize = options.take(f"resize_prob{suffix}")
    if resize is not None:
        found["resize"] = _directions(resize, f"{options.path}: resize_prob{suffix}")
    _without_modes(found, "resize_modes", "resize_mode_probs")
    return found


def _directions(shares: object, where: str) -> Json:
    """Of a resize; random.choices takes any weights, here they sum to 1."""
    if not (isinstance(shares, list) and len(shares) == 3 and sum(shares) > 0):
        raise UserError(f"{where} is not [up, down, keep]; correct it")
    return dict(zip(("up", "down", "keep"), _as_shares(shares), strict=True))


def _as_shares(weights: list[float]) -> list[float]:
    """Weights as shares; those that are shares already as they are."""
    total = sum(weights)
    return weights if abs(total - 1) < 1e-6 else [each / total for each in weights]


def _without_modes(found: Json, modes: str, shares: str) -> None:
    """An empty list of modes is of a resize that never happens; other shares are weights."""
    if found.get(modes) == []:
        found[modes], found[shares] = ["bilinear"], None
    elif isinstance(found.get(shares), list) and sum(found[shares]) > 0:
        found[shares] = _as_shares(found[shares])


def _put(
    into: Json, name: str, options: _Options, key: str, change: Callable[[Any], Any] = lambda value: value
) -> None:
    value = options.take(key)
    if value is not None:
        into[name] = change(value)


def import_options(path: Path) -> Imported:
    """The config of a store from an options file.

    A file with one of MM-RealSR's `*_diff_*` keys, or of its models, gives groups, any other pairs.

    Raises:
        UserError: the file cannot be read, has no key of a degradation, or a value breaks a rule.
    """
    options = _Options(path)
    groups, redux = options.trainer == "MM-RealSR", options.trainer == "traiNNer-redux"
    gaps: Json = {}
    for theirs, ours in GAPS.items():
        _put(gaps, ours, options, theirs)
    second_blur = None if groups or redux else options.take("second_blur_prob")
    first, second = _order(options, ""), _order(options, "2")
    if not first and not second:
        raise UserError(f"{path} has no key of a degradation (resize_prob, noise_range, ...); name a training file")
    if groups:
        options.used -= {name for name in options.used if name.rsplit(".", 1)[-1] in DEAD["MM-RealSR"]}
        second.pop("jpeg_quality", None)
        if "jpeg_quality" in first:
            second["jpeg_quality"] = first["jpeg_quality"]
    if redux:
        first, second = REDUX_SHARED | REDUX_FIRST | first, REDUX_SHARED | REDUX_SECOND | second
    if second_blur is not None:
        second["blur_prob"] = second_blur
    recipe: Json = {"first": first, "second": second, "usm": _sharpening(options)}
    if redux:
        recipe |= REDUX_FINAL
        _put(recipe, "final_kernel_sizes", options, "final_kernel_range")
        _put(recipe, "final_resize_modes", options, "resize_mode_list3")
        _put(recipe, "final_resize_mode_probs", options, "resize_mode_prob3")
        _without_modes(recipe, "final_resize_modes", "final_resize_mode_probs")
    _put(recipe, "scale", options, "scale")
    _put(recipe, "final_sinc_prob", options, "final_sinc_prob")
    values: Json = {"recipe": recipe | ({"gaps": gaps} if groups else {})}
    _put(values, "seed", options, "manual_seed")
    config = compose_values(store_preset("mm-realsr" if groups else "real-esrgan"), values)
    return Imported(config, _unused(options), _changes(options))


def _sharpening(options: _Options) -> Json | None:
    """Of the HR that LR is made of.

    Real-ESRGAN's models make LR of sharpened HR always: the net's file says gt_usm, the GAN's l1_gt_usm. MM-RealSR's
    net does where gt_usm says so, its GAN never (the lines are commented out). neosr never does; traiNNer-redux by
    lq_usm alone.
    """
    net = options.take("gt_usm")
    targets = [options.take(name) for name in _TARGETS]
    match options.trainer:
        case "MM-RealSR":
            return {} if net else None
        case "Real-ESRGAN":
            return {} if net or any(targets) else None
        case "neosr":
            return None
        case "traiNNer-redux":
            wanted, radii = options.take("lq_usm"), options.take("lq_usm_radius_range")
            return {"radius_range": radii or (1, 25)} if wanted else None


def _changes(options: _Options) -> dict[str, str]:
    """What of a file changes the result and is not in the config."""
    found: dict[str, str] = {}
    known = {*ORDER, *REDUX_ORDER, *GAPS, *REASONS, *CHANGES, *_TARGETS, "gt_usm", "gan_gt_usm", "kernel_list"}
    known |= {"kernel_prob", "resize_prob", "second_blur_prob", "final_sinc_prob", "final_kernel_range", "lq_usm"}
    known |= {"lq_usm_radius_range", "resize_mode_list3", "resize_mode_prob3"}
    for path, value in options.values.items():
        last = path.rsplit(".", 1)[-1]
        if last in CHANGES and value not in CHANGES[last]:
            found[path] = f"changes the result, and has no counterpart here (= {value!r})"
        elif last == "gan_gt_usm" and value:
            found[path] = "changes the result: a discriminator sees HR as it is here"
        elif last in ("gt_usm", *_TARGETS) and value and options.trainer in ("Real-ESRGAN", "MM-RealSR"):
            found[path] = "targets are sharpened while training: losses.sharpen_target"
        elif (
            last.rstrip("2") not in known
            and last not in _dead(options)
            and "." not in path.removeprefix("degradations.")
        ):
            near = difflib.get_close_matches(last.rstrip("2"), sorted(known), n=1, cutoff=0.85)
            if near:
                found[path] = f"changes the result, if {near[0]} was meant; it is no key that {options.trainer} reads"
    return found


def _dead(options: _Options) -> Mapping[str, str]:
    return DEAD[options.trainer]


def _unused(options: _Options) -> dict[str, str]:
    """Keys of a degradation that change nothing, each with the reason."""
    found: dict[str, str] = {}
    for path in options.values:
        last = path.rsplit(".", 1)[-1]
        reason = _dead(options).get(last) or (None if path in options.used else REASONS.get(last))
        if reason is not None:
            found[path] = reason
    return found

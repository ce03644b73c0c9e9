"""Recipes from the options files of BasicSR, Real-ESRGAN, MM-RealSR, neosr and traiNNer-redux.

Each key that describes a degradation is taken over; every other key is named, with why it has no meaning here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..degrade.errors import UserError
from ..degrade.provenance import Json
from ..degrade.samples import StoreConfig
from .config import compose_values, read_file
from .presets import PRESETS

_ORDER = {
    "blur_sigma": "blur_sigma",
    "sinc_prob": "sinc_prob",
    "betag_range": "generalized_beta",
    "betap_range": "plateau_beta",
    "resize_range": "resize_range",
    "gaussian_noise_prob": "gaussian_noise_prob",
    "noise_range": "noise_sigma_255",
    "poisson_scale_range": "poisson_scale",
    "gray_noise_prob": "grey_noise_prob",
    "jpeg_range": "jpeg_quality",
    "blur_prob": "blur_prob",
}
_GAPS = {
    "blur_kernel_diff_lower_bound": "blur_sigma",
    "gaussian_noise_diff_range": "noise_sigma_255",
    "poisson_noise_diff_range": "poisson_scale",
    "jpeg_diff_range": "jpeg_quality",
}
_USM = ("gt_usm", "l1_gt_usm", "percep_gt_usm", "pixel_gt_usm")
_KERNEL_SIZE = 21
_NOT_OURS = "no part of a degradation"
_REASONS = {
    "gt_size": "crop of the training step: lr_patch_px of a data set; HR crops of a store are --hr-size",
    "lq_size": "crop of the training step: lr_patch_px of a data set",
    "queue_size": "there is no pool: every sample of a store has its own draws",
    "jpeg_range2": "MM-RealSR never reads it: both of its JPEGs use jpeg_range",
    "second_blur_prob": "MM-RealSR never reads it: its second blur is always on",
    "gan_gt_usm": "a store has one HR; whether it is sharpened follows l1_gt_usm",
    "use_hflip": "augment of a data set",
    "use_rot": "augment of a data set",
}


@dataclass(frozen=True)
class Imported:
    """A store's config, and each key of the file that has no meaning in it, with the reason."""

    config: StoreConfig
    without_meaning: dict[str, str]


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
        raise UserError(f"{where}: kernel_list and kernel_prob are not two lists of one length; mend them")
    every = dict.fromkeys(("iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso"), 0.0)
    return every | {str(name): share for name, share in zip(names, shares, strict=True)}


class _Options:
    """The keys of a file, looked up by their last name, and which of them were used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values = _flat(read_file(path))
        self.used: set[str] = set()

    def take(self, name: str) -> Any:
        """The value of a key wherever it stands, or None; not that of validation data."""
        for path, value in self.values.items():
            if path.rsplit(".", 1)[-1] == name and ".val" not in f".{path}" and not path.startswith("val"):
                self.used.add(path)
                return value
        return None


def _order(options: _Options, suffix: str) -> Json:
    found: Json = {}
    for theirs, ours in _ORDER.items():
        value = options.take(theirs + suffix)
        if value is not None:
            found[ours] = value
    names, shares = options.take(f"kernel_list{suffix}"), options.take(f"kernel_prob{suffix}")
    if names is not None or shares is not None:
        found["kernels"] = _kernels(names, shares, str(options.path))
    resize = options.take(f"resize_prob{suffix}")
    if resize is not None:
        if not (isinstance(resize, list) and len(resize) == 3):
            raise UserError(f"{options.path}: resize_prob{suffix} is not [up, down, keep]; mend it")
        found["resize"] = dict(zip(("up", "down", "keep"), resize, strict=True))
    modes = options.take(f"resize_mode_list{suffix}")
    if modes is not None:
        found["resize_modes"] = modes
    return found


def _put(
    into: Json, name: str, options: _Options, key: str, change: Callable[[Any], Any] = lambda value: value
) -> None:
    value = options.take(key)
    if value is not None:
        into[name] = change(value)


def import_options(path: Path) -> Imported:
    """The config of a store from an options file.

    A file with one of MM-RealSR's `*_diff_*` keys gives groups, any other Real-ESRGAN's pairs.

    Raises:
        UserError: the file cannot be read, has no key of a degradation, or a value breaks a rule.
    """
    options = _Options(path)
    gaps: Json = {}
    for theirs, ours in _GAPS.items():
        _put(gaps, ours, options, theirs)
    groups = bool(gaps)
    second_blur = None if groups else options.take("second_blur_prob")
    first, second = _order(options, ""), _order(options, "2")
    if not first and not second:
        raise UserError(f"{path} has no key of a degradation (resize_prob, noise_range, ...); name a training file")
    if groups:
        options.used -= {name for name in options.used if name.endswith("jpeg_range2")}
        second.pop("jpeg_quality", None)
        if "jpeg_quality" in first:
            second["jpeg_quality"] = first["jpeg_quality"]
    if second_blur is not None:
        second["blur_prob"] = second_blur
    recipe: Json = {"first": first, "second": second}
    _put(recipe, "scale", options, "scale")
    _put(recipe, "final_sinc_prob", options, "final_sinc_prob")
    sharpened = [options.take(name) for name in _USM]
    if any(value is not None for value in sharpened):
        recipe["usm"] = {} if any(sharpened) else None
    values: Json = {"recipe": recipe | ({"gaps": gaps} if groups else {})}
    _put(values, "seed", options, "manual_seed")
    for suffix in ("", "2"):
        size = options.take(f"blur_kernel_size{suffix}")
        if size not in (None, _KERNEL_SIZE):
            raise UserError(f"{path}: blur_kernel_size{suffix} = {size}; kernels here have 7 to {_KERNEL_SIZE} taps")
    base = PRESETS["mm-realsr" if groups else "real-esrgan"]()
    return Imported(compose_values(base, values), _unused(options, groups=groups))


def _unused(options: _Options, *, groups: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in options.values:
        if name in options.used:
            continue
        last = name.rsplit(".", 1)[-1]
        only_of_groups = last in ("jpeg_range2", "second_blur_prob") and not groups
        found[name] = _NOT_OURS if only_of_groups else _REASONS.get(last, _NOT_OURS)
    return found
